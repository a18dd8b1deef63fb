// SPDX-License-Identifier: GPL-2.0

//! Trees that no honest kernel shows, and those of kernels that are about to change their mind.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::boot::machine;
use super::{klpctl, klpctl_in, klpctl_on, Scratch};
use crate::exit::Exit;
use crate::term::Term;

/// A tree with one patch in transition, and with the lines in `more`.
fn moving(more: &str) -> Scratch {
    let base = "\
/sys/kernel/livepatch/p/enabled
\t1
/sys/kernel/livepatch/p/transition
\t1
/sys/kernel/livepatch/p/stack_order
\t1
/sys/kernel/livepatch/p/vmlinux/f,1/
/proc/uptime
\t100.00 1.00
/dev/kmsg
\t5,1,90000000,-;livepatch: 'p': starting patching transition
";
    Scratch::tree_of(&format!("{base}{more}"))
}

/// Every command that reads; none may fail by accident.
fn all(tree: &Scratch) -> String {
    let mut text = String::new();
    for command in ["status", "list", "why"] {
        for format in [&[][..], &["--json"]] {
            let answer = klpctl_in(tree, &[&[command], format].concat());
            assert!(
                matches!(
                    answer.exit,
                    Exit::Transition | Exit::Stuck | Exit::Error | Exit::Nothing | Exit::Done
                ),
                "{command}: {:?}",
                answer.exit
            );
            text.push_str(&answer.out);
            text.push_str(&answer.err);
        }
    }
    text
}

#[test]
fn the_name_of_a_tree_cannot_reach_the_terminal() {
    let tree = Scratch::new();
    let root = tree.path().join("\x1b[2J");
    fs::create_dir(&root).unwrap();
    let answer = klpctl(&["status", "--root", root.to_str().unwrap()]);
    let text = "\\x1b[2J/sys, so nothing is known";
    assert!(answer.err.contains(text), "{}", answer.err);
}

#[test]
fn names_cannot_reach_the_terminal() {
    let tree = moving(
        "\
/proc/7/task/7/patch_state
\t0
/proc/7/task/7/stat
\t7 (a\\x1b[2J) x\\x0a\\xff) S 1 7 7 0 -1 0 0
/proc/7/task/7/stack
\t[<0>] f\\x1b]0;x\\x07+0x1/0x2
\t[<0>] entry_SYSCALL_64+0x1/0x2
/proc/7/task/7/cgroup
\t0::/system.slice/\\x1b[31mx.service
/sys/kernel/livepatch/q\\x1b[1m\\xff/enabled
\t1
/sys/kernel/livepatch/q\\x1b[1m\\xff/transition
\t0
",
    );
    let text = all(&tree);
    assert!(text.contains("a\\x1b[2J) x\\x0a\\xff"), "{text}");
    assert!(text.contains("q\\x1b[1m\\xff"));
    let controls = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(controls), "{text}");
}

/// Text that is escaped already stays as it is.
#[test]
fn records_cannot_reach_the_terminal() {
    let tree = moving(
        "\
/sys/module/p/srcversion
\tA
/run/klpctl/p
\tsrcversion A
\tdescription \\x1b[2Ja \\x5cx0a \\x5c\\x5c b\\xe2\\x80\\xae
\tsigner \\xc2\\x9bkey
\tfixes \\x5c\\x1b]0;x\\x07
",
    );
    let out = klpctl_in(&tree, &["status", "p"]).out;
    for line in [
        "description: \\x1b[2Ja \\x0a \\\\ b\\xe2\\x80\\xae\n",
        "signer: \\xc2\\x9bkey\n",
        "fixes: \\\\x1b]0;x\\x07\n",
    ] {
        assert!(out.contains(line), "{line}: {out}");
    }
}

#[test]
fn right_to_left_marks_and_c1_controls_are_escaped() {
    let shown = crate::name::escape("a\u{202e}b\u{9b}c\u{200b}é中\\".as_bytes());
    assert_eq!(shown, "a\\xe2\\x80\\xaeb\\xc2\\x9bc\\xe2\\x80\\x8bé中\\\\");
}

#[test]
fn a_task_that_exits_is_not_named() {
    // Its state was read, the rest is gone.
    let tree = moving("/proc/7/task/7/patch_state\n\t0\n");
    let answer = klpctl_in(&tree, &["why"]);
    assert_eq!(answer.exit, Exit::Transition);
    assert!(answer.out.contains("0 of 1 tasks"), "{}", answer.out);
    assert!(!answer.out.contains("(7)"));
}

#[test]
fn files_of_tasks_that_make_no_sense() {
    let files = [
        ("stat", "\\xff\\xfe"),
        ("stat", "7 (x"),
        ("stat", "7 (x) S"),
        ("stat", ""),
        ("patch_state", "17"),
        ("patch_state", ""),
        ("stack", "]"),
        ("stack", "[<0>"),
        ("stack", "[<0>] +0x/ ["),
        ("cgroup", "0::/.."),
    ];
    for (file, content) in files {
        let tree = moving(&format!(
            "/proc/7/task/7/patch_state\n\t0\n\
             /proc/7/task/7/stat\n\t7 (x) D 1 7 7 0 -1 0 0\n\
             /proc/7/task/7/{file}\n\t{content}\n"
        ));
        all(&tree);
    }
}

#[test]
fn files_of_patches_that_make_no_sense() {
    for file in ["enabled", "transition", "stack_order", "replace"] {
        for content in ["", "2", "-1", "x", "\\xff", "99999999999999999999"] {
            let tree = moving(&format!("/sys/kernel/livepatch/p/{file}\n\t{content}\n"));
            all(&tree);
        }
    }
}

#[test]
fn functions_without_a_position() {
    let tree = moving(
        "/sys/kernel/livepatch/p/m/g/\n\
         /sys/kernel/livepatch/p/m/h,x/\n\
         /sys/kernel/livepatch/p/m/,1/\n",
    );
    let text = all(&tree);
    assert!(text.contains("\"h,x\""), "{text}");
}

#[test]
fn a_patch_that_goes() {
    // Its files are removed before its directory.
    let tree = Scratch::tree_of("/sys/kernel/livepatch/p/\n");
    let answer = klpctl_in(&tree, &["status"]);
    assert_eq!(answer.exit, Exit::Nothing);
    assert_eq!(answer.out, "livepatch: none\n");
}

#[test]
fn a_fifo_does_not_hold_us_up() {
    let tree = moving("");
    let path = tree.path().join("sys/kernel/livepatch/p/replace");
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
    all(&tree);
}

/// A FIFO has no writer, and /dev/zero no end.
#[test]
fn files_of_the_store_that_are_none() {
    for file in ["running", "crashed", "7.3.4/order"] {
        let tree = machine(&[&["name=a"]]);
        let path = tree.path().join("var/lib/klpctl").join(file);
        let _ = fs::remove_file(&path);
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let answer = klpctl_in(&tree, &["installed"]);
        assert_eq!(answer.exit, Exit::Done, "{file}: {}", answer.err);

        fs::remove_file(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
        let answer = klpctl_in(&tree, &["installed"]);
        assert_eq!(answer.exit, Exit::Error, "{file}");
        let text = format!("{file}: the file is too long");
        assert!(answer.err.contains(&text), "{}", answer.err);
    }
}

#[test]
fn nothing_at_all() {
    let tree = Scratch::new();
    let answer = klpctl_in(&tree, &["status"]);
    assert_eq!(answer.exit, Exit::Nothing);
    assert!(answer.err.contains("no sysfs"), "{}", answer.err);

    fs::create_dir_all(tree.path().join("sys")).unwrap();
    assert_eq!(klpctl_in(&tree, &["why"]).exit, Exit::Nothing);
}

#[test]
fn wrong_command_lines() {
    for arguments in [
        &["stat"][..],
        &["--colour"],
        &["-x"],
        &["status", "p", "q"],
        &["why", "p", "q"],
        &["status", "--timeout", "1"],
        &["wait", "--timeout", "-1"],
        &["wait", "--timeout", "soon"],
        &["wait", "--timeout"],
        &["status", "--json=yes"],
        &["load"],
        &["load", "a=b"],
        &["unload"],
        &["unload", "p", "--all"],
        &["status", "--root", "/no/such/folder"],
        &["status", "--root", ""],
        &["status", "--root", "/etc/passwd"],
        &["help", "stat"],
    ] {
        let answer = klpctl(arguments);
        assert_eq!(answer.exit, Exit::Usage, "{arguments:?}");
        assert!(answer.err.starts_with("klpctl: "), "{}", answer.err);
        assert!(answer.out.is_empty());
    }
}

#[test]
fn colours_are_for_terminals() {
    let tree = moving("");
    let root = tree.path().to_str().unwrap();
    let term = Term {
        colour: true,
        ..Term::NONE
    };
    let colourful = klpctl_on(term, &["status", "--root", root]);
    assert!(colourful.out.contains("\x1b[33mapplying\x1b[0m"));
    assert!(!klpctl_in(&tree, &["status"]).out.contains('\x1b'));
}
