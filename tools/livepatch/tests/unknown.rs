// SPDX-License-Identifier: GPL-2.0

//! klpctl does not claim things that it cannot know.

use super::{klpctl, klpctl_in, read_source, Answer, Scratch};
use crate::exit::Exit;
use crate::forced;
use crate::root::tests::deny;
use crate::root::Root;

/// A patch in Rust has mangled names. The digits before a name are not part of it.
#[test]
fn names_of_rust_functions() {
    let text = read_source("tests/trees/reverting.tree");
    let mangled = "_RNvCs3Q0pVfYcJ1a_20test_klp_sleep_patch19test_klp_sleep_show";
    let tree = Scratch::tree_of(&text.replace("livepatch_test_klp_sleep_show", mangled));
    let answer = klpctl_in(&tree, &["why"]);
    let frame = "  > test_klp_sleep_patch::test_klp_sleep_show+";
    assert!(answer.out.contains(frame), "{}", answer.out);
    let reason = "on function test_klp_sleep_show of test_klp_sleep_target, in the version of ";
    assert!(answer.out.contains(reason), "{}", answer.out);
    let json = klpctl_in(&tree, &["why", "--json"]);
    assert!(json.out.contains(mangled), "{}", json.out);
}

/// The tree of that name without the lines that contain one of these words.
fn without(name: &str, words: &[&str]) -> Scratch {
    let text = read_source(&format!("tests/trees/{name}.tree"));
    let kept = text
        .lines()
        .filter(|line| !words.iter().any(|word| line.contains(word)));
    Scratch::tree_of(&kept.collect::<Vec<_>>().join("\n"))
}

fn forced(tree: &Scratch) -> (Answer, Answer) {
    let text = klpctl_in(tree, &["status"]);
    (text, klpctl_in(tree, &["status", "--json"]))
}

#[test]
fn force_is_not_forgotten_when_the_log_is_cut() {
    let (text, json) = forced(&without("forced", &["starting patching"]));
    assert_eq!(text.exit, Exit::Forced);
    assert!(text.out.starts_with("livepatch: forced\n"), "{}", text.out);
    assert!(json.out.contains("\"forced\": true"), "{}", json.out);
}

#[test]
fn that_the_log_is_cut_is_said() {
    for words in [
        &["starting", "forcing"][..],
        &["starting", "forcing", "complete"],
    ] {
        let tree = without("forced", words);
        let log = tree.path().join("dev/kmsg");
        let mut content = std::fs::read_to_string(&log).unwrap();
        content.push_str("6,503,99300000,-;usb: something else\n");
        std::fs::write(&log, content).unwrap();
        let (text, json) = forced(&tree);
        assert_eq!(text.exit, Exit::Done);
        let note = "not known whether it was forced: test_klp_callbacks_demo";
        assert!(text.out.contains(note), "{}", text.out);
        assert!(json.out.contains("\"forced\": null"), "{}", json.out);
    }
    let (text, json) = forced(&Scratch::tree("stacked"));
    assert!(!text.out.contains("not known"), "{}", text.out);
    assert!(json.out.contains("\"forced\": false"), "{}", json.out);
}

/// klpctl remembers the patches that it has forced, also when the log is cut, and in a report.
#[test]
fn a_patch_that_klpctl_has_forced() {
    let tree = without("forced", &["starting", "forcing"]);
    let root = Root::captured(tree.path());
    forced::keep(&root, &"test_klp_callbacks_demo".into()).unwrap();
    let (text, json) = forced(&tree);
    assert_eq!(text.exit, Exit::Forced);
    assert!(!text.out.contains("not known"), "{}", text.out);
    assert!(json.out.contains("\"forced\": true"), "{}", json.out);

    let file = tree.path().join("report.tar");
    klpctl_in(&tree, &["report", "-o", file.to_str().unwrap()]);
    let unpacked = Scratch::new();
    let mut tar = std::process::Command::new("tar");
    let tar = tar.arg("-xf").arg(&file).arg("-C").arg(unpacked.path());
    assert!(tar.status().unwrap().success());
    let report = unpacked.path().join("klpctl-report");
    let answer = klpctl(&["status", "--root", report.to_str().unwrap()]);
    assert_eq!(answer.exit, Exit::Forced, "{}", answer.out);

    // The log knows it better, if it reaches back.
    let tree = Scratch::tree("stacked");
    let root = Root::captured(tree.path());
    forced::keep(&root, &"test_klp_livepatch".into()).unwrap();
    assert_eq!(klpctl_in(&tree, &["status"]).exit, Exit::Done);
}

#[test]
fn since_when_is_said_not_to_be_known() {
    for (name, patch) in [
        ("kernel-thread", "test_klp_callbacks_demo"),
        ("reverting", "test_klp_sleep_patch"),
    ] {
        let tree = without(name, &["starting"]);
        let log = tree.path().join("dev/kmsg");
        std::fs::write(log, "6,503,99300000,-;usb: something else\n").unwrap();
        let answer = klpctl_in(&tree, &["status"]);
        let note = format!("not known exactly since when it is in transition: {patch}\n");
        assert!(answer.out.contains(&note), "{}", answer.out);
        let answer = klpctl_in(&Scratch::tree(name), &["status"]);
        assert!(!answer.out.contains("not known"), "{}", answer.out);
    }
}

#[test]
fn a_folder_that_cannot_be_read_is_named() {
    let tree = Scratch::tree("kernel-thread");
    let folder = "sys/kernel/livepatch/test_klp_callbacks_demo";
    deny(&tree.path().join(folder));
    for command in ["status", "list", "why", "watch"] {
        let count: &[&str] = if command == "watch" { &["-c1"] } else { &[] };
        let answer = klpctl_in(&tree, &[&[command], count].concat());
        assert_eq!(answer.exit, Exit::Error, "{command}: {}", answer.out);
        let line = format!("cannot read /{folder}: permission denied");
        assert!(answer.out.contains(&line), "{}", answer.out);
        assert!(!answer.out.contains("disabled"), "{}", answer.out);
        assert!(
            !answer.out.contains("no patch is in transition"),
            "{}",
            answer.out
        );
    }
    for wait in [&["wait"][..], &["wait", "test_klp_callbacks_demo"]] {
        let answer = klpctl_in(&tree, &[wait, &["--timeout", "0"]].concat());
        assert_eq!(answer.exit, Exit::Error, "{}", answer.out);
        assert!(answer.err.contains("cannot be read"), "{}", answer.err);
    }
}

#[test]
fn tasks_that_are_hidden() {
    let tree = Scratch::tree("kernel-thread");
    let mounts = "proc /proc proc rw,relatime,hidepid=invisible 0 0\n";
    std::fs::write(tree.path().join("proc/mounts"), mounts).unwrap();
    let answer = klpctl_in(&tree, &["status"]);
    assert!(answer.out.contains("1+ of 5"), "{}", answer.out);
    assert!(
        answer.out.contains("hidepid; try as root"),
        "{}",
        answer.out
    );
    let answer = klpctl_in(&tree, &["why"]);
    assert!(
        answer.out.contains("4 of 5 tasks that can be seen"),
        "{}",
        answer.out
    );
}

#[test]
fn the_state_of_one_patch() {
    let tree = Scratch::tree("replaced");
    for (patch, exit, line) in [
        (
            "test_klp_atomic_replace",
            Exit::Done,
            "test_klp_atomic_replace: applied\n",
        ),
        (
            "test_klp_livepatch",
            Exit::Nothing,
            "test_klp_livepatch: disabled, free\n",
        ),
    ] {
        let answer = klpctl_in(&tree, &["status", patch]);
        assert_eq!(answer.exit, exit, "{}", answer.out);
        assert!(answer.out.starts_with(line), "{}", answer.out);
        assert_eq!(
            answer.out.matches("\ntest_klp").count(),
            1,
            "{}",
            answer.out
        );
        let answer = klpctl_in(&tree, &["status", patch, "--json"]);
        assert_eq!(answer.out.matches("\"name\"").count(), 1, "{}", answer.out);
        assert!(answer.out.contains(&format!("\"exit\": {}", exit as u8)));
    }
    let answer = klpctl_in(&tree, &["status", "no_such_patch"]);
    assert_eq!(answer.exit, Exit::Nothing);
    assert!(answer.err.contains("is not loaded"), "{}", answer.err);
}
