// SPDX-License-Identifier: GPL-2.0-or-later

//! Atomic replace: a patch that takes the place of all that are enabled.
//!
//! For each function that the older patches change and the new patch does not, the new patch gets a
//! nop, which stands for the original function during the transition. After the transition, the
//! replaced patches and the nops are unpatched and freed.

use super::{
    patch::{
        self,
        Circumstance,
        Which, //
    },
    Event,
    PatchHost, //
};
use core::iter;

/// The patches that `patch` replaces: those that were there before it.
pub(crate) fn replaced<H: PatchHost>(
    host: &H,
    patch: H::Patch,
) -> impl Iterator<Item = H::Patch> + '_ {
    host.patches().take_while(move |&older| older != patch)
}

/// Adds nops to a new patch for all functions that enabled patches change and it does not.
pub(crate) fn add_nops<H: PatchHost>(host: &H, patch: H::Patch) -> Result<(), H::Error> {
    for older in host.patches() {
        for like in host.objects(older) {
            let found = host
                .objects(patch)
                .find(|&object| host.same_object(object, like));
            let object = match found {
                Some(object) => object,
                None => host.add_nop_object(patch, like)?,
            };
            let own = host.functions(object)?;
            for func in host.funcs(like) {
                if !host.among(&own, func) {
                    host.add_nop(object, func)?;
                }
            }
        }
    }
    Ok(())
}

/// Unpatches the patches that `patch` replaces, and its own nops, when every task uses `patch`.
///
/// The funcs of `patch` are above those that it replaces, and so redirect every call. A function
/// with a nop on top runs its original code already. If the transition was forced, a task may still
/// be inside a function of a replaced patch. That patch is marked as forced: see [`super::text`].
pub(crate) fn unpatch_replaced<H: PatchHost>(host: &H, patch: H::Patch) {
    for older in replaced(host, patch) {
        patch::set_enabled(host, older, false);
        host.tell(Event::Replaced {
            patch: older,
            by: patch,
        });
    }
    let older = replaced(host, patch);
    patch::unpatch_objects(host, older, Which::All, Circumstance::Settled);
    let this = iter::once(patch);
    patch::unpatch_objects(host, this, Which::Nops, Circumstance::InTransition);
}
