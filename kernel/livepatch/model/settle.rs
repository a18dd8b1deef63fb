// SPDX-License-Identifier: GPL-2.0-or-later

//! When a call of a patched function is the same for every task.
//!
//! A func stack is *handled* or *settled*. Of a function that is handled, the ftrace handler looks
//! at the stack and at the calling task for each call. Of a function that is settled, every call
//! goes to the top of the stack: the handler looks no further, or the function jumps there and the
//! handler is not called.
//!
//! A stack is settled between transitions alone. [`handle`] comes before the first thing that a
//! transition changes, and [`settle`] after the last. In between, the handler says of each call
//! what a settled stack has said before, until a task switches.

use super::PatchHost;

/// Has the handler decide about all calls of the functions that `patch` changes, before a
/// transition of the patch. Sleeps.
///
/// When this returns, no CPU jumps past the handler. A task that has jumped is inside the function
/// that it has jumped to, where its stack shows it.
///
/// # Errors
///
/// Those of [`PatchHost::follow_settled`]. Nothing may be changed then.
pub(crate) fn handle<H: PatchHost>(host: &H, patch: H::Patch) -> Result<(), H::Error> {
    for object in host.objects(patch) {
        unsettle(host, object);
    }
    host.follow_settled()
}

/// The same for the functions of one object. Sleeps.
///
/// # Errors
///
/// As for [`handle`].
pub(super) fn handle_object<H: PatchHost>(host: &H, object: H::Object) -> Result<(), H::Error> {
    unsettle(host, object);
    host.follow_settled()
}

fn unsettle<H: PatchHost>(host: &H, object: H::Object) {
    for func in host.funcs(object) {
        if let Some(stack) = host.stack_of(func) {
            host.set_settled(stack, None);
        }
    }
}

/// Settles all stacks, unless a patch is in transition. Sleeps.
///
/// Handlers that have begun before say the same of each call, so that nothing has to be waited for.
/// Where ftrace cannot follow, the handler goes on to be called.
pub(super) fn settle<H: PatchHost>(host: &H) {
    if host.transition_patch().is_some() {
        return;
    }
    for stack in host.stacks() {
        // It is no nop: those are gone when the transition of their patch is over.
        host.set_settled(stack, host.top(stack));
    }
    let _ = host.follow_settled();
}
