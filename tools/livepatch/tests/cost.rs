// SPDX-License-Identifier: GPL-2.0

//! The cost of an answer: how often klpctl opens each file.

use std::collections::HashMap;
use std::path::PathBuf;

use super::{klpctl_in, Scratch};
use crate::root::tests::opened;

/// How often `klpctl why` opens which files of tasks.
fn opened_by_why(name: &str) -> (Scratch, HashMap<PathBuf, usize>) {
    opened_by("why", name)
}

fn opened_by(command: &str, name: &str) -> (Scratch, HashMap<PathBuf, usize>) {
    let tree = Scratch::tree(name);
    let mut counts = HashMap::new();

    klpctl_in(&tree, &[command]);
    for path in opened(&tree.path().join("proc")) {
        *counts.entry(path).or_default() += 1;
    }
    (tree, counts)
}

#[test]
fn why_opens_each_file_of_a_task_once() {
    for name in [
        "kernel-thread",
        "user-process",
        "unreliable-traced",
        "replacing",
        "held",
        "held-and-free",
    ] {
        let (_, counts) = opened_by_why(name);
        let more: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
        assert!(more.is_empty(), "{name}: {more:?}");
        assert!(counts.keys().any(|path| path.ends_with("stack")), "{name}");
    }
}

#[test]
fn why_looks_at_nothing_but_the_state_of_others() {
    let (tree, counts) = opened_by_why("unreliable-traced");
    let of_others = ["1/task/1", "77/task/78"].map(|task| tree.path().join("proc").join(task));
    for task in of_others {
        let files: Vec<_> = counts
            .keys()
            .filter(|path| path.starts_with(&task))
            .collect();
        assert_eq!(files, [&task.join("patch_state")]);
    }
}

#[test]
fn stacks_are_read_for_a_module_that_is_held_alone() {
    let stacks = |command, name| {
        let (_, counts) = opened_by(command, name);
        counts.keys().filter(|path| path.ends_with("stack")).count()
    };
    assert_eq!(stacks("why", "held"), 5);
    assert_eq!(stacks("status", "held"), 0);
    assert_eq!(stacks("why", "free"), 0);

    // Of a task that is not in it, nothing else.
    let (tree, counts) = opened_by_why("held");
    let task = tree.path().join("proc/77/task/77");
    let files: Vec<_> = counts
        .keys()
        .filter(|path| path.starts_with(&task))
        .collect();
    assert_eq!(files, [&task.join("stack")]);
}
