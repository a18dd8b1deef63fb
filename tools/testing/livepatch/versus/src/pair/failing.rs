// SPDX-License-Identifier: GPL-2.0

//! Operations during which a call of the kernel fails, such as an allocation.
//!
//! The cores do not make the same calls. So one core can fail where the other does not. Then it has
//! to have changed nothing, and tries again.

use super::{
    compare::same,
    Checked,
    Pair, //
};
use crate::{
    history::Fails,
    lines,
    machine::BROKEN,
    picture::Picture, //
};
use std::collections::BTreeSet;

/// The error of calls that fail for the C core. Those of the rules' machine fail with `BROKEN`.
pub(super) const ENOMEM: i32 = -12;

/// What the tally counts if an operation has failed.
pub(super) struct Notes {
    pub(super) both: &'static str,
    pub(super) rules: &'static str,
    pub(super) c: &'static str,
}

impl Pair {
    /// Does an operation on both cores while one call fails, and returns the result, which has to
    /// be the same.
    pub(super) fn both(
        &mut self,
        fails: Fails,
        notes: &Notes,
        rules: impl Fn(&Self) -> i32,
        c: impl Fn(&Self) -> i32,
    ) -> Checked<i32> {
        let tasks = self.existing();
        let before = fails.map(|_| Picture::of_rules(&self.rust, &tasks));

        self.rust.failing_after.set(fails);
        let mut of_rules = rules(self);
        let left = self.rust.failing_after.replace(None);
        let rules_failed = fails.is_some() && left.is_none();
        if rules_failed {
            same("the error of a failed call", of_rules, BROKEN)?;
            let after = Picture::of_rules(&self.rust, &tasks);
            unchanged("Rust", &before, &after)?;
            let lines = lines::take();
            self.undone("Rust", lines.iter().map(|line| line.text(&self.c)))?;
        }

        self.c.set_failing(fails.map_or(-1, |after| after as i32));
        let mut of_c = c(self);
        let c_failed = fails.is_some() && self.c.failing() < 0;
        self.c.set_failing(-1);
        if c_failed {
            same("the error of a failed call", ENOMEM, of_c)?;
            unchanged("C", &before, &Picture::of_c(&self.c, &tasks))?;
            self.undone("C", self.c.journal().into_iter())?;
        }

        match (rules_failed, c_failed) {
            (true, true) => {
                self.tally.note(notes.both);
                return Ok(ENOMEM);
            }
            (true, false) => {
                self.tally.note(notes.rules);
                of_rules = rules(self);
            }
            (false, true) => {
                self.tally.note(notes.c);
                of_c = c(self);
            }
            (false, false) => {}
        }
        same("result", of_rules, of_c)?;
        Ok(of_rules)
    }

    /// Checks that a core has undone an operation that has failed: each callback that it has called
    /// before patching is followed by the one after unpatching, and a patch that it has freed is
    /// put once.
    fn undone(&self, core: &str, lines: impl Iterator<Item = String>) -> Checked {
        let unwilling = self.rust.unwilling.get().map(|module| match module.0 {
            0 => "vmlinux".to_owned(),
            module => format!("module_{module}"),
        });
        let (mut owed, mut freed) = (BTreeSet::new(), BTreeSet::new());
        for line in lines {
            let (line, _) = line.split_once(", states: ").unwrap_or((&line, ""));
            let (what, object) = line.split_once(' ').unwrap_or_default();
            let refuses = unwilling.as_deref().is_some_and(|it| object.ends_with(it));
            let legal = match what {
                "pre_patch" => refuses || owed.insert(object.to_owned()),
                "post_unpatch" => owed.remove(object),
                "freed" => freed.insert(object.to_owned()),
                "put" => freed.remove(object.trim_start_matches("patch_")),
                _ => true,
            };
            if !legal {
                return Err(format!("{core} has failed, and undoes too much: {line}"));
            }
        }
        match owed.union(&freed).next() {
            Some(left) => Err(format!("{core} has failed, and has not undone: {left}")),
            None => Ok(()),
        }
    }
}

fn unchanged(core: &str, before: &Option<Picture>, after: &Picture) -> Checked {
    let difference = before.as_ref().and_then(|before| before.difference(after));
    difference.map_or(Ok(()), |difference| {
        Err(format!("{core} has failed, but {difference}"))
    })
}
