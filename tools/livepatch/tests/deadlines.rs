// SPDX-License-Identifier: GPL-2.0

//! Patches that are not applied in time, and signals that arrive meanwhile.
//!
//! A thread is the kernel: it ends the transition of a patch that is disabled.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use super::boot::running;
use super::live::Machine;
use super::schema::assert_valid;
use super::{klpctl_in, Scratch};
use crate::command::Command;
use crate::commands::wait::{deadline, until_free, until_settled, AtEnd, Cause, Ended, Goal};
use crate::commands::Context;
use crate::commands::{force, load};
use crate::exit::{Exit, Failure};
use crate::forced;
use crate::name::Name;
use crate::options::Options;
use crate::signals::tests::sent;
use crate::signals::Signal;
use crate::term::Term;

const PATCH: &str = "test_klp_callbacks_demo";

/// The longest time that a deadline may be late, on a machine that is slow and busy.
const LATE: Duration = Duration::from_secs(60);

fn file(tree: &Scratch, name: &str) -> PathBuf {
    tree.path()
        .join("sys/kernel/livepatch")
        .join(PATCH)
        .join(name)
}

fn enabled(tree: &Scratch) -> String {
    fs::read_to_string(file(tree, "enabled")).unwrap_or_default()
}

fn load_options(revert: bool) -> Options {
    Options {
        command: Command::Load,
        revert_on_timeout: revert,
        ..Options::default()
    }
}

fn context<'a>(
    tree: &Scratch,
    options: &'a Options,
    out: &'a mut dyn Write,
    signals: &[Signal],
) -> Context<'a> {
    Context {
        signals: Some(sent(signals)),
        ..tree.context(options, out)
    }
}

/// Waits until `enabled` is 0, and returns the time of that. Then the patch goes, with its module
/// if `unload`.
fn kernel(tree: &Scratch) -> Instant {
    while enabled(tree).trim() != "0" {
        thread::sleep(Duration::from_millis(1));
    }
    let time = Instant::now();
    fs::rename(file(tree, ""), tree.path().join("gone")).unwrap();
    time
}

/// Output that takes no byte before the patch is disabled. The file is `enabled` of the patch.
struct Stuck(PathBuf);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let begin = Instant::now();
        while fs::read_to_string(&self.0).is_ok_and(|text| text.trim() != "0") {
            assert!(begin.elapsed() < LATE, "the deadline waits for the output");
            thread::sleep(Duration::from_millis(1));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Output that takes no byte.
struct Failing(io::ErrorKind);

/// Output after its reader has gone.
fn closed() -> Failing {
    Failing(io::ErrorKind::BrokenPipe)
}

impl Write for Failing {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that has seen enough is no error, and a shell has a number for it.
#[test]
fn a_reader_that_goes() {
    let mut err = Vec::new();
    let tree = Scratch::tree("stacked");
    let root = tree.path().as_os_str().to_owned();
    let arguments = ["status".into(), "--root".into(), root];
    let exit = crate::run(arguments, Term::NONE, &mut closed(), &mut err);
    assert_eq!(exit, Exit::Unread);
    assert_eq!(exit as u8, 128 + 13);
    assert!(err.is_empty());
}

/// Waits for the transition of a patch that a task holds up, in a tree of its own. Returns the
/// results of [`wait_in`], and the tree.
fn wait(
    out: &mut dyn Write,
    timeout: Duration,
    at_end: AtEnd,
    signals: &[Signal],
) -> (Result<Ended, Failure>, Option<Duration>, Scratch) {
    let tree = Scratch::tree("kernel-thread");
    let (ended, written) = wait_in(&tree, out, timeout, at_end, signals);
    (ended, written, tree)
}

/// Waits for the transition of a patch that a task holds up. Returns how that has ended, and how
/// long after the start `enabled` was written, if it was.
fn wait_in(
    tree: &Scratch,
    out: &mut dyn Write,
    timeout: Duration,
    at_end: AtEnd,
    signals: &[Signal],
) -> (Result<Ended, Failure>, Option<Duration>) {
    let options = load_options(at_end == AtEnd::TurnBack);
    let begin = Instant::now();
    thread::scope(|scope| {
        let kernel = (at_end == AtEnd::TurnBack).then(|| scope.spawn(|| kernel(tree)));
        let mut context = context(tree, &options, out, signals);
        let patch = Name::from(PATCH);
        let ended = until_settled(&mut context, &patch, deadline(timeout), at_end);
        let written = kernel.map(|kernel| kernel.join().unwrap() - begin);
        (ended, written)
    })
}

#[test]
fn a_patch_is_turned_back_at_the_deadline() {
    let timeout = Duration::from_millis(700);
    let (ended, written, _) = wait(&mut Vec::new(), timeout, AtEnd::TurnBack, &[]);
    assert!(
        matches!(ended, Ok(Ended::TurnedBack(Cause::Timeout, Ok(())))),
        "{ended:?}"
    );
    let written = written.unwrap();
    assert!(written >= timeout, "{written:?}");
    assert!(written < timeout + LATE, "{written:?}");
}

/// The progress is printed after a quarter of a second.
#[test]
fn a_slow_output_does_not_make_the_deadline_late() {
    let timeout = Duration::from_secs(1);
    let tree = Scratch::tree("kernel-thread");
    let mut out = Stuck(file(&tree, "enabled"));
    let (ended, written) = wait_in(&tree, &mut out, timeout, AtEnd::TurnBack, &[]);
    assert!(matches!(ended, Ok(Ended::TurnedBack(..))), "{ended:?}");
    assert!(written.unwrap() >= timeout, "{written:?}");
}

#[test]
fn an_output_that_fails_does_not_cancel_the_deadline() {
    let timeout = Duration::from_millis(500);
    let (ended, written, _) = wait(&mut closed(), timeout, AtEnd::TurnBack, &[]);
    let ended = ended.unwrap();
    assert!(matches!(ended, Ended::TurnedBack(_, Ok(()))), "{ended:?}");
    assert!(written.unwrap() >= timeout, "{written:?}");

    // Without anything to do at the end it ends the wait.
    let begin = Instant::now();
    let hour = Duration::from_secs(3600);
    let (ended, _, tree) = wait(&mut closed(), hour, AtEnd::Leave, &[]);
    assert!(ended.is_err());
    assert!(begin.elapsed() < hour / 2);
    assert_eq!(enabled(&tree), "1\n");

    // An error of turning back is reported, and so is that of the output.
    for (kind, end) in [
        (io::ErrorKind::BrokenPipe, ""),
        (
            io::ErrorKind::StorageFull,
            "; cannot write: no storage space",
        ),
    ] {
        let tree = Scratch::tree("kernel-thread");
        fs::remove_file(file(&tree, "enabled")).unwrap();
        fs::create_dir(file(&tree, "enabled")).unwrap();
        let (options, mut out) = (load_options(true), Failing(kind));
        let mut context = context(&tree, &options, &mut out, &[]);
        let result = load::finish(&mut context, &Name::from(PATCH), deadline(timeout));
        let failure = result.unwrap_err();
        assert_eq!(failure.exit, Exit::Error);
        assert!(failure.message.starts_with("echo 0 > "), "{failure}");
        let message = failure.message.split_once("(os error 21)");
        assert_eq!(message.unwrap().1, end);
    }
}

/// The reader of the output goes after the first line. The patch is unloaded all the same, and is
/// not noted for a crash any more.
#[test]
fn a_patch_is_unloaded_although_the_output_fails() {
    let Some(machine) = Machine::new() else {
        return;
    };
    machine.install(&["name=v1"]);
    machine.tool("insmod", NEVER_APPLIED);
    machine.tool("rmmod", "echo $2 >removed");
    let status = "klpctl load --revert-on-timeout --timeout 1s v1; echo $? >status";
    let out = machine.text(&format!("{{ {status}; }} | head -n 1"));
    let read = |file: &str| fs::read_to_string(machine.tree.path().join(file)).unwrap();
    assert_eq!(read("status"), "7\n", "{out}");
    assert_eq!(read("removed"), "v1\n");
    assert_eq!(running(&machine.tree).lines().skip(1).count(), 0);
    assert!(
        out.ends_with("v1 was not applied in time, and was taken back\n"),
        "{out}"
    );
}

/// The transition goes on until the patch is disabled.
const NEVER_APPLIED: &str = "\
name=$(basename $1 .ko)
cd /sys/kernel/livepatch
mkdir $name
echo 1 >$name/transition
echo 1 >$name/enabled
{ until grep -q 0 $name/enabled; do sleep 0.01; done; rm -r $name; } >/dev/null 2>&1 &";

#[test]
fn a_signal_turns_a_patch_back() {
    let hour = Duration::from_secs(3600);
    for signal in [Signal::Hangup, Signal::Interrupt, Signal::Terminate] {
        let (ended, written, _) = wait(&mut Vec::new(), hour, AtEnd::TurnBack, &[signal]);
        let Ok(Ended::TurnedBack(cause, Ok(()))) = ended else {
            panic!("{ended:?}");
        };
        assert_eq!(cause, Cause::Signal(signal));
        assert!(written.unwrap() < hour / 2);
    }
}

/// Runs the part of `load` that comes after insmod. `change` alters the patch first.
fn finish(
    options: &Options,
    timeout: Duration,
    signals: &[Signal],
    change: impl FnOnce(&Scratch),
) -> (Result<Exit, Failure>, String, Scratch) {
    let tree = Scratch::tree("kernel-thread");
    change(&tree);
    let mut out = Vec::new();
    let result = {
        let mut context = context(&tree, options, &mut out, signals);
        load::finish(&mut context, &Name::from(PATCH), deadline(timeout))
    };
    (result, String::from_utf8(out).unwrap(), tree)
}

#[test]
fn a_signal_leaves_a_patch_that_is_not_to_be_turned_back() {
    let hour = Duration::from_secs(3600);
    let terminate = [Signal::Terminate];
    let (result, out, tree) = finish(&load_options(false), hour, &terminate, |_| {});
    assert_eq!(result.unwrap(), Exit::Terminated);
    assert_eq!(
        out,
        format!("SIGTERM: the transition of {PATCH} goes on; see klpctl wait, klpctl why\n")
    );
    assert_eq!(enabled(&tree), "1\n");

    let json = Options {
        json: true,
        ..load_options(false)
    };
    let (result, out, _) = finish(&json, hour, &[Signal::Interrupt], |_| {});
    assert_eq!(result.unwrap(), Exit::Interrupted);
    assert_eq!(
        out,
        format!(
            "{{\"schema\":\"klpctl/1\",\"command\":\"load\",\"event\":\"interrupted\",\
             \"patch\":\"{PATCH}\",\"signal\":\"SIGINT\"}}\n"
        )
    );
    assert_eq!(assert_valid(&out), 1);
}

#[test]
fn a_transition_that_has_ended_is_not_turned_back() {
    let complete = |tree: &Scratch| fs::write(file(tree, "transition"), "0\n").unwrap();
    let terminate = [Signal::Terminate];
    let (result, out, tree) = finish(&load_options(true), Duration::ZERO, &terminate, complete);
    assert_eq!(result.unwrap(), Exit::Done);
    assert_eq!(out, format!("{PATCH}: applied\n"));
    assert_eq!(enabled(&tree), "1\n");
}

/// The transition back is held up, too. The second signal ends klpctl.
#[test]
fn a_second_signal_leaves_a_patch_that_is_turned_back() {
    let hour = Duration::from_secs(3600);
    let signals = [Signal::Interrupt, Signal::Terminate];
    let (result, out, tree) = finish(&load_options(true), hour, &signals, |_| {});
    assert_eq!(result.unwrap(), Exit::Terminated);
    assert_eq!(
        out,
        format!(
            "SIGINT: {PATCH} is not applied yet, and is taken back\n\
             SIGTERM: the transition of {PATCH} goes on; see klpctl wait, klpctl why\n"
        )
    );
    assert_eq!(enabled(&tree).trim(), "0");

    let json = Options {
        json: true,
        ..load_options(true)
    };
    let (_, out, _) = finish(&json, hour, &signals, |_| {});
    assert!(out.contains("\"event\":\"revert\""), "{out}");
    assert_eq!(assert_valid(&out), 2);
}

/// A file that cannot be written, as when the patch has gone.
#[test]
fn a_patch_that_cannot_be_turned_back() {
    let (result, out, _) = finish(&load_options(true), Duration::ZERO, &[], |tree| {
        fs::remove_file(file(tree, "enabled")).unwrap();
        fs::create_dir(file(tree, "enabled")).unwrap();
    });
    let failure = result.unwrap_err();
    assert_eq!(failure.exit, Exit::Error);
    assert!(failure.message.starts_with("echo 0 > "), "{failure}");
    let line = format!("{PATCH} is not applied in time, and is taken back\n");
    assert_eq!(out, line);
}

#[test]
fn a_signal_ends_the_wait_for_a_module() {
    let tree = Scratch::tree("held");
    let options = Options::default();
    let mut out = Vec::new();
    let mut context = context(&tree, &options, &mut out, &[Signal::Terminate]);
    let held = Name::from("test_klp_sleep_patch");
    let failure = until_free(&mut context, &held, None).unwrap_err();
    assert_eq!(failure.exit, Exit::Terminated);
    assert_eq!(
        failure.message,
        "SIGTERM: module test_klp_sleep_patch is still held"
    );
}

/// Output with a reader that goes after the first line.
struct ClosedLater(bool);

impl Write for ClosedLater {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0 {
            true => Err(io::ErrorKind::BrokenPipe.into()),
            false => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0 = true;
        Ok(())
    }
}

/// The kernel goes on when klpctl waits no longer, so the record must not wait either.
#[test]
fn force_is_recorded_although_the_wait_ends_early() {
    let hour = Duration::from_secs(3600);
    let patch = Name::from(PATCH);
    let force = |goal: Goal, out: &mut dyn Write, timeout: Duration, signals: &[Signal]| {
        let tree = Scratch::tree("kernel-thread");
        fs::write(file(&tree, "force"), "").unwrap();
        let options = Options {
            command: Command::Force,
            ..Options::default()
        };
        let mut context = context(&tree, &options, out, signals);
        let result = force::force(&mut context, &patch, goal, timeout);
        assert_eq!(fs::read_to_string(file(&tree, "force")).unwrap(), "1");
        let exit = result.unwrap_or_else(|failure| failure.exit);
        (exit, forced::is_kept(&context.root, &patch))
    };
    let mut out = Vec::new();
    let terminate = [Signal::Terminate];
    for (ended, exit) in [
        (
            force(Goal::Applied, &mut out, hour, &terminate),
            Exit::Terminated,
        ),
        (
            force(Goal::Applied, &mut out, Duration::ZERO, &[]),
            Exit::Transition,
        ),
        (
            force(Goal::Applied, &mut ClosedLater(false), hour, &[]),
            Exit::Unread,
        ),
    ] {
        assert_eq!(ended, (exit, true));
    }
    // A patch that is gone is not a forced one.
    let ended = force(Goal::Disabled, &mut out, Duration::ZERO, &[]);
    assert_eq!(ended, (Exit::Transition, false));
}

#[test]
fn times_have_units() {
    let tree = Scratch::tree("kernel-thread");
    for timeout in ["100ms", "0.1s", "0m"] {
        let answer = klpctl_in(&tree, &["wait", "--timeout", timeout]);
        assert_eq!(answer.exit, Exit::Transition, "{timeout}");
    }
    let answer = klpctl_in(&tree, &["wait", "--timeout", "1 week"]);
    assert_eq!(answer.exit, Exit::Usage);
    assert!(answer.err.contains("it takes TIME"), "{}", answer.err);
}
