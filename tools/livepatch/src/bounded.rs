// SPDX-License-Identifier: GPL-2.0

//! Reads of the files of tasks that end although a read does not.
//!
//! The kernel takes a lock of a process to show its command line, and another one to show a stack.
//! A task may hold that lock for as long as it takes: in execve(), which closes files, it waits for
//! a file server that does not answer. klpctl is used when tasks sleep for long. So threads read
//! these files, and klpctl waits only while they make progress.
//!
//! A thread that sleeps in a read cannot be ended. It stays until the read ends, or the process.
//! [`Reads`] counts these threads for the whole process, because commands that wait look again and
//! again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::proc::{self, TaskId};
use crate::root::Root;

/// The longest time without progress.
const LONGEST: Duration = Duration::from_millis(300);

/// The largest number of threads. All of them may sleep.
pub const MOST: usize = 32;

/// The number of times that klpctl waits without progress for one list.
const ROUNDS: usize = 3;

/// The files of a task that the kernel shows under one lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    CommandLine,
    /// The stack, and other files that go with it.
    Stack,
}

#[derive(Debug, PartialEq)]
struct Read {
    files: Files,
    id: TaskId,
    begin: Instant,
}

impl Read {
    /// Whether the thread seems to sleep. A thread without progress has begun a moment later than
    /// the wait for it.
    fn is_stuck(&self) -> bool {
        self.begin.elapsed() >= LONGEST / 2
    }
}

/// The reads that have not ended, and the number of threads that read.
#[derive(Debug, Default)]
pub struct Reads {
    list: Mutex<Vec<Read>>,
    threads: AtomicUsize,
}

impl Reads {
    fn lock(&self) -> MutexGuard<'_, Vec<Read>> {
        // A panic leaves the list complete.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the beginning of a read. Returns `None` if another thread sleeps in such a read.
    fn begin(&self, files: Files, id: TaskId) -> Option<Instant> {
        let mut reads = self.lock();
        let same = |read: &Read| read.files == files && read.id == id;
        if reads.iter().any(|read| same(read) && read.is_stuck()) {
            return None;
        }
        let begin = Instant::now();
        reads.push(Read { files, id, begin });
        Some(begin)
    }

    fn end(&self, read: &Read) {
        let mut reads = self.lock();
        if let Some(place) = reads.iter().position(|other| other == read) {
            reads.swap_remove(place);
        }
    }

    /// Returns the number of threads that may be started.
    fn room(&self) -> usize {
        MOST.saturating_sub(self.threads.load(Ordering::Relaxed))
    }
}

/// A thread, which is counted until it ends.
struct Counted(Root);

impl Counted {
    fn new(root: &Root) -> Self {
        root.reads().threads.fetch_add(1, Ordering::Relaxed);
        Self(root.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.reads().threads.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A list of tasks. Several threads read their files.
struct Work<R> {
    root: Root,
    files: Files,
    ids: Vec<TaskId>,
    read: fn(&Root, TaskId) -> R,
    /// The place of the first task that no thread has taken.
    next: AtomicUsize,
}

/// The place of a task in the list, and `None` if its files cannot be read now.
type Answer<R> = (usize, Option<R>);

impl<R: Send + 'static> Work<R> {
    /// Starts threads, and returns whether there is one.
    fn start(self: &Arc<Self>, threads: usize, answers: &Sender<Answer<R>>) -> bool {
        let start = |_: &usize| {
            let (work, answers) = (self.clone(), answers.clone());
            let counted = Counted::new(&self.root);
            let run = move || {
                work.run(&answers);
                drop(counted);
            };
            thread::Builder::new().spawn(run).is_ok()
        };
        (0..threads).filter(start).count() > 0
    }

    /// Reads the files of tasks until the list ends, or the reader of the answers has gone.
    fn run(&self, answers: &Sender<Answer<R>>) {
        loop {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(&id) = self.ids.get(place) else {
                return;
            };
            if answers.send((place, self.read(id))).is_err() {
                return;
            }
        }
    }

    fn read(&self, id: TaskId) -> Option<R> {
        let (files, reads) = (self.files, self.root.reads());
        let begin = reads.begin(files, id)?;
        let result = (self.read)(&self.root, id);
        reads.end(&Read { files, id, begin });
        Some(result)
    }

    fn all_are_taken(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.ids.len()
    }
}

/// Calls `read` for each task of a list, on all CPUs, and `visit` with the place of the task in the
/// list and the result, in any order. Returns the places of the tasks with files that cannot be
/// read now.
pub fn each<R: Send + 'static>(
    root: &Root,
    files: Files,
    ids: &[TaskId],
    read: fn(&Root, TaskId) -> R,
    mut visit: impl FnMut(usize, R),
) -> Vec<usize> {
    // The files of a captured tree are on a disk.
    if !root.is_live() {
        let read = |ids: &[TaskId]| -> Vec<R> { ids.iter().map(|&id| read(root, id)).collect() };
        let results = proc::on_all_cpus(ids, read).into_iter().flatten();
        results
            .enumerate()
            .for_each(|(place, result)| visit(place, result));
        return Vec::new();
    }
    let work = Arc::new(Work {
        root: root.clone(),
        files,
        ids: ids.to_vec(),
        read,
        next: AtomicUsize::new(0),
    });
    let (sender, answers) = mpsc::channel();
    let mut unread = vec![true; ids.len()];
    let mut left = ids.len();
    let threads = proc::threads_for(left).min(root.reads().room());
    // If the system has no room for another thread, this one does the work.
    if left > 0 && threads > 0 && !work.start(threads, &sender) {
        work.run(&sender);
    }

    for _ in 0..ROUNDS {
        let answer = || answers.recv_timeout(LONGEST).ok();
        while let Some((place, result)) = (left > 0).then(answer).flatten() {
            left -= 1;
            if let Some(result) = result {
                unread[place] = false;
                visit(place, result);
            }
        }
        // If all threads sleep, others may find tasks with files that can be read.
        if work.all_are_taken() || !work.start(root.reads().room(), &sender) {
            break;
        }
    }
    (0..ids.len()).filter(|&place| unread[place]).collect()
}
