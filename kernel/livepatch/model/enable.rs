// SPDX-License-Identifier: GPL-2.0-or-later

//! The life of a patch: from being passed in, through being enabled and disabled, to being freed.
//!
//! "Enabled" is a logical statement about a patch. To make it true, the rules patch the objects
//! ([`patch`]) and switch the tasks in a transition ([`transition`]).

use super::{
    patch::{
        self,
        Circumstance, //
    },
    replace,
    settle,
    transition,
    Callback,
    Event,
    Host,
    PatchHost,
    Refusal,
    Stage,
    TaskState, //
};

/// Enables a patch that has just been passed in. Sleeps.
///
/// If this fails, the patch has been released, and the caller frees it. Relocations that were
/// written for loaded modules stay written: they are in the patch's own module, which goes away
/// when its init function fails.
pub(crate) fn enable<H: Host>(host: &H, patch: H::Patch) -> Result<(), H::Error> {
    prepare(host, patch)
        .and_then(|()| begin(host, patch))
        .inspect_err(|_| host.release_patch(patch))
}

/// Publishes a patch, and resolves its objects that are loaded.
fn prepare<H: PatchHost>(host: &H, patch: H::Patch) -> Result<(), H::Error> {
    host.publish_patch(patch)?;
    if host.replaces(patch) {
        replace::add_nops(host, patch)?;
    }
    for object in host.objects(patch) {
        host.publish_object(patch, object)?;
        for func in host.funcs(object) {
            host.publish_func(object, func)?;
        }
        if host.loaded(object) {
            host.resolve(patch, object)?;
        }
    }
    host.add_patch(patch);
    Ok(())
}

/// Enables a prepared patch: patches its objects that are loaded, and starts the transition.
fn begin<H: Host>(host: &H, patch: H::Patch) -> Result<(), H::Error> {
    if host.transition_patch().is_some() {
        return Err(Refusal::Busy.into());
    }
    host.tell(Event::Enabling(patch));
    settle::handle(host, patch).inspect_err(|_| host.tell(Event::EnableFailed(patch)))?;
    transition::init(host, patch, TaskState::Patched);

    // Orders the stores to the funcs' `transition` before those that put them on the func stacks:
    // pairs with the first read barrier in `redirect::decide()`.
    host.write_barrier();

    if let Err(error) = patch_loaded(host, patch) {
        host.tell(Event::EnableFailed(patch));
        transition::cancel(host, patch);
        return Err(error);
    }
    host.tell(Event::Enabled(patch));
    transition::start(host, patch);
    patch::set_enabled(host, patch, true);
    host.tell(Event::Reached(patch, Stage::Started));
    try_complete(host, patch);
    Ok(())
}

fn patch_loaded<H: PatchHost>(host: &H, patch: H::Patch) -> Result<(), H::Error> {
    for object in host.objects(patch) {
        if host.loaded(object) {
            patch::pre_patch(host, object)?;
            patch::patch_object(host, object, Circumstance::InTransition)
                .inspect_err(|_| host.tell(Event::PatchFailed(object)))?;
        }
    }
    host.publish_index(patch)
}

/// Enables or disables a patch for the administrator. Sleeps.
///
/// If the patch is in transition, the transition is reversed. Otherwise an enabled patch can be
/// disabled, but a patch that is not enabled cannot be enabled: it has been disabled or replaced,
/// and is about to be freed.
pub(crate) fn set_enabled<H: Host>(
    host: &H,
    patch: H::Patch,
    enabled: bool,
) -> Result<(), H::Error> {
    if host.enabled(patch) == enabled {
        return Err(Refusal::Invalid.into());
    }
    if host.transition_patch() == Some(patch) {
        transition::reverse(host, patch);
        return Ok(());
    }
    if enabled {
        return Err(Refusal::Invalid.into());
    }
    disable(host, patch)
}

/// Starts to disable an enabled patch.
fn disable<H: Host>(host: &H, patch: H::Patch) -> Result<(), H::Error> {
    if host.transition_patch().is_some() {
        return Err(Refusal::Busy.into());
    }
    settle::handle(host, patch)?;
    host.publish_index(patch)
        .inspect_err(|_| settle::settle(host))?;
    transition::init(host, patch, TaskState::Unpatched);

    for object in host.objects(patch) {
        if host.patched(object) {
            patch::call(host, object, Callback::PreUnpatch);
        }
    }

    host.tell(Event::Disabled(patch));
    transition::start(host, patch);
    patch::set_enabled(host, patch, false);
    host.tell(Event::Reached(patch, Stage::Started));
    try_complete(host, patch);
    Ok(())
}

/// Forces the transition of a patch to end, for the administrator. Sleeps.
pub(crate) fn force<H: Host>(host: &H, patch: H::Patch) -> Result<(), H::Error> {
    if host.transition_patch() != Some(patch) {
        return Err(Refusal::Invalid.into());
    }
    transition::force(host, patch);
    Ok(())
}

/// Continues the transition of `patch`. If that completes it, frees the patches that are not needed
/// any more. Sleeps.
pub(crate) fn try_complete<H: Host>(host: &H, patch: H::Patch) {
    if transition::pass(host, patch) {
        retire(host, patch);
    }
}

/// Frees the patches that are not needed any more when the transition of `patch` is complete: the
/// patch itself if it is disabled, or the patches that it has replaced.
fn retire<H: PatchHost>(host: &H, patch: H::Patch) {
    let free = |patch| {
        host.release_patch(patch);
        host.free_later(patch);
    };
    if !host.enabled(patch) {
        free(patch);
    } else if host.replaces(patch) {
        while let Some(older) = replace::replaced(host, patch).next() {
            free(older);
        }
    }
}
