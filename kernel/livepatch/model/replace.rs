// SPDX-License-Identifier: GPL-2.0-or-later

//! Atomic replace: a patch that takes the place of all that are enabled.
//!
//! For the time of the transition, what they change and it does not is redirected by nops, which
//! stand for the original functions. Afterwards the replaced patches are unpatched and freed, and
//! the nops as well.

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

/// Unpatches what a patch replaces, and its nops, when every task uses the patch.
///
/// Every call is redirected by the patch, which is above the ones it replaces; what only a nop
/// redirects is as good as unpatched. A task that was forced may still be on its way through one
/// of them, which is why those stay.
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
