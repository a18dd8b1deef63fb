// SPDX-License-Identifier: GPL-2.0

//! Commands that change something, as far as they can be tested without doing it; they are done
//! in tools/testing/selftests/livepatch/test-klpctl.sh.

use super::{klpctl_in, Scratch};
use crate::exit::Exit;

fn would(tree: &str, arguments: &[&str]) -> String {
    let tree = Scratch::tree(tree);
    let answer = klpctl_in(&tree, &[arguments, &["--dry-run"]].concat());
    assert_eq!(answer.exit, Exit::Done, "{}", answer.err);
    answer.out
}

fn refused(tree: &str, arguments: &[&str], exit: Exit, text: &str) {
    let tree = Scratch::tree(tree);
    let answer = klpctl_in(&tree, arguments);
    assert_eq!(answer.exit, exit, "{}", answer.err);
    assert!(answer.err.contains(text), "{}", answer.err);
}

const PATCHES: &str = "/sys/kernel/livepatch";

#[test]
fn disable() {
    assert_eq!(
        would("stacked", &["disable", "test_klp_livepatch"]),
        format!("would run: echo 0 > {PATCHES}/test_klp_livepatch/enabled\n")
    );
    // It is on its way.
    assert_eq!(would("reverting", &["disable", "test_klp_sleep_patch"]), "");
}

#[test]
fn enable() {
    assert_eq!(
        would("reverting", &["enable", "test_klp_sleep_patch"]),
        format!("would run: echo 1 > {PATCHES}/test_klp_sleep_patch/enabled\n")
    );
    refused(
        "free",
        &["enable", "test_klp_callbacks_demo", "--dry-run"],
        Exit::Error,
        "unload its module",
    );
}

#[test]
fn unload() {
    assert_eq!(
        would("stacked", &["unload", "--all"]),
        format!(
            "would run: echo 0 > {PATCHES}/test_klp_atomic_replace/enabled\n\
             would run: rmmod test_klp_atomic_replace\n\
             would run: echo 0 > {PATCHES}/test_klp_livepatch/enabled\n\
             would run: rmmod test_klp_livepatch\n"
        )
    );
    // The spelling of files will do.
    assert_eq!(
        would("free", &["unload", "./test-klp-callbacks-demo.ko"]),
        "would run: rmmod test_klp_callbacks_demo\n"
    );
    refused(
        "none",
        &["unload", "--all", "--dry-run"],
        Exit::Nothing,
        "no livepatch is loaded",
    );
}

#[test]
fn force() {
    let text = would("kernel-thread", &["force"]);
    assert!(text.contains("switches 1 task at once"), "{text}");
    assert!(text.ends_with(&format!(
        "would run: echo 1 > {PATCHES}/test_klp_callbacks_demo/force\n"
    )));
    let text = would("reverting", &["force"]);
    assert!(
        text.contains("The Rust core then holds the module test_klp_sleep_patch\nuntil no task"),
        "{text}"
    );
    refused(
        "stacked",
        &["force", "--dry-run"],
        Exit::Error,
        "nothing to force",
    );
}

#[test]
fn load() {
    let scratch = Scratch::new();
    let file = scratch.path().join("live-patch.ko");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();

    assert_eq!(
        would("none", &["load", file, "replace=1"]),
        format!("would run: insmod {file} replace=1\n")
    );
    refused(
        "kernel-thread",
        &["load", file, "--dry-run"],
        Exit::Transition,
        "test_klp_callbacks_demo is in transition",
    );
    refused(
        "none",
        &["load", "/no/such.ko", "--dry-run"],
        Exit::Error,
        "/no/such.ko: ",
    );
}

#[test]
fn json() {
    let tree = Scratch::tree("stacked");
    let arguments = ["disable", "test_klp_livepatch", "--dry-run", "--json"];
    let answer = klpctl_in(&tree, &arguments);
    assert_eq!(
        answer.out,
        format!(
            "{{\"schema\":\"klpctl/1\",\"command\":\"disable\",\"event\":\"would\",\"action\":\
             \"echo 0 > {PATCHES}/test_klp_livepatch/enabled\"}}\n"
        )
    );
    let answer = klpctl_in(&tree, &["disable", "no_such_patch", "--dry-run", "--json"]);
    assert_eq!(answer.exit, Exit::Nothing);
    assert_eq!(
        answer.out,
        "{\"schema\":\"klpctl/1\",\"command\":\"disable\",\"error\":\"livepatch no_such_patch is \
         not loaded\",\"exit\":5}\n"
    );
}

#[test]
fn a_captured_tree_is_not_changed() {
    for arguments in [
        &["disable", "test_klp_livepatch"][..],
        &["enable", "test_klp_livepatch"],
        &["unload", "--all"],
        &["force", "--yes"],
        &["load", "x.ko"],
    ] {
        refused("stacked", arguments, Exit::Usage, "--dry-run");
    }
}
