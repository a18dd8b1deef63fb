// SPDX-License-Identifier: GPL-2.0-or-later

//! The life of a patch, as its module and sysfs see it.
//!
//! This file checks a patch that a module passes in, and whether the kernel is ready for it.
//! [`model::enable`] decides which steps enable the patch.

use crate::{
    edge::{
        abi::{
            self,
            Func,
            Patch, //
        },
        mutex,
        tasks, //
    },
    model,
    patch::Kernel,
    state,
    text, //
};
use kernel::prelude::*;

/// Enables a patch. The init function of the patch's module calls this. Sleeps.
///
/// The transition may still be under way when this returns.
///
/// # Errors
///
/// [`EINVAL`] if the patch is incomplete, if its module is not marked as a livepatch, if the patch
/// is not compatible with the enabled ones, or if a symbol cannot be found; [`ENOENT`] if kallsyms
/// does not know the size of a function; [`EBUSY`] while another patch is in transition; [`ENODEV`]
/// if the module goes away, or if sysfs is not ready yet; [`ENOMEM`]; or an error of a callback, of
/// sysfs, of ftrace, or of the architecture if it cannot write a relocation. After an error,
/// nothing is left behind.
#[expect(unsafe_code, reason = "the life of the patch")]
pub(crate) fn enable_patch(patch: &Patch) -> Result {
    check(patch)?;
    if !patch.module().is_livepatch() {
        pr_err!(
            "module {} is not marked as a livepatch module\n",
            patch.name()
        );
        return Err(EINVAL);
    }
    if !abi::sysfs_ready() {
        return Err(ENODEV);
    }
    if !tasks::reliable_stack_available() {
        pr_warn!("This architecture doesn't have support for the livepatch consistency model.\n");
        pr_warn!("The livepatch transition may never complete.\n");
    }

    let locked = mutex::lock();
    if !state::is_compatible(patch, &locked) {
        pr_err!(
            "Livepatch patch ({}) is not compatible with the already installed livepatches.\n",
            patch.name()
        );
        return Err(EINVAL);
    }
    // The reference is dropped below, or by `text::work()`.
    if !patch.module().get() {
        return Err(ENODEV);
    }
    // SAFETY: The init function of the patch's module has passed the patch in just now.
    unsafe { patch.init(&locked) };
    let result = model::enable::enable(&Kernel(&locked), patch);
    if result.is_err() {
        drop(locked);
        // SAFETY: `init()` was called above. The work that does this is only queued for a patch
        // that was enabled.
        unsafe { patch.put_and_wait() };
        // SAFETY: No task has ever been sent to the patch's functions. The reference was taken
        // above, and the module stays until its init function, which is the caller, returns.
        unsafe { patch.module().put() };
    }
    result
}

/// Checks that each object of a patch has funcs, and that each of these has a name.
fn check(patch: &Patch) -> Result {
    for object in patch.declared_objects() {
        if !object.has_funcs() || !object.declared_funcs().all(Func::has_name) {
            return Err(EINVAL);
        }
    }
    Ok(())
}

/// Ends a patch that has been released. Sleeps. The caller does not hold `klp_mutex`, because a
/// writer to the patch's file `enabled` may be waiting for it. The patch and its module may be gone
/// when this returns.
#[expect(unsafe_code, reason = "the life of the patch")]
pub(crate) fn free_finish(patch: &Patch) {
    // SAFETY: The patch was initialized when it was enabled, and it is released once.
    unsafe { patch.put_and_wait() };
    text::depart(patch);
}
