// SPDX-License-Identifier: GPL-2.0

//! Tasks, as procfs shows them.
//!
//! A look at all tasks reads one file for each task. The other files are read once, and only for
//! tasks that hold a transition or a module up.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::panic;
use std::path::PathBuf;
use std::thread;

use crate::bounded::{self, Files};
use crate::name::Name;
use crate::root::{ReadError, Root};
use crate::unit::Unit;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    pub pid: u32,
    pub tid: u32,
}

/// `/proc/PID/task/TID/patch_state`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchState {
    /// The task is not in a transition.
    Idle,
    Unpatched,
    Patched,
}

/// The progress of the tasks towards one state.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// The number of tasks that take part in the transition.
    pub total: usize,
    /// The tasks that have not switched yet, in the order of their IDs.
    pub waiting: Vec<TaskId>,
    /// The number of tasks that klpctl may not read the state of.
    pub denied: usize,
    /// Whether there may be tasks that klpctl cannot see at all.
    pub hidden: bool,
}

impl Progress {
    pub fn done(&self) -> usize {
        self.total - self.waiting.len()
    }

    fn add(&mut self, other: Self) {
        self.total += other.total;
        self.waiting.extend(other.waiting);
        self.denied += other.denied;
    }
}

/// Reads the state of every task.
pub fn progress(root: &Root, target: PatchState) -> Result<Progress, ReadError> {
    let pids = root.numbers("/proc")?;
    let mut progress = Progress::default();

    for part in on_all_cpus(&pids, |pids| progress_of(root, pids, target)) {
        progress.add(part);
    }
    progress.waiting.sort();
    Ok(progress)
}

/// Calls a function on parts of a list at the same time. Returns the results in the list's order.
pub fn on_all_cpus<T: Sync, R: Send>(list: &[T], what: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    let share = list.len().div_ceil(threads_for(list.len()));
    let what = &what;
    thread::scope(|scope| {
        let start = |part| {
            let worker = thread::Builder::new().spawn_scoped(scope, move || what(part));
            worker.map_err(|_| part)
        };
        let workers: Vec<_> = list.chunks(share.max(1)).map(start).collect();
        let results = workers.into_iter().map(|worker| match worker {
            Ok(worker) => worker.join().unwrap_or_else(|p| panic::resume_unwind(p)),
            // The system has no room for another thread, so this one does the work.
            Err(part) => what(part),
        });
        results.collect()
    })
}

/// Returns the number of threads for the files of so many tasks, at least one.
pub fn threads_for(count: usize) -> usize {
    /// A thread does not pay off for fewer files.
    const FEWEST: usize = 256;

    let cpus = thread::available_parallelism().map_or(1, NonZero::get);
    count.div_ceil(FEWEST).clamp(1, cpus)
}

fn progress_of(root: &Root, pids: &[u32], target: PatchState) -> Progress {
    let mut progress = Progress::default();
    let mut buffer = [0; 16];

    for_each_task(root, pids, |id| {
        let path = folder(root, id) + "/patch_state";
        match root.read_start(path, &mut buffer).map(patch_state) {
            Ok(Some(PatchState::Idle) | None) | Err(ReadError::Gone) => {}
            Ok(Some(state)) => {
                progress.total += 1;
                if state != target {
                    progress.waiting.push(id);
                }
            }
            Err(_) => progress.denied += 1,
        }
    });
    progress
}

/// Visits the tasks of some processes.
fn for_each_task(root: &Root, pids: &[u32], mut visit: impl FnMut(TaskId)) {
    for &pid in pids {
        let tasks = format!("/proc/{pid}/task");
        // Most processes have one thread. The number of links shows it without a walk.
        let tids = match root.links(&tasks) {
            Ok(3) if root.is_live() => vec![pid],
            _ => root.numbers(&tasks).unwrap_or_default(),
        };
        for tid in tids {
            visit(TaskId { pid, tid });
        }
    }
}

/// The result of reading the stacks of all tasks.
#[derive(Debug, Default)]
pub struct Stacks {
    /// The tasks with a wanted stack, in the order of their IDs.
    pub found: Vec<Task>,
    /// The number of tasks that klpctl may not read the stack of.
    pub denied: usize,
    /// The tasks with files that cannot be read now, in the order of their IDs.
    pub unread: Vec<Task>,
}

/// Reads the stack of every task.
pub fn stacks(root: &Root, wanted: impl Fn(&[Frame]) -> bool) -> Result<Stacks, ReadError> {
    let pids = root.numbers("/proc")?;
    let mut ids = on_all_cpus(&pids, |pids| {
        let mut ids = Vec::new();
        for_each_task(root, pids, |id| ids.push(id));
        ids
    })
    .concat();
    ids.sort();

    let mut stacks = Stacks::default();
    let mut found = BTreeMap::new();
    let visit = |place: usize, stack| match stack {
        Stack::Frames(frames) if wanted(&frames) => {
            found.insert(ids[place], frames);
        }
        Stack::Denied => stacks.denied += 1,
        Stack::Frames(_) | Stack::Unknown | Stack::Unread => {}
    };
    let mut unread: Vec<_> = bounded::each(root, Files::Stack, &ids, stack, visit)
        .into_iter()
        .map(|place| ids[place])
        .collect();

    let ids: Vec<_> = found.keys().copied().collect();
    let (tasks, left) = read_all(root, &ids, without_stack);
    unread.extend(left);
    unread.sort();
    stacks.found = tasks;
    for task in &mut stacks.found {
        if let Some(frames) = found.remove(&task.id) {
            task.stack = Stack::Frames(frames);
        }
    }
    stacks.unread = unread
        .iter()
        .filter_map(|&id| unread_task(root, id))
        .collect();
    Ok(stacks)
}

/// Reads all about some tasks. The result has no tasks that have exited.
pub fn tasks(root: &Root, ids: &[TaskId]) -> Vec<Task> {
    let (mut tasks, unread) = read_all(root, ids, task);
    tasks.extend(unread.into_iter().filter_map(|id| unread_task(root, id)));
    tasks.sort_by_key(|task| task.id);
    tasks
}

/// Reads tasks with a function. Returns them in the order of the list, and the IDs of those with
/// files that cannot be read now.
fn read_all(
    root: &Root,
    ids: &[TaskId],
    read: fn(&Root, TaskId) -> Option<Task>,
) -> (Vec<Task>, Vec<TaskId>) {
    let mut tasks = vec![None; ids.len()];
    let unread = bounded::each(root, Files::Stack, ids, read, |i, task| tasks[i] = task);
    let unread = unread.into_iter().map(|place| ids[place]).collect();
    (tasks.into_iter().flatten().collect(), unread)
}

/// Returns the directory of a task's files. The files of a process's first thread exist in two
/// places. The kernel creates the directories of a longer path at the first look, so the shorter
/// path is cheaper. A report has the longer path alone.
fn folder(root: &Root, TaskId { pid, tid }: TaskId) -> String {
    match tid == pid && root.is_live() {
        true => format!("/proc/{pid}"),
        false => format!("/proc/{pid}/task/{tid}"),
    }
}

pub fn patch_state(content: &[u8]) -> Option<PatchState> {
    match content.trim_ascii() {
        b"-1" => Some(PatchState::Idle),
        b"0" => Some(PatchState::Unpatched),
        b"1" => Some(PatchState::Patched),
        _ => None,
    }
}

/// One return address in a stack, innermost first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// As procfs shows it: `function+0x1/0x2 [module]`.
    pub text: Name,
    pub function: Name,
    /// `None` is the kernel proper.
    pub module: Option<Name>,
}

#[derive(Clone, Debug)]
pub enum Stack {
    Frames(Vec<Frame>),
    /// Only root may read a stack.
    Denied,
    /// The kernel does not show stacks, or not this one.
    Unknown,
    /// No file of the task but its name can be read now, see [`bounded`].
    Unread,
}

/// A task that holds a transition or a module up.
#[derive(Clone, Debug)]
pub struct Task {
    pub id: TaskId,
    pub comm: Name,
    /// The letter of `/proc/PID/stat`: R, S, D, ... or ? if that cannot be read now.
    pub state: char,
    pub kthread: bool,
    pub stack: Stack,
    /// The function that the task sleeps in, if the stack cannot be read.
    pub wchan: Option<Name>,
    /// The systemd unit of a user task.
    pub unit: Option<Unit>,
}

impl Task {
    /// Returns the frames of the stack, or none if the stack cannot be read.
    pub fn frames(&self) -> &[Frame] {
        match &self.stack {
            Stack::Frames(frames) => frames,
            Stack::Denied | Stack::Unknown | Stack::Unread => &[],
        }
    }
}

fn stack(root: &Root, id: TaskId) -> Stack {
    match root.read(folder(root, id) + "/stack") {
        Ok(content) => match parse_stack(&without_addresses(&content)) {
            frames if frames.is_empty() => Stack::Unknown,
            frames => Stack::Frames(frames),
        },
        Err(ReadError::Denied) => Stack::Denied,
        Err(_) => Stack::Unknown,
    }
}

/// Reads all about one task. Returns `None` if the task has exited.
fn task(root: &Root, id: TaskId) -> Option<Task> {
    let stack = stack(root, id);
    let mut task = without_stack(root, id)?;
    if !matches!(stack, Stack::Frames(_) | Stack::Unread) {
        let file = folder(root, id) + "/wchan";
        task.wchan = root.read(file).ok().and_then(parse_wchan);
    }
    if !matches!(task.stack, Stack::Unread) {
        task.stack = stack;
    }
    Some(task)
}

/// Reads all about one task but the stack. Returns `None` if the task has exited.
fn without_stack(root: &Root, id: TaskId) -> Option<Task> {
    let folder = PathBuf::from(folder(root, id));
    let Ok(stat) = root.read(folder.join("stat")) else {
        // If the files of a task could not be read, its report has the name alone.
        return unread_task(root, id);
    };
    let (comm, state, kthread) = parse_stat(&stat)?;
    let unit = match kthread {
        true => None,
        false => root
            .read(folder.join("cgroup"))
            .ok()
            .and_then(|content| Unit::parse(&content)),
    };

    Some(Task {
        id,
        comm,
        state,
        kthread,
        stack: Stack::Unknown,
        wchan: None,
        unit,
    })
}

/// Returns a task with files that cannot be read now, or `None` if it has exited. To show a task's
/// name, the kernel takes no lock that a task keeps.
fn unread_task(root: &Root, id: TaskId) -> Option<Task> {
    let comm = root.read(folder(root, id) + "/comm").ok()?;
    Some(Task {
        id,
        comm: comm.strip_suffix(b"\n").unwrap_or(&comm).into(),
        state: '?',
        kthread: false,
        stack: Stack::Unread,
        wchan: None,
        unit: None,
    })
}

/// `pid (comm) state ppid pgrp session tty_nr tpgid flags ...`, where comm may contain any byte,
/// also parentheses and newlines.
pub fn parse_stat(content: &[u8]) -> Option<(Name, char, bool)> {
    const PF_KTHREAD: u64 = 0x0020_0000;

    let open = content.iter().position(|&b| b == b'(')?;
    let close = content.iter().rposition(|&b| b == b')')?;
    let comm = content.get(open + 1..close)?;
    let rest = std::str::from_utf8(content.get(close + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let flags: u64 = fields.nth(5)?.parse().ok()?;

    Some((comm.into(), state, flags & PF_KTHREAD != 0))
}

/// Hides the values of return addresses that are in no function. The unwinder can take any word of
/// the stack for one: on powerpc the first entry is such a word.
pub fn without_addresses(stack: &[u8]) -> Vec<u8> {
    let lines = stack.split_inclusive(|&b| b == b'\n');
    let shown = lines.map(|line| match line.starts_with(b"[<0>] 0x") {
        true => b"[<0>] 0x0\n",
        false => line,
    });
    shown.collect::<Vec<_>>().concat()
}

/// Lines of `[<0>] function+0x1/0x2 [module]`.
pub fn parse_stack(content: &[u8]) -> Vec<Frame> {
    content
        .split(|&b| b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            let text = match line.iter().position(|&b| b == b']') {
                Some(end) if line.starts_with(b"[<") => line[end + 1..].trim_ascii(),
                _ => line,
            };
            let mut words = text.split(|&b| b == b' ');
            let symbol = words.next().unwrap_or_default();
            let function = symbol.split(|&b| b == b'+').next().unwrap_or_default();
            // A module may be followed by its build ID: [module 0123...].
            let module = words
                .find_map(|word| word.strip_prefix(b"["))
                .map(|word| word.strip_suffix(b"]").unwrap_or(word));

            Frame {
                text: text.into(),
                function: function.into(),
                module: module.map(Name::from),
            }
        })
        .collect()
}

/// A function, or 0 if the task does not sleep or klpctl may not look at it.
pub fn parse_wchan(content: Vec<u8>) -> Option<Name> {
    match content.trim_ascii() {
        b"" | b"0" => None,
        function => Some(function.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.into()
    }

    #[test]
    fn stat_with_any_comm() {
        let stat = b"7 (a) b) (\n\xff) S 2 0 0 0 -1 2129984 0 0";
        let (comm, state, kthread) = parse_stat(stat).unwrap();
        assert_eq!(comm.as_bytes(), b"a) b) (\n\xff");
        assert_eq!(comm.to_string(), "a) b) (\\x0a\\xff");
        assert_eq!((state, kthread), ('S', true));

        let (_, _, kthread) = parse_stat(b"1 (init) S 0 1 1 0 -1 4194560 0").unwrap();
        assert!(!kthread);
        for broken in ["", "1", "1 (a", "1 )a( S", "1 (a)", "1 (a) S 0 1"] {
            assert!(parse_stat(broken.as_bytes()).is_none(), "{broken}");
        }
    }

    #[test]
    fn frames() {
        let stack = b"[<0>] msleep+0x2d/0x40\n[<0>] f.cold+0x1/0x2 [mod 01ab]\n[<0>] 0xffff\n";
        let frames = parse_stack(stack);
        assert_eq!(frames.len(), 3);
        assert_eq!(frames[0].text, name("msleep+0x2d/0x40"));
        assert_eq!(frames[0].module, None);
        assert_eq!(frames[1].function, name("f.cold"));
        assert_eq!(frames[1].module, Some(name("mod")));
        assert_eq!(frames[2].function, name("0xffff"));
        assert!(parse_stack(b"").is_empty());
    }

    #[test]
    fn addresses_in_no_function() {
        let stack = b"[<0>] 0xfffffffffffffff4\n[<0>] __switch_to+0x334/0x500\n[<0>] 0xc000\n";
        let hidden = without_addresses(stack);
        assert_eq!(
            hidden,
            b"[<0>] 0x0\n[<0>] __switch_to+0x334/0x500\n[<0>] 0x0\n"
        );
        assert_eq!(without_addresses(&hidden), hidden);
    }
}
