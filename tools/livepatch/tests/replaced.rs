// SPDX-License-Identifier: GPL-2.0

//! A patch that another one has replaced: it is not loaded again, and is in order.

use std::fs;

use super::boot::{events, load_all, machine, running, WOULD};
use super::installed::{applied, check, metric_of_state};
use super::live::Machine;
use super::store::{install, set_boot, set_release};
use super::{klpctl_in, Scratch};
use crate::exit::Exit;
use crate::root::Root;
use crate::store::Store;

/// A kernel with `v2` alone, which an administrator has loaded after `v1`. Both are installed.
fn upgraded(replace: bool) -> Scratch {
    let tree = machine(&[&["name=v1"], &["name=v2"]]);
    applied(&tree, "v2", "A");
    if replace {
        let file = tree.path().join("sys/kernel/livepatch/v2/replace");
        fs::write(file, "1\n").unwrap();
    }
    tree
}

const REPLACED: &str = "v1 is replaced by v2\n";

#[test]
fn the_newer_patch_stays() {
    let tree = upgraded(true);
    let answer = load_all(&tree);
    assert!(answer.out.starts_with(REPLACED), "{}", answer.out);
    assert!(!answer.out.contains("insmod"), "{}", answer.out);
    assert_eq!(answer.exit, Exit::Done);
    assert!(events(&tree).contains("\"event\":\"replaced\""));

    // A patch that comes after the old one is loaded all the same.
    let root = Root::captured(tree.path());
    install(&Store::new(&root), &["name=v3", "klp_after=v1"]);
    let answer = load_all(&tree);
    assert!(answer.out.starts_with(REPLACED), "{}", answer.out);
    assert!(answer.out.ends_with(&format!("{WOULD}/v3.ko\n")));
}

/// Older kernels do not show which patch replaces others, so `load` keeps a record.
#[test]
fn the_newer_patch_stays_in_an_older_kernel() {
    let tree = upgraded(false);
    assert!(load_all(&tree).out.contains("v1.ko"));
    let records = tree.path().join("run/klpctl");
    fs::create_dir_all(&records).unwrap();
    fs::write(records.join("v1:replaced"), "v2\n").unwrap();
    assert!(load_all(&tree).out.starts_with(REPLACED));
    // The administrator has unloaded the newer one.
    fs::remove_dir_all(tree.path().join("sys/kernel/livepatch/v2")).unwrap();
    let both = format!("{WOULD}/v1.ko\n{WOULD}/v2.ko\n");
    assert_eq!(load_all(&tree).out, both);
}

#[test]
fn monitoring_takes_it_to_be_in_order() {
    let tree = Scratch::tree("replaced");
    set_boot(&tree, "1");
    set_release(&tree, "7.3.4");
    let root = Root::captured(tree.path());
    for name in ["name=test_klp_livepatch", "name=test_klp_atomic_replace"] {
        install(&Store::new(&root), &[name]);
    }
    assert_eq!(check(&tree, &[]).0, 0, "{}", check(&tree, &[]).1);
    for (state, count) in [("not loaded", "0"), ("replaced", "1"), ("loaded", "1")] {
        assert_eq!(metric_of_state(&tree, state), count, "{state}");
    }
    let answer = klpctl_in(&tree, &["installed"]);
    let row = "test_klp_livepatch       replaced by test_klp_atomic_replace  ";
    assert!(answer.out.contains(row), "{}", answer.out);
    assert_eq!(load_all(&tree).exit, Exit::Done);

    // One that is held back after a crash needs a decision.
    let crashed = tree.path().join("var/lib/klpctl/crashed");
    fs::write(crashed, "test_klp_livepatch\n").unwrap();
    assert_eq!(metric_of_state(&tree, "crashed"), "1");
    assert_eq!(load_all(&tree).exit, Exit::Error);
}

/// Two patches are installed on a machine with a kernel that does not show which patch replaces
/// others. Each patch replaces them.
fn live() -> Option<Machine> {
    let machine = Machine::new()?;
    machine.install(&["name=v1"]);
    machine.install(&["name=v2"]);
    machine.tool("insmod", INSMOD);
    Some(machine)
}

const INSMOD: &str = "\
name=$(basename $1 .ko)
cd /sys/kernel/livepatch
rm -rf *
mkdir $name
echo 0 >$name/transition
echo 1 >$name/enabled";

/// A patch that is replaced is not in effect, so it is not blamed for a crash.
#[test]
fn load_keeps_which_patch_was_replaced() {
    let Some(machine) = live() else {
        return;
    };
    let out = machine.text("klpctl load v1; klpctl load v2");
    assert!(out.ends_with("v2: applied\n"), "{out}");
    let noted = running(&machine.tree);
    let noted: Vec<_> = noted.lines().skip(1).collect();
    assert_eq!(noted, [format!("{} v2", machine.kernel)]);

    let out = machine.text("klpctl load --all; echo $?");
    assert!(out.starts_with(REPLACED), "{out}");
    assert!(!out.contains("insmod") && out.ends_with("\n0\n"), "{out}");

    // The administrator goes back.
    let out = machine.text("klpctl load v1; klpctl load --all; klpctl installed");
    assert!(out.contains("v2 is replaced by v1\n"), "{out}");
    assert!(out.contains("v1     loaded "), "{out}");
    assert_eq!(out.matches("insmod").count(), 1, "{out}");
}

/// At boot, both are loaded in their order.
#[test]
fn at_boot() {
    let Some(machine) = live() else {
        return;
    };
    let out = machine.text("klpctl load --all; echo $?; klpctl load --all; echo $?");
    assert_eq!(out.matches("insmod").count(), 2, "{out}");
    assert_eq!(out.matches("\n0\n").count(), 2, "{out}");
    assert!(out.contains(REPLACED), "{out}");
}
