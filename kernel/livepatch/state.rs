// SPDX-License-Identifier: GPL-2.0-or-later

//! System states: the changes that patches make beyond code, and whether patches are compatible.

use crate::{
    edge::{
        abi::{
            Patch,
            State, //
        },
        log::warn_on_once,
        mutex::Locked,
        patches, //
    },
    model, //
};

/// The state called `id` among those that a patch modifies.
pub(crate) fn get<'a>(mut states: impl Iterator<Item = &'a State>, id: usize) -> Option<&'a State> {
    states.find(|state| state.id() == id)
}

/// The state called `id` of the latest patch that modifies it, among those before the patch in
/// transition. `None` if none of them does, and, with a warning, if no patch is in transition.
pub(crate) fn get_previous(id: usize, locked: &Locked) -> Option<&State> {
    let current = patches::transition_patch(locked);
    if warn_on_once!(current.is_none()) {
        return None;
    }
    let current = current?;
    patches::INSTALLED
        .iter(locked)
        .take_while(|patch| !core::ptr::eq(*patch, current))
        .filter_map(|patch| get(patch.states(), id))
        .last()
}

/// Whether a new patch is compatible with the states that the installed patches have modified.
pub(crate) fn is_compatible(patch: &Patch, locked: &Locked) -> bool {
    patches::INSTALLED
        .iter(locked)
        .flat_map(Patch::states)
        .all(|old| {
            let own = get(patch.states(), old.id()).map(State::version);
            model::state::is_compatible(patch.replaces(), own, old.version())
        })
}
