// SPDX-License-Identifier: GPL-2.0-or-later

//! The life of a patch, as its module and sysfs see it.
//!
//! A patch that is passed in is checked here, and what it needs of the kernel is found here. What
//! it means to be enabled is decided in [`model::enable`].

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

/// Enables a patch, for its module's init function. Sleeps.
///
/// The transition may be under way when this returns.
///
/// # Errors
///
/// [`EINVAL`] for a patch that is incomplete, whose module is not marked as a livepatch, that is
/// not compatible with those enabled, or whose symbols cannot be found; [`EBUSY`] while another
/// patch is in transition; [`ENODEV`] if the module goes away or sysfs is not there yet; what a
/// callback returns; what sysfs and ftrace return. Nothing is left behind then.
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
    // Dropped below, or by `text::work()`.
    if !patch.module().get() {
        return Err(ENODEV);
    }
    patch.init(&locked);
    let result = model::enable::enable(&Kernel(&locked), patch);
    if result.is_err() {
        drop(locked);
        patch.put_and_wait();
        // No task has ever been sent to the patch's functions.
        patch.module().put();
    }
    result
}

/// What a patch must have, whatever it changes.
fn check(patch: &Patch) -> Result {
    for object in patch.declared_objects() {
        if !object.has_funcs() || !object.declared_funcs().all(Func::has_name) {
            return Err(EINVAL);
        }
    }
    Ok(())
}

/// Ends a patch that has been released. Sleeps, without `klp_mutex`: a write to the patch's file
/// `enabled` may be waiting for that. The patch, and its module, may be gone afterwards.
pub(crate) fn free_finish(patch: &Patch) {
    patch.put_and_wait();
    text::depart(patch);
}
