// SPDX-License-Identifier: GPL-2.0-or-later

//! The structures that livepatch modules share with the kernel.
//!
//! [`Patch`], [`Object`], [`Func`] and [`State`] are views of `struct klp_patch`, `klp_object`,
//! `klp_func` and `klp_state` (`include/linux/livepatch.h`). Their layout is part of the module
//! ABI, so it comes from bindgen. A module fills in the external fields and passes the patch to
//! `klp_enable_patch()`; the internal ones belong to this core.
//!
//! A view is only ever made of a structure that a module has passed in or that this core has
//! allocated. The external fields do not change from then on, and need no lock. Internal fields and
//! lists are protected by `klp_mutex`: the methods that use them take a
//! [`Locked`](super::mutex::Locked) to prove it. The ftrace handler, sysfs, and the work that lets
//! go of modules read some fields without it. `atomic_store()` stores the fields for sysfs and for
//! that work, which load them by `atomic_load()`, or in C by `READ_ONCE()`. Those for the handler
//! are volatile: see [`func_stacks`](super::func_stacks) for the reason.

mod func;
mod module;
mod object;
mod patch;

pub(crate) use self::{
    func::{
        release_func,
        Func,
        FuncName, //
    },
    module::Module,
    object::{
        release_object,
        Object, //
    },
    patch::Patch, //
};

use core::{
    ffi::CStr,
    iter, //
};
use kernel::{
    bindings,
    ffi::c_char,
    prelude::*,
    types::Opaque, //
};

/// The string at `ptr`, or `None` if that is null.
///
/// # Safety
///
/// `ptr` is null or points to a string that lives and does not change as long as `'a`.
unsafe fn string<'a>(ptr: *const c_char) -> Option<&'a CStr> {
    // SAFETY: `ptr` is not null, and so points to a string that stays by the safety requirement.
    (!ptr.is_null()).then(|| unsafe { CStr::from_char_ptr(ptr) })
}

/// Whether `/sys/kernel/livepatch` is there.
pub(crate) fn sysfs_ready() -> bool {
    // SAFETY: The function has no preconditions: it compares a static pointer with null.
    unsafe { bindings::klp_sysfs_ready() }
}

/// Copies a name for as long as the nop or object that bears it lives.
fn copy_name(name: &CStr) -> Result<*const c_char> {
    // SAFETY: `name` is a string, and the caller may sleep, as `GFP_KERNEL` demands.
    let copy = unsafe { bindings::kstrdup(name.as_char_ptr(), bindings::GFP_KERNEL) };
    if copy.is_null() {
        Err(ENOMEM)
    } else {
        Ok(copy)
    }
}

/// Frees a name that was copied by [`copy_name`].
///
/// # Safety
///
/// `name` is null or comes from [`copy_name`], and is not used any more.
unsafe fn drop_name(name: *const c_char) {
    // SAFETY: `name` is null, or `kstrdup()` has allocated it, and it has no more users, by the
    // safety requirement.
    unsafe { bindings::kfree(name.cast()) };
}

/// The entries of an array that a module has made, up to the one that ends it.
///
/// # Safety
///
/// `first` is null or points to an array that has an entry of which `ends` is true, and that lives
/// as long as `'a`. `T` is a transparent view of its entries.
unsafe fn entries<'a, T: 'a>(
    first: *mut T,
    ends: impl Fn(&T) -> bool,
) -> impl Iterator<Item = &'a T> {
    let mut next = first;
    iter::from_fn(move || {
        // SAFETY: `next` is null, or points to an entry of the array: it stops at the one of which
        // `ends` is true, which the array has by the safety requirement.
        let entry = unsafe { next.as_ref() }.filter(|entry| !ends(entry))?;
        // SAFETY: `next` points to an entry that does not end the array, so another follows.
        next = unsafe { next.add(1) };
        Some(entry)
    })
}

/// The nodes of a list. The caller may take a node off the list, and free it, when the iterator has
/// returned it.
///
/// # Invariants
///
/// `head` is the head of an initialized list. `next` is a node on the list, or the head.
struct Nodes {
    head: *mut bindings::list_head,
    next: *mut bindings::list_head,
}

impl Nodes {
    /// The nodes of the list at `head`.
    ///
    /// # Safety
    ///
    /// `head` is the head of an initialized list. While the value is used, only nodes that
    /// [`Iterator::next`] has returned leave the list, and it does not change otherwise.
    unsafe fn of(head: *mut bindings::list_head) -> Self {
        // SAFETY: `head` is the head of an initialized list by the safety requirement.
        let next = unsafe { (*head).next };
        // INVARIANT: The first node follows the head, or the head itself.
        Self { head, next }
    }
}

impl Iterator for Nodes {
    type Item = *mut bindings::list_head;

    fn next(&mut self) -> Option<Self::Item> {
        let node = self.next;
        if node == self.head {
            return None;
        }
        // INVARIANT: A node or the head follows a node. It stays on the list when `node` leaves it.
        // SAFETY: `node` is a node on the list by the type invariants.
        self.next = unsafe { (*node).next };
        Some(node)
    }
}

/// A system state that a patch modifies, beyond code.
///
/// # Invariants
///
/// The structure lives as long as the view. Its `id` and `version` do not change; `data` belongs to
/// the livepatch.
#[repr(transparent)]
pub(crate) struct State(Opaque<bindings::klp_state>);

impl State {
    /// The states in a patch's array.
    ///
    /// # Safety
    ///
    /// `states` is null or points to an array that ends with an entry of identifier zero, and that
    /// lives and does not change as long as `'a`.
    pub(crate) unsafe fn all<'a>(
        states: *mut bindings::klp_state,
    ) -> impl Iterator<Item = &'a Self> {
        // INVARIANT: The states live and do not change as long as `'a`.
        // SAFETY: `states` is null or points to an array that ends with an entry of identifier
        // zero, by the safety requirement. The view is transparent.
        unsafe { entries(states.cast(), |state: &Self| state.id() == 0) }
    }

    /// The state itself, for C.
    pub(crate) fn as_ptr(&self) -> *mut bindings::klp_state {
        self.0.get()
    }

    /// The number that identifies the state across patches. It is never zero.
    pub(crate) fn id(&self) -> usize {
        // SAFETY: The structure lives, and `id` does not change, by the type invariants.
        unsafe { (*self.as_ptr()).id }
    }

    /// The version of the change.
    pub(crate) fn version(&self) -> u32 {
        // SAFETY: The structure lives, and `version` does not change, by the type invariants.
        unsafe { (*self.as_ptr()).version }
    }
}
