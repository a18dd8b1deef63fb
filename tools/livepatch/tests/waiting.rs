// SPDX-License-Identifier: GPL-2.0

//! Waiting for things that happen meanwhile.

use std::fs;
use std::io::{self, Write};
use std::time::Duration;

use super::schema::assert_valid;
use super::{klpctl_in, klpctl_to, Scratch};
use crate::commands::wait::{deadline, finish, reached, until_settled, AtEnd, Goal};
use crate::commands::Context;
use crate::exit::{Exit, Failure};
use crate::name::Name;
use crate::options::Options;
use crate::term::Term;

const TRANSITION: &str = "sys/kernel/livepatch/test_klp_callbacks_demo/transition";

/// The time for which a test waits for an event that must come, in seconds. It is long enough for a
/// slow machine, and ends a test that would last for ever.
const PATIENCE: &str = "600";

pub fn patience() -> Duration {
    Duration::from_secs(PATIENCE.parse().unwrap())
}

/// Output that changes something as soon as there is any: klpctl has looked by then, and has yet to
/// look again.
pub struct Meanwhile<F> {
    out: Vec<u8>,
    change: Option<F>,
}

impl<F: FnOnce()> Meanwhile<F> {
    pub fn new(change: F) -> Self {
        Self {
            out: Vec::new(),
            change: Some(change),
        }
    }

    pub fn text(self) -> String {
        String::from_utf8(self.out).unwrap()
    }
}

impl<F: FnOnce()> Write for Meanwhile<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(change) = self.change.take() {
            change();
        }
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `change` on the tree of a blocked transition while klpctl waits.
fn wait(arguments: &[&str], change: impl FnOnce(&Scratch)) -> (Exit, String) {
    wait_on(Term::NONE, arguments, change)
}

fn wait_on(term: Term, arguments: &[&str], change: impl FnOnce(&Scratch)) -> (Exit, String) {
    let tree = Scratch::tree("kernel-thread");
    let root = tree.path().to_str().unwrap();
    let mut out = Meanwhile::new(|| change(&tree));
    let always = ["--timeout", PATIENCE, "--root", root];
    let (exit, _) = klpctl_to(term, &[arguments, &always].concat(), &mut out);
    (exit, out.text())
}

fn complete(tree: &Scratch) {
    fs::write(tree.path().join(TRANSITION), "0\n").unwrap();
}

#[test]
fn until_it_is_complete() {
    let (exit, out) = wait(&["wait"], complete);
    assert_eq!(exit, Exit::Done);
    // In a pipe there are lines, and the worst blocker is named.
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 2, "{out}");
    assert!(lines[0].contains("tasks have switched, waiting for kworker/"));
    assert!(lines[0].contains("on function busymod_work_func of test_klp_callbacks_busy"));
    assert!(lines[1].starts_with("test_klp_callbacks_demo: applied, after "));
}

#[test]
fn until_the_patch_is_gone() {
    let (exit, out) = wait(&["wait", "test_klp_callbacks_demo", "--json"], |tree| {
        let folder = tree.path().join(TRANSITION);
        fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    });
    assert_eq!(exit, Exit::Nothing);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 2, "{out}");
    assert!(lines[0].contains("\"event\":\"progress\""));
    assert!(lines[0].contains("\"function\":\"busymod_work_func\""));
    assert!(lines[1].contains("\"event\":\"done\""));
    assert!(lines[1].contains("\"outcome\":\"gone\""));
    assert_eq!(assert_valid(&out), 2);
}

/// Removes the directory of the patch in one step. Files that go one by one would pass through
/// states that the kernel never shows.
fn remove(tree: &Scratch) {
    let folder = tree.path().join(TRANSITION);
    fs::rename(folder.parent().unwrap(), tree.path().join("gone")).unwrap();
}

fn log(tree: &Scratch, message: &str) {
    let path = tree.path().join("dev/kmsg");
    let mut content = fs::read_to_string(&path).unwrap();
    content.push_str(&format!("5,600,120400000,-;livepatch: {message}\n"));
    fs::write(path, content).unwrap();
}

#[test]
fn what_came_of_it() {
    const PATCH: &str = "'test_klp_callbacks_demo'";

    let (exit, out) = wait(&["wait"], |tree| {
        log(tree, &format!("{PATCH}: starting unpatching transition"));
        log(tree, &format!("{PATCH}: unpatching complete"));
        remove(tree);
    });
    assert_eq!(exit, Exit::Nothing);
    assert!(
        out.contains("test_klp_callbacks_demo: reverted, after "),
        "{out}"
    );

    let (exit, out) = wait(&["wait"], |tree| {
        log(tree, &format!("{PATCH}: patching complete"));
        let other = tree.path().join("sys/kernel/livepatch/other");
        fs::create_dir(&other).unwrap();
        for (file, flag) in [("enabled", "1"), ("transition", "0"), ("replace", "1")] {
            fs::write(other.join(file), flag).unwrap();
        }
        remove(tree);
    });
    assert_eq!(exit, Exit::Nothing);
    assert!(
        out.contains("test_klp_callbacks_demo: replaced, after "),
        "{out}"
    );

    let (exit, out) = wait(&["wait", "--json"], |tree| {
        log(tree, "forcing remaining tasks to the patched state");
        log(tree, &format!("{PATCH}: patching complete"));
        complete(tree);
    });
    assert_eq!(exit, Exit::Forced);
    assert!(out.contains("\"outcome\":\"forced\""), "{out}");
    assert_eq!(assert_valid(&out), 2);
}

/// A patch that was applied before the wait has not replaced the one that is gone.
#[test]
fn a_patch_that_was_there_before() {
    let tree = Scratch::tree("kernel-thread");
    let root = tree.path().to_str().unwrap();
    let other = tree.path().join("sys/kernel/livepatch/other");
    fs::create_dir(&other).unwrap();
    for (file, flag) in [("enabled", "1"), ("transition", "0"), ("replace", "1")] {
        fs::write(other.join(file), flag).unwrap();
    }
    fs::remove_file(tree.path().join("dev/kmsg")).unwrap();
    let mut out = Meanwhile::new(|| remove(&tree));
    let arguments = ["wait", "--timeout", PATIENCE, "--root", root];
    let (exit, _) = klpctl_to(Term::NONE, &arguments, &mut out);
    assert_eq!(exit, Exit::Nothing);
    let text = out.text();
    assert!(
        text.contains("test_klp_callbacks_demo: gone, after "),
        "{text}"
    );
}

#[test]
fn in_vain() {
    let tree = Scratch::tree("kernel-thread");
    let answer = klpctl_in(&tree, &["wait", "--timeout", "0.1"]);
    assert_eq!(answer.exit, Exit::Transition);
    assert!(answer.out.contains("The transition has not ended in time."));
    // The report ends with that of why.
    let why = klpctl_in(&tree, &["why"]).out;
    assert!(answer.out.ends_with(&why), "{}", answer.out);

    let answer = klpctl_in(&tree, &["wait", "--timeout", "0", "--stuck-after", "1"]);
    assert_eq!(answer.exit, Exit::Stuck);
}

#[test]
fn for_nothing() {
    let tree = Scratch::tree("stacked");
    let answer = klpctl_in(&tree, &["wait"]);
    assert_eq!(answer.exit, Exit::Done);
    assert_eq!(answer.out, "no patch is in transition\n");
    let tree_forced = Scratch::tree("forced");
    assert_eq!(klpctl_in(&tree_forced, &["wait"]).exit, Exit::Forced);
    let answer = klpctl_in(&tree, &["wait", "no_such_patch"]);
    assert_eq!(answer.exit, Exit::Nothing);
    let tree = Scratch::tree("none");
    assert_eq!(klpctl_in(&tree, &["wait"]).exit, Exit::Nothing);
}

/// A patch that was replaced is loaded, and not in transition.
#[test]
fn for_a_patch_that_is_disabled() {
    for (tree, patch, state) in [
        ("free", "test_klp_callbacks_demo", "disabled, free"),
        ("held", "test_klp_sleep_patch", "disabled, held"),
    ] {
        let tree = Scratch::tree(tree);
        for arguments in [&["wait", patch][..], &["force", patch, "--dry-run"]] {
            let answer = klpctl_in(&tree, arguments);
            let text = format!("klpctl: livepatch {patch} is not in transition, but {state}\n");
            assert_eq!(answer.err, text, "{arguments:?}");
            assert_eq!(answer.exit, Exit::Nothing, "{arguments:?}");
        }
        let answer = klpctl_in(&tree, &["wait", "no_such_patch"]);
        assert_eq!(
            answer.err,
            "klpctl: livepatch no_such_patch is not loaded\n"
        );
    }
}

#[test]
fn with_a_bar_on_a_terminal() {
    let term = Term {
        live: true,
        width: 70,
        ..Term::NONE
    };
    let (exit, out) = wait_on(term, &["wait"], complete);
    assert_eq!(exit, Exit::Done);
    let bar = out.split(['\r', '\x1b']).nth(1).unwrap();
    assert!(bar.starts_with('['), "{bar}");
    assert!(bar.contains("#."), "{bar}");
    assert!(
        bar.ends_with(": kworker/0:2+events in busymod_work_func"),
        "{bar}"
    );
}

#[test]
fn a_line_for_every_width() {
    for width in [1, 20, 40, 60, 80, 140, 300] {
        let term = Term {
            live: true,
            width,
            ..Term::NONE
        };
        let (_, out) = wait_on(term, &["wait"], complete);
        let line = out.split(['\r', '\x1b']).nth(1).unwrap();
        assert!(line.chars().count() < width, "{width}: {line}");
        let whole = line.contains("on function busymod_work_func of test_klp_callbacks_busy");
        assert_eq!(whole, width >= 140, "{width}: {line}");
        if width == 60 || width == 80 {
            assert!(line.ends_with("in busymod_work_func"), "{width}: {line}");
        }
    }
}

#[test]
fn watch_ends_with_the_transition() {
    let tree = Scratch::tree("kernel-thread");
    let root = tree.path().to_str().unwrap();
    let mut out = Meanwhile::new(|| complete(&tree));
    let arguments = ["watch", "--until-done", "-i0", "--root", root];
    let (exit, _) = klpctl_to(Term::NONE, &arguments, &mut out);
    assert_eq!(exit, Exit::Done);
    let text = out.text();
    assert!(text.starts_with("livepatch: applying\n"), "{text}");
    assert!(text.contains("\nlivepatch: applied\n"), "{text}");
}

#[test]
fn watch_fits_the_screen() {
    let tree = Scratch::tree("user-process");
    let root = tree.path().to_str().unwrap();
    for (width, height) in [(40, 12), (80, 24), (300, 60)] {
        let term = Term {
            terminal: true,
            live: true,
            colour: true,
            width,
            height,
            resizes: false,
        };
        let out = super::klpctl_on(term, &["watch", "-c1", "--root", root]).out;
        assert!(out.starts_with("\x1b[H"), "{out:?}");
        assert!(!out.contains("\x1b[2J"), "{out:?}");
        assert!(out.lines().count() <= height, "{out:?}");
        for line in out.lines() {
            let shown: usize = line
                .split('\x1b')
                .map(|part| {
                    part.split_once(['m', 'H', 'K', 'J'])
                        .map_or(part, |(_, rest)| rest)
                })
                .map(|part| part.trim_end().chars().count())
                .sum();
            assert!(shown < width, "{width}: {line:?}");
        }
    }
}

/// Returns the result of a command that wanted a patch to reach this goal.
fn ends(tree: &str, patch: &str, goal: Goal) -> Result<String, Failure> {
    let tree = Scratch::tree(tree);
    let (out, result) = output(&tree, &Options::default(), |context| {
        finish(context, &Name::from(patch), goal).map(drop)
    });
    result.map(|()| out)
}

/// Runs a command, and returns its output and its result.
pub fn output(
    tree: &Scratch,
    options: &Options,
    command: impl FnOnce(&mut Context<'_>) -> Result<(), Failure>,
) -> (String, Result<(), Failure>) {
    let mut out = Vec::new();
    let result = with_context(tree, options, &mut out, command);
    (String::from_utf8(out).unwrap(), result)
}

pub fn with_context(
    tree: &Scratch,
    options: &Options,
    out: &mut dyn Write,
    command: impl FnOnce(&mut Context<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    command(&mut tree.context(options, out))
}

#[test]
fn for_what_is_so() {
    for (tree, patch, goal, word) in [
        ("stacked", "test_klp_livepatch", Goal::Applied, "applied"),
        ("forced", "test_klp_callbacks_demo", Goal::Applied, "forced"),
        (
            "free",
            "test_klp_callbacks_demo",
            Goal::Disabled,
            "disabled",
        ),
        (
            "none",
            "test_klp_callbacks_demo",
            Goal::Disabled,
            "unloaded",
        ),
        (
            "none",
            "test_klp_callbacks_demo",
            Goal::Unloaded,
            "unloaded",
        ),
    ] {
        let out = ends(tree, patch, goal).unwrap();
        assert_eq!(out, format!("{patch}: {word}\n"));
    }
}

#[test]
fn for_what_others_have_changed() {
    for (tree, patch, goal, text, exit) in [
        (
            "stacked",
            "test_klp_livepatch",
            Goal::Disabled,
            "applied, not disabled",
            Exit::Error,
        ),
        (
            "stacked",
            "test_klp_livepatch",
            Goal::Unloaded,
            "applied, not unloaded",
            Exit::Error,
        ),
        (
            "free",
            "test_klp_callbacks_demo",
            Goal::Applied,
            "disabled, not applied",
            Exit::Error,
        ),
        (
            "free",
            "test_klp_callbacks_demo",
            Goal::Unloaded,
            "disabled, not unloaded",
            Exit::Error,
        ),
        (
            "reverting",
            "test_klp_sleep_patch",
            Goal::Applied,
            "reverting, not applied",
            Exit::Transition,
        ),
        (
            "none",
            "test_klp_callbacks_demo",
            Goal::Applied,
            "unloaded, not applied",
            Exit::Nothing,
        ),
    ] {
        let failure = ends(tree, patch, goal).unwrap_err();
        assert_eq!(failure.exit, exit, "{failure}");
        assert!(failure.message.contains(text), "{failure}");
        assert!(failure.message.contains("another process"), "{failure}");
    }
}

/// A patch that is being applied is disabled, and its directory goes, while this waits for it.
#[test]
fn while_others_change_it() {
    let tree = Scratch::tree("kernel-thread");
    let patch = Name::from("test_klp_callbacks_demo");
    let mut out = Meanwhile::new(|| {
        let folder = tree.path().join(TRANSITION);
        // In one step, without states in between that the kernel never shows.
        fs::rename(folder.parent().unwrap(), tree.path().join("gone")).unwrap();
    });
    let failure = with_context(&tree, &Options::default(), &mut out, |context| {
        until_settled(context, &patch, deadline(patience()), AtEnd::Leave)?;
        reached(context, &patch, Goal::Applied).map(drop)
    })
    .unwrap_err();
    assert_eq!(failure.exit, Exit::Error);
    assert!(
        failure.message.contains("is disabled, not applied"),
        "{failure}"
    );
}
