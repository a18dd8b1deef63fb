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
    let direction = if patching { "patching" } else { "unpatching" };
    let count = || model::transition::tally(host);
    let debug = |patch: &Patch, event| log::debug_transition(event, patch.name(), patching);

    match event {
        Event::Enabling(patch) => pr_notice!("enabling patch '{}'\n", patch.name()),
        Event::EnableFailed(patch) => pr_warn!("failed to enable patch '{}'\n", patch.name()),
        Event::PrePatchFailed(object) => pr_warn!(
            "pre-patch callback failed for object '{}'\n",
            object.display_name()
        ),
        Event::PatchFailed(object) => {
            pr_warn!("failed to patch object '{}'\n", object.display_name())
        }
        Event::Enabled(patch) => trace::enabled(patch),
        Event::Disabled(patch) => trace::disabled(patch),
        Event::Replaced { patch, by } => trace::replaced(patch, by),

        Event::ResolveFailed(patch, object, error) => pr_warn!(
            "failed to initialize patch '{}' for module '{}' ({})\n",
            patch.name(),
            object.display_name(),
            error.to_errno()
        ),
        Event::Applying(patch, object) => pr_notice!(
            "applying patch '{}' to loading module '{}'\n",
            patch.name(),
            object.display_name()
        ),
        Event::ApplyFailed(patch, object, error) => pr_warn!(
            "failed to apply patch '{}' to module '{}' ({})\n",
            patch.name(),
            object.display_name(),
            error.to_errno()
        ),
        Event::Refusing(patch, object) => {
            let (patch, module) = (patch.name(), object.display_name());
            pr_warn!(
                "patch '{patch}' failed for module '{0}', refusing to load module '{0}'\n",
                module
            );
        }
        Event::Reverting(patch, object) => pr_notice!(
            "reverting patch '{}' on unloading module '{}'\n",
            patch.name(),
            object.display_name()
        ),

        Event::Initializing(patch) => {
            debug(patch, bindings::klp_debug_event_KLP_DEBUG_INITIALIZING)
        }
        Event::Starting(patch) => {
            trace::transition_start(patch, target, || (count(), 0));
            pr_notice!("'{}': starting {direction} transition\n", patch.name());
        }
        Event::Reversing(patch) => {
            trace::transition_reverse(patch, target, || (count(), host.elapsed()));
            debug(patch, bindings::klp_debug_event_KLP_DEBUG_REVERSING);
        }
        Event::Canceling(patch) => debug(patch, bindings::klp_debug_event_KLP_DEBUG_CANCELING),
        Event::Signaling => pr_notice!("signaling remaining tasks\n"),
        Event::Forcing(patch) => {
            trace::transition_force(patch, target, || (count(), host.elapsed()));
            pr_warn!("forcing remaining tasks to the patched state\n");
        }
        Event::Switched(patch) => {
            trace::transition_complete(patch, target, || (count(), host.elapsed()));
        }
        Event::Completing(patch) => debug(patch, bindings::klp_debug_event_KLP_DEBUG_COMPLETING),
        Event::Complete(patch) => pr_notice!("'{}': {direction} complete\n", patch.name()),

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
