// SPDX-License-Identifier: GPL-2.0

//! The faults that a machine can have. Most of them leave out an operation that one line of the
//! rules asks for.
//!
//! The machine finds that line in the source as the n-th call of an operation in a function, so
//! that the rules need neither marks nor a copy.

use std::{
    panic::Location,
    sync::atomic::{
        AtomicUsize,
        Ordering, //
    }, //
};

/// The files in which faults find their lines, and their text.
const SOURCES: [(&str, &str); 6] = [
    (
        "model/enable.rs",
        include_str!("../../../../../../kernel/livepatch/model/enable.rs"),
    ),
    (
        "model/transition.rs",
        include_str!("../../../../../../kernel/livepatch/model/transition.rs"),
    ),
    (
        "model/redirect.rs",
        include_str!("../../../../../../kernel/livepatch/model/redirect.rs"),
    ),
    (
        "model/patch.rs",
        include_str!("../../../../../../kernel/livepatch/model/patch.rs"),
    ),
    (
        "model/settle.rs",
        include_str!("../../../../../../kernel/livepatch/model/settle.rs"),
    ),
    (
        "model/text.rs",
        include_str!("../../../../../../kernel/livepatch/model/text.rs"),
    ),
];

/// A call of an operation of the host, in the source of the rules.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    /// The function that contains the call.
    pub(crate) function: &'static str,
    /// The operation.
    pub(crate) operation: &'static str,
    /// The number of the call among those of the operation there, from 0.
    pub(crate) nth: usize,
}

/// One fault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// A call has no effect.
    Without(Site),
    /// Clearing a pending flag orders nothing.
    RelaxedTestAndClear,
    /// Putting a func on a stack orders nothing.
    RelaxedPublication,
    /// The writer of call sites does not wait until every CPU executes them.
    UnawaitedCalls,
    /// No walk finds a task that has left the task list.
    ForgottenExits,
    /// A task that has left all lists can be preempted.
    PreemptibleEnds,
    /// A task can be preempted while it copies its state to its child.
    PreemptibleForks,
    /// Walks over the tasks do not keep them from forking.
    UnlockedWalks,
}

/// The `nth` call of `operation` in `function`.
pub(crate) const fn without(function: &'static str, operation: &'static str, nth: usize) -> Fault {
    Fault::Without(Site {
        function,
        operation,
        nth,
    })
}

/// The faults of a machine.
#[derive(Default)]
pub(crate) struct Faults {
    /// A part of the text of the violation that the test expects; others do not count.
    pub(crate) wanted: Option<&'static str>,
    lines: Vec<(&'static str, u32)>,
    pub(crate) relaxed_test_and_clear: bool,
    pub(crate) relaxed_publication: bool,
    pub(crate) unawaited_calls: bool,
    pub(crate) forgotten_exits: bool,
    pub(crate) preemptible_ends: bool,
    pub(crate) preemptible_forks: bool,
    pub(crate) unlocked_walks: bool,
    /// For each line, how often it was left out.
    hits: Vec<AtomicUsize>,
}

impl Faults {
    pub(crate) fn new(faults: &[Fault], wanted: Option<&'static str>) -> Self {
        let mut new = Self {
            wanted,
            ..Self::default()
        };
        for fault in faults {
            match fault {
                Fault::Without(site) => new.lines.push(find(site)),
                Fault::RelaxedTestAndClear => new.relaxed_test_and_clear = true,
                Fault::RelaxedPublication => new.relaxed_publication = true,
                Fault::UnawaitedCalls => new.unawaited_calls = true,
                Fault::ForgottenExits => new.forgotten_exits = true,
                Fault::PreemptibleEnds => new.preemptible_ends = true,
                Fault::PreemptibleForks => new.preemptible_forks = true,
                Fault::UnlockedWalks => new.unlocked_walks = true,
            }
        }
        new.hits.resize_with(new.lines.len(), AtomicUsize::default);
        new
    }

    /// Returns whether the machine does the operation that the line at `caller` asks for.
    pub(crate) fn allow(&self, caller: &Location<'_>) -> bool {
        let here =
            |&(file, line): &(&str, u32)| line == caller.line() && caller.file().ends_with(file);
        match self.lines.iter().position(here) {
            Some(index) => {
                self.hits[index].fetch_add(1, Ordering::Relaxed);
                false
            }
            None => true,
        }
    }

    /// Panics if a line that was to be left out was never reached: the test has tested nothing.
    pub(crate) fn expect_hits(&self) {
        for (line, hits) in self.lines.iter().zip(&self.hits) {
            assert_ne!(hits.load(Ordering::Relaxed), 0, "never reached: {line:?}");
        }
    }
}

/// The file and line of a call.
fn find(site: &Site) -> (&'static str, u32) {
    let head = format!("fn {}", site.function);
    let call = format!(".{}(", site.operation);
    for (file, text) in SOURCES {
        let mut lines = (1..).zip(text.lines());
        let begins = |line: &str| {
            line.split_once(&head)
                .is_some_and(|(_, rest)| rest.starts_with(['<', '(']))
        };
        if lines.by_ref().any(|(_, line)| begins(line)) {
            let mut calls = lines
                .take_while(|(_, line)| *line != "}")
                .filter(|(_, line)| !line.trim_start().starts_with("//") && line.contains(&call));
            if let Some((number, _)) = calls.nth(site.nth) {
                return (file, number);
            }
        }
    }
    panic!("the source has no such call: {site:?}");
}
