// SPDX-License-Identifier: GPL-2.0

//! The operations of ftrace: other users come and go, ftrace fails and dies, and functions jump.

use super::{
    ensure,
    Checked,
    World, //
};
use crate::{
    machine::{
        Function,
        FUNCTIONS, //
    },
    operation::FUNCTIONS_EACH,
    promise::{
        home,
        Installed, //
    }, //
};
use std::collections::BTreeSet;

impl World {
    pub(super) fn is_ftrace_dead(&self) -> bool {
        self.machine.ftrace_is_dead.get()
    }

    /// Attaches another user of ftrace to a function of a loaded module, or detaches it.
    pub(super) fn trace(&mut self, function: usize, comes: bool) {
        let present = self.promise.present[home(function)];
        let function = Function(function);
        if !present || self.is_ftrace_dead() || self.machine.is_shared(function) == comes {
            return;
        }
        let jumped = self.machine.jump(function).is_some();
        self.machine.set_shared(function, comes);
        if jumped {
            self.tally.note("a tracer came to a function that jumped");
        } else if self.machine.jump(function).is_some() {
            self.tally.note("a tracer went, and the function jumped");
        }
    }

    pub(super) fn die(&mut self) {
        if !self.is_ftrace_dead() {
            self.machine.ftrace_is_dead.set(true);
            self.tally.note(if self.promise.transition.is_some() {
                "ftrace died in a transition"
            } else {
                "ftrace died"
            });
        }
    }

    /// A module is gone, and so are the call sites of its functions.
    pub(super) fn lose_sites(&mut self, module: usize) {
        for function in (0..FUNCTIONS_EACH).map(|f| Function(module * FUNCTIONS_EACH + f)) {
            if self.machine.jump(function).is_some() {
                self.tally.note("a module went with functions that jumped");
            }
            self.machine.lose_site(function);
        }
    }

    /// The functions that must be handled before a transition of the patch begins.
    pub(super) fn changed_by(&self, patch: &Installed) -> BTreeSet<usize> {
        let mut changed = patch.functions.clone();
        if self.promise.find(patch.patch).is_none() && patch.replaces {
            let replaced = self.promise.installed.iter();
            changed.extend(replaced.flat_map(|older| &older.functions));
        }
        changed.retain(|&function| self.promise.present[home(function)]);
        changed
    }

    /// Whether ftrace is dead and would have to change call sites before these functions change.
    pub(super) fn is_stuck(&self, changed: &BTreeSet<usize>) -> bool {
        let news = |f| self.machine.is_news(Function(f), changed.contains(&f));
        self.is_ftrace_dead() && (0..FUNCTIONS).any(news)
    }

    /// Whether ftrace is dead and one of these functions would have to enter it.
    pub(super) fn is_barred(&self, functions: &BTreeSet<usize>) -> bool {
        let enters = |&f: &usize| self.promise.present[home(f)] && !self.promise.is_traced(f);
        self.is_ftrace_dead() && functions.iter().any(enters)
    }

    /// Whether ftrace fails the next time that it has to change call sites.
    pub(super) fn is_about_to_miss(&self) -> bool {
        self.machine.follow_fails_after.get() == Some(0)
    }

    /// Whether ftrace was about to fail and has failed.
    pub(super) fn has_missed(&self, was_about: bool) -> bool {
        was_about && self.machine.follow_fails_after.get().is_none()
    }

    /// A function may jump only to the version that every task has to reach. Between transitions it
    /// must jump, unless a tracer is attached to it or ftrace has failed.
    pub(super) fn check_sites(&mut self) -> Checked {
        for number in 0..FUNCTIONS {
            let function = Function(number);
            let jump = self.machine.jump(function).map(|patch| patch.0);
            let versions = [true, false].map(|uses| self.promise.version(uses, number));
            ensure(jump.is_none() || versions == [jump, jump], || {
                format!("function {number} jumps to {jump:?}, tasks have to reach {versions:?}")
            })?;
            let [version, _] = versions;
            if self.promise.transition.is_some() || self.is_ftrace_dead() || version == jump {
                continue;
            }
            if self.machine.is_shared(function) {
                self.tally.note("a function settled under a tracer");
            } else {
                ensure(self.machine.has_missed(), || {
                    format!("function {number} does not jump to {version:?}")
                })?;
                self.tally.note("a function did not settle");
            }
        }
        Ok(())
    }
}
