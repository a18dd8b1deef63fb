// SPDX-License-Identifier: GPL-2.0

//! The states of installed patches, in `installed` and for monitoring, and the commands that change
//! them.

use std::ffi::OsString;
use std::fs;

use super::boot::machine;
use super::{klpctl_in, Scratch};
use crate::command::Command;
use crate::commands::{self, Context};
use crate::exit::Exit;
use crate::nagios;
use crate::options::Options;
use crate::root::Root;
use crate::store::Store;

/// Has the kernel show an applied patch of this `srcversion`.
pub fn applied(tree: &Scratch, patch: &str, srcversion: &str) {
    let folder = tree.path().join("sys/kernel/livepatch").join(patch);
    let module = tree.path().join("sys/module").join(patch);
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(&module).unwrap();
    fs::write(folder.join("enabled"), "1\n").unwrap();
    fs::write(folder.join("transition"), "0\n").unwrap();
    fs::write(module.join("srcversion"), format!("{srcversion}\n")).unwrap();
}

fn metric(tree: &Scratch, name: &str) -> String {
    let text = klpctl_in(tree, &["metrics"]).out;
    let start = format!("{name} ");
    let mut values = text.lines().filter_map(|line| line.strip_prefix(&start));
    values.next().unwrap_or("none").to_owned()
}

pub fn metric_of_state(tree: &Scratch, state: &str) -> String {
    metric(tree, &format!("klp_installed_patches{{state=\"{state}\"}}"))
}

#[test]
fn another_build_is_loaded() {
    for (loaded, state, crashed) in [
        ("B", "another build", ""),
        ("A", "loaded", ""),
        // Someone has loaded it by hand since.
        ("A", "loaded", "a\n"),
    ] {
        let tree = machine(&[&["name=a", "srcversion=A"]]);
        applied(&tree, "a", loaded);
        fs::write(tree.path().join("var/lib/klpctl/crashed"), crashed).unwrap();
        let held_back = if crashed.is_empty() {
            ""
        } else {
            ", held back"
        };
        let answer = klpctl_in(&tree, &["installed"]);
        let row = format!("7.3.4   a      {state}{held_back}  ");
        assert!(answer.out.contains(&row), "{}", answer.out);
        for other in ["another build", "loaded", "not loaded", "crashed"] {
            let count = if other == state { "1" } else { "0" };
            assert_eq!(metric_of_state(&tree, other), count, "{state}: {other}");
        }
        let count = if crashed.is_empty() { "0" } else { "1" };
        assert_eq!(metric(&tree, "klp_installed_held_back"), count);
    }
}

/// The directory of an old kernel has a patch of the same name as one that has crashed.
#[test]
fn metrics_are_of_the_running_kernel() {
    let tree = machine(&[]);
    let old = tree.path().join("var/lib/klpctl/7.2.1");
    fs::create_dir_all(&old).unwrap();
    fs::write(old.join("a.ko"), "").unwrap();
    fs::write(tree.path().join("var/lib/klpctl/crashed"), "a\n").unwrap();
    let answer = klpctl_in(&tree, &["installed"]);
    assert!(
        answer.out.contains("7.2.1   a      crashed  "),
        "{}",
        answer.out
    );
    assert_eq!(metric_of_state(&tree, "crashed"), "0");
}

pub fn check(tree: &Scratch, arguments: &[&str]) -> (u8, String) {
    let answer = klpctl_in(tree, &[&["status", "--nagios"], arguments].concat());
    assert_eq!(answer.out.lines().count(), 1, "{}", answer.out);
    let (text, _) = answer.out.split_once(" | ").unwrap();
    (nagios::code(answer.exit), text.to_owned())
}

#[test]
fn nagios_warns_of_a_patch_that_is_not_in_effect() {
    let tree = machine(&[&["name=a", "srcversion=A"], &["name=b"]]);
    let text =
        "LIVEPATCH WARNING - no livepatch is applied, installed a is not loaded, installed b \
                is not loaded";
    assert_eq!(check(&tree, &[]), (1, text.to_owned()));

    fs::write(tree.path().join("var/lib/klpctl/crashed"), "b\n").unwrap();
    applied(&tree, "a", "B");
    let text = "LIVEPATCH WARNING - a: applied (not known whether forced), another build than the \
                installed a is loaded, installed b is held back after a crash";
    assert_eq!(check(&tree, &[]), (1, text.to_owned()));
    let text = "LIVEPATCH WARNING - a: applied (not known whether forced), another build than the \
                installed a is loaded";
    assert_eq!(check(&tree, &["a"]), (1, text.to_owned()));

    fs::write(tree.path().join("sys/kernel/livepatch/a/transition"), "1\n").unwrap();
    // The time of the look, which is later than that of the files.
    fs::write(tree.path().join("captured"), "4000000000\n").unwrap();
    let (code, text) = check(&tree, &["--stuck-after", "0"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.ends_with("held back after a crash"), "{text}");
}

#[test]
fn nagios_warns_of_a_patch_that_is_held_back() {
    let tree = machine(&[&["name=a", "srcversion=A"]]);
    applied(&tree, "a", "A");
    assert_eq!(check(&tree, &[]).0, 0);
    fs::write(tree.path().join("var/lib/klpctl/crashed"), "a\n").unwrap();
    let (code, text) = check(&tree, &[]);
    assert_eq!(code, 1, "{text}");
    assert!(
        text.ends_with("a is loaded, and held back at boot after a crash"),
        "{text}"
    );
}

/// An error in a later operand changes nothing.
#[test]
fn the_operands_are_checked_first() {
    let tree = machine(&[&["name=p"], &["name=q"]]);
    let crashed = tree.path().join("var/lib/klpctl/crashed");
    fs::write(&crashed, "7.3.4 p\n7.3.4 q\n").unwrap();
    let root = Root::live_in(tree.path());
    let run = |command: Command, operands: &[&str]| {
        let options = Options {
            command,
            operands: operands.iter().map(OsString::from).collect(),
            ..Options::default()
        };
        let mut out = Vec::new();
        commands::run(&mut Context {
            root: root.clone(),
            ..tree.context(&options, &mut out)
        })
    };
    let count = || Store::new(&root).installed(&"7.3.4".into()).unwrap().len();
    for command in [Command::Allow, Command::Uninstall] {
        let failure = run(command, &["p", "nosuch", "q"]).unwrap_err();
        assert_eq!(failure.exit, Exit::Nothing);
        assert!(
            failure.message.starts_with("nosuch "),
            "{}",
            failure.message
        );
        assert_eq!(fs::read(&crashed).unwrap(), b"7.3.4 p\n7.3.4 q\n");
        assert_eq!(count(), 2);
    }
    assert_eq!(run(Command::Allow, &["p", "q"]).unwrap(), Exit::Done);
    assert!(!crashed.exists());
    assert_eq!(run(Command::Uninstall, &["p", "q"]).unwrap(), Exit::Done);
    assert_eq!(count(), 0);
}
