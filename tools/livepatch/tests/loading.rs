// SPDX-License-Identifier: GPL-2.0

//! `load`, where a patch is loaded already, or another process loads it.

use std::fs;
use std::thread;
use std::time::Duration;

use super::boot::{load_a, machine};
use super::waiting::Meanwhile;
use super::{klpctl_in, Scratch};
use crate::command::Command;
use crate::commands::load::load;
use crate::commands::{boot, Outcome};
use crate::elf::tests::module;
use crate::exit::Exit;
use crate::modfile::ModuleFile;
use crate::options::Options;
use crate::signals::tests::sent;
use crate::signals::Signal;

/// Has the kernel show a patch with these values of its files.
fn show(tree: &Scratch, patch: &str, enabled: &str, transition: &str) {
    let folder = tree.path().join("sys/kernel/livepatch").join(patch);
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(tree.path().join("sys/module").join(patch)).unwrap();
    fs::write(folder.join("enabled"), format!("{enabled}\n")).unwrap();
    fs::write(folder.join("transition"), format!("{transition}\n")).unwrap();
}

#[test]
fn a_patch_of_unknown_state() {
    let tree = machine(&[&["name=a"]]);
    show(&tree, "a", "?", "0");
    for replace in [false, true] {
        let options = Options {
            command: Command::Load,
            replace,
            ..Options::default()
        };
        let failure = load_a(&tree, &options).unwrap_err();
        assert_eq!(failure.exit, Exit::Error);
        assert_eq!(
            failure.message,
            "the state of a cannot be read; see klpctl status"
        );
    }
}

/// Three patches that the kernel has already, the first of them in transition.
fn three() -> Scratch {
    let tree = machine(&[&["name=a"], &["name=b"], &["name=c"]]);
    for (patch, transition) in [("a", "1"), ("b", "0"), ("c", "0")] {
        show(&tree, patch, "1", transition);
    }
    tree
}

fn load_all(tree: &Scratch, timeout: Duration, change: impl FnOnce()) -> (Outcome, String) {
    let options = Options {
        command: Command::Load,
        all: true,
        timeout: Some(timeout),
        ..Options::default()
    };
    let mut out = Meanwhile::new(change);
    let outcome = boot::run(&mut tree.context(&options, &mut out));
    (outcome, out.text())
}

#[test]
fn at_boot_after_a_slow_transition() {
    let tree = three();
    let complete = || show(&tree, "a", "1", "0");
    let (outcome, out) = load_all(&tree, Duration::from_secs(600), complete);
    assert_eq!(outcome.ok(), Some(Exit::Done), "{out}");
    for patch in ["a", "b", "c"] {
        let text = format!("{patch} is loaded already: applied");
        assert!(out.contains(&text), "{out}");
    }
}

/// The wait is in vain for the first patch, and is not repeated for each of the others.
#[test]
fn at_boot_after_a_transition_that_does_not_end() {
    let (outcome, out) = load_all(&three(), Duration::from_millis(100), || {});
    let failure = outcome.unwrap_err();
    assert_eq!(failure.exit, Exit::Transition);
    assert_eq!(failure.message, "of 3 installed patches, 3 not applied");
    let text = "is not loaded: a is in transition";
    assert_eq!(out.matches(text).count(), 3, "{out}");
    for name in ["a", "b", "c"] {
        assert!(out.contains(&format!("{name} {text}")), "{out}");
    }
}

/// The tree `none` has this module, as before klp_enable_patch().
#[test]
fn a_module_that_is_being_loaded() {
    let tree = machine(&[&["name=klp_fix"]]);
    let file = tree.path().join("var/lib/klpctl/7.3.4/klp_fix.ko");
    let content = ModuleFile::read(&file).unwrap();
    let modules = tree.path().join("proc/modules");
    let run = |timeout: u64, signals: &[Signal]| {
        let options = Options {
            command: Command::Load,
            timeout: Some(Duration::from_millis(timeout)),
            ..Options::default()
        };
        let mut out = Vec::new();
        let mut context = tree.context(&options, &mut out);
        context.signals = Some(sent(signals));
        let outcome = load(&mut context, &content, "/no/such.ko".into(), Vec::new());
        (outcome, String::from_utf8(out).unwrap())
    };
    let text = "another process loads or unloads module klp_fix";
    let failure = run(50, &[]).0.unwrap_err();
    assert_eq!(
        (failure.exit, failure.message.as_str()),
        (Exit::Error, text)
    );
    let failure = run(600_000, &[Signal::Terminate]).0.unwrap_err();
    assert_eq!(failure.exit, Exit::Terminated);
    assert_eq!(failure.message, format!("SIGTERM: {text}"));
    let dry = klpctl_in(&tree, &["load", "--dry-run", file.to_str().unwrap()]);
    assert_eq!(dry.err, format!("klpctl: {text}\n"));

    let (outcome, out) = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(50));
            show(&tree, "klp_fix", "1", "0");
            fs::write(&modules, "klp_fix 12288 1 - Live 0x0 (K)\n").unwrap();
        });
        run(600_000, &[])
    });
    assert_eq!(outcome.unwrap(), Exit::Done, "{out}");
    assert!(
        out.starts_with("klp_fix is loaded already: applied"),
        "{out}"
    );
}

/// The loaded build stays if the kernel would refuse the new one.
#[test]
fn in_place_of_a_loaded_build() {
    let tree = machine(&[&["name=a"]]);
    show(&tree, "a", "1", "0");
    fs::write(tree.path().join("sys/module/a/srcversion"), "A\n").unwrap();
    let file = tree.path().join("new.ko");
    for (magic, exit, text) in [
        (
            "vermagic=7.3.5 SMP ",
            Exit::Error,
            "new.ko cannot take the place of the loaded build, which stays: it is built for \
             another kernel: '7.3.5 SMP'; this one is 7.3.4",
        ),
        ("vermagic=7.3.4 SMP ", Exit::Done, ""),
    ] {
        fs::write(
            &file,
            module(&["livepatch=Y", "name=a", "srcversion=B", magic]),
        )
        .unwrap();
        let path = file.to_str().unwrap();
        let answer = klpctl_in(&tree, &["load", "--replace", "--dry-run", path]);
        assert_eq!(answer.exit, exit, "{}{}", answer.out, answer.err);
        assert!(answer.err.contains(text), "{}", answer.err);
        let unloads = answer.out.contains("rmmod a");
        assert_eq!(unloads, exit == Exit::Done, "{}", answer.out);
    }
}
