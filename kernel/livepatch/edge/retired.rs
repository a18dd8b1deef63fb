// SPDX-License-Identifier: GPL-2.0-or-later

//! Things that can no longer be found, while readers that have found them may still use them.
//!
//! They are kept on a chain until [`tasks::synchronize()`] has returned, and then freed. No memory
//! is needed for that: each thing has a word for the chain.
//!
//! [`tasks::synchronize()`]: super::tasks::synchronize

use crate::edge::mutex::Locked;
use core::ptr;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// Something that can be retired.
///
/// # Safety
///
/// [`Link::link`] points into the thing, to a word that has no other use from the moment the thing
/// is retired. Readers that still use the thing do not load it.
pub(crate) unsafe trait Link: Sized {
    /// The word for the chain.
    ///
    /// # Safety
    ///
    /// `this` points to a retired thing.
    unsafe fn link(this: *mut Self) -> *mut *mut Self;
}

/// The retired things of one kind. `klp_mutex` protects the chain.
///
/// # Invariants
///
/// - The pointer is to the first thing of a chain, or null.
/// - Each thing on the chain was passed to [`Retired::push`], and is on no other chain.
/// - The [`Link::link`] of a thing has the pointer to the next one, or null.
pub(crate) struct Retired<T>(Atomic<*mut T>);

impl<T: Link> Retired<T> {
    /// An empty chain.
    pub(crate) const fn new() -> Self {
        // INVARIANT: The chain is empty.
        Self(Atomic::new(ptr::null_mut()))
    }

    /// Keeps a thing for as long as readers may be using it.
    ///
    /// # Safety
    ///
    /// `thing` comes from [`KBox::into_raw`]. Readers cannot find it any more, and readers that
    /// have found it are done when the next [`tasks::synchronize()`](super::tasks::synchronize)
    /// returns.
    pub(super) unsafe fn push(&self, thing: *mut T, _: &Locked) {
        // SAFETY: `thing` comes from a box, and so points to a thing, which is retired now.
        let link = unsafe { T::link(thing) };
        // SAFETY: `link` points into the thing, to a word that has no other use.
        unsafe { *link = self.0.load(Relaxed) };
        // INVARIANT: The thing is the first, and its link has the pointer to the one that was.
        self.0.store(thing, Relaxed);
    }

    /// Takes the things that can be freed after the next
    /// [`tasks::synchronize()`](super::tasks::synchronize).
    pub(super) fn take(&self, _: &Locked) -> Chain<T> {
        // INVARIANT: The chain changes hands, and an empty one is left.
        Chain(self.0.xchg(ptr::null_mut(), Relaxed))
    }
}

/// Retired things that are to be freed.
///
/// # Invariants
///
/// The pointer is to a chain as in [`Retired`], and this is the only pointer to it.
pub(super) struct Chain<T>(*mut T);

impl<T: Link> Chain<T> {
    /// Frees them.
    ///
    /// # Safety
    ///
    /// [`tasks::synchronize()`](super::tasks::synchronize) has returned after [`Retired::take`].
    /// The caller has no reference to one of the things.
    pub(super) unsafe fn free(self) {
        let mut thing = self.0;
        while !thing.is_null() {
            // SAFETY: `thing` is on the chain by the type invariants, and so is a retired one.
            let link = unsafe { T::link(thing) };
            // SAFETY: `link` points into the thing, to the pointer to the next one.
            let next = unsafe { *link };
            // SAFETY: The thing comes from a box, as `push()` requires. Readers that had found it
            // are done, and the caller has no reference to it, by the safety requirement.
            drop(unsafe { KBox::from_raw(thing) });
            thing = next;
        }
    }
}
