// SPDX-License-Identifier: GPL-2.0-or-later

//! Writes to a patch's files in sysfs.
//!
//! The files themselves are in `kernel/livepatch/sysfs.c`, and documented in
//! `Documentation/ABI/testing/sysfs-kernel-livepatch`.

use crate::{
    edge::{
        abi::Patch,
        mutex,
        patches, //
    },
    model,
    patch::Kernel, //
};
use core::ffi::CStr;
use kernel::{
    prelude::*,
    str::kstrtobool, //
};

/// A write to `enabled`: disables the patch, or turns its transition round. Sleeps.
///
/// # Errors
///
/// [`EINVAL`] if `value` is not a boolean, if it asks for the state that the patch is in already,
/// or if it enables a patch that has been disabled; [`EBUSY`] while another patch is in transition;
/// [`ENOMEM`] if there is no memory to disable the patch; [`ENODEV`] if ftrace has shut itself
/// down.
pub(crate) fn store_enabled(patch: &Patch, value: &CStr) -> Result {
    let enabled = kstrtobool(value)?;
    let locked = mutex::lock();
    model::enable::set_enabled(&Kernel(&locked), patch, enabled)
}

/// A write to `force`: ends the patch's transition without regard to the tasks that have not
/// switched. Sleeps.
///
/// # Errors
///
/// [`EINVAL`] if `value` is not a boolean, and for a patch that is not in transition.
pub(crate) fn store_force(patch: &Patch, value: &CStr) -> Result {
    if !kstrtobool(value)? {
        return Ok(());
    }
    let locked = mutex::lock();
    model::enable::force(&Kernel(&locked), patch)
}

/// The patch's place in the order of loading, from 1. Sleeps.
pub(crate) fn stack_order(patch: &Patch) -> usize {
    let locked = mutex::lock();
    let mut order = 0usize;
    for other in patches::INSTALLED.iter(&locked) {
        order = order.saturating_add(1);
        if core::ptr::eq(other, patch) {
            break;
        }
    }
    order
}
