// SPDX-License-Identifier: GPL-2.0

//! Older kernels, which lack some of the files in sysfs.
//!
//! Documentation/ABI/testing/sysfs-kernel-livepatch has the version in which each file came. The
//! trees in `trees/` that are named after a distribution were captured on its kernels: see
//! `capture.sh`. The tests also remove from every tree the files that an older version lacks, so
//! that the tree stands for that version.

use std::fs;

use crate::exit::Exit;

use super::{klpctl_in, read_source, source, Answer, Scratch};

const SINCE: [(&str, (u32, u32)); 3] = [
    ("patched", (6, 1)),
    ("replace", (6, 11)),
    ("stack_order", (6, 14)),
];

/// The long-term kernels since 5.10, and those that have brought a file.
const KERNELS: [(u32, u32); 9] = [
    (5, 10),
    (5, 15),
    (6, 1),
    (6, 6),
    (6, 11),
    (6, 12),
    (6, 14),
    (6, 18),
    (7, 3),
];

fn on(kernel: (u32, u32), name: &str) -> Scratch {
    let mut kept = String::new();
    let mut keeps = true;
    for line in read_source(&format!("tests/trees/{name}.tree")).lines() {
        if !line.starts_with('\t') {
            let file = line.rsplit('/').next().unwrap_or_default();
            let since = SINCE.iter().find(|(name, _)| *name == file);
            keeps = since.is_none_or(|(_, since)| *since <= kernel);
            if !keeps {
                // The directory is there all the same.
                kept.push_str(&line[..=line.rfind('/').unwrap()]);
                kept.push('\n');
            }
        }
        if keeps {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    Scratch::tree_of(&kept)
}

fn trees() -> Vec<String> {
    let entries = fs::read_dir(source().join("tests/trees")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .map(|name| name.trim_end_matches(".tree").to_owned())
        .collect()
}

/// The version of the kernel that a tree was captured on: `debian-6-12-waiting`.
fn captured_on(name: &str) -> Option<(u32, u32)> {
    let mut words = name.strip_prefix("debian-")?.split('-');
    let mut number = || words.next()?.parse().ok();
    Some((number()?, number()?))
}

/// The trees that were captured in one state, each with the version of its kernel.
fn captured(state: &str) -> Vec<((u32, u32), String)> {
    let names = trees().into_iter().filter(|name| name.ends_with(state));
    let kernels = names.filter_map(|name| Some((captured_on(&name)?, name)));
    kernels.collect()
}

/// The answer of each kernel, with the newest one's.
fn each(arguments: &[&str], check: impl Fn((u32, u32), &str, &Answer, &Answer)) {
    for name in trees() {
        let newest = klpctl_in(&on((7, 3), &name), arguments);
        for kernel in KERNELS {
            let answer = klpctl_in(&on(kernel, &name), arguments);
            check(kernel, &name, &answer, &newest);
        }
    }
}

/// The table above agrees with the kernels.
#[test]
fn captured_kernels_have_the_files_of_their_version() {
    for state in ["-waiting", "-forced"] {
        let trees = captured(state);
        assert!(trees.len() >= 4, "{state}: {trees:?}");
        for (kernel, name) in trees {
            let text = read_source(&format!("tests/trees/{name}.tree"));
            let mut paths = text.lines().filter(|line| line.starts_with('/'));
            for (file, since) in SINCE {
                let there = paths
                    .clone()
                    .any(|path| path.ends_with(&format!("/{file}")));
                assert_eq!(there, since <= kernel, "{name}: {file}");
            }
            assert!(paths.any(|path| path.ends_with("/transition")), "{name}");
        }
    }
}

/// The same was done on each of these kernels, so klpctl has to give the same answers.
#[test]
fn captured_kernels_agree() {
    for (state, word, exit) in [
        ("-waiting", "applying", Exit::Transition),
        ("-forced", "forced", Exit::Forced),
        ("-held", "none", Exit::Nothing),
    ] {
        for (_, name) in captured(state) {
            let tree = Scratch::tree(&name);
            for command in ["status", "list", "why"] {
                let answer = klpctl_in(&tree, &[command, "--json"]);
                assert_eq!(answer.exit, exit, "{name}: {command}: {}", answer.out);
                let system = format!("\"system\": \"{word}\"");
                assert!(answer.out.contains(&system), "{name}: {command}");
            }
        }
    }
    for (_, name) in captured("-waiting") {
        let tree = Scratch::tree(&name);
        let why = klpctl_in(&tree, &["why"]).out;
        assert!(why.contains("\ncat ("), "{name}: {why}");
        assert!(
            why.contains("  on function test_klp_sleep_show of test_klp_sleep_target\n"),
            "{name}: {why}"
        );
        assert!(why.contains("  > test_klp_sleep_show+"), "{name}: {why}");
        let status = klpctl_in(&tree, &["status"]).out;
        let rows = [
            "test_klp_atomic_replace  applied ",
            "test_klp_sleep_patch     applying ",
        ];
        let places: Vec<_> = rows.iter().map(|row| status.find(row)).collect();
        assert!(
            places[0].is_some() && places[0] < places[1],
            "{name}: {status}"
        );
        assert!(status.contains("disabled, free"), "{name}: {status}");
    }
    for (_, name) in captured("-held") {
        let why = klpctl_in(&Scratch::tree(&name), &["why"]).out;
        assert!(why.contains("1 task is in its code"), "{name}: {why}");
    }
}

#[test]
fn the_state_is_the_same() {
    for command in ["status", "why"] {
        each(&[command], |kernel, name, answer, newest| {
            assert_eq!(answer.exit, newest.exit, "{kernel:?}: {name}");
            assert_eq!(answer.out, newest.out, "{kernel:?}: {name}");
            assert_eq!(answer.err, newest.err, "{kernel:?}: {name}");
        });
    }
}

#[test]
fn a_file_that_is_not_there_is_unknown() {
    each(&["list", "--json"], |kernel, name, answer, newest| {
        assert_eq!(answer.exit, newest.exit, "{kernel:?}: {name}");
        for (file, since) in SINCE {
            let known = |answer: &Answer| {
                let null = format!("\"{file}\": null");
                let all = answer.out.matches(&format!("\"{file}\": ")).count();
                all - answer.out.matches(&null).count()
            };
            let expected = if since <= kernel { known(newest) } else { 0 };
            assert_eq!(known(answer), expected, "{kernel:?}: {name}: {file}");
        }
        if kernel >= (6, 14) {
            assert_eq!(answer.out, newest.out, "{kernel:?}: {name}");
        }
    });
}

/// Without `stack_order` the order of the modules is the same.
#[test]
fn functions_are_served_by_the_same_patches() {
    each(&["list"], |kernel, name, answer, newest| {
        let functions = |answer: &Answer| {
            let (_, functions) = answer.out.split_once("\n\n").unwrap_or_default();
            functions.to_owned()
        };
        // Before 6.1 it is not known that an object is not there.
        if kernel >= (6, 1) {
            assert_eq!(functions(answer), functions(newest), "{kernel:?}: {name}");
        }
    });
}
