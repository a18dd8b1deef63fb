// SPDX-License-Identifier: GPL-2.0

//! The comparison of both cores after each operation.

use super::{
    Checked,
    Pair, //
};
use crate::{
    lines::{
        self,
        Line, //
    },
    machine::Machine,
    meant::{
        DUPLICATE_WITHOUT_MEMORY,
        MODULE_STAYS,
        SCHEDULE_IS_QUIET, //
    },
    picture::Picture, //
};
use std::mem;

pub(super) fn same<T: PartialEq + std::fmt::Debug>(what: &str, rules: T, c: T) -> Checked {
    if rules == c {
        Ok(())
    } else {
        Err(format!("{what}: Rust {rules:?}, C {c:?}"))
    }
}

impl Pair {
    /// The tasks that exist.
    pub(super) fn existing(&self) -> Vec<usize> {
        let exists = |&task: &usize| self.tasks[task].exists;
        (0..self.tasks.len()).filter(exists).collect()
    }

    /// Compares the state, the log with the callbacks in it, the patches that are freed, and the
    /// warnings.
    pub(super) fn compare(&mut self) -> Checked {
        let tasks = self.existing();
        let rules = Picture::of_rules(&self.rust, &tasks);
        let c = Picture::of_c(&self.c, &tasks);
        if let Some(difference) = rules.difference(&c) {
            return Err(format!("the cores, Rust first, differ: {difference}"));
        }
        self.compare_lines()?;
        same("a warning", self.rust.warned.get(), self.c.warnings() != 0)
    }

    fn compare_lines(&mut self) -> Checked {
        let (mut freed, mut log) = (Vec::new(), Vec::new());
        for line in lines::take() {
            if let Some(note) = line.note() {
                self.tally.note(note);
            }
            match line {
                Line::Put(patch) => {
                    if !self.departing.remove(&patch) {
                        return Err(format!("Rust puts the module of patch {patch} once more"));
                    }
                }
                Line::Freed { patch, .. } => {
                    self.departing.insert(patch);
                    freed.push(line.text(&self.c));
                }
                _ => log.push(line.text(&self.c)),
            }
        }
        let journal = self.c.journal();
        let (puts, journal) = split(journal, |line| line.starts_with("put "));
        let (c_freed, mut c_log) = split(journal, |line| line.starts_with("freed "));
        if mem::take(&mut self.scheduled) {
            self.leave_out(SCHEDULE_IS_QUIET, &mut c_log, "klp_try_switch_task: ");
        }
        if mem::take(&mut self.unwarned) {
            let warning = "warning: Duplicate shadow variable";
            self.leave_out(DUPLICATE_WITHOUT_MEMORY, &mut c_log, warning);
        }
        if mem::take(&mut self.unordered) {
            log.sort();
            c_log.sort();
        }
        same("freed patches", &freed, &c_freed)?;
        same("log", &log, &c_log)?;
        // `finish()` checks that the rules put a module once. The C core does so at once, or never.
        if !self.departing.is_empty() || c_freed.iter().any(|line| line.ends_with(", forced")) {
            self.tally.note(MODULE_STAYS);
        }
        let due = c_freed
            .iter()
            .filter(|line| !line.ends_with(", forced"))
            .map(|line| line.replace("freed ", "put patch_"));
        let due: Vec<String> = due.collect();
        same(
            "modules that C has put, and those of patches that are free",
            &due,
            &puts,
        )
    }

    /// Leaves lines with a text out of the C core's log.
    fn leave_out(&mut self, meant: &'static str, c_log: &mut Vec<String>, text: &str) {
        let before = c_log.len();
        c_log.retain(|line| !line.contains(text));
        if c_log.len() != before {
            self.tally.note(meant);
        }
    }

    /// Whether the C core is in its initial state.
    pub(super) fn is_c_new(&self) -> bool {
        let picture = Picture::of_c(&self.c, &[]);
        let new = Picture::of_rules(&Machine::new(0), &[]);
        new.difference(&picture).is_none() && self.c.allocations() == 0
    }

    /// At the end of a history nothing is left.
    pub(super) fn finish(&self) -> Checked {
        if !self.departing.is_empty() {
            return Err(format!("Rust holds the modules of {:?}", self.departing));
        }
        same("a patch is left", false, self.c.patch_at(0) >= 0)?;
        same("allocations are left", 0, self.c.allocations())?;
        same("kobjects are left", 0, self.c.kobjects())
    }
}

fn split(lines: Vec<String>, which: impl Fn(&String) -> bool) -> (Vec<String>, Vec<String>) {
    lines.into_iter().partition(which)
}
