// SPDX-License-Identifier: GPL-2.0-or-later

//! The life of a patch, as its module and sysfs see it.
//!
//! A patch that is passed in is checked here, and what it needs of the kernel is found here. What
//! it means to be enabled is decided in [`model::enable`].

#![deny(unsafe_code)]

use super::{
    abi::{
        Func,
        Object,
        Patch, //
    },
    host::{
        self,
        klp_err,
        klp_warn,
        Locked, //
    },
    model::{
        self,
        stack::Code, //
    },
    patch::Kernel,
    relocs,
    state,
    symbols::{
        self,
        Sizes, //
    },
    text, //
};
use crate::{
    bindings,
    prelude::*, //
};

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
        klp_err!(
            "module {} is not marked as a livepatch module\n",
            patch.name()
        );
        return Err(EINVAL);
    }
    if !host::sysfs_ready() {
        return Err(ENODEV);
    }
    if !host::reliable_stack_available() {
        klp_warn!("This architecture doesn't have support for the livepatch consistency model.\n");
        klp_warn!("The livepatch transition may never complete.\n");
    }

    let locked = host::lock();
    if !state::is_compatible(patch, &locked) {
        klp_err!(
            "Livepatch patch ({}) is not compatible with the already installed livepatches.\n",
            patch.name()
        );
        return Err(EINVAL);
    }
    // Dropped below, or by `text::work()`.
    if !host::get_module(patch.module()) {
        return Err(ENODEV);
    }
    patch.init(&locked);
    let result = model::enable::enable(&Kernel(&locked), patch);
    if result.is_err() {
        drop(locked);
        patch.put_and_wait();
        // No task has ever been sent to the patch's functions.
        host::put_module(patch.module());
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

/// Checks the name of an object of a patch that is passed in, looks for its module, and creates
/// its directory in sysfs. Sleeps.
pub(crate) fn publish_object(patch: &Patch, object: &Object, locked: &Locked) -> Result {
    if let Some(name) = object.name() {
        if name.count_bytes() >= bindings::KLP_OBJECT_NAME_LEN as usize {
            return Err(EINVAL);
        }
        host::with_patchable_module(name, locked, |module| {
            object.set_module(Some(module), locked)
        });
    }
    object.publish(patch)
}

/// Checks a func of a patch that is passed in, and creates its directory in sysfs. Sleeps.
pub(crate) fn publish_func(object: &Object, func: &Func) -> Result {
    if !func.is_nop() && !func.has_new() {
        return Err(EINVAL);
    }
    if func.name().count_bytes() >= bindings::KLP_FUNC_NAME_LEN as usize {
        return Err(EINVAL);
    }
    func.publish(object)
}

/// Finds the functions of a loaded object, old and new, and writes the relocations that wait for
/// it. If the function fails, no relocation is written. Sleeps.
pub(crate) fn resolve_object(patch: &Patch, object: &Object, locked: &Locked) -> Result {
    relocs::write_for_object(patch, object)?;
    find_functions(patch, object, locked).inspect_err(|_| relocs::clear_for_object(patch, object))
}

fn find_functions(patch: &Patch, object: &Object, locked: &Locked) -> Result {
    let wanted = object.funcs(locked);
    let found = symbols::search(
        object.name(),
        wanted.map(|func| (func.name(), func.position())),
    )?;
    let original = Sizes::new(object.module(locked))?;
    let replacement = Sizes::new(Some(patch.module()))?;
    for (func, search) in object.funcs(locked).zip(found) {
        let start = symbols::result(search, object.name(), func.name())?;
        let Some(size) = original.size(start) else {
            klp_err!("kallsyms size lookup failed for '{}'\n", func.name());
            return Err(ENOENT);
        };
        func.set_original(Code { start, size }, locked);
        let Some(size) = replacement.size(func.new_address()) else {
            klp_err!(
                "kallsyms size lookup failed for '{}' replacement\n",
                func.name()
            );
            return Err(ENOENT);
        };
        func.set_new_size(size, locked);
    }
    Ok(())
}

/// Ends a patch that has been released. Sleeps, without `klp_mutex`: a write to the patch's file
/// `enabled` may be waiting for that. The patch, and its module, may be gone afterwards.
pub(crate) fn free_finish(patch: &Patch) {
    patch.put_and_wait();
    text::depart(patch);
}
