// SPDX-License-Identifier: GPL-2.0

//! The operations of the administrator, of modules, and of the clock.

use super::{
    compare::same,
    failing::{
        Notes,
        ENOMEM, //
    },
    home,
    Checked,
    Pair,
    Tracked, //
};
use crate::{
    edge,
    history::Fails,
    lines,
    machine::{
        Errno,
        Function,
        Module,
        Patch,
        EBUSY,
        EINVAL, //
    },
    meant::{
        END_OF_STACK,
        INDEX_NEEDS_MEMORY, //
    },
    model::{
        enable,
        modules,
        PatchHost, //
    },
    state, //
};
use std::mem;

impl Pair {
    pub(super) fn second(&mut self) {
        // A transition is reversed just before the next pass. The C core counts passes from there
        // on, and the rules count time.
        if !mem::take(&mut self.reversed) {
            self.rust.elapsed.set(self.rust.elapsed.get() + 1000);
        }
        if let Some(patch) = self.rust.transition_patch() {
            if self.rust.retry.take().is_some() {
                enable::try_complete(&self.rust, patch);
            }
            if self.rust.transition_patch().is_none() {
                self.tally.note("finished by a pass");
            }
        }
        self.c.second();
    }

    fn installed(&self, patch: usize) -> bool {
        self.rust.patches().any(|it| it.0 == patch)
    }

    /// Whether the patch with that number is gone, with its module.
    pub(super) fn can_describe(&self, patch: usize) -> bool {
        let inside = |it: &Tracked| it.frames.iter().any(|frame| frame.patch == Some(patch));
        let there = self.installed(patch) || self.departing.contains(&patch);
        !there && !self.tasks.iter().any(inside)
    }

    /// What `kernel/livepatch/core.rs` does for `klp_enable_patch()`.
    fn enable_by_rules(&self, patch: Patch) -> i32 {
        let (new, locked) = (edge::patch(&self.rust, patch), edge::locked(&self.rust));
        if !state::is_compatible(&new, &locked) {
            lines::add(format!(
                "err: livepatch: Livepatch patch (patch_{}) is not compatible with the already \
                 installed livepatches.",
                patch.0
            ));
            return EINVAL;
        }
        let result = enable::enable(&self.rust, patch);
        if result.is_err() {
            lines::refused(&self.rust, patch);
        }
        number(result)
    }

    pub(super) fn enable(&mut self, patch: usize, replaces: bool, fails: Fails) -> Checked {
        let moving = self.rust.transition_patch().is_some();
        let older = self.rust.patches().count();
        let notes = Notes {
            both: "enable failed in both cores",
            rules: "enable failed in Rust alone",
            c: "enable failed in C alone",
        };
        let result = self.both(
            fails,
            &notes,
            |it| {
                it.describe_to_rules(patch, replaces);
                it.enable_by_rules(Patch(patch))
            },
            |it| {
                it.describe_to_c(patch, replaces);
                it.c.enable(patch)
            },
        )?;
        self.tally.note(match result {
            ENOMEM => return Ok(()),
            EINVAL => "enable refused for its states",
            0 if self.rust.transition_patch().is_some() => "enabled with tasks in the way",
            0 => "enabled at once",
            EBUSY if moving => "enable refused in a transition",
            _ => "enable refused by a callback",
        });
        if result == 0 {
            self.reversed = false;
            let (_, funcs) = self.rust.extent(Patch(patch));
            if funcs > self.functions[patch].len() {
                self.tally.note("enabled with nops");
            }
            if self.rust.patches().count() <= older {
                self.tally.note("others replaced at once");
            }
        }
        Ok(())
    }

    /// Describes a patch, as a module that is loaded does.
    fn describe_to_rules(&self, patch: usize, replaces: bool) {
        let (modules, functions) = (&self.modules[patch], &self.functions[patch]);
        let objects = modules.iter().map(|&module| {
            let own = functions.iter().filter(|&&f| home(f) == module);
            (Module(module), own.map(|&f| Function(f)).collect())
        });
        let objects: Vec<(Module, Vec<Function>)> = objects.collect();
        let objects: Vec<(Module, &[Function])> = objects
            .iter()
            .map(|(module, functions)| (*module, functions.as_slice()))
            .collect();
        self.rust.describe(Patch(patch), replaces, &objects);
        edge::describe(Patch(patch), &self.states[patch]);
    }

    fn describe_to_c(&self, patch: usize, replaces: bool) {
        let (modules, functions) = (&self.modules[patch], &self.functions[patch]);
        let modules = modules.iter().fold(0, |mask, n| mask | 1_u32 << n);
        let functions = functions.iter().fold(0, |mask, n| mask | 1_u64 << n);
        self.c.describe(patch, replaces, modules, functions);
        for (place, (&id, &version)) in self.states[patch].iter().enumerate() {
            self.c.set_state(patch, place, id, version);
        }
    }

    /// Whether a younger patch changes one of the patch's functions.
    fn is_covered(&self, patch: usize) -> bool {
        let younger = self.rust.patches().skip_while(|it| it.0 != patch).skip(1);
        let functions = |it: usize| &self.functions[it];
        let mut shared = younger.map(|it| functions(it.0).intersection(functions(patch)).count());
        shared.any(|count| count > 0)
    }

    pub(super) fn want(&mut self, patch: usize, enabled: bool, fails: Fails) -> Checked {
        if !self.installed(patch) {
            return Ok(());
        }
        let transition = self.rust.transition_patch();
        let reverses = transition == Some(Patch(patch));
        let turns_back = enabled && reverses && !self.rust.enabled(Patch(patch));
        if turns_back && self.is_covered(patch) {
            self.tally.note(END_OF_STACK);
            if !self.fixed {
                return Ok(());
            }
        }
        // The C core allocates nothing here.
        let notes = Notes {
            both: "disable failed in both cores",
            rules: INDEX_NEEDS_MEMORY,
            c: "disable failed in C alone",
        };
        let result = self.both(
            fails,
            &notes,
            |it| number(enable::set_enabled(&it.rust, Patch(patch), enabled)),
            |it| it.c.write_enabled(patch, enabled),
        )?;
        if result == 0 {
            self.reversed = reverses;
        }
        self.tally.note(match result {
            0 if reverses && enabled => "reversed while unpatching",
            0 if reverses => "reversed while patching",
            0 if self.rust.transition_patch().is_some() => "disabled with tasks in the way",
            0 => "disabled at once",
            EBUSY => "disable refused in a transition",
            _ => "enabled has that value already",
        });
        Ok(())
    }

    pub(super) fn force(&mut self, patch: usize) -> Checked {
        if !self.installed(patch) {
            return Ok(());
        }
        let result = number(enable::force(&self.rust, Patch(patch)));
        same("force", result, self.c.write_force(patch))?;
        self.tally.note(match result {
            0 if self.rust.enabled(Patch(patch)) => "forced while patching",
            0 => "forced while unpatching",
            _ => "force refused",
        });
        Ok(())
    }

    pub(super) fn coming(&mut self, module: usize, fails: Fails) -> Checked {
        if self.present[module] {
            return Ok(());
        }
        let moving = self.rust.transition_patch().is_some();
        let notes = Notes {
            both: "module failed in both cores",
            rules: "module failed in Rust alone",
            c: "module failed in C alone",
        };
        let result = self.both(
            fails,
            &notes,
            |it| number(modules::coming(&it.rust, Module(module))),
            |it| it.c.coming(module),
        )?;
        self.present[module] = result == 0;
        self.tally.note(match (result, moving) {
            (0, false) => "module came",
            (0, true) => "module came in a transition",
            (ENOMEM, _) => return Ok(()),
            (_, false) => "module refused",
            (_, true) => "module refused in a transition",
        });
        Ok(())
    }

    pub(super) fn going(&mut self, module: usize, fails: Fails) {
        if !self.present[module] {
            return;
        }
        self.present[module] = false;
        for task in 0..self.tasks.len() {
            self.tasks[task]
                .frames
                .retain(|f| home(f.function) != module);
            self.put(task);
        }
        // Nothing is refused here. Without memory for a new index, the rules keep the old one.
        self.rust.failing_after.set(fails);
        modules::going(&self.rust, Module(module));
        if self.rust.failing_after.replace(None).is_none() && fails.is_some() {
            self.tally.note("module went while a call failed");
        }
        self.c.going(module);
        self.tally.note(match self.rust.transition_patch() {
            None => "module went",
            Some(_) => "module went in a transition",
        });
    }
}

/// The value that a system call would return.
fn number(result: Result<(), Errno>) -> i32 {
    result.map_or_else(|Errno(number)| number, |()| 0)
}
