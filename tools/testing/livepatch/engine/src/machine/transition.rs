// SPDX-License-Identifier: GPL-2.0

//! A patch in transition: the model's [`Host`], for the thread that holds `klp_mutex`.

use super::{
    tasks::{
        TaskId,
        Tasks, //
    },
    Machine, //
};
use crate::livepatch::model::{
    func::Change,
    Event,
    Host,
    Outcome,
    TaskState, //
};
use loom::sync::atomic::{
    fence,
    Ordering::{
        Relaxed,
        Release, //
    }, //
};
use std::{
    panic::Location,
    sync::Arc, //
};

/// A patch, the one in transition.
pub(crate) struct Transition {
    tasks: Tasks,
    pub(crate) patch: usize,
}

impl Machine {
    pub(super) fn log(&self, line: impl FnOnce() -> String) {
        self.books().log.push(line());
    }
}

impl Transition {
    /// The caller holds `klp_mutex`.
    pub(crate) fn new(machine: &Arc<Machine>, patch: usize) -> Self {
        let tasks = Tasks {
            machine: machine.clone(),
            current: None,
        };
        Self { tasks, patch }
    }

    fn machine(&self) -> &Machine {
        &self.tasks.machine
    }

    /// Whether it is not over.
    pub(crate) fn under_way(&self) -> bool {
        self.machine().books().transition.is_some()
    }

    #[track_caller]
    pub(super) fn change(&self, func: usize, change: Change) {
        let legal = self.machine().stacks.change(func, change);
        if !legal {
            self.machine()
                .note(|| format!("func {func} cannot {change:?}"));
        }
    }

    fn change_funcs(&self, change: Change) {
        let funcs = self.machine().stacks.of_patch(self.patch);
        funcs.for_each(|func| self.change(func, change));
    }

    /// Puts the funcs on their stacks.
    pub(super) fn push_funcs(&self) {
        let machine = self.machine();
        for func in machine.stacks.of_patch(self.patch) {
            self.change(func, Change::Patch);
            machine
                .stacks
                .push(func, machine.faults.relaxed_publication);
        }
    }

    /// What `core::enable_patch()` does when enabling has failed.
    pub(crate) fn free_after_cancel(&self) {
        self.free(self.patch);
    }

    fn remove(&self, patch: usize, change: Change, which: impl Fn(usize) -> bool) {
        let stacks = &self.machine().stacks;
        let funcs = stacks.of_patch(patch);
        for func in funcs.filter(|&func| stacks.is_patched(func) && which(func)) {
            self.change(func, change);
            stacks.remove(func);
        }
    }

    fn older(&self) -> impl Iterator<Item = usize> {
        0..self.patch
    }

    fn free(&self, patch: usize) {
        let stacks = &self.machine().stacks;
        stacks.of_patch(patch).for_each(|func| stacks.free(func));
    }
}

impl Host for Transition {
    type Tasks = Tasks;

    fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    #[track_caller]
    fn set_target(&self, target: TaskState) {
        if self.machine().faults.allow(Location::caller()) {
            self.machine().target.store(target as i32, Relaxed);
        }
    }

    fn attempts(&self) -> u32 {
        self.machine().books().attempts
    }

    fn set_attempts(&self, attempts: u32) {
        self.machine().books().attempts = attempts;
    }

    fn for_each_task(&self, visit: impl FnMut(TaskId)) {
        self.machine().visit_tasks(visit);
    }

    fn for_each_idle_task(&self, mut visit: impl FnMut(TaskId, bool)) {
        for &(task, online) in &self.machine().idle {
            visit(task, online);
        }
    }

    fn with_cpus_fixed(&self, body: impl FnOnce()) {
        body();
    }

    fn wake_idle(&self, task: TaskId) {
        self.machine().log(|| format!("wake idle task {task}"));
    }

    fn nudge(&self, task: TaskId) {
        self.machine().log(|| format!("nudge task {task}"));
    }

    fn set_sched_switching(&self, on: bool) {
        self.machine().sched_switching.store(on, Relaxed);
        self.machine().log(|| format!("sched switching {on}"));
    }

    fn retry_later(&self) {
        self.machine().log(|| "retry later".into());
    }

    #[track_caller]
    fn write_barrier(&self) {
        if self.machine().faults.allow(Location::caller()) {
            fence(Release);
        }
    }

    #[track_caller]
    fn synchronize(&self) {
        if self.machine().faults.allow(Location::caller()) {
            self.machine().wait_for_cpus();
            self.machine().log(|| "synchronize".into());
        }
    }

    fn replaces(&self) -> bool {
        self.machine().books().replaces
    }

    fn enabled(&self) -> bool {
        self.machine().books().enabled[self.patch]
    }

    fn set_enabled(&self, enabled: bool) {
        self.machine().books().enabled[self.patch] = enabled;
    }

    #[track_caller]
    fn begin_funcs(&self) {
        if self.machine().faults.allow(Location::caller()) {
            self.change_funcs(Change::Begin);
            self.machine().log(|| "funcs begin".into());
        }
    }

    #[track_caller]
    fn end_funcs(&self) {
        if self.machine().faults.allow(Location::caller()) {
            self.change_funcs(Change::End);
            self.machine().log(|| "funcs end".into());
        }
    }

    fn unpatch(&self) {
        self.remove(self.patch, Change::Unpatch, |_| true);
        self.machine().log(|| "unpatch".into());
    }

    fn unpatch_replaced(&self) {
        for older in self.older() {
            self.machine().books().enabled[older] = false;
            self.remove(older, Change::Leave, |_| true);
        }
        let stacks = &self.machine().stacks;
        self.remove(self.patch, Change::Unpatch, |func| stacks.is_nop(func));
        self.machine().log(|| "unpatch replaced".into());
    }

    fn post_callbacks(&self, target: TaskState) {
        self.machine().log(|| format!("callbacks {target:?}"));
    }

    fn mark_forced(&self, target: TaskState) {
        self.machine().log(|| format!("forced {target:?}"));
    }

    fn finish(&self, outcome: Outcome) {
        self.machine().books().transition = None;
        self.machine().log(|| format!("{outcome:?}"));
        if outcome == Outcome::Canceled {
            return;
        }
        if !self.enabled() {
            self.free(self.patch);
        } else if self.replaces() {
            self.older().for_each(|older| self.free(older));
            let stacks = &self.machine().stacks;
            let funcs = stacks.of_patch(self.patch);
            funcs
                .filter(|&func| stacks.is_nop(func))
                .for_each(|func| stacks.free(func));
        }
    }

    fn say(&self, event: Event) {
        self.machine().log(|| format!("{event:?}"));
    }

    #[track_caller]
    fn expect(&self, ok: bool) {
        let line = Location::caller().line();
        if !ok {
            self.machine()
                .note(|| format!("the expectation in line {line} is not met"));
        }
    }
}
