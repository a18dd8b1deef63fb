// SPDX-License-Identifier: GPL-2.0

//! Older kernels, which lack some of the files in sysfs.
//!
//! Documentation/ABI/testing/sysfs-kernel-livepatch has the version in which each file came. These
//! trees are those of `trees/` without the files that a version does not have.

use std::fs;

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
