// SPDX-License-Identifier: GPL-2.0

//! Each command that reads has a known report for each tree, in text and in JSON. These tests
//! compare it with `golden/TREE.txt`.

use std::fmt::Write as _;
use std::fs;

use super::{klpctl_in, source, Scratch};

const COMMANDS: [&[&str]; 9] = [
    &["status"],
    &["status", "--json"],
    &["list", "-v"],
    &["list", "--json"],
    &["why"],
    &["why", "--json"],
    &["wait", "--timeout", "0"],
    &["watch", "--count", "1"],
    &["watch", "--count", "1", "--json"],
];

/// Compares, or with `BLESS=1` in the environment believes.
fn check(name: &str, answers: &str) {
    let path = source().join(format!("tests/golden/{name}.txt"));

    if std::env::var_os("BLESS").is_some_and(|value| value == "1") {
        fs::write(path, answers).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let different = expected
        .lines()
        .zip(answers.lines())
        .position(|(expected, answer)| expected != answer)
        .unwrap_or_else(|| expected.lines().count().min(answers.lines().count()));

    assert!(
        expected == answers,
        "{name}: line {}:\nexpected: {}\nanswered: {}",
        different + 1,
        expected.lines().nth(different).unwrap_or("(the end)"),
        answers.lines().nth(different).unwrap_or("(the end)"),
    );
}

fn answers(name: &str, commands: &[&[&str]]) -> String {
    let tree = Scratch::tree(name);
    let mut text = String::new();

    for arguments in commands {
        let answer = klpctl_in(&tree, arguments);
        let out = answer.out.replace(tree.path().to_str().unwrap(), "TREE");
        let err = answer.err.replace(tree.path().to_str().unwrap(), "TREE");
        writeln!(text, "$ klpctl {}", arguments.join(" ")).unwrap();
        text.push_str(&without_times(&out));
        text.push_str(&err);
        writeln!(text, "[exit {}]\n", answer.exit as u8).unwrap();
    }
    text
}

/// Removes the times that klpctl itself took. The tests do not compare these.
fn without_times(out: &str) -> String {
    let lines = out.lines().map(|line| match line.split_once(", after ") {
        Some((start, _)) => format!("{start}, after TIME\n"),
        None => format!("{line}\n"),
    });
    lines.collect()
}

macro_rules! trees {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            let name = stringify!($name).replace('_', "-");
            check(&name, &answers(&name, &COMMANDS));
        })*

        /// Each tree in the directory has a test.
        #[test]
        fn all_trees_are_looked_at() {
            let mut looked_at: Vec<_> = [$(stringify!($name)),*]
                .iter()
                .map(|name| format!("{}.tree", name.replace('_', "-")))
                .collect();
            let mut there: Vec<_> = fs::read_dir(source().join("tests/trees"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            looked_at.sort();
            there.sort();
            assert_eq!(looked_at, there);
        }
    };
}

trees! {
    none
    unsupported
    stacked
    replaced
    kernel_thread
    forced
    user_process
    unreliable_told
    unreliable_traced
    reverting
    replacing
    old_kernel
    free
    held
    held_and_free
    debian_5_10_forced
    debian_5_10_held
    debian_5_10_waiting
    debian_6_1_forced
    debian_6_1_held
    debian_6_1_waiting
    debian_6_12_forced
    debian_6_12_held
    debian_6_12_waiting
    debian_7_3_forced
    debian_7_3_held
    debian_7_3_waiting
}
