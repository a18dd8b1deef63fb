// SPDX-License-Identifier: GPL-2.0

//! The comparison after every step.

use super::{
    ensure,
    task,
    Checked,
    World, //
};
use crate::{
    journal::Stage,
    machine::{
        Function,
        Patch,
        FUNCTIONS,
        PATCHES, //
    },
    model::{
        PatchHost,
        TaskState, //
    },
    operation::Who,
    promise::{
        Life,
        Version, //
    }, //
};

impl World {
    /// The version that a task's call of a function reaches on the machine.
    pub(super) fn reached(&self, who: Who, function: usize) -> Version {
        let function = Function(function);
        if !self.machine.is_traced(function) {
            return None;
        }
        self.machine
            .reaches(task(who), function)
            .map(|patch| patch.0)
    }

    pub(super) fn check(&mut self) -> Checked {
        self.follow();
        self.check_patches()?;
        self.check_texts()?;
        self.check_objects()?;
        self.check_tasks()?;
        self.check_calls()?;
        self.check_sites()?;
        self.check_insides()?;
        self.check_liveness()?;
        ensure(self.machine.is_sane(), || "the machine is not sane".into())
    }

    fn check_patches(&self) -> Checked {
        let (machine, promise) = (&self.machine, &self.promise);
        let installed: Vec<usize> = promise.installed.iter().map(|i| i.patch).collect();
        let patches: Vec<usize> = machine.patches().map(|patch| patch.0).collect();
        ensure(patches == installed, || {
            format!("there are {patches:?}, not {installed:?}")
        })?;
        let transition = promise.transition.map(|t| Patch(t.patch));
        ensure(machine.transition_patch() == transition, || {
            format!(
                "{:?} is in transition, not {transition:?}",
                machine.transition_patch()
            )
        })?;
        for installed in &promise.installed {
            let enabled = machine.enabled(Patch(installed.patch));
            ensure(enabled == installed.enabled, || {
                format!("patch {} enabled: {enabled}", installed.patch)
            })?;
        }
        for patch in 0..PATCHES {
            let published = machine.is_published(Patch(patch));
            ensure(published == installed.contains(&patch), || {
                format!("patch {patch} published: {published}")
            })?;
            let forced = machine.is_forced(Patch(patch));
            ensure(forced == promise.forced.contains(&patch), || {
                format!("patch {patch} forced: {forced}")
            })?;
        }
        for function in 0..FUNCTIONS {
            let traced = machine.is_traced(Function(function));
            ensure(traced == promise.is_traced(function), || {
                format!("function {function} traced: {traced}")
            })?;
            for func in machine.stack_of(Function(function)).into_iter().flatten() {
                ensure(installed.contains(&func.0 .0 .0), || {
                    format!("{func:?} is on a stack, its patch is gone")
                })?;
            }
        }
        Ok(())
    }

    fn check_objects(&self) -> Checked {
        let (machine, promise) = (&self.machine, &self.promise);
        for installed in &promise.installed {
            let patch = installed.patch;
            let transition = promise.transition.filter(|t| t.patch == patch);
            for object in machine.objects(Patch(patch)) {
                let module = machine.module_of(object).0;
                let present = promise.present[module];
                let (loaded, patched) = (machine.loaded(object), machine.patched(object));
                ensure(loaded == present && patched == present, || {
                    format!("{object:?}, of module {module}: loaded {loaded}, patched {patched}")
                })?;
                if machine.is_nop_object(object) {
                    continue;
                }
                let stage = self.journal.stage(patch, module);
                let legal = match stage {
                    None => !present,
                    Some(Stage::Prepared | Stage::Leaving) => present && transition.is_some(),
                    Some(Stage::Patched) => present && transition.is_none(),
                };
                ensure(legal, || {
                    format!("callbacks of patch {patch} for module {module}: {stage:?}")
                })?;
                let owes = machine.owes_post_unpatch(object);
                ensure(owes == stage.is_some(), || {
                    format!("{object:?} owes its last callback: {owes}, at {stage:?}")
                })?;
            }
        }
        let mut told = self.journal.patches();
        ensure(told.all(|patch| promise.find(patch).is_some()), || {
            "a patch is gone and owes callbacks".into()
        })
    }

    fn check_tasks(&self) -> Checked {
        let (machine, promise) = (&self.machine, &self.promise);
        let tasks = promise.tasks.iter();
        for (&who, it) in tasks.filter(|(_, it)| it.life != Life::Ends) {
            let expected = match promise.transition {
                None => TaskState::Idle,
                Some(_) if it.uses => TaskState::Patched,
                Some(_) => TaskState::Unpatched,
            };
            let state = machine.state_of(task(who));
            ensure(state == expected, || {
                format!("{who:?} is {state:?}, not {expected:?}")
            })?;
            let pending = machine.is_pending(task(who));
            ensure(pending == promise.has_to_switch(who), || {
                format!("{who:?} is asked to switch: {pending}")
            })?;
        }
        Ok(())
    }

    fn check_calls(&self) -> Checked {
        let promise = &self.promise;
        for function in promise.traced() {
            let versions = [true, false].map(|uses| promise.version(uses, function));
            for (&who, it) in &promise.tasks {
                let expected = if it.uses { versions[0] } else { versions[1] };
                let reached = self.reached(who, function);
                ensure(reached == expected, || {
                    format!("{who:?} calls {function}: reaches {reached:?}, not {expected:?}")
                })?;
            }
        }
        Ok(())
    }

    /// While a task is inside a function, its calls of that function must reach the version that it
    /// is in. The task must not switch if that changes the version.
    fn check_insides(&mut self) -> Checked {
        let promise = &self.promise;
        let mut sides = Vec::new();
        for (&who, it) in promise.tasks.iter().filter(|(_, it)| !it.frames.is_empty()) {
            for (depth, frame) in it.frames.iter().enumerate() {
                if frame.forced || frame.jumped {
                    continue;
                }
                let reached = self.reached(who, frame.function);
                ensure(reached == frame.version, || {
                    format!("{who:?} is inside {frame:?}, but would now reach {reached:?}")
                })?;
                let Some(transition) = promise.transition else {
                    continue;
                };
                if !promise.differs(frame.function) {
                    continue;
                }
                let state = self.machine.state_of(task(who));
                let side = (transition.number, state == TaskState::Patched);
                match frame.side {
                    Some(before) if before.0 == side.0 => ensure(before == side, || {
                        format!("{who:?} has changed sides inside {frame:?}")
                    })?,
                    _ => sides.push((who, depth, side)),
                }
            }
        }
        for (who, depth, side) in sides {
            if let Some(it) = self.promise.tasks.get_mut(&who) {
                it.frames[depth].side = Some(side);
            }
        }
        Ok(())
    }

    /// During a transition another pass must be arranged, at once if no task is left.
    fn check_liveness(&self) -> Checked {
        let (machine, promise) = (&self.machine, &self.promise);
        let runs = promise.transition.is_some();
        let switching = machine.sched_switching.get();
        ensure(switching == runs, || {
            format!("switching in __schedule(): {switching}")
        })?;
        if !runs {
            return Ok(());
        }
        let (retry, hurried) = (machine.retry.get(), machine.hurried.get());
        ensure(hurried || retry.is_some(), || {
            "no other pass is arranged".into()
        })?;
        let left = promise.tasks.keys().any(|&who| promise.has_to_switch(who));
        ensure(left || !self.counted || hurried || retry == Some(0), || {
            format!("every task has switched, but the next pass is {retry:?} away")
        })
    }
}
