// SPDX-License-Identifier: GPL-2.0

//! Tasks with files that cannot be read, because the kernel waits for a lock that a task keeps.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::store::set_release;
use super::{klpctl, Answer, Scratch};
use crate::blockers;
use crate::bounded::MOST;
use crate::cmdline::CommandLines;
use crate::command::Command;
use crate::commands::wait::{deadline, until_settled, AtEnd, Cause, Ended};
use crate::commands::{self, Context};
use crate::exit::Exit;
use crate::functions::tests::patch;
use crate::options::Options;
use crate::root::tests::{block, opened, unblock};
use crate::root::Root;
use crate::signals::tests::sent;
use crate::signals::{Signal, Signals};
use crate::system::System;
use crate::term::Term;

/// The longest time for an answer, on a machine that is slow and busy.
const LATE: Duration = Duration::from_secs(30);

const PATCH: &str = "test_klp_callbacks_demo";

/// Runs a function in a thread, and fails if it does not return.
fn in_time<R: Send + 'static>(what: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(what()));
    receiver.recv_timeout(LATE).expect("it does not end")
}

/// Calls a function as a part of a command. Returns its result, and the output.
fn in_context<R>(
    root: Root,
    options: &Options,
    signals: Option<Signals>,
    body: impl FnOnce(&mut Context<'_>) -> R,
) -> (R, String) {
    let mut out = Vec::new();
    let result = body(&mut Context {
        options,
        root,
        term: Term::NONE,
        out: &mut out,
        signals,
    });
    (result, String::from_utf8(out).unwrap())
}

/// A tree as on a running system, where the files of the first thread are in the directory of the
/// process. `unblock` comes before it goes.
struct Live(Scratch);

impl Drop for Live {
    fn drop(&mut self) {
        unblock(self.0.path());
    }
}

impl Live {
    fn tree(name: &str) -> Self {
        let live = Self(Scratch::tree(name));
        for pid in live.root().numbers("/proc").unwrap() {
            let folder = live.folder(pid);
            let thread = folder.join(format!("task/{pid}"));
            let files = fs::read_dir(thread).into_iter().flatten().flatten();
            files.for_each(|file| {
                fs::copy(file.path(), folder.join(file.file_name())).unwrap();
            });
        }
        live
    }

    fn root(&self) -> Root {
        Root::live_in(self.0.path())
    }

    fn folder(&self, pid: u32) -> PathBuf {
        self.0.path().join(format!("proc/{pid}"))
    }

    /// Adds a task, the files of which cannot be read.
    fn blocked_task(&self, pid: u32) {
        let folder = self.folder(pid);
        let thread = folder.join(format!("task/{pid}"));
        fs::create_dir_all(&thread).unwrap();
        let stat = format!("{pid} (b{pid}) S 1 1 1 0 -1 0 0\n");
        for folder in [folder, thread] {
            fs::write(folder.join("comm"), format!("b{pid}\n")).unwrap();
            fs::write(folder.join("patch_state"), "0\n").unwrap();
            fs::write(folder.join("stat"), &stat).unwrap();
            fs::write(folder.join("stack"), "[<0>] a+0x1/0x2\n").unwrap();
            for file in ["stack", "stat", "wchan"] {
                block(&folder.join(file));
            }
        }
    }

    /// Runs a command as on a running system.
    fn run(&self, root: &Root, options: Options) -> Answer {
        let root = root.clone();
        in_time(move || {
            let (outcome, out) = in_context(root, &options, None, commands::run);
            let (exit, err) = match outcome {
                Ok(exit) => (exit, String::new()),
                Err(failure) => (failure.exit, failure.message),
            };
            Answer { out, err, exit }
        })
    }

    fn check(&self, root: &Root) -> Answer {
        let file = self.0.path().join("the.ko");
        let fields = ["name=klp_x", "vermagic=7.3.4 SMP "];
        fs::write(&file, patch(&fields, &[("vmlinux", "a", 0)])).unwrap();
        set_release(&self.0, "7.3.4");
        let options = Options {
            command: Command::Check,
            operands: vec![file.into()],
            ..Options::default()
        };
        self.run(root, options)
    }

    /// Returns how often a stack was opened since the last call.
    fn stacks(&self) -> usize {
        let opened = opened(self.0.path());
        opened.iter().filter(|path| path.ends_with("stack")).count()
    }
}

#[test]
fn check_does_not_wait_for_them() {
    let live = Live::tree("none");
    live.blocked_task(7);
    let free = live.folder(9);
    fs::create_dir_all(free.join("task/9")).unwrap();
    fs::write(free.join("stat"), "9 (free) S 1 1 1 0 -1 0 0\n").unwrap();
    fs::write(free.join("stack"), "[<0>] a+0x1/0x2\n").unwrap();
    let root = live.root();
    let answer = live.check(&root);
    assert_eq!(answer.exit, Exit::Done, "{}{}", answer.out, answer.err);
    let text = "waits: a of vmlinux is in use by free (9)\n\
                note: the stacks of some tasks cannot be read just now: b7 (7)\n";
    assert!(answer.out.ends_with(text), "{}", answer.out);

    // The lock is free again.
    unblock(live.0.path());
    let begin = Instant::now();
    while live.check(&root).out.contains("just now") {
        assert!(begin.elapsed() < LATE);
    }
}

/// Any user can make many of them.
#[test]
fn the_threads_that_sleep_have_a_limit() {
    let live = Live::tree("none");
    for pid in 1000..1500 {
        live.blocked_task(pid);
    }
    let root = live.root();
    for first in [true, false] {
        let answer = live.check(&root);
        let note = "just now: b1000 (1000), b1001 (1001), b1002 (1002) and 497 more\n";
        assert!(answer.out.ends_with(note), "{}", answer.out);
        let stacks = live.stacks();
        assert_eq!(stacks, if first { MOST } else { 0 });
    }
}

#[test]
fn a_deadline_holds() {
    for (signals, cause) in [
        (vec![], Cause::Timeout),
        (vec![Signal::Terminate], Cause::Signal(Signal::Terminate)),
    ] {
        let live = Live::tree("kernel-thread");
        live.blocked_task(7);
        let root = live.root();
        // The look of the waiting thread itself.
        block(&live.0.path().join("proc/modules"));
        let ended = in_time(move || {
            let timeout = match cause {
                Cause::Timeout => Duration::from_millis(700),
                Cause::Signal(_) => 2 * LATE,
            };
            let wait = |context: &mut Context<'_>| {
                until_settled(context, &PATCH.into(), deadline(timeout), AtEnd::Leave)
            };
            in_context(root, &Options::default(), Some(sent(&signals)), wait).0
        });
        let Ok(Ended::Early(ended)) = ended else {
            panic!("{ended:?}");
        };
        assert_eq!(ended, cause);
    }
}

#[test]
fn the_progress_names_them() {
    let live = Live::tree("kernel-thread");
    fs::remove_dir_all(live.folder(43)).unwrap();
    live.blocked_task(7);
    let options = Options {
        command: Command::Wait,
        timeout: Some(Duration::from_secs(3)),
        ..Options::default()
    };
    let answer = live.run(&live.root(), options);
    assert_eq!(answer.exit, Exit::Transition, "{}", answer.err);
    let line = ", waiting for b7 (7) its files cannot be read just now\n";
    assert!(answer.out.contains(line), "{}", answer.out);
    let text = "\nb7 (7)\n  its files cannot be read just now\n  look again later: ";
    assert!(answer.out.contains(text), "{}", answer.out);
}

/// The report has their names, so that it gives the same answer elsewhere.
#[test]
fn a_report_has_their_names() {
    let live = Live::tree("kernel-thread");
    live.blocked_task(7);
    let file = live.0.path().join("report.tar");
    let options = Options {
        command: Command::Report,
        output: Some(file.clone()),
        ..Options::default()
    };
    let answer = live.run(&live.root(), options);
    assert_eq!(answer.exit, Exit::Done, "{}", answer.err);
    let tar = std::process::Command::new("tar")
        .args(["-xf", file.to_str().unwrap(), "-C"])
        .arg(live.0.path())
        .status();
    assert!(tar.expect("the test needs tar").success());
    let root = live.0.path().join("klpctl-report");
    let answer = klpctl(&["why", "--root", root.to_str().unwrap()]);
    assert!(
        answer
            .out
            .contains("\nb7 (7)\n  its files cannot be read just now\n"),
        "{}",
        answer.out
    );
}

/// The stack of one task must not hide the others, nor what follows.
#[test]
fn others_are_seen() {
    let live = Live::tree("kernel-thread");
    live.blocked_task(7);
    let root = live.root();
    let system = System::look(&root, Duration::MAX).unwrap();
    let found = in_time(move || blockers::find(&root, &system));
    let names: Vec<_> = found.iter().map(|b| b.task.comm.to_string()).collect();
    assert_eq!(names.last().map(String::as_str), Some("b7"));
    assert!(names[0].starts_with("kworker/"), "{names:?}");
}

/// An answer about several held modules reads the command lines of each.
#[test]
fn a_command_line_is_not_read_by_more_threads() {
    let live = Live::tree("none");
    let file = live.folder(7).join("cmdline");
    block(&file);
    let root = live.root();
    in_time(move || {
        for _ in 0..5 {
            assert_eq!(CommandLines::new(&root).read(7), None);
        }
    });
    assert_eq!(opened(live.0.path()), [file]);
}
