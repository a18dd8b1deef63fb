// SPDX-License-Identifier: GPL-2.0-or-later

//! The machine that transitions run on: this kernel.
//!
//! What happens in a transition is decided in [`model::transition`]; here is what it means for the
//! tasks and the patches there are.

#![deny(unsafe_code)]

use super::{
    abi::Patch,
    core,
    host::{
        self,
        klp_notice,
        klp_warn,
        warn_on,
        warn_on_once,
        Locked,
        TaskRef, //
    },
    index,
    model::{
        self,
        func::Change,
        Blocker,
        Event,
        Host,
        Outcome,
        TaskHost,
        TaskState, //
    },
    patch::{
        self,
        Circumstance,
        Which, //
    }, //
};
use crate::{
    bindings,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        barrier::{
            smp_mb,
            Read,
            Write, //
        }, //
    }, //
};
use ::core::iter;

/// The state that tasks switch to. Stored under `klp_mutex`; tasks that switch themselves load it
/// without, after their pending flag.
static TARGET: Atomic<i32> = Atomic::new(TaskState::Idle as i32);

/// Passes over the task list. Used under `klp_mutex`.
static ATTEMPTS: Atomic<u32> = Atomic::new(0);

/// Seconds between two passes over the task list.
const RETRY_SECONDS: u32 = 1;

/// The tasks of this kernel.
pub(crate) struct Tasks;

impl TaskHost for Tasks {
    type Task = TaskRef;
    type Name = index::FuncName;

    fn target(&self) -> TaskState {
        TaskState::from_raw(TARGET.load(Relaxed))
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
        host::reliable_stack_available()
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
        task.with_stack(|stack| index::find_blocker(self.target(), stack))
            .map_err(|_| Blocker::UnreliableStack)?
            .map_or(Ok(()), |name| Err(Blocker::SleepsOn(name)))
    }

    fn report_blocker(&self, task: TaskRef, why: Blocker<Self::Name>) {
        let (err, func) = match why {
            Blocker::NoReliableStack => return,
            Blocker::Running => (EBUSY.to_errno(), None),
            Blocker::UnreliableStack => (EINVAL.to_errno(), None),
            Blocker::SleepsOn(name) => (EADDRINUSE.to_errno(), Some(name)),
            Blocker::Other(err) => (err, None),
        };
        task.report(err, func);
    }

    fn read_barrier(&self) {
        smp_mb(Read);
    }
}

/// A patch in transition.
struct Transition<'a> {
    patch: &'a Patch,
    locked: &'a Locked,
}

impl Transition<'_> {
    fn change_funcs(&self, change: Change) {
        for object in self.patch.objects(self.locked) {
            for func in object.funcs(self.locked) {
                warn_on!(!func.change(change, self.locked));
            }
        }
    }

    /// The patches that were enabled before this one.
    fn older(&self) -> impl Iterator<Item = &Patch> {
        host::patches(self.locked).take_while(|patch| !::core::ptr::eq(*patch, self.patch))
    }
}

impl Host for Transition<'_> {
    type Tasks = Tasks;

    fn tasks(&self) -> &Tasks {
        &Tasks
    }

    fn set_target(&self, target: TaskState) {
        TARGET.store(target as i32, Relaxed);
    }

    fn attempts(&self) -> u32 {
        ATTEMPTS.load(Relaxed)
    }

    fn set_attempts(&self, attempts: u32) {
        ATTEMPTS.store(attempts, Relaxed);
    }

    fn for_each_task(&self, visit: impl FnMut(TaskRef)) {
        host::for_each_task(visit);
    }

    fn for_each_idle_task(&self, visit: impl FnMut(TaskRef, bool)) {
        host::for_each_idle_task(visit);
    }

    fn with_cpus_fixed(&self, body: impl FnOnce()) {
        host::with_cpus_fixed(body);
    }

    fn wake_idle(&self, task: TaskRef) {
        task.wake_idle();
    }

    fn nudge(&self, task: TaskRef) {
        task.nudge();
    }

    fn set_sched_switching(&self, on: bool) {
        host::set_sched_switching(on);
    }

    fn retry_later(&self) {
        host::retry_transition(RETRY_SECONDS);
    }

    fn write_barrier(&self) {
        smp_mb(Write);
    }

    fn synchronize(&self) {
        host::synchronize();
    }

    fn replaces(&self) -> bool {
        self.patch.replaces()
    }

    fn enabled(&self) -> bool {
        self.patch.enabled()
    }

    fn set_enabled(&self, enabled: bool) {
        self.patch.set_enabled(enabled, self.locked);
    }

    fn begin_funcs(&self) {
        self.change_funcs(Change::Begin);
    }

    fn end_funcs(&self) {
        self.change_funcs(Change::End);
    }

    fn unpatch(&self) {
        patch::unpatch_objects(
            iter::once(self.patch),
            Which::All,
            Circumstance::InTransition,
            self.locked,
        );
    }

    fn unpatch_replaced(&self) {
        for older in self.older() {
            older.set_enabled(false, self.locked);
        }
        // Every call is redirected by this patch, which is above the ones it replaces. A task that
        // was forced may still be on its way through one of them, which is why those stay.
        patch::unpatch_objects(self.older(), Which::All, Circumstance::Settled, self.locked);
        // What only a nop redirects now is as good as unpatched. The nops are freed by `finish()`,
        // when no handler can see them any more.
        patch::unpatch_objects(
            iter::once(self.patch),
            Which::Nops,
            Circumstance::InTransition,
            self.locked,
        );
    }

    fn post_callbacks(&self, target: TaskState) {
        for object in self.patch.objects(self.locked) {
            if !object.is_loaded(self.locked) {
                continue;
            }
            match target {
                TaskState::Patched => object.post_patch(self.locked),
                TaskState::Unpatched => object.post_unpatch(self.locked),
                TaskState::Idle => {}
            }
        }
    }

    fn mark_forced(&self, target: TaskState) {
        if target == TaskState::Unpatched {
            self.patch.set_forced(self.locked);
        } else if self.patch.replaces() {
            for patch in host::patches(self.locked) {
                if !::core::ptr::eq(patch, self.patch) {
                    patch.set_forced(self.locked);
                }
            }
        }
    }

    fn finish(&self, outcome: Outcome) {
        // Nobody checks a stack any more: no flag is pending, and that was before the last
        // `synchronize()`.
        index::withdraw(self.locked);
        host::set_transition_patch(None, self.locked);
        if outcome == Outcome::Canceled {
            return;
        }
        if !self.patch.enabled() {
            core::free_async(self.patch, self.locked);
        } else if self.patch.replaces() {
            self.patch.release_objects(true, self.locked);
            while let Some(older) = self.older().next() {
                core::free_async(older, self.locked);
            }
        }
    }

    fn say(&self, event: Event) {
        let name = self.patch.name();
        let patching = Tasks.target() == TaskState::Patched;
        let direction = if patching { "patching" } else { "unpatching" };
        let debug = |event| host::debug_transition(event, name, patching);
        match event {
            Event::Initializing => debug(bindings::klp_debug_event_KLP_DEBUG_INITIALIZING),
            Event::Completing => debug(bindings::klp_debug_event_KLP_DEBUG_COMPLETING),
            Event::Canceling => debug(bindings::klp_debug_event_KLP_DEBUG_CANCELING),
            Event::Reversing => debug(bindings::klp_debug_event_KLP_DEBUG_REVERSING),
            Event::Starting => klp_notice!("'{name}': starting {direction} transition\n"),
            Event::Complete => klp_notice!("'{name}': {direction} complete\n"),
            Event::Signaling => klp_notice!("signaling remaining tasks\n"),
            Event::Forcing => klp_warn!("forcing remaining tasks to the patched state\n"),
        }
    }

    fn expect(&self, ok: bool) {
        warn_on_once!(!ok);
    }
}

/// Prepares the transition of `patch`, when no other patch is in transition.
pub(crate) fn init(patch: &Patch, target: TaskState, locked: &Locked) {
    host::set_transition_patch(Some(patch), locked);
    model::transition::init(&Transition { patch, locked }, target);
}

/// Starts the transition that [`init`] has prepared; the funcs are on their stacks.
pub(crate) fn start(patch: &Patch, locked: &Locked) {
    model::transition::start(&Transition { patch, locked });
}

/// Gives up the transition that [`init`] has prepared.
pub(crate) fn cancel(patch: &Patch, locked: &Locked) {
    model::transition::cancel(&Transition { patch, locked });
}

/// Tries to switch the tasks that have not yet. The transition may be over afterwards, and the
/// patch on its way to be freed.
pub(crate) fn try_complete(patch: &Patch, locked: &Locked) {
    model::transition::try_complete(&Transition { patch, locked });
}

/// Turns the transition of `patch`, the one in transition, round.
pub(crate) fn reverse(patch: &Patch, locked: &Locked) {
    model::transition::reverse(&Transition { patch, locked });
}

/// Ends the transition of `patch`, the one in transition, by decree.
pub(crate) fn force(patch: &Patch, locked: &Locked) {
    model::transition::force(&Transition { patch, locked });
}

/// The work that goes on with a transition.
pub(crate) fn work() {
    let locked = host::lock();
    if let Some(patch) = host::transition_patch(&locked) {
        try_complete(patch, &locked);
    }
}
