// SPDX-License-Identifier: GPL-2.0-or-later

//! Objects and funcs: onto the func stacks and into ftrace, and back.
//!
//! The functions of an object that no other patch changes enter ftrace in one update, and those
//! that no patch changes any more leave it in one. To callers and in the log, this looks as if the
//! functions had entered one by one: an object is patched entirely or not at all, and a message
//! names the function that would have been refused first.

use super::{
    func::Change,
    Callback,
    Event,
    Expectation,
    PatchHost,
    Refusal,
    Shown, //
};

/// The situation of a patch while one of its objects is patched or unpatched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Circumstance {
    /// It is in transition: some tasks use its functions, and some do not.
    InTransition,
    /// It is settled, or replaced by one that is; no task is inside the functions.
    Settled,
}

impl Circumstance {
    /// The present circumstance of `patch`.
    pub(super) fn of<H: PatchHost>(host: &H, patch: H::Patch) -> Self {
        if host.transition_patch() == Some(patch) {
            Self::InTransition
        } else {
            Self::Settled
        }
    }
}

/// A choice among the funcs of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Which {
    /// All of them.
    All,
    /// The nops, which stand for the original functions.
    Nops,
}

/// Sets whether a patch is enabled. It has been the opposite until now.
pub(super) fn set_enabled<H: PatchHost>(host: &H, patch: H::Patch, enabled: bool) {
    host.set_enabled(patch, enabled);
    host.tell(Event::Changed(Shown::Enabled(patch)));
}

/// Sets whether an object is patched.
fn set_patched<H: PatchHost>(host: &H, object: H::Object, patched: bool) {
    // An object that cannot be patched has been unpatched all along.
    if host.patched(object) != patched {
        host.set_patched(object, patched);
        host.tell(Event::Changed(Shown::Patched(object)));
    }
}

/// Patches all functions of a loaded object, or none. Sleeps.
///
/// After a failure, handlers may still be using the funcs until [`PatchHost::reclaim`] returns.
pub(crate) fn patch_object<H: PatchHost>(
    host: &H,
    object: H::Object,
    when: Circumstance,
) -> Result<(), H::Error> {
    if host.patched(object) {
        host.expect(Expectation::ObjectIsUnpatched, false);
        return Err(Refusal::Invalid.into());
    }
    if let Err(error) = push_funcs(host, object, when) {
        unpatch_object(host, object, when);
        return Err(error);
    }
    set_patched(host, object, true);
    Ok(())
}

fn push_funcs<H: PatchHost>(
    host: &H,
    object: H::Object,
    when: Circumstance,
) -> Result<(), H::Error> {
    let change = match when {
        Circumstance::InTransition => Change::Patch,
        Circumstance::Settled => Change::Arrive,
    };
    let mut batch = H::Batch::default();
    let pushed = host.funcs(object).try_for_each(|func| {
        let stack = host.stack(func, &mut batch)?;
        if !host.push(func, change, stack) {
            host.expect(Expectation::FuncToPush, false);
            return Err(Refusal::Invalid.into());
        }
        Ok(())
    });
    // The funcs of the batch come before one that cannot be pushed. So if ftrace refuses the batch,
    // its error counts.
    host.enter_ftrace(batch).and(pushed)
}

/// Takes the funcs of an object off their stacks. The functions stay in ftrace.
fn pop_funcs<H: PatchHost>(host: &H, object: H::Object, which: Which, when: Circumstance) {
    let change = match when {
        Circumstance::InTransition => Change::Unpatch,
        Circumstance::Settled => Change::Leave,
    };
    for func in host.funcs(object) {
        if which == Which::Nops && !host.is_nop(func) {
            continue;
        }
        if host.func_state(func).patched() {
            let legal = host.pop(func, change);
            host.expect(Expectation::FuncToPop, legal);
        }
    }
    if which == Which::All || host.is_nop_object(object) {
        set_patched(host, object, false);
    }
}

/// Unpatches those functions of an object that are patched. Sleeps.
///
/// Handlers may still be using them until [`PatchHost::reclaim`] returns.
pub(crate) fn unpatch_object<H: PatchHost>(host: &H, object: H::Object, when: Circumstance) {
    pop_funcs(host, object, Which::All, when);
    host.leave_ftrace();
}

/// Unpatches the objects of patches. Sleeps.
///
/// Handlers may still be using their functions until [`PatchHost::reclaim`] returns.
pub(super) fn unpatch_objects<H: PatchHost>(
    host: &H,
    patches: impl Iterator<Item = H::Patch>,
    which: Which,
    when: Circumstance,
) {
    for patch in patches {
        for object in host.objects(patch) {
            if host.patched(object) {
                pop_funcs(host, object, which, when);
            }
        }
    }
    host.leave_ftrace();
}

/// Runs the callback before patching. If it fails, there is nothing for the callback after
/// unpatching to undo.
pub(super) fn pre_patch<H: PatchHost>(host: &H, object: H::Object) -> Result<(), H::Error> {
    let result = host.call(object, Callback::PrePatch);
    host.set_owes_post_unpatch(object, result.is_ok());
    result.inspect_err(|_| host.tell(Event::PrePatchFailed(object)))
}

/// Runs a callback other than that before patching. These do not fail.
pub(super) fn call<H: PatchHost>(host: &H, object: H::Object, callback: Callback) {
    let _ = host.call(object, callback);
}

/// Runs the callback after unpatching, once for each callback before patching that succeeded.
pub(super) fn post_unpatch<H: PatchHost>(host: &H, object: H::Object) {
    if host.owes_post_unpatch(object) {
        call(host, object, Callback::PostUnpatch);
    }
    host.set_owes_post_unpatch(object, false);
}
