// SPDX-License-Identifier: GPL-2.0

//! The comparison of both cores after each operation.

use super::{
    names,
    Checked,
    Pair, //
};
use crate::{
    machine::{
        Entry,
        Function,
        Patch,
        FUNCTIONS, //
    },
    model::{
        Callback,
        PatchHost,
        TaskState, //
    },
};

pub(super) fn same<T: PartialEq + std::fmt::Debug>(
    what: impl FnOnce() -> String,
    rust: T,
    c: T,
) -> Checked {
    if rust == c {
        Ok(())
    } else {
        Err(format!("{}: Rust {rust:?}, C {c:?}", what()))
    }
}

impl Pair {
    /// Compares the patches, the tasks with the version that each of them reaches, ftrace, the
    /// callbacks and the warnings.
    pub(super) fn compare(&mut self) -> Checked {
        let rust: Vec<i32> = self.rust.patches().map(|patch| patch.0 as i32).collect();
        let c: Vec<i32> = (0..)
            .map(|place| self.c.patch_at(place))
            .take_while(|&patch| patch >= 0)
            .collect();
        same(|| "patches".into(), &rust, &c)?;
        for &patch in &rust {
            let patch = patch as usize;
            let is = (
                self.rust.enabled(Patch(patch)),
                self.rust.is_forced(Patch(patch)),
            );
            let was = (self.c.enabled(patch), self.c.forced(patch));
            same(|| format!("patch {patch}, enabled and forced"), is, was)?;
        }
        let transition = self.rust.transition_patch();
        let transition = transition.map_or(-1, |patch| patch.0 as i32);
        same(
            || "in transition".into(),
            transition,
            self.c.transition_patch(),
        )?;
        for task in (0..self.tasks.len()).filter(|&task| self.tasks[task].exists) {
            let (rust, c) = names(task);
            let state = match self.rust.state_of(rust) {
                TaskState::Idle => -1,
                TaskState::Unpatched => 0,
                TaskState::Patched => 1,
            };
            let is = (state, self.rust.is_pending(rust));
            let was = (self.c.task_state(c), self.c.task_pending(c));
            same(|| format!("task {task}, state and pending"), is, was)?;
            for function in 0..FUNCTIONS {
                let reached = self.reached(task, function);
                let reached = reached.map_or(-1, |patch| patch as i32);
                same(
                    || format!("task {task} calls {function}"),
                    reached,
                    self.c.reaches(c, function),
                )?;
            }
        }
        for function in 0..FUNCTIONS {
            let is = self.rust.is_traced(Function(function));
            same(
                || format!("{function} in ftrace"),
                is,
                self.c.is_traced(function),
            )?;
        }
        let callbacks = self.callbacks();
        let journal = self.c.journal().into_iter();
        let journal: Vec<String> = journal.filter(|line| !line.starts_with("put ")).collect();
        same(|| "callbacks".into(), callbacks, journal)?;
        same(|| "warnings".into(), 0, self.c.warnings())
    }

    /// The callbacks that the rules have called, in the format of the C core's driver.
    fn callbacks(&self) -> Vec<String> {
        let log: Vec<Entry> = self.rust.log().collect();
        let mut lines = Vec::new();
        for entry in log {
            let Entry::Called(object, callback) = entry else {
                continue;
            };
            let patch = object.0 .0;
            // Objects for nops come after those that were described, and have no callbacks.
            let Some(&module) = self.modules[patch].get(object.1) else {
                continue;
            };
            let what = match callback {
                Callback::PrePatch => "pre_patch",
                Callback::PostPatch => "post_patch",
                Callback::PreUnpatch => "pre_unpatch",
                Callback::PostUnpatch => "post_unpatch",
            };
            lines.push(match module {
                0 => format!("{what} {patch} vmlinux"),
                _ => format!("{what} {patch} module_{module}"),
            });
        }
        lines
    }
}
