// SPDX-License-Identifier: GPL-2.0

//! The operations of the administrator: on patches, on modules, and force.

use super::{
    ensure,
    Checked,
    World, //
};
use crate::{
    machine::{
        Errno,
        Function,
        Machine,
        Module,
        Patch,
        BROKEN,
        EBUSY,
        EINVAL, //
    },
    model::{
        enable,
        modules, //
    },
    operation::{
        Fails,
        Who, //
    },
    promise::{
        home,
        Installed, //
    }, //
};

impl World {
    /// Calls the kernel with one step failing. Returns the result, and whether the step was reached
    /// and so has failed.
    pub(super) fn failing<T>(&self, fails: Fails, call: impl FnOnce(&Machine) -> T) -> (T, bool) {
        self.machine.failing_after.set(fails);
        let result = call(&self.machine);
        let left = self.machine.failing_after.replace(None);
        (result, fails.is_some() && left.is_none())
    }

    pub(super) fn enable(&mut self, new: Installed, fails: Fails) -> Checked {
        let patch = new.patch;
        if self.promise.find(patch).is_some() || self.promise.departing.contains(&patch) {
            return Ok(());
        }
        self.describe(&new);
        self.promise.forced.remove(&patch);

        let before = self.picture();
        let changed = self.changed_by(&new);
        let (stuck, misses) = (self.is_stuck(&changed), self.is_about_to_miss());
        let barred = self.is_barred(&new.functions);
        let (result, failed) = self.failing(fails, |m| enable::enable(m, Patch(patch)));
        let said = self.journal.read(&self.machine)?;
        let unhandled = said.enabling != 0 && (stuck || self.has_missed(misses));
        let refused = self
            .unwilling
            .is_some_and(|module| new.modules.contains(&module) && self.promise.present[module]);
        let expected = if failed {
            Err(Errno(BROKEN))
        } else if self.promise.transition.is_some() {
            Err(Errno(EBUSY))
        } else if refused || stuck || barred || unhandled {
            Err(Errno(BROKEN))
        } else {
            Ok(())
        };
        ensure(result == expected, || {
            format!("{result:?}, not {expected:?}")
        })?;

        if result.is_err() {
            self.tally.note(if result == Err(Errno(EBUSY)) {
                "enable refused"
            } else if unhandled {
                "enable refused, as a function cannot be handled"
            } else if barred && !failed && !refused {
                "enable refused by ftrace"
            } else if said.enabling == 0 {
                "enable failed"
            } else {
                "enable failed after the transition was begun"
            });
            let begun = said.enabling;
            self.said(&said, |expected| {
                expected.enabling = begun.min(1);
                expected.enable_failed = expected.enabling;
                if unhandled {
                    return;
                }
                expected.canceling = expected.enabling;
                expected.complete = expected.enabling;
                expected.pre_patch_failed = usize::from(refused && !failed && begun != 0);
                if barred {
                    // ftrace may refuse a function before the callback that fails is called.
                    expected.pre_patch_failed = said.pre_patch_failed.min(usize::from(refused));
                }
                expected.patch_failed = said.patch_failed.min(begun);
            })?;
            ensure(!self.journal.patches().any(|p| p == patch), || {
                "callbacks are owed".into()
            })?;
            return self.unchanged(&before);
        }
        self.promise.installed.push(new);
        let passed = self.start(patch, true);
        self.tally.note(if passed.left.is_empty() {
            "enabled at once"
        } else {
            "enabled with tasks in the way"
        });
        self.said(&said, |expected| {
            expected.enabling = 1;
            expected.starting = 1;
            passed.say(expected);
        })?;
        self.free(&passed);
        Ok(())
    }

    pub(super) fn describe(&self, new: &Installed) {
        let functions: Vec<(Module, Vec<Function>)> = new
            .modules
            .iter()
            .map(|&module| {
                let own = new.functions.iter().filter(|&&f| home(f) == module);
                (Module(module), own.map(|&f| Function(f)).collect())
            })
            .collect();
        let objects: Vec<(Module, &[Function])> = functions
            .iter()
            .map(|(module, functions)| (*module, functions.as_slice()))
            .collect();
        self.machine
            .describe(Patch(new.patch), new.replaces, &objects);
    }

    pub(super) fn want(&mut self, patch: usize, enabled: bool, fails: Fails) -> Checked {
        let Some(installed) = self.promise.find(patch) else {
            return Ok(());
        };
        let is_so = installed.enabled == enabled;
        let before = self.picture();
        let changed = self.changed_by(&installed.clone());
        let (stuck, misses) = (self.is_stuck(&changed), self.is_about_to_miss());
        let call = |m: &Machine| enable::set_enabled(m, Patch(patch), enabled);
        let (result, failed) = self.failing(fails, call);
        let said = self.journal.read(&self.machine)?;
        let unhandled =
            self.promise.transition.is_none() && (stuck || self.has_missed(misses) && !failed);
        let expected = if is_so {
            Err(Errno(EINVAL))
        } else if failed {
            Err(Errno(BROKEN))
        } else if self.promise.transition.is_some_and(|t| t.patch != patch) {
            Err(Errno(EBUSY))
        } else if unhandled {
            Err(Errno(BROKEN))
        } else {
            Ok(())
        };
        ensure(result == expected, || {
            format!("{result:?}, not {expected:?}")
        })?;

        if result.is_err() {
            if failed {
                self.tally.note("disable failed");
            } else if unhandled && !is_so {
                self.tally
                    .note("disable refused, as a function cannot be handled");
            }
            self.said(&said, |_| ())?;
            return self.unchanged(&before);
        }
        if self.promise.transition.is_some() {
            self.tally.note(if enabled {
                "reversed while unpatching"
            } else {
                "reversed while patching"
            });
            self.promise.reverse();
            self.restart();
            self.counted = false;
            return self.said(&said, |expected| {
                expected.reversing = 1;
                expected.starting = 1;
            });
        }
        let passed = self.start(patch, false);
        self.tally.note(if passed.left.is_empty() {
            "disabled at once"
        } else {
            "disabled with tasks in the way"
        });
        self.said(&said, |expected| {
            expected.starting = 1;
            passed.say(expected);
        })?;
        self.free(&passed);
        Ok(())
    }

    pub(super) fn force(&mut self, patch: Option<usize>) -> Checked {
        let transition = self.promise.transition.map(|t| t.patch);
        let Some(patch) = patch.or(transition) else {
            return Ok(());
        };
        if self.promise.find(patch).is_none() {
            return Ok(());
        }
        let before = self.picture();
        let result = enable::force(&self.machine, Patch(patch));
        let said = self.journal.read(&self.machine)?;
        if transition != Some(patch) {
            let expected = Err(Errno(EINVAL));
            ensure(result == expected, || {
                format!("{result:?}, not {expected:?}")
            })?;
            self.said(&said, |_| ())?;
            return self.unchanged(&before);
        }
        ensure(result.is_ok(), || format!("{result:?}"))?;
        self.tally.note("forced");
        self.promise.force();
        self.said(&said, |expected| expected.forcing = 1)
    }

    /// The number of patches that have an object for a module. One of nops counts as well, which a
    /// replacing patch has until its transition is over.
    pub(super) fn affected(&self, module: usize) -> usize {
        let has = |installed: &&Installed| installed.modules.contains(&module);
        let own = self.promise.installed.iter().filter(has).count();
        let takes_over = self.promise.transition.is_some_and(|t| {
            self.promise.find(t.patch).is_some_and(|patch| {
                let mut older = self.promise.older(t.patch);
                patch.replaces && !has(&patch) && older.any(|older| has(&older))
            })
        });
        own + usize::from(takes_over)
    }

    pub(super) fn coming(&mut self, module: usize, fails: Fails) -> Checked {
        if self.promise.present[module] {
            return Ok(());
        }
        let before = self.picture();
        let changes = self.promise.installed.iter();
        let mut functions = changes.flat_map(|i| &i.functions);
        let barred = self.is_ftrace_dead() && functions.any(|&f| home(f) == module);
        let (result, failed) = self.failing(fails, |m| modules::coming(m, Module(module)));
        let said = self.journal.read(&self.machine)?;
        let refused = self.unwilling == Some(module)
            && self
                .promise
                .installed
                .iter()
                .any(|i| i.modules.contains(&module));
        let expected = if failed || refused || barred {
            Err(Errno(BROKEN))
        } else {
            Ok(())
        };
        ensure(result == expected, || {
            format!("{result:?}, not {expected:?}")
        })?;

        let moving = self.promise.transition.is_some();
        if result.is_err() {
            self.tally.note(if barred && !failed && !refused {
                "module refused by ftrace"
            } else if moving {
                "module refused in a transition"
            } else {
                "module refused"
            });
            let of = |count: usize| count.min(1);
            self.said(&said, |expected| {
                // One of three steps failed for one patch. The patches before it are reverted.
                expected.resolve_failed = of(said.resolve_failed);
                expected.pre_patch_failed = of(said.pre_patch_failed);
                expected.apply_failed = 1 - of(expected.resolve_failed + expected.pre_patch_failed);
                expected.refusing = 1;
                expected.reverting = said.reverting;
                expected.applying = said.reverting + 1 - expected.resolve_failed;
            })?;
            return self.unchanged(&before);
        }
        self.promise.present[module] = true;
        self.tally.note(if moving {
            "module came in a transition"
        } else {
            "module came"
        });
        let affected = self.affected(module);
        self.said(&said, |expected| expected.applying = affected)
    }

    pub(super) fn going(&mut self, module: usize, fails: Fails) -> Checked {
        if !self.promise.present[module] {
            return Ok(());
        }
        self.promise.lose(module);
        let everybody: Vec<Who> = self.promise.tasks.keys().copied().collect();
        everybody.into_iter().for_each(|who| self.put(who));
        // The rules rely on ftrace not failing here unless it is dead.
        let misses = self.machine.follow_fails_after.take();
        self.failing(fails, |m| modules::going(m, Module(module)));
        self.machine.follow_fails_after.set(misses);
        self.lose_sites(module);
        let said = self.journal.read(&self.machine)?;
        if self.promise.transition.is_some() {
            self.tally.note("module went in a transition");
        }
        let affected = self.affected(module);
        self.said(&said, |expected| expected.reverting = affected)
    }
}
