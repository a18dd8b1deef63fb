// SPDX-License-Identifier: GPL-2.0-or-later

//! The machine that transitions run on: this kernel.
//!
//! What happens in a transition is decided in [`model::transition`]; here is what it means for the
//! tasks there are.

use crate::{
    edge::{
        abi::{
            FuncName,
            Patch, //
        },
        index,
        log,
        mutex,
        tasks::{
            self,
            TaskRef, //
        },
        trace,
        work, //
    },
    model::{
        self,
        Blocker,
        Event,
        Host,
        PatchHost,
        Step,
        Tally,
        TaskHost,
        TaskState,
        Way, //
    },
    patch::Kernel, //
};
use kernel::{
    bindings,
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

/// When the transition started, in milliseconds. Used under `klp_mutex`.
static STARTED: Atomic<u64> = Atomic::new(0);

/// How often tasks were nudged since. Used under `klp_mutex`.
static NUDGES: Atomic<u64> = Atomic::new(0);

/// Tasks that the last pass over them has found not to have switched, less those that have switched
/// themselves since. Without a lock: they do that in `__schedule()`.
static STRAGGLERS: Atomic<i32> = Atomic::new(0);

/// The tasks of this kernel.
pub(crate) struct Tasks;

impl TaskHost for Tasks {
    type Task = TaskRef;
    type Name = FuncName;

    fn target(&self) -> TaskState {
        TaskState::from_raw(tasks::TARGET.load(Relaxed))
    }

    fn current(&self) -> TaskRef {
        TaskRef::current()
    }

    fn state(&self, task: TaskRef) -> TaskState {
        task.state()
    }

    fn set_state(&self, task: TaskRef, state: TaskState) {
        task.set_state(state);
    }

    fn pending(&self, task: TaskRef) -> bool {
        task.pending()
    }

    fn set_pending(&self, task: TaskRef, pending: bool) {
        task.set_pending(pending);
    }

    fn test_and_clear_pending(&self, task: TaskRef) -> bool {
        task.test_and_clear_pending()
    }

    fn have_reliable_stack(&self) -> bool {
        tasks::reliable_stack_available()
    }

    fn with_task_still(
        &self,
        task: TaskRef,
        body: impl FnOnce() -> Result<(), Blocker<Self::Name>>,
    ) -> Result<(), Blocker<Self::Name>> {
        let mut result = None;
        let err = task.with_still(|| {
            result = Some(body());
            0
        });
        result.unwrap_or(Err(Blocker::Other(err)))
    }

    fn runs_elsewhere(&self, task: TaskRef) -> bool {
        task.runs_elsewhere()
    }

    fn check_stack(&self, task: TaskRef) -> Result<(), Blocker<Self::Name>> {
        // A task does not go to sleep in a handler, but it can be preempted in one.
        let runnable = task.is_runnable();
        task.with_stack(|stack| index::find_blocker(self.target(), stack, runnable))
            .map_err(|_| Blocker::UnreliableStack)?
            .map_or(Ok(()), |name| Err(Blocker::SleepsOn(name)))
    }

    fn report_blocker(&self, task: TaskRef, why: Blocker<Self::Name>) {
        trace::blocked(task, self.target(), why);
        let (err, func) = match why {
            Blocker::NoReliableStack => return,
            Blocker::Running => (EBUSY.to_errno(), None),
            Blocker::UnreliableStack => (EINVAL.to_errno(), None),
            Blocker::SleepsOn(name) => (EADDRINUSE.to_errno(), Some(name)),
            Blocker::Other(err) => (err, None),
        };
        task.report(err, func);
    }

    fn trace_switch(&self, task: TaskRef, state: TaskState, way: Way) {
        trace::switched(task, state, way);
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
        NUDGES.store(0, Relaxed);
    }

    fn elapsed(&self) -> u64 {
        work::now().saturating_sub(STARTED.load(Relaxed))
    }

    fn nudges(&self) -> u64 {
        NUDGES.load(Relaxed)
    }

    fn set_nudges(&self, nudges: u64) {
        NUDGES.store(nudges, Relaxed);
    }

    fn for_each_task(&self, visit: impl FnMut(TaskRef)) {
        tasks::for_each_task(visit);
    }

    fn for_each_idle_task(&self, visit: impl FnMut(TaskRef, bool)) {
        tasks::for_each_idle_task(visit);
    }

    fn with_cpus_fixed(&self, body: impl FnOnce()) {
        tasks::with_cpus_fixed(body);
    }

    fn wake_idle(&self, task: TaskRef) {
        task.wake_idle();
    }

    fn nudge(&self, task: TaskRef) {
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

    fn say(&self, patch: &Patch, event: Event) {
        let name = patch.name();
        let patching = Tasks.target() == TaskState::Patched;
        let direction = if patching { "patching" } else { "unpatching" };
        let debug = |event| log::debug_transition(event, name, patching);
        match event {
            Event::Initializing => debug(bindings::klp_debug_event_KLP_DEBUG_INITIALIZING),
            Event::Completing => debug(bindings::klp_debug_event_KLP_DEBUG_COMPLETING),
            Event::Canceling => debug(bindings::klp_debug_event_KLP_DEBUG_CANCELING),
            Event::Reversing => debug(bindings::klp_debug_event_KLP_DEBUG_REVERSING),
            Event::Starting => pr_notice!("'{name}': starting {direction} transition\n"),
            Event::Complete => pr_notice!("'{name}': {direction} complete\n"),
            Event::Signaling => pr_notice!("signaling remaining tasks\n"),
            Event::Forcing => pr_warn!("forcing remaining tasks to the patched state\n"),
        }
    }

    fn trace_transition(&self, patch: &Patch, step: Step, count: impl FnOnce() -> Tally) {
        if trace::wants(step) {
            let elapsed = match step {
                Step::Start => 0,
                Step::Reverse | Step::Force | Step::Complete => self.elapsed(),
            };
            trace::transition(patch, step, Tasks.target(), count(), elapsed);
        }
    }
}

/// The work that goes on with a transition. The transition may be over afterwards, and the patch on
/// its way to be freed.
pub(crate) fn work() {
    let locked = mutex::lock();
    let kernel = Kernel(&locked);
    if let Some(patch) = kernel.transition_patch() {
        model::enable::try_complete(&kernel, patch);
    }
}
