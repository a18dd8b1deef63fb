// SPDX-License-Identifier: GPL-2.0

//! Commands that change something, as far as they can be tested without doing it; they are done
//! in tools/testing/selftests/livepatch/test-klpctl.sh.

use super::{klpctl, klpctl_in, Scratch};
use crate::elf::tests::module;
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
    assert_eq!(
        would("reverting", &["disable", "test_klp_sleep_patch"]),
        "would wait: test_klp_sleep_patch is reverting\n"
    );
    assert_eq!(
        would("free", &["disable", "test_klp_callbacks_demo"]),
        "test_klp_callbacks_demo is disabled already: nothing to do\n"
    );
}

/// The kernel refuses to change a patch while another one is in transition.
#[test]
fn another_patch_is_in_transition() {
    for command in ["disable", "unload"] {
        refused(
            "replacing",
            &[command, "klp_fix_1", "--dry-run"],
            Exit::Stuck,
            "klp_fix_2 is in transition",
        );
    }
}

#[test]
fn enable() {
    assert_eq!(
        would("stacked", &["enable", "test_klp_livepatch"]),
        "test_klp_livepatch is applied already: nothing to do\n"
    );
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
    assert_eq!(
        would("held", &["unload", "test_klp_sleep_patch"]),
        "would wait: test_klp_sleep_patch is held\nwould run: rmmod test_klp_sleep_patch\n"
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
    let text = would("user-process", &["force"]);
    assert!(
        text.contains("switches 2 tasks at once, whatever they are doing"),
        "{text}"
    );
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
    std::fs::write(&file, module(&["livepatch=Y", "name=live_patch"])).unwrap();
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

/// Nothing is loaded if one of the files is no livepatch.
#[test]
fn every_file_is_checked_first() {
    let scratch = Scratch::new();
    let write = |name: &str, content: &[u8]| {
        let path = scratch.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = write(
        "with space.ko",
        &module(&["livepatch=Y", "name=test_klp_livepatch"]),
    );
    let text = write("text.ko", b"no module\n");
    let other = write("other.ko", &module(&["name=other"]));
    let folder = scratch.path().to_str().unwrap();

    assert_eq!(
        would("none", &["load", &good]),
        format!("would run: insmod '{good}'\n")
    );
    // The name is the module's, not the file's.
    let loaded = would("stacked", &["load", &good]);
    assert_eq!(
        loaded,
        "test_klp_livepatch is loaded already: applied; it is not known whether it is this build\n"
    );
    for (file, error) in [
        (text.as_str(), "is not a kernel module"),
        (&other, "is not a livepatch"),
        ("/etc/passwd", "is not a kernel module"),
        (folder, "is not a file"),
    ] {
        let tree = Scratch::tree("none");
        let answer = klpctl_in(&tree, &["load", "--dry-run", &good, file]);
        assert_eq!(answer.exit, Exit::Error);
        assert!(answer.err.contains(error), "{}", answer.err);
        assert_eq!(answer.out, "");
    }
}

#[test]
fn every_failure_is_json() {
    for (arguments, command, exit) in [
        (&["--json", "status", "p", "q"][..], "\"status\"", 2),
        (&["wait", "--json", "--timeout", "soon"], "\"wait\"", 2),
        (&["--json", "satuts"], "null", 2),
        (&["--json", "--no-such-option"], "\"status\"", 2),
        (
            &["status", "--json", "--root", "/no/such/folder"],
            "\"status\"",
            2,
        ),
    ] {
        let answer = klpctl(arguments);
        assert_eq!(answer.exit as u8, exit, "{arguments:?}");
        let start = format!("{{\"schema\":\"klpctl/1\",\"command\":{command},\"error\":\"");
        assert!(answer.out.starts_with(&start), "{}", answer.out);
        assert!(
            answer.out.ends_with(&format!("\"exit\":{exit}}}\n")),
            "{}",
            answer.out
        );
        assert!(answer.err.starts_with("klpctl: "), "{}", answer.err);
    }
    // Not an option, but an operand.
    assert_eq!(klpctl(&["status", "a", "b", "--", "--json"]).out, "");
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
