// SPDX-License-Identifier: GPL-2.0

//! `klpctl check` finds the reasons for which a file would be refused, before it is loaded.

use std::fs;
use std::os::unix::fs::symlink;

use super::{klpctl_in, Answer, Scratch};
use crate::elf::tests::module;
use crate::exit::Exit;
use crate::functions::tests::patch;
use crate::signature::tests::signed;

const KALLSYMS: &str = "0000000000000000 T a\n\
                        0000000000000000 t twice\n\
                        0000000000000000 t twice\n\
                        0000000000000000 t not_traced\n\
                        0000000000000000 t a\t[ext4]\n\
                        0000000000000000 t in_module\t[ext4]\n";

fn put(tree: &Scratch, path: &str, content: impl AsRef<[u8]>) {
    let path = tree.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A kernel 7.3.4 that has ext4.
fn kernel() -> Scratch {
    let tree = Scratch::tree("none");
    put(&tree, "proc/sys/kernel/osrelease", "7.3.4\n");
    put(&tree, "proc/kallsyms", KALLSYMS);
    put(
        &tree,
        "sys/kernel/tracing/available_filter_functions",
        "a\ntwice\na [ext4]\nin_module [ext4]\n",
    );
    put(&tree, "sys/module/ext4/srcversion", "AAAA\n");
    tree
}

const MAGIC: &str = "vermagic=7.3.4 SMP mod_unload ";

fn check_file(tree: &Scratch, file: &[u8], options: &[&str]) -> Answer {
    put(tree, "the.ko", file);
    let path = tree.path().join("the.ko");
    klpctl_in(
        tree,
        &[&["check", path.to_str().unwrap()], options].concat(),
    )
}

fn check(tree: &Scratch, fields: &[&str], functions: &[(&str, &str, u64)]) -> Answer {
    let fields = [&["name=klp_x", MAGIC], fields].concat();
    check_file(tree, &patch(&fields, functions), &[])
}

/// Checks that one finding stands against the file, with this text.
fn refused(answer: &Answer, text: &str) {
    let found: Vec<_> = answer
        .out
        .lines()
        .filter(|l| l.starts_with("refused: "))
        .collect();
    assert_eq!(found.len(), 1, "{}", answer.out);
    assert!(found[0].contains(text), "{}", answer.out);
    assert_eq!(answer.exit, Exit::Refused);
}

#[test]
fn nothing_stands_against_it() {
    let tree = kernel();
    let answer = check(
        &tree,
        &["version=2", "klp_fixes=CVE-1", "klp_target=ext4:AAAA"],
        &[
            ("ext4", "in_module", 0),
            ("vmlinux", "a", 0),
            ("vmlinux", "twice", 2),
        ],
    );
    assert_eq!(answer.exit, Exit::Done, "{}{}", answer.out, answer.err);
    let (first, rest) = answer.out.split_once('\n').unwrap();
    assert!(
        first.ends_with("the.ko: nothing stands against it"),
        "{first}"
    );
    assert_eq!(
        rest,
        "  patch: klp_x\n  version: 2\n  kernel: 7.3.4\n  fixes: CVE-1\n  \
         changes: in_module of ext4, a of vmlinux, twice of vmlinux\n"
    );
}

#[test]
fn functions() {
    for (function, text) in [
        (("vmlinux", "gone", 0), "vmlinux has no function gone"),
        (
            ("vmlinux", "in_module", 0),
            "vmlinux has no function in_module",
        ),
        (("ext4", "twice", 0), "ext4 has no function twice"),
        (("vmlinux", "twice", 0), "vmlinux has 2 symbols twice"),
        (("vmlinux", "twice", 3), "the patch wants number 3"),
        (("vmlinux", "not_traced", 0), "ftrace does not know it"),
    ] {
        refused(
            &check(&kernel(), &[], &[("vmlinux", "a", 0), function]),
            text,
        );
    }
    let answer = check(&kernel(), &[], &[("xfs", "any", 0)]);
    assert_eq!(answer.exit, Exit::Done);
    assert!(
        answer.out.contains("note: xfs is not loaded"),
        "{}",
        answer.out
    );
}

#[test]
fn another_kernel() {
    let with = |magic: &str| {
        let fields = ["name=klp_x", magic];
        check_file(&kernel(), &patch(&fields, &[("vmlinux", "a", 0)]), &[])
    };
    refused(
        &with("vermagic=7.3.5 SMP "),
        "it is built for another kernel: '7.3.5 SMP'; this one is 7.3.4",
    );
    refused(&with("x="), "the file has no vermagic");
    assert_eq!(with("vermagic=7.3.5 SMP modversions ").exit, Exit::Done);

    let tree = kernel();
    put(
        &tree,
        "lib/modules/7.3.4/modules.dep",
        "kernel/ext4.ko: kernel/jbd2.ko\n",
    );
    put(&tree, "lib/modules/7.3.4/kernel/ext4.ko", module(&[MAGIC]));
    assert_eq!(check(&tree, &[], &[("vmlinux", "a", 0)]).exit, Exit::Done);
    put(
        &tree,
        "lib/modules/7.3.4/kernel/ext4.ko",
        module(&["vermagic=7.3.4 SMP preempt "]),
    );
    refused(
        &check(&tree, &[], &[("vmlinux", "a", 0)]),
        "that of the kernel's modules is '7.3.4 SMP preempt'",
    );
}

#[test]
fn signatures() {
    let file = patch(&["name=klp_x", MAGIC], &[("vmlinux", "a", 0)]);
    for (path, content) in [
        ("sys/module/module/parameters/sig_enforce", "Y\n"),
        (
            "sys/kernel/security/lockdown",
            "none [integrity] confidentiality\n",
        ),
    ] {
        let tree = kernel();
        put(&tree, path, content);
        refused(&check_file(&tree, &file, &[]), "it is not signed");
        let answer = check_file(&tree, &signed(&file, "Our key"), &[]);
        assert_eq!(answer.exit, Exit::Done);
        assert!(answer.out.contains("  signer: Our key\n"), "{}", answer.out);
        assert!(!answer.out.contains("note: "), "{}", answer.out);
    }
    for (name, known) in [("Other", false), ("Our key", true)] {
        let tree = kernel();
        let line = "1 I 1 perm 1 0 0 asymm.";
        put(
            &tree,
            "proc/keys",
            format!("{line} {name}: 12: X509.rsa 12 []\n{line} z: 3\n"),
        );
        let answer = check_file(&tree, &signed(&file, "Our key"), &[]);
        let note = "note: none of the keys in /proc/keys is that of Our key\n";
        assert_eq!(answer.out.contains(note), !known, "{}", answer.out);
    }
}

#[test]
fn the_module_that_it_is_made_for() {
    let answer = check(
        &kernel(),
        &["klp_target=ext4:BBBB xfs:1"],
        &[("ext4", "a", 0)],
    );
    refused(
        &answer,
        "it is made for ext4 of srcversion BBBB; loaded is AAAA",
    );

    // As its file is named.
    let tree = kernel();
    put(&tree, "sys/module/snd_one/srcversion", "AAAA\n");
    let fields = ["klp_target=snd-one:BBBB"];
    let answer = check(&tree, &fields, &[("ext4", "a", 0)]);
    refused(
        &answer,
        "it is made for snd_one of srcversion BBBB; loaded is AAAA",
    );
}

#[test]
fn patches_that_are_loaded() {
    let named = |tree: &Scratch, name: &str, source: &str| {
        put(tree, "proc/sys/kernel/osrelease", "7.3.4\n");
        put(tree, "proc/kallsyms", KALLSYMS);
        let fields = [
            &format!("name={name}"),
            MAGIC,
            &format!("srcversion={source}"),
        ];
        check_file(tree, &patch(&fields, &[("vmlinux", "a", 0)]), &[])
    };
    let tree = Scratch::tree("stacked");
    put(&tree, "sys/module/test_klp_livepatch/srcversion", "AAAA\n");
    let same = named(&tree, "test_klp_livepatch", "AAAA");
    assert!(
        same.out.contains("note: this build is loaded already"),
        "{}",
        same.out
    );
    assert_eq!(same.exit, Exit::Done);
    refused(
        &named(&tree, "test_klp_livepatch", "BBBB"),
        "another build of test_klp_livepatch is loaded",
    );
    put(&tree, "sys/module/other/refcnt", "0\n");
    refused(&named(&tree, "other", "A"), "a module other is loaded");
    put(&tree, "proc/modules", "other 12288 1 - Loading 0x0 (K+)\n");
    refused(
        &named(&tree, "other", "A"),
        "another process loads or unloads module other",
    );
    refused(
        &named(&Scratch::tree("replacing"), "x", "A"),
        "klp_fix_2 is in transition",
    );
}

fn task(tree: &Scratch, pid: u32, kthread: bool, stack: &str) {
    let folder = format!("proc/{pid}/task/{pid}");
    let flags = if kthread { 0x20_0000 } else { 0 };
    put(
        tree,
        &format!("{folder}/stat"),
        format!("{pid} (t{pid}) S 2 0 0 0 -1 {flags} 0\n"),
    );
    put(tree, &format!("{folder}/stack"), stack);
}

#[test]
fn tasks_that_are_inside() {
    let tree = kernel();
    let functions = [("vmlinux", "a", 0), ("ext4", "in_module", 0)];
    for pid in [7, 8, 9, 10, 11] {
        task(
            &tree,
            pid,
            false,
            "[<0>] sleep+0x1/0x2\n[<0>] a+0x1/0x2\n[<0>] kthread+0x1/0x2\n",
        );
    }
    task(&tree, 12, false, "[<0>] a+0x1/0x2 [ext4]\n");
    task(
        &tree,
        13,
        true,
        "[<0>] in_module+0x1/0x2 [ext4]\n[<0>] worker+0x1/0x2\n[<0>] kthread+0x1/0x2\n",
    );
    let answer = check(&tree, &[], &functions);
    assert_eq!(answer.exit, Exit::Done, "{}", answer.out);
    let text = "waits: a of vmlinux is in use by t7 (7), t8 (8), t9 (9) and 2 more\n\
                waits: in_module of ext4 is in use by t13 (13)\n";
    assert!(answer.out.ends_with(text), "{}", answer.out);

    task(
        &tree,
        14,
        true,
        "[<0>] schedule+0x1/0x2\n[<0>] in_module+0x1/0x2 [ext4]\n[<0>] kthread+0x1/0x2\n",
    );
    let answer = check(&tree, &[], &functions);
    assert_eq!(answer.exit, Exit::Refused);
    let text = "never: in_module of ext4 is the main function of t14 (14), and is never left\n";
    assert!(answer.out.contains(text), "{}", answer.out);
}

/// A loaded patch serves some of the functions already, and tasks are in its versions of them.
#[test]
fn tasks_that_are_inside_loaded_versions() {
    let tree = Scratch::tree("stacked");
    put(&tree, "proc/sys/kernel/osrelease", "7.3.4\n");
    put(
        &tree,
        "proc/kallsyms",
        "0000000000000000 T a\n0000000000000000 T b\n0000000000000000 T cmdline_proc_show\n",
    );
    let patch = "test_klp_livepatch";
    let stack = |function: &str| format!("[<0>] {function}+0x1/0x2 [{patch}]\n");
    task(&tree, 7, false, &stack("livepatch_cmdline_proc_show"));
    let shown = ("vmlinux", "cmdline_proc_show", 0);

    let answer = check(&tree, &[], &[shown, ("vmlinux", "a", 0)]);
    let text = "waits: cmdline_proc_show of vmlinux is in use by t7 (7)\n";
    assert!(answer.out.ends_with(text), "{}", answer.out);
    // The patch has no version of the only function.
    let answer = check(&tree, &[], &[("vmlinux", "a", 0)]);
    assert!(!answer.out.contains("waits: "), "{}", answer.out);
    // The only version of a patch may have any name.
    task(&tree, 7, false, &stack("other"));
    let answer = check(&tree, &[], &[shown]);
    assert!(answer.out.ends_with(text), "{}", answer.out);
    // One of two has a name that tells nothing.
    for function in ["a", "b"] {
        let path = format!("sys/kernel/livepatch/{patch}/vmlinux/{function},1/x");
        put(&tree, &path, "");
    }
    let answer = check(&tree, &[], &[("vmlinux", "a", 0), ("vmlinux", "b", 1)]);
    let text = "waits: code of test_klp_livepatch is in use by t7 (7)\n";
    assert!(answer.out.ends_with(text), "{}", answer.out);
    // A kernel thread never leaves the version that is its main function.
    let main = stack("a") + "[<0>] kthread+0x1/0x2\n";
    task(&tree, 8, true, &main);
    let answer = check(&tree, &[], &[("vmlinux", "a", 0)]);
    assert_eq!(answer.exit, Exit::Refused, "{}", answer.out);
    assert!(answer.out.contains("never: a of vmlinux"), "{}", answer.out);
}

/// Debugfs or tracefs may not be mounted.
#[test]
fn functions_of_which_ftrace_says_nothing() {
    let tree = kernel();
    let file = "sys/kernel/tracing/available_filter_functions";
    fs::remove_file(tree.path().join(file)).unwrap();
    let answer = check(&tree, &[], &[("vmlinux", "not_traced", 0)]);
    assert_eq!(answer.exit, Exit::Done, "{}", answer.out);
    let text =
        format!("note: /{file}: not there; whether its functions can be redirected is not known\n");
    assert!(answer.out.contains(&text), "{}", answer.out);
}

#[test]
fn in_json() {
    let tree = kernel();
    let file = patch(&["name=klp_x", MAGIC], &[("vmlinux", "gone", 0)]);
    let answer = check_file(&tree, &file, &["--json"]);
    for text in [
        "\"exit\": 8",
        "\"kind\": \"refused\"",
        "\"about\": \"functions\"",
        "\"kernel\": \"7.3.4\"",
        "\"name\": \"gone\"",
    ] {
        assert!(answer.out.contains(text), "{text}: {}", answer.out);
    }
    assert_eq!(answer.exit, Exit::Refused);
}

#[test]
fn the_kernel_takes_no_modules() {
    let tree = kernel();
    let file = patch(&["name=x", MAGIC], &[("vmlinux", "a", 0)]);
    for (flag, exit) in [("0\n", Exit::Done), ("1\n", Exit::Refused)] {
        put(&tree, "proc/sys/kernel/modules_disabled", flag);
        let answer = check_file(&tree, &file, &[]);
        assert_eq!(answer.exit, exit, "{}", answer.out);
        assert_eq!(answer.out.contains("modules_disabled"), flag == "1\n");
    }
}

/// A report may have any file in the place of the kernel's.
#[test]
fn symbols_without_an_end() {
    let kallsyms = "proc/kallsyms";
    let ftrace = "sys/kernel/tracing/available_filter_functions";
    for file in [kallsyms, ftrace] {
        let tree = kernel();
        fs::remove_file(tree.path().join(file)).unwrap();
        symlink("/dev/zero", tree.path().join(file)).unwrap();
        let answer = check(&tree, &[], &[("vmlinux", "a", 0)]);
        let text = format!("note: /{file}: the file is too long");
        assert!(answer.out.contains(&text), "{}", answer.out);
    }
}
