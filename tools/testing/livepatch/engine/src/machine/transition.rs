// SPDX-License-Identifier: GPL-2.0

//! The patches and their transitions: the model's [`PatchHost`] and [`Host`], for the thread that
//! holds `klp_mutex`.
//!
//! Each patch has one object, of the same number, that is always loaded and has a func for each
//! function.

use super::{
    stacks::FuncId,
    tasks::{
        TaskId,
        Tasks, //
    },
    Machine, //
};
use crate::model::{
    func::{
        Change,
        FuncState, //
    },
    Callback,
    Event,
    Expectation,
    Host,
    ModuleHost,
    PatchHost,
    Refusal,
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

/// The thread that holds `klp_mutex`, and the patch that it deals with.
pub(crate) struct Transition {
    tasks: Tasks,
    pub(crate) patch: usize,
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

    /// Whether a transition runs.
    pub(crate) fn under_way(&self) -> bool {
        self.transition_patch().is_some()
    }
}

impl PatchHost for Transition {
    type Patch = usize;
    type Object = usize;
    type Func = FuncId;
    type Functions = ();
    type Stack = usize;
    type Batch = ();
    type Error = Refusal;

    fn patches(&self) -> impl Iterator<Item = usize> {
        self.machine().books().installed.clone().into_iter()
    }

    fn add_patch(&self, patch: usize) {
        self.machine().books().installed.push(patch);
    }

    #[track_caller]
    fn transition_patch(&self) -> Option<usize> {
        let seen = self.machine().faults.allow(Location::caller());
        self.machine().books().transition.filter(|_| seen)
    }

    fn set_transition_patch(&self, patch: Option<usize>) {
        self.machine().books().transition = patch;
    }

    fn replaces(&self, patch: usize) -> bool {
        patch == self.patch && self.machine().books().replaces
    }

    fn enabled(&self, patch: usize) -> bool {
        self.machine().books().enabled[patch]
    }

    fn set_enabled(&self, patch: usize, enabled: bool) {
        self.machine().books().enabled[patch] = enabled;
    }

    fn set_forced(&self, patch: usize) {
        self.machine().books().forced[patch] = true;
    }

    fn publish_patch(&self, _: usize) -> Result<(), Refusal> {
        Ok(())
    }

    fn release_patch(&self, patch: usize) {
        self.machine().books().installed.retain(|&p| p != patch);
        let stacks = &self.machine().stacks;
        stacks.of_patch(patch).for_each(|func| stacks.free(func));
    }

    fn free_later(&self, patch: usize) {
        self.machine().books().departing.push(patch);
    }

    fn objects(&self, patch: usize) -> impl Iterator<Item = usize> {
        std::iter::once(patch)
    }

    fn same_object(&self, _: usize, _: usize) -> bool {
        true
    }

    fn add_nop_object(&self, _: usize, _: usize) -> Result<usize, Refusal> {
        unreachable!("every patch has the object")
    }

    fn is_nop_object(&self, _: usize) -> bool {
        false
    }

    fn loaded(&self, _: usize) -> bool {
        true
    }

    fn patched(&self, object: usize) -> bool {
        self.machine().books().patched[object]
    }

    fn set_patched(&self, object: usize, patched: bool) {
        self.machine().books().patched[object] = patched;
    }

    fn publish_object(&self, _: usize, _: usize) -> Result<(), Refusal> {
        Ok(())
    }

    fn resolve(&self, _: usize, _: usize) -> Result<(), Refusal> {
        Ok(())
    }

    fn call(&self, patch: usize, callback: Callback) -> Result<(), Refusal> {
        if callback == Callback::PostUnpatch && self.machine().books().leaves_ftrace {
            self.machine().texts.take_away(patch);
        }
        Ok(())
    }

    fn owes_post_unpatch(&self, _: usize) -> bool {
        true
    }

    fn set_owes_post_unpatch(&self, _: usize, _: bool) {}

    fn funcs(&self, object: usize) -> impl Iterator<Item = FuncId> {
        self.machine().stacks.of_patch(object)
    }

    fn functions(&self, _: usize) -> Result<(), Refusal> {
        Ok(())
    }

    fn among(&self, (): &(), _: FuncId) -> bool {
        // Every patch changes every function.
        true
    }

    fn add_nop(&self, _: usize, _: FuncId) -> Result<(), Refusal> {
        unreachable!("every patch changes every function")
    }

    fn release_nops(&self, patch: usize) {
        let stacks = &self.machine().stacks;
        let funcs = stacks.of_patch(patch);
        funcs
            .filter(|&func| stacks.is_nop(func))
            .for_each(|func| stacks.free(func));
    }

    fn is_nop(&self, func: FuncId) -> bool {
        self.machine().stacks.is_nop(func)
    }

    fn publish_func(&self, _: usize, _: FuncId) -> Result<(), Refusal> {
        Ok(())
    }

    fn func_state(&self, func: FuncId) -> FuncState {
        self.machine().stacks.state(func)
    }

    #[track_caller]
    fn change(&self, func: FuncId, change: Change) -> bool {
        // The fault leaves the func unchanged and returns success.
        if !self.machine().faults.allow(Location::caller()) {
            return true;
        }
        self.machine().stacks.change(func, change)
    }

    fn stack(&self, func: FuncId, (): &mut ()) -> Result<usize, Refusal> {
        Ok(self.machine().stacks.function(func))
    }

    fn stacks(&self) -> impl Iterator<Item = usize> {
        self.machine().stacks.functions()
    }

    fn stack_of(&self, func: FuncId) -> Option<usize> {
        Some(self.machine().stacks.function(func))
    }

    fn top(&self, function: usize) -> Option<FuncId> {
        self.machine().stacks.top(function)
    }

    #[track_caller]
    fn set_settled(&self, function: usize, func: Option<FuncId>) {
        if self.machine().faults.allow(Location::caller()) {
            self.machine().stacks.set_settled(function, func);
        }
    }

    #[track_caller]
    fn follow_settled(&self) -> Result<(), Refusal> {
        if self.machine().faults.allow(Location::caller()) {
            self.tasks.machine.follow_settled();
        }
        Ok(())
    }

    fn push(&self, func: FuncId, change: Change, _: usize) -> bool {
        let machine = self.machine();
        let legal = machine.stacks.change(func, change);
        if legal {
            machine
                .stacks
                .push(func, machine.faults.relaxed_publication);
        }
        legal
    }

    fn pop(&self, func: FuncId, change: Change) -> bool {
        let legal = self.machine().stacks.change(func, change);
        if legal {
            self.machine().stacks.remove(func);
        }
        legal
    }

    fn enter_ftrace(&self, (): ()) -> Result<(), Refusal> {
        Ok(())
    }

    #[track_caller]
    fn leave_ftrace(&self) {
        let leaves = self.machine().books().leaves_ftrace;
        if leaves && self.machine().faults.allow(Location::caller()) {
            self.machine().wait_for_ready_tasks();
        }
    }

    fn publish_index(&self, patch: usize) -> Result<(), Refusal> {
        if self.machine().books().no_index {
            return Err(Refusal::Invalid);
        }
        self.machine().set_index(Some(patch));
        Ok(())
    }

    fn withdraw_index(&self) {
        self.machine().set_index(None);
    }

    #[track_caller]
    fn synchronize(&self) {
        if self.machine().faults.allow(Location::caller()) {
            self.machine().wait_for_cpus();
        }
    }

    #[track_caller]
    fn reclaim(&self) {
        // The kernel then frees func stacks and indexes. This machine has none to free.
        self.synchronize();
    }

    // Counting the waiting tasks here would add a walk for loom to explore.
    fn tell(&self, _: Event<usize, usize, Refusal>) {}

    fn expect(&self, what: Expectation, holds: bool) {
        if !holds {
            self.machine()
                .note(|| format!("the expectation {what:?} is not met"));
        }
    }
}

/// Modules that are loaded: no patch changes any of them.
impl ModuleHost for Transition {
    type Module = ();

    fn is_module(&self, _: usize, (): ()) -> bool {
        false
    }

    fn set_patchable(&self, (): (), _: bool) {}

    fn attach(&self, _: usize, (): ()) {
        unreachable!("no object is a module")
    }

    fn clear_relocations(&self, _: usize, _: usize) {
        unreachable!("no object is a module")
    }

    fn detach(&self, _: usize) {
        unreachable!("no object is a module")
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

    fn restart_clock(&self) {
        let mut books = self.machine().books();
        books.passes = if books.insists { 2 } else { 0 };
    }

    fn elapsed(&self) -> u64 {
        0
    }

    fn passes(&self) -> u64 {
        self.machine().books().passes
    }

    fn set_passes(&self, passes: u64) {
        self.machine().books().passes = passes;
    }

    fn nudges(&self) -> u64 {
        0
    }

    fn set_nudges(&self, _: u64) {}

    #[track_caller]
    fn for_each_task(&self, visit: impl FnMut(TaskId)) {
        if self.machine().faults.allow(Location::caller()) {
            self.machine().visit_tasks(visit);
        }
    }

    fn scan_tasks(&self, visit: impl FnMut(TaskId)) {
        self.machine().scan_tasks(visit);
    }

    fn for_each_idle_task(&self, mut visit: impl FnMut(TaskId, bool)) {
        for &(task, online) in &self.machine().idle {
            visit(task, online);
        }
    }

    fn with_cpus_fixed(&self, body: impl FnOnce()) {
        body();
    }

    fn wake_idle(&self, _: TaskId) {}

    fn kick(&self, _: TaskId) {}

    fn nudge(&self, _: TaskId) {}

    fn set_sched_switching(&self, on: bool) {
        self.machine().sched_switching.store(on, Relaxed);
    }

    fn retry_after(&self, delay: u64) {
        if delay == 0 {
            self.machine().books().hurried = true;
        }
    }

    #[track_caller]
    fn write_barrier(&self) {
        if self.machine().faults.allow(Location::caller()) {
            fence(Release);
        }
    }
}
