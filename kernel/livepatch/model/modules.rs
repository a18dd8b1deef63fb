// SPDX-License-Identifier: GPL-2.0-or-later

//! Modules that come and go under enabled patches.

use super::{
    patch::{
        self,
        Circumstance, //
    },
    settle,
    Callback,
    Event,
    ModuleHost, //
};

/// Applies the enabled patches to a module that is being loaded. If one fails, reverts those before
/// it. Sleeps.
pub(crate) fn coming<H: ModuleHost>(host: &H, module: H::Module) -> Result<(), H::Error> {
    // New patches find the module from now on.
    host.set_patchable(module, true);

    for patch in host.patches() {
        let Some(object) = find_object(host, patch, module) else {
            continue;
        };
        host.attach(object, module);
        if let Err(error) = arrive(host, patch, object) {
            host.tell(Event::Refusing(patch, object));
            host.set_patchable(module, false);
            host.detach(object);
            leave_all(host, module, Some(patch));
            return Err(error);
        }
    }
    settle::settle(host);
    Ok(())
}

/// Reverts the enabled patches on a module that is being unloaded. Sleeps.
pub(crate) fn going<H: ModuleHost>(host: &H, module: H::Module) {
    // New patches do not find the module any more.
    host.set_patchable(module, false);
    leave_all(host, module, None);
}

fn find_object<H: ModuleHost>(host: &H, patch: H::Patch, module: H::Module) -> Option<H::Object> {
    host.objects(patch)
        .find(|&object| host.is_module(object, module))
}

/// Applies one patch to the module that its object is attached to.
fn arrive<H: ModuleHost>(host: &H, patch: H::Patch, object: H::Object) -> Result<(), H::Error> {
    let when = Circumstance::of(host, patch);

    host.resolve(patch, object)
        .inspect_err(|&error| host.tell(Event::ResolveFailed(patch, object, error)))?;
    host.tell(Event::Applying(patch, object));
    // An architecture may refuse to write a relocation twice, and the module may be loaded again.
    patch_coming(host, patch, object, when)
        .inspect_err(|_| host.clear_relocations(patch, object))?;

    // A transition runs the callback when it is complete.
    if when == Circumstance::Settled {
        patch::call(host, object, Callback::PostPatch);
    }
    Ok(())
}

/// Patches all functions of a module that is coming, or fails and patches none.
fn patch_coming<H: ModuleHost>(
    host: &H,
    patch: H::Patch,
    object: H::Object,
    when: Circumstance,
) -> Result<(), H::Error> {
    patch::pre_patch(host, object)?;
    patch::patch_object(host, object, when)
        .and_then(|()| match when {
            Circumstance::Settled => Ok(()),
            // Tasks that check their own stack have to look for the functions of this object, too.
            Circumstance::InTransition => host.publish_index(patch).inspect_err(|_| {
                patch::unpatch_object(host, object, when);
            }),
        })
        .inspect_err(|&error| {
            host.reclaim();
            host.tell(Event::ApplyFailed(patch, object, error));
            patch::post_unpatch(host, object);
        })
}

/// Reverts all patches on the module, or those before `end`.
fn leave_all<H: ModuleHost>(host: &H, module: H::Module, end: Option<H::Patch>) {
    for patch in host.patches().take_while(|&patch| Some(patch) != end) {
        if let Some(object) = find_object(host, patch, module) {
            leave(host, patch, object);
        }
    }
}

/// Reverts one patch on the module.
fn leave<H: ModuleHost>(host: &H, patch: H::Patch, object: H::Object) {
    let when = Circumstance::of(host, patch);

    // In a transition, the object has either had this callback when unpatching began, or has never
    // been reported patched.
    if when == Circumstance::Settled {
        patch::call(host, object, Callback::PreUnpatch);
    }
    host.tell(Event::Reverting(patch, object));
    // If ftrace cannot follow, it has shut itself down. The module goes, and its jumps go with it.
    let _ = settle::handle_object(host, object);
    patch::unpatch_object(host, object, when);
    if when == Circumstance::InTransition {
        // If there is no memory, the old index stays, and some task may switch later than it could.
        let _ = host.publish_index(patch);
    }
    // The module may come back, and its funcs may go onto the stacks again.
    host.reclaim();
    patch::post_unpatch(host, object);
    host.clear_relocations(patch, object);
    host.detach(object);
}
