// SPDX-License-Identifier: GPL-2.0-or-later

//! Modules that come and go under enabled patches.

#![deny(unsafe_code)]

use super::{
    abi::{
        Module,
        Object,
        Patch, //
    },
    core::resolve_object,
    host::{
        self,
        klp_err,
        klp_notice,
        klp_warn,
        warn_on,
        Locked, //
    },
    index,
    patch::{
        self,
        Circumstance, //
    },
    relocs, //
};
use crate::{
    prelude::*, //
};

/// Applies the enabled patches to a module that is being loaded. Sleeps.
///
/// # Errors
///
/// Those with which the module is to be refused; nothing is left behind then.
pub(crate) fn coming(module: &Module) -> Result {
    if warn_on!(!module.is_coming()) {
        return Err(EINVAL);
    }
    if module.name() == c"vmlinux" {
        klp_err!("vmlinux.ko: invalid module name\n");
        return Err(EINVAL);
    }
    let locked = host::lock();
    // New patches find the module from now on.
    module.set_patchable(true, &locked);

    for patch in host::patches(&locked) {
        let Some(object) = find_object(patch, module, &locked) else {
            continue;
        };
        if let Err(error) = arrive(patch, object, module, &locked) {
            let (patch_name, name) = (patch.name(), module.name());
            klp_warn!(
                "patch '{patch_name}' failed for module '{name}', refusing to load module '{name}'\n"
            );
            module.set_patchable(false, &locked);
            forget(object, &locked);
            leave_all(module, Some(patch), &locked);
            return Err(error);
        }
    }
    Ok(())
}

/// Reverts the enabled patches on a module that is being unloaded. Sleeps.
pub(crate) fn going(module: &Module) {
    if warn_on!(!module.is_going() && !module.is_coming()) {
        return;
    }
    let locked = host::lock();
    // New patches do not find the module any more.
    module.set_patchable(false, &locked);
    leave_all(module, None, &locked);
}

fn find_object<'a>(patch: &'a Patch, module: &Module, locked: &'a Locked) -> Option<&'a Object> {
    patch
        .objects(locked)
        .find(|object| object.is_module(module.name()))
}

/// Applies one patch to the module.
fn arrive(patch: &Patch, object: &Object, module: &Module, locked: &Locked) -> Result {
    let (patch_name, name) = (patch.name(), module.name());
    let when = Circumstance::of(patch);

    object.set_module(Some(module), locked);
    resolve_object(patch, object, locked).inspect_err(|error| {
        klp_warn!(
            "failed to initialize patch '{patch_name}' for module '{name}' ({})\n",
            error.to_errno()
        );
    })?;

    klp_notice!("applying patch '{patch_name}' to loading module '{name}'\n");
    object
        .pre_patch(locked)
        .inspect_err(|_| klp_warn!("pre-patch callback failed for object '{name}'\n"))?;

    patch::patch_object(object, when, locked)
        .and_then(|()| match when {
            Circumstance::Settled => Ok(()),
            // Tasks that check their own stack have to look for this object's functions, too.
            Circumstance::InTransition => index::publish(patch, locked).inspect_err(|_| {
                patch::unpatch_object(object, when, locked);
            }),
        })
        .inspect_err(|error| {
            klp_warn!(
                "failed to apply patch '{patch_name}' to module '{name}' ({})\n",
                error.to_errno()
            );
            object.post_unpatch(locked);
        })?;

    // A transition runs the callback when it is complete.
    if when == Circumstance::Settled {
        object.post_patch(locked);
    }
    Ok(())
}

/// Reverts all patches, or those before `end`, on the module.
fn leave_all(module: &Module, end: Option<&Patch>, locked: &Locked) {
    let end = end.map_or(::core::ptr::null_mut(), Patch::as_ptr);
    for patch in host::patches(locked).take_while(|patch| patch.as_ptr() != end) {
        if let Some(object) = find_object(patch, module, locked) {
            leave(patch, object, module, locked);
        }
    }
}

/// Reverts one patch on the module.
fn leave(patch: &Patch, object: &Object, module: &Module, locked: &Locked) {
    let (patch_name, name) = (patch.name(), module.name());
    let when = Circumstance::of(patch);

    // The callback was run at the start of the transition, if that is to unpatch; if not, the
    // object was never reported patched.
    if when == Circumstance::Settled {
        object.pre_unpatch(locked);
    }
    klp_notice!("reverting patch '{patch_name}' on unloading module '{name}'\n");
    patch::unpatch_object(object, when, locked);
    if when == Circumstance::InTransition {
        // Without memory, the old index stays: some task may switch later than it could.
        let _ = index::publish(patch, locked);
    }
    object.post_unpatch(locked);
    relocs::clear_for_object(patch, object);
    forget(object, locked);
}

/// The object is not loaded any more.
fn forget(object: &Object, locked: &Locked) {
    object.set_module(None, locked);
    for func in object.funcs(locked) {
        func.clear_original(locked);
    }
}
