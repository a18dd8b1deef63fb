// SPDX-License-Identifier: GPL-2.0

//! Counts events, so that a test can assert that the random histories contain them.

use std::collections::BTreeMap;

/// The number of times that each event has happened.
#[derive(Default, Debug)]
pub(crate) struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    /// The events that the histories of a test must contain; they prove little otherwise.
    const NEEDED: [&'static str; 42] = [
        "enabled at once",
        "enabled with tasks in the way",
        "enable failed",
        "enable failed after the transition was begun",
        "enable refused",
        "disabled at once",
        "disabled with tasks in the way",
        "disable failed",
        "reversed while patching",
        "reversed while unpatching",
        "forced",
        "finished by a pass",
        "others replaced",
        "module came",
        "module came in a transition",
        "module refused",
        "module refused in a transition",
        "module went in a transition",
        "forked in a transition",
        "switched in schedule",
        "module let go",
        "module of a forced patch let go",
        "module let go, and another held",
        "module held by a task that sleeps",
        "module held by a task that sleeps where its stack is not reliable",
        "module held by a task that runs",
        "module held by a task that arrived during the wait",
        "module held by a task that exits",
        "module held by a task in a function",
        "called by a task that exits, in a transition",
        "ended with tasks in the way",
        "a tracer came to a function that jumped",
        "a tracer went, and the function jumped",
        "a function settled under a tracer",
        "a function did not settle",
        "ftrace died",
        "ftrace died in a transition",
        "enable refused, as a function cannot be handled",
        "enable refused by ftrace",
        "disable refused, as a function cannot be handled",
        "module refused by ftrace",
        "a module went with functions that jumped",
    ];

    pub(super) fn note(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// The needed events that have never happened.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let missing = |what: &&'static str| !self.0.contains_key(what);
        Self::NEEDED.into_iter().filter(missing).collect()
    }
}
