// SPDX-License-Identifier: GPL-2.0-or-later

//! The lists of patches, and the patch in transition.

use crate::edge::{
    abi::Patch,
    mutex::Locked, //
};
use core::ptr;
use kernel::{
    bindings,
    interop::list::clist_create,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// A list of patches, which `klp_mutex` protects. A patch is on one of them at most.
///
/// # Invariants
///
/// The pointer is to the head of a list that is statically initialized. The nodes on the list are
/// the `list` of patches that [`PatchList::add`] has put there, and these live while they are there.
pub(crate) struct PatchList(*mut bindings::list_head);

// SAFETY: The pointer does not change, and all uses of the list show that `klp_mutex` is held.
unsafe impl Sync for PatchList {}

// INVARIANT: `klp_patches` is statically initialized, and used here alone.
/// The patches that are enabled or in transition, in the order of their loading.
pub(crate) static INSTALLED: PatchList = PatchList(&raw mut bindings::klp_patches);

// INVARIANT: `klp_departing_patches` is statically initialized, and used here alone.
/// The patches whose modules wait to be let go, in the order of their release.
pub(crate) static DEPARTING: PatchList = PatchList(&raw mut bindings::klp_departing_patches);

impl PatchList {
    /// The patches on the list, in order. Each lives until it is taken off the list.
    pub(crate) fn iter<'a>(&self, _: &'a Locked) -> impl Iterator<Item = &'a Patch> {
        // SAFETY: By the type invariants, this is an initialized list of patches. `Locked` keeps
        // others from changing it.
        unsafe { clist_create!(self.0, Patch, bindings::klp_patch, list) }.iter()
    }

    /// Puts a patch that is on no list at the end.
    pub(crate) fn add(&self, patch: &Patch, _: &Locked) {
        // INVARIANT: The patch lives until its module is let go, after `remove()`.
        // SAFETY: By the type invariants, the head is valid. The patch's node was initialized and is
        // on no list. `Locked` excludes other users of the list.
        unsafe { bindings::list_add_tail(&raw mut (*patch.as_ptr()).list, self.0) };
    }
}

/// Takes a patch off the list that it is on, if it is on one.
pub(crate) fn remove(patch: &Patch, _: &Locked) {
    // SAFETY: The patch's node was initialized, and `Locked` excludes others. A node that is on no
    // list points to itself.
    unsafe {
        let node = &raw mut (*patch.as_ptr()).list;
        if (*node).next != node {
            bindings::klp_list_del(node);
            bindings::INIT_LIST_HEAD(node);
        }
    }
}

/// Takes the first of the departing patches off its list. There is one caller at a time.
///
/// From now on the caller alone keeps the patch's module.
pub(crate) fn take_departing(locked: &Locked) -> Option<&'static Patch> {
    let patch = DEPARTING.iter(locked).next()?.as_ptr();
    // SAFETY: A departing patch and what it points to live until its module is let go, which is the
    // business of the caller alone from now on.
    let patch = unsafe { Patch::from_raw(patch) }?;
    remove(patch, locked);
    Some(patch)
}

fn transition_patch_word() -> &'static Atomic<*mut bindings::klp_patch> {
    // SAFETY: The variable lives for ever, and is only used through this function.
    unsafe { Atomic::from_ptr(&raw mut bindings::klp_transition_patch) }
}

/// Whether `patch` is the one in transition. Without [`Locked`], a snapshot.
pub(crate) fn in_transition(patch: &Patch) -> bool {
    transition_patch_word().load(Relaxed) == patch.as_ptr()
}

/// The patch in transition.
pub(crate) fn transition_patch(_: &Locked) -> Option<&Patch> {
    // SAFETY: A patch in transition lives: it is only freed after the transition is over.
    unsafe { Patch::from_raw(transition_patch_word().load(Relaxed)) }
}

/// Sets what [`transition_patch`] returns.
pub(crate) fn set_transition_patch(patch: Option<&Patch>, _: &Locked) {
    transition_patch_word().store(patch.map_or(ptr::null_mut(), Patch::as_ptr), Relaxed);
}
