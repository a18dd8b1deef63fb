// SPDX-License-Identifier: GPL-2.0

//! A report answers as the machine does, and holds nothing that it should not.

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::process::Command;

use super::{klpctl, klpctl_in, klpctl_to, Scratch};
use crate::exit::Exit;
use crate::term::Term;

/// The tree of that name, and the tree in a report of it.
fn report(name: &str, spoil: impl FnOnce(&Scratch)) -> (Scratch, Scratch) {
    let tree = Scratch::tree(name);
    spoil(&tree);
    let unpacked = Scratch::new();
    let file = unpacked.path().join("report.tar");

    let answer = klpctl_in(&tree, &["report", "-o", file.to_str().unwrap()]);
    assert_eq!(answer.exit, Exit::Done, "{}", answer.err);
    assert!(answer.out.contains("--root klpctl-report status"));
    let tar = Command::new("tar")
        .arg("-C")
        .arg(unpacked.path())
        .arg("-xf")
        .arg(&file)
        .output()
        .unwrap();
    assert!(tar.status.success());
    assert!(tar.stderr.is_empty(), "{:?}", tar);
    (tree, unpacked)
}

#[test]
fn it_answers_the_same() {
    for name in [
        "none",
        "stacked",
        "kernel-thread",
        "unreliable-traced",
        "reverting",
        "free",
        "held",
        "held-and-free",
    ] {
        let (tree, unpacked) = report(name, |_| {});
        let root = unpacked.path().join("klpctl-report");
        for command in ["status", "list", "why"] {
            let there = klpctl(&[command, "--json", "--root", root.to_str().unwrap()]);
            let here = klpctl_in(&tree, &[command, "--json"]);
            assert_eq!(there.out, here.out, "{name}: {command}");
            assert_eq!(there.exit, here.exit);
        }
        let status = fs::read_to_string(root.join("status.json")).unwrap();
        assert_eq!(status, klpctl_in(&tree, &["status", "--json"]).out);
    }
}

#[test]
fn it_holds_nothing_else() {
    let (tree, unpacked) = report("kernel-thread", |tree| {
        let log = tree.path().join("dev/kmsg");
        let mut text = fs::read_to_string(&log).unwrap();
        text.push_str("6,9,9,-;usb 1-1: SerialNumber: SECRET\n");
        fs::write(log, text).unwrap();
        let modules = tree.path().join("proc/modules");
        let text = "secret_module 1 0 - Live 0xffffffffc0000000\n\
                    test_klp_callbacks_demo 12288 1 - Live 0xffffffffc0123000 (K)\n";
        fs::write(modules, text).unwrap();
        for entry in fs::read_dir(tree.path().join("proc")).unwrap() {
            let path = entry.unwrap().path();
            let _ = fs::write(path.join("cmdline"), "SECRET");
            let _ = fs::write(path.join("environ"), "SECRET");
            for task in fs::read_dir(path.join("task")).into_iter().flatten() {
                let task = task.unwrap().path();
                let stack = task.join("stack");
                if let Ok(text) = fs::read_to_string(&stack) {
                    fs::write(&stack, format!("[<0>] 0xffffffffc0567000\n{text}")).unwrap();
                }
                let stat = task.join("stat");
                if let Ok(text) = fs::read_to_string(&stat) {
                    let more = " 0 0 18446744073709551615 94000000000000 140700000000000";
                    fs::write(&stat, format!("{}{more}\n", text.trim_end())).unwrap();
                }
            }
        }
    });
    let found = Command::new("grep")
        .args(["-rlE", "SECRET|secret_module|ffffffffc0|9400000000"])
        .arg(unpacked.path().join("klpctl-report"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    let modules = fs::read_to_string(unpacked.path().join("klpctl-report/proc/modules")).unwrap();
    assert_eq!(modules, "test_klp_callbacks_demo 12288 1 - Live 0x0 (K)\n");
    drop(tree);
}

#[test]
fn of_a_module_that_is_held_it_has_the_tasks_inside() {
    let (_tree, unpacked) = report("held", |_| {});
    let proc = unpacked.path().join("klpctl-report/proc");
    for (task, there) in [("210", true), ("43", true), ("44", true), ("77", false)] {
        assert_eq!(proc.join(task).exists(), there, "{task}");
    }
}

#[test]
fn long_names_survive() {
    // Mangled names of Rust functions are long.
    let function = "f".repeat(200);
    let folder = format!("sys/kernel/livepatch/test_klp_livepatch/vmlinux/{function},1");
    let (_tree, unpacked) = report("stacked", |tree| {
        fs::create_dir_all(tree.path().join(&folder)).unwrap();
    });
    assert!(unpacked.path().join("klpctl-report").join(folder).is_dir());
}

#[test]
fn what_cannot_be_written_leaves_nothing() {
    let tree = Scratch::tree("none");
    let answer = klpctl_in(&tree, &["report", "-o", "/no/such/folder/report.tar"]);
    assert_eq!(answer.exit, Exit::Error);
    assert!(answer.err.contains("/no/such/folder/report.tar"));

    let answer = klpctl_in(&tree, &["report", "-o", "/dev/full"]);
    assert_eq!(answer.exit, Exit::Error, "{}", answer.out);
}

/// `--root` takes the directory in the report, and its messages name that for a path near it.
#[test]
fn the_directory_of_a_report() {
    let (_tree, unpacked) = report("none", |_| {});
    let above = unpacked.path().to_str().unwrap();
    let file = format!("{above}/report.tar");
    for (root, text) in [
        (above, format!("did you mean {above}/klpctl-report?")),
        (
            &file,
            format!("is a file; if it is a report, unpack it: tar xf {file}"),
        ),
        ("", "--root: '' is not a directory".to_owned()),
    ] {
        let answer = klpctl(&["status", "--root", root]);
        assert_eq!(answer.exit, Exit::Usage);
        assert!(answer.err.contains(&text), "{}", answer.err);
    }
}

#[test]
fn a_terminal_gets_no_tar() {
    let tree = Scratch::tree("none");
    let arguments = ["report", "-o", "-", "--root", tree.path().to_str().unwrap()];
    let term = Term {
        terminal: true,
        ..Term::NONE
    };
    let mut out = Vec::new();
    let (exit, err) = klpctl_to(term, &arguments, &mut out);
    assert_eq!((exit, out.len()), (Exit::Usage, 0));
    assert!(err.contains("redirect it"), "{err}");
    let (exit, _) = klpctl_to(Term::NONE, &arguments, &mut out);
    assert_eq!(exit, Exit::Done);
    assert!(out.starts_with(b"klpctl-report/"));
}

#[test]
fn it_is_for_its_owner() {
    let (_tree, unpacked) = report("none", |_| {});
    let file = fs::metadata(unpacked.path().join("report.tar")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_cannot_be_overwritten_stays() {
    let tree = Scratch::tree("none");
    // A program that runs, which not even root can open for writing.
    let link = tree.path().join("report.tar");
    symlink(std::env::current_exe().unwrap(), &link).unwrap();
    let answer = klpctl_in(&tree, &["report", "-o", link.to_str().unwrap()]);
    assert_eq!(answer.exit, Exit::Error, "{}", answer.out);
    assert!(answer.err.contains("report.tar: "), "{}", answer.err);
    assert!(link.is_symlink());

    // A device that is full.
    let link = tree.path().join("full.tar");
    symlink("/dev/full", &link).unwrap();
    let answer = klpctl_in(&tree, &["report", "-o", link.to_str().unwrap()]);
    assert_eq!(answer.exit, Exit::Error, "{}", answer.out);
    assert!(link.is_symlink());
}
