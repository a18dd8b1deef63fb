// SPDX-License-Identifier: GPL-2.0-or-later

//! The log lines, the tracepoints and the notifications of the core.
//!
//! The rules report everything that happens, in the order in which it happens. Each log line is the
//! one that the C core prints. The tracepoints are described in
//! `Documentation/livepatch/tracepoints.rst`, the notifications in
//! `Documentation/ABI/testing/sysfs-kernel-livepatch`.

use crate::{
    edge::{
        abi::{
            FuncName,
            Object,
            Patch, //
        },
        log,
        notify,
        tasks::TaskRef,
        trace, //
    },
    model::{
        self,
        Blocker,
        Event,
        Host,
        Outcome,
        TaskHost,
        TaskState, //
    }, //
};
use kernel::{
    bindings,
    prelude::*, //
};

/// Logs and traces an event of a patch or of its transition, or notifies processes that wait.
pub(crate) fn event<'a, H>(host: &H, event: Event<&'a Patch, &'a Object, Error>)
where
    H: Host<Patch = &'a Patch, Object = &'a Object, Error = Error>,
{
    let target = host.tasks().target();
    let patching = target == TaskState::Patched;
    let count = || model::transition::tally(host);
    let log = |event, patch: Option<&Patch>, object: Option<&Object>, error: Option<Error>| {
        let object = object.map(Object::display_name);
        let error = error.map_or(0, Error::to_errno);
        log::event(event, patch.map(Patch::name), object, error, patching);
    };
    let log_patch = |event, patch| log(event, Some(patch), None, None);
    let log_object = |event, object| log(event, None, Some(object), None);
    let log_both = |event, patch, object, error| log(event, Some(patch), Some(object), error);

    match event {
        Event::Enabling(patch) => log_patch(bindings::klp_event_KLP_ENABLING, patch),
        Event::EnableFailed(patch) => log_patch(bindings::klp_event_KLP_ENABLE_FAILED, patch),
        Event::PrePatchFailed(object) => {
            log_object(bindings::klp_event_KLP_PRE_PATCH_FAILED, object)
        }
        Event::PatchFailed(object) => log_object(bindings::klp_event_KLP_PATCH_FAILED, object),
        Event::Enabled(patch) => trace::enabled(patch),
        Event::Disabled(patch) => trace::disabled(patch),
        Event::Replaced { patch, by } => trace::replaced(patch, by),

        Event::ResolveFailed(patch, object, error) => log_both(
            bindings::klp_event_KLP_RESOLVE_FAILED,
            patch,
            object,
            Some(error),
        ),
        Event::Applying(patch, object) => {
            log_both(bindings::klp_event_KLP_APPLYING, patch, object, None)
        }
        Event::ApplyFailed(patch, object, error) => log_both(
            bindings::klp_event_KLP_APPLY_FAILED,
            patch,
            object,
            Some(error),
        ),
        Event::Refusing(patch, object) => {
            log_both(bindings::klp_event_KLP_REFUSING, patch, object, None)
        }
        Event::Reverting(patch, object) => {
            log_both(bindings::klp_event_KLP_REVERTING, patch, object, None)
        }

        Event::Initializing(patch) => log_patch(bindings::klp_event_KLP_INITIALIZING, patch),
        Event::Starting(patch) => {
            trace::transition_start(patch, target, || (count(), 0));
            log_patch(bindings::klp_event_KLP_STARTING, patch);
        }
        Event::Reversing(patch) => {
            trace::transition_reverse(patch, target, || (count(), host.elapsed()));
            log_patch(bindings::klp_event_KLP_REVERSING, patch);
        }
        Event::Canceling(patch) => log_patch(bindings::klp_event_KLP_CANCELING, patch),
        Event::Signaling => log(bindings::klp_event_KLP_SIGNALING, None, None, None),
        Event::Forcing(patch) => {
            trace::transition_force(patch, target, || (count(), host.elapsed()));
            log(bindings::klp_event_KLP_FORCING, None, None, None);
        }
        Event::Switched(patch) => {
            trace::transition_complete(patch, target, || (count(), host.elapsed()));
        }
        Event::Completing(patch) => log_patch(bindings::klp_event_KLP_COMPLETING, patch),
        Event::Complete(patch) => log_patch(bindings::klp_event_KLP_COMPLETE, patch),

        Event::Changed(shown) => notify::wake_pollers(shown),
        Event::Reached(patch, stage) => notify::send_uevent(patch, stage),
    }
}

/// Traces that a task has switched; logs at debug level and traces why it cannot switch to
/// `target`.
pub(crate) fn task(task: TaskRef<'_>, target: TaskState, outcome: Outcome<FuncName>) {
    let why = match outcome {
        Outcome::Switched(state, way) => return trace::switched(task, state, way),
        Outcome::Blocked(why) => why,
    };
    trace::blocked(task, target, why);
    let (err, func) = match why {
        Blocker::NoReliableStack => return,
        Blocker::Running => (EBUSY.to_errno(), None),
        Blocker::UnreliableStack => (EINVAL.to_errno(), None),
        Blocker::SleepsOn(name) => (EADDRINUSE.to_errno(), Some(name)),
        Blocker::Other(err) => (err, None),
    };
    task.report(err, func);
}
