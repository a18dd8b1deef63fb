// SPDX-License-Identifier: GPL-2.0-or-later

//! The machine that transitions run on: this kernel.
//!
//! [`model::transition`] decides how tasks switch. This file gives it the tasks, the clock and the
//! work items of this kernel.

use crate::{
    edge::{
        abi::FuncName,
        index,
        mutex,
        tasks::{
            self,
            TaskRef, //
        },
        work, //
    },
    model::{
        self,
        Blocker,
        Host,
        Outcome,
        PatchHost,
        TaskHost,
        TaskState,
        Way, //
    },
    patch::Kernel,
    report, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        barrier::{
            smp_mb,
            Read,
            Write, //
        }, //
    }, //
};

/// The time at which the transition started, in milliseconds. `klp_mutex` protects it.
static STARTED: Atomic<u64> = Atomic::new(0);

/// The number of passes since then. `klp_mutex` protects it.
static PASSES: Atomic<u64> = Atomic::new(0);

/// The number of intervals of 15 seconds from then until tasks were last nudged. `klp_mutex`
/// protects it.
static NUDGES: Atomic<u64> = Atomic::new(0);

/// The number of tasks that had not switched at the last pass, less those that have switched
/// themselves since. It has no lock, because tasks switch themselves in `__schedule()`.
static STRAGGLERS: Atomic<i32> = Atomic::new(0);

/// The tasks of this kernel.
pub(crate) struct Tasks;

impl TaskHost for Tasks {
    type Task<'a> = TaskRef<'a>;
    type Name = FuncName;

    fn target(&self) -> TaskState {
        TaskState::from_raw(tasks::TARGET.load(Relaxed))
    }

    fn current(&self) -> TaskRef<'_> {
        TaskRef::current()
    }

    fn state(&self, task: TaskRef<'_>) -> TaskState {
        task.state()
    }

    fn set_state(&self, task: TaskRef<'_>, state: TaskState) {
        task.set_state(state);
    }

    fn pending(&self, task: TaskRef<'_>) -> bool {
        task.pending()
    }

    fn set_pending(&self, task: TaskRef<'_>, pending: bool) {
        task.set_pending(pending);
    }

    fn test_and_clear_pending(&self, task: TaskRef<'_>) -> bool {
        task.test_and_clear_pending()
    }

    fn have_reliable_stack(&self) -> bool {
        tasks::reliable_stack_available()
    }

    fn with_task_still(
        &self,
        task: TaskRef<'_>,
        body: impl FnOnce() -> Result<(), Blocker<Self::Name>>,
    ) -> Result<(), Blocker<Self::Name>> {
        task.with_still(body)
            .unwrap_or_else(|err| Err(Blocker::Other(err)))
    }

    fn runs_elsewhere(&self, task: TaskRef<'_>) -> bool {
        task.runs_elsewhere()
    }

    #[expect(unsafe_code, reason = "the rules keep the task still")]
    fn check_stack(&self, task: TaskRef<'_>) -> Result<(), Blocker<Self::Name>> {
        // A task does not go to sleep in a handler, but it can be preempted in one.
        let runnable = task.is_runnable();
        // SAFETY: The rules check a stack inside `with_task_still()`, with preemption disabled. A
        // pass holds `klp_mutex` until it has reported the name. A task that switches itself drops
        // the name before preemption is enabled.
        let find = |stack: &[usize]| unsafe { index::find_blocker(self.target(), stack, runnable) };
        // SAFETY: The task is still, as above, and `find` does not look at a stack.
        unsafe { task.with_stack(find) }
            .map_err(|_| Blocker::UnreliableStack)?
            .map_or(Ok(()), |name| Err(Blocker::SleepsOn(name)))
    }

    fn report(&self, task: TaskRef<'_>, outcome: Outcome<FuncName>) {
        report::task(task, self.target(), outcome);
    }

    fn in_place_of<R: Send>(
        &self,
        task: TaskRef<'_>,
        body: fn(&Self, TaskRef<'_>) -> R,
    ) -> Option<R> {
        tasks::in_place_of(task, move |task| body(&Tasks, task))
    }

    fn read_barrier(&self) {
        smp_mb(Read);
    }

    fn add_stragglers(&self, more: i32) -> i32 {
        STRAGGLERS.fetch_add(more, Full).wrapping_add(more)
    }

    fn set_stragglers(&self, count: i32) {
        STRAGGLERS.store(count, Relaxed);
    }

    fn hurry(&self) {
        work::hurry_transition();
    }

    fn retries_each_second(&self) -> bool {
        cfg!(CONFIG_LIVEPATCH_RUST_RETRY_EACH_SECOND)
    }
}

impl Host for Kernel<'_> {
    type Tasks = Tasks;

    fn tasks(&self) -> &Tasks {
        &Tasks
    }

    fn set_target(&self, target: TaskState) {
        tasks::TARGET.store(target as i32, Relaxed);
    }

    fn restart_clock(&self) {
        STARTED.store(work::now(), Relaxed);
        PASSES.store(0, Relaxed);
        NUDGES.store(0, Relaxed);
    }

    fn elapsed(&self) -> u64 {
        work::now().saturating_sub(STARTED.load(Relaxed))
    }

    fn passes(&self) -> u64 {
        PASSES.load(Relaxed)
    }

    fn set_passes(&self, passes: u64) {
        PASSES.store(passes, Relaxed);
    }

    fn nudges(&self) -> u64 {
        NUDGES.load(Relaxed)
    }

    fn set_nudges(&self, nudges: u64) {
        NUDGES.store(nudges, Relaxed);
    }

    fn for_each_task(&self, visit: impl FnMut(TaskRef<'_>)) {
        tasks::for_each_task(visit);
    }

    fn scan_tasks(&self, visit: impl FnMut(TaskRef<'_>)) {
        tasks::scan_tasks(visit);
    }

    fn for_each_idle_task(&self, visit: impl FnMut(TaskRef<'_>, bool)) {
        tasks::for_each_idle_task(visit);
    }

    fn with_cpus_fixed(&self, body: impl FnOnce()) {
        tasks::with_cpus_fixed(body);
    }

    fn wake_idle(&self, task: TaskRef<'_>) {
        task.wake_idle();
    }

    fn kick(&self, task: TaskRef<'_>) {
        task.kick();
    }

    fn nudge(&self, task: TaskRef<'_>) {
        task.nudge();
    }

    fn set_sched_switching(&self, on: bool) {
        tasks::set_sched_switching(on);
    }

    fn retry_after(&self, delay: u64) {
        work::retry_transition(delay);
    }

    fn write_barrier(&self) {
        smp_mb(Write);
    }
}

/// Switches the calling task, which is on its way out of the kernel or in the idle loop. It has
/// preemption disabled.
pub(crate) fn update(task: TaskRef<'_>) {
    let way = if task.is_idle() {
        Way::IdleLoop
    } else if task.is_in_idle_loop() {
        // The functions that have a thread inject idle time can be patched, and are on its stack.
        // It switches when it sleeps, or in a pass.
        return;
    } else {
        Way::KernelExit
    };
    model::transition::update(&Tasks, task, way);
}

/// The work that continues a transition. When this returns, the transition may be over, and the
/// patch may be on its way to be freed.
pub(crate) fn work() {
    let locked = mutex::lock();
    let kernel = Kernel(&locked);
    if let Some(patch) = kernel.transition_patch() {
        model::enable::try_complete(&kernel, patch);
    }
}
