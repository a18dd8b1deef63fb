// SPDX-License-Identifier: GPL-2.0-or-later

//! When a call of a patched function reaches the same function for every task.
//!
//! A func stack is *handled* or *settled*. If a function is handled, the ftrace handler looks at
//! the stack and at the calling task for each call. If a function is settled, every call goes to
//! the func on top of the stack: the handler looks no further, or the function jumps there and does
//! not call the handler.
//!
//! A stack is settled only between transitions. [`handle`] comes before the first change of a
//! transition, and [`settle`] after the last. After [`handle`], the handler sends the calls of a
//! task to the func that the stack was settled on, until the task switches.

use super::PatchHost;

/// Makes the handler decide about all calls of the functions that `patch` changes, before a
/// transition of the patch. Sleeps.
///
/// When this returns, no CPU jumps past the handler. A task that has jumped is inside the function
/// that it has jumped to, where its stack shows it.
///
/// # Errors
///
/// The errors of [`PatchHost::follow_settled`]. After an error, the caller must not change
/// anything.
pub(crate) fn handle<H: PatchHost>(host: &H, patch: H::Patch) -> Result<(), H::Error> {
    for object in host.objects(patch) {
        unsettle(host, object);
    }
    host.follow_settled()
}

/// Does the same for the functions of one object, the module of which goes. Sleeps.
///
/// # Errors
///
/// The errors of [`PatchHost::follow_settled`]. After an error, functions may still jump past the
/// handler. The caller goes on, because the jumps go with the module.
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
/// Handlers that began before send each call to the same func, so there is nothing to wait for. If
/// ftrace cannot follow, functions go on to call the handler.
pub(super) fn settle<H: PatchHost>(host: &H) {
    if host.transition_patch().is_some() {
        return;
    }
    for stack in host.stacks() {
        // The func on top is not a nop: nops are gone when the transition of their patch is over.
        host.set_settled(stack, host.top(stack));
    }
    let _ = host.follow_settled();
}
