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
/// - The pointer is to the head of a list, which is static and statically initialized.
/// - The nodes of the list are the `list` of patches that [`PatchList::add`] has put there. These
///   patches live as long as they are on the list.
/// - Holders of `klp_mutex` alone access the list.
pub(crate) struct PatchList(*mut bindings::list_head);

// SAFETY: The pointer does not change, and each method that accesses the list takes a `Locked`.
unsafe impl Sync for PatchList {}

// INVARIANT: `klp_patches` is statically initialized, and used here alone.
/// The patches that are enabled or in transition, in the order of their loading.
pub(crate) static INSTALLED: PatchList = PatchList(&raw mut bindings::klp_patches);

// INVARIANT: `klp_departing_patches` is statically initialized, and used here alone.
/// The released patches with modules that cannot be let go yet, in the order of their release. A
/// look that finds a task inside puts the patch at the end.
pub(crate) static DEPARTING: PatchList = PatchList(&raw mut bindings::klp_departing_patches);

impl PatchList {
    /// The patches on the list, in order. Each lives until it is taken off the list.
    pub(crate) fn iter<'a>(&self, _: &'a Locked) -> impl Iterator<Item = &'a Patch> {
        // SAFETY: By the type invariants this is the head of an initialized list. Its nodes are the
        // `list` of patches. `Locked` keeps others from changing it.
        unsafe { clist_create!(self.0, Patch, bindings::klp_patch, list) }.iter()
    }

    /// Puts a patch at the end, unless it is on a list.
    pub(crate) fn add(&self, patch: &Patch, locked: &Locked) {
        if is_listed(patch, locked) {
            return;
        }
        // INVARIANT: The patch lives until its module is let go, after `remove()`.
        // SAFETY: The head is that of an initialized list by the type invariants. The patch's node
        // is initialized by the invariants of `Patch`, and on no list. `Locked` excludes other
        // users of the list.
        unsafe { bindings::list_add_tail(patch.list_node(), self.0) };
    }
}

fn is_listed(patch: &Patch, _: &Locked) -> bool {
    let node = patch.list_node();
    // SAFETY: `node` is initialized by the invariants of `Patch`, and `Locked` excludes writers.
    let next = unsafe { (*node).next };
    // A node that is on no list points to itself.
    next != node
}

/// Takes a patch off the list that it is on, if it is on one.
pub(crate) fn remove(patch: &Patch, locked: &Locked) {
    if is_listed(patch, locked) {
        let node = patch.list_node();
        // SAFETY: `node` is on a list, and `Locked` excludes other users of that.
        unsafe { bindings::klp_list_del(node) };
        // INVARIANT: The node is on no list, and initialized.
        // SAFETY: `node` is a field of the patch, and on no list any more.
        unsafe { bindings::INIT_LIST_HEAD(node) };
    }
}

/// The first of the departing patches. There is one caller at a time, and it alone takes patches
/// off that list and lets go of their modules.
pub(crate) fn first_departing(locked: &Locked) -> Option<&'static Patch> {
    let patch = DEPARTING.iter(locked).next()?.as_ptr();
    // SAFETY: A departing patch and the things that it points to live until its module is let go.
    // The caller alone does that, and does not use the patch afterwards.
    unsafe { Patch::from_raw(patch) }
}

fn transition_patch_word() -> &'static Atomic<*mut bindings::klp_patch> {
    // SAFETY: `klp_transition_patch` is a static variable. Debuggers aside, all accesses to it go
    // through this function, and so are atomic.
    unsafe { Atomic::from_ptr(&raw mut bindings::klp_transition_patch) }
}

/// Whether `patch` is the one in transition. Without [`Locked`], the result is a snapshot.
pub(crate) fn in_transition(patch: &Patch) -> bool {
    transition_patch_word().load(Relaxed) == patch.as_ptr()
}

/// The patch in transition.
pub(crate) fn transition_patch(_: &Locked) -> Option<&Patch> {
    // SAFETY: The pointer is null, or `set_transition_patch()` has stored it. A patch in transition
    // lives, with its module, until the transition is over, which `Locked` keeps from happening.
    unsafe { Patch::from_raw(transition_patch_word().load(Relaxed)) }
}

/// Sets the patch that [`transition_patch`] returns.
pub(crate) fn set_transition_patch(patch: Option<&Patch>, _: &Locked) {
    transition_patch_word().store(patch.map_or(ptr::null_mut(), Patch::as_ptr), Relaxed);
}
