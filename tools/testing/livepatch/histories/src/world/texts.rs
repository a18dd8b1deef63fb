// SPDX-License-Identifier: GPL-2.0

//! The modules of departing patches, and the tasks inside them.

use super::{
    ensure,
    Checked,
    World, //
};
use crate::{
    machine::{
        Patch,
        PATCHES, //
    },
    model::{
        text,
        TextHost, //
    },
    operation::Who,
    promise::{
        Doing,
        Life,
        Task, //
    }, //
};

impl World {
    /// A task stays in the code of a patch while that is disabled.
    pub(super) fn linger(
        &mut self,
        who: Who,
        changed: usize,
        doing: Doing,
        exits: bool,
    ) -> Checked {
        let Some(frame) = self.changed_frame(who, changed, true) else {
            return Ok(());
        };
        let Some(patch) = frame.version else {
            return Ok(());
        };
        if exits {
            self.begin_exit(who);
        }
        let arrives = doing == Doing::Arrives;
        self.act(who, |task| {
            task.frames = vec![frame];
            task.doing = if arrives { doing } else { Doing::Sleeps };
        });
        self.want(patch, false, None)?;
        if !arrives {
            self.act(who, |task| task.doing = doing);
        }
        Ok(())
    }

    /// The kernel looks at the tasks. It must let a module go exactly if no task is inside.
    pub(super) fn let_go(&mut self) -> Checked {
        let arriving: Vec<usize> = {
            let departing = self.promise.departing.iter();
            let arrives = |task: &Task| task.doing == Doing::Arrives;
            let awaited = departing.filter(|&&patch| self.promise.inside(patch).any(arrives));
            awaited.copied().collect()
        };
        let left = text::let_go(&self.machine);
        self.follow();
        let departing = std::mem::take(&mut self.promise.departing);
        let (held, gone): (Vec<usize>, Vec<usize>) = departing
            .into_iter()
            .partition(|&patch| self.promise.inside(patch).next().is_some());
        ensure(left != held.is_empty(), || {
            format!("a module is held: {left}; of patches {held:?}")
        })?;

        for &patch in &gone {
            self.tally.note("module let go");
            if self.promise.forced.contains(&patch) {
                self.tally.note("module of a forced patch let go");
            }
            if left {
                self.tally.note("module let go, and another held");
            }
        }
        for patch in &held {
            if arriving.contains(patch) {
                self.tally
                    .note("module held by a task that arrived during the wait");
            }
            for task in self.promise.inside(*patch) {
                self.tally.note(match task.doing {
                    Doing::Runs => "module held by a task that runs",
                    Doing::SleepsBlurred => {
                        "module held by a task that sleeps where its stack is not reliable"
                    }
                    Doing::Sleeps | Doing::Arrives => "module held by a task that sleeps",
                });
                if task.life == Life::Exits {
                    self.tally.note("module held by a task that exits");
                }
                if task.frames.iter().any(|frame| frame.forced) {
                    self.tally.note("module held by a task in a function");
                }
            }
        }
        self.promise.departing = held;
        let said = self.journal.read(&self.machine)?;
        self.said(&said, |expected| expected.put = gone)
    }

    /// Checks that no task is in a patch after its module has gone.
    pub(super) fn check_texts(&self) -> Checked {
        let (machine, promise) = (&self.machine, &self.promise);
        ensure(machine.count_departing() == promise.departing.len(), || {
            format!("not as many depart as {:?}", promise.departing)
        })?;
        for patch in 0..PATCHES {
            let held = machine.is_held(Patch(patch));
            ensure(held || promise.inside(patch).next().is_none(), || {
                format!("a task is in the text of patch {patch}, which is gone")
            })?;
            let needed = promise.find(patch).is_some() || promise.departing.contains(&patch);
            ensure(held || !needed, || {
                format!("the module of patch {patch} is gone")
            })?;
        }
        Ok(())
    }
}
