// SPDX-License-Identifier: GPL-2.0-or-later

//! The life of a patch: from being passed in, through being enabled and disabled, to being freed.
//!
//! To be enabled is a logical statement about a patch. What it takes to make it true is patching
//! objects ([`patch`]) and a transition of the tasks ([`transition`]).

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
        klp_notice,
        klp_warn,
        warn_on,
        Locked, //
    },
    index,
    model::{
        stack::Code,
        TaskState, //
    },
    patch::{
        self,
        Circumstance, //
    },
    relocs,
    replace,
    state,
    symbols,
    transition, //
};
use crate::{
    bindings,
    prelude::*,
    sync::barrier::{
        smp_mb,
        Write, //
    }, //
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
    // Dropped by `free_finish()`.
    if !host::get_module(patch.module()) {
        return Err(ENODEV);
    }
    patch.init(&locked);
    let result = prepare(patch, &locked).and_then(|()| enable(patch, &locked));
    if result.is_err() {
        free_start(patch, &locked);
        drop(locked);
        free_finish(patch);
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

/// Publishes a patch in sysfs and resolves what it changes in the objects that are loaded.
fn prepare(patch: &Patch, locked: &Locked) -> Result {
    patch.publish()?;
    if patch.replaces() {
        replace::add_nops(patch, locked)?;
    }
    for object in patch.objects(locked) {
        prepare_object(patch, object, locked)?;
    }
    host::add_patch(patch, locked);
    Ok(())
}

fn prepare_object(patch: &Patch, object: &Object, locked: &Locked) -> Result {
    if let Some(name) = object.name() {
        if name.count_bytes() >= bindings::KLP_OBJECT_NAME_LEN as usize {
            return Err(EINVAL);
        }
        host::with_patchable_module(name, locked, |module| {
            object.set_module(Some(module), locked)
        });
    }
    object.publish(patch)?;
    for func in object.funcs(locked) {
        if !func.is_nop() && !func.has_new() {
            return Err(EINVAL);
        }
        if func.name().count_bytes() >= bindings::KLP_FUNC_NAME_LEN as usize {
            return Err(EINVAL);
        }
        func.publish(object)?;
    }
    if object.is_loaded(locked) {
        resolve_object(patch, object, locked)?;
    }
    Ok(())
}

/// Finds the functions of a loaded object, old and new, and writes the relocations that wait for
/// it. Sleeps.
pub(crate) fn resolve_object(patch: &Patch, object: &Object, locked: &Locked) -> Result {
    if object.name().is_some() {
        relocs::apply_for_object(patch, object)?;
    }
    for func in object.funcs(locked) {
        let start = symbols::find(object.name(), func.name(), func.position())?;
        let Some(size) = host::symbol_size(start) else {
            klp_err!("kallsyms size lookup failed for '{}'\n", func.name());
            return Err(ENOENT);
        };
        func.set_original(Code { start, size }, locked);
        let Some(size) = host::symbol_size(func.new_address()) else {
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

/// Makes a prepared patch enabled: patches what is loaded, and starts the transition.
fn enable(patch: &Patch, locked: &Locked) -> Result {
    if host::transition_patch(locked).is_some() {
        return Err(EBUSY);
    }
    if warn_on!(patch.enabled()) {
        return Err(EINVAL);
    }
    klp_notice!("enabling patch '{}'\n", patch.name());
    transition::init(patch, TaskState::Patched, locked);

    // Orders the stores to the funcs' `transition` before those that put them on the func stacks:
    // pairs with the first read barrier in `redirect()`.
    smp_mb(Write);

    if let Err(error) = patch_loaded(patch, locked) {
        klp_warn!("failed to enable patch '{}'\n", patch.name());
        transition::cancel(patch, locked);
        return Err(error);
    }
    transition::start(patch, locked);
    patch.set_enabled(true, locked);
    transition::try_complete(patch, locked);
    Ok(())
}

fn patch_loaded(patch: &Patch, locked: &Locked) -> Result {
    for object in patch.objects(locked) {
        if !object.is_loaded(locked) {
            continue;
        }
        object.pre_patch(locked).inspect_err(|_| {
            klp_warn!(
                "pre-patch callback failed for object '{}'\n",
                object.display_name()
            )
        })?;
        patch::patch_object(object, Circumstance::InTransition, locked)
            .inspect_err(|_| klp_warn!("failed to patch object '{}'\n", object.display_name()))?;
    }
    index::publish(patch, locked)
}

/// Starts to disable an enabled patch. Sleeps.
///
/// # Errors
///
/// [`EBUSY`] while a patch is in transition; [`ENOMEM`].
pub(crate) fn disable(patch: &Patch, locked: &Locked) -> Result {
    if warn_on!(!patch.enabled()) {
        return Err(EINVAL);
    }
    if host::transition_patch(locked).is_some() {
        return Err(EBUSY);
    }
    index::publish(patch, locked)?;
    transition::init(patch, TaskState::Unpatched, locked);

    for object in patch.objects(locked) {
        if object.patched(locked) {
            object.pre_unpatch(locked);
        }
    }

    transition::start(patch, locked);
    patch.set_enabled(false, locked);
    transition::try_complete(patch, locked);
    Ok(())
}

/// The part of freeing a patch that needs `klp_mutex`. To be followed by [`free_finish`].
fn free_start(patch: &Patch, locked: &Locked) {
    host::remove_patch(patch, locked);
    patch.release_objects(false, locked);
}

/// The rest of freeing a patch. Sleeps, without `klp_mutex`: a write to the patch's file `enabled`
/// may be waiting for that. The patch, and its module, may be gone afterwards.
pub(crate) fn free_finish(patch: &Patch) {
    patch.put_and_wait();
    if !patch.forced() {
        host::put_module(patch.module());
    }
}

/// Frees a patch whose transition is over, from a work item: the caller may be a write to one of
/// the files that go.
pub(crate) fn free_async(patch: &Patch, locked: &Locked) {
    free_start(patch, locked);
    host::queue_free(patch);
}
