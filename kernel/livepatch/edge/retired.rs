// SPDX-License-Identifier: GPL-2.0-or-later

//! What nobody finds any more, but somebody may still be using.
//!
//! It is kept on a chain until [`tasks::synchronize()`] has returned, and then freed. No memory is
//! needed for that: each thing has a word for the chain.
//!
//! [`tasks::synchronize()`]: tasks::synchronize

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
/// [`Link::link`] points into the thing, to a word that nobody who may still be using a retired
/// one looks at.
pub(crate) unsafe trait Link: Sized {
    /// The word for the chain.
    ///
    /// # Safety
    ///
    /// `this` points to a retired thing.
    unsafe fn link(this: *mut Self) -> *mut *mut Self;
}

/// The things of one kind that are retired. Used under `klp_mutex`.
///
/// # Invariants
///
/// A chain, ended by null, of what was passed to [`Retired::push`].
pub(crate) struct Retired<T>(Atomic<*mut T>);

impl<T: Link> Retired<T> {
    /// None yet.
    pub(crate) const fn new() -> Self {
        // INVARIANT: An empty chain.
        Self(Atomic::new(ptr::null_mut()))
    }

    /// Keeps a thing for as long as somebody may be using it.
    ///
    /// # Safety
    ///
    /// `thing` comes from [`KBox::into_raw`], nobody finds it any more, and those who have found it
    /// are done at the end of the next [`tasks::synchronize()`](tasks::synchronize).
    pub(crate) unsafe fn push(&self, thing: *mut T, _: &Locked) {
        // INVARIANT: The thing is put in front of the chain.
        // SAFETY: By the safety requirements of this function and of the trait.
        unsafe { *T::link(thing) = self.0.load(Relaxed) };
        self.0.store(thing, Relaxed);
    }

    /// What can be freed after the next [`tasks::synchronize()`](tasks::synchronize).
    pub(crate) fn take(&self, _: &Locked) -> Chain<T> {
        // INVARIANT: The chain changes hands, and an empty one is left.
        Chain(self.0.xchg(ptr::null_mut(), Relaxed))
    }
}

/// Retired things that are to be freed.
///
/// # Invariants
///
/// As [`Retired`]'s, and nobody else has the chain.
pub(crate) struct Chain<T>(*mut T);

impl<T: Link> Chain<T> {
    /// Frees them; to be called after a [`tasks::synchronize()`](tasks::synchronize) that was
    /// called after [`Retired::take`].
    pub(crate) fn free(self) {
        let mut thing = self.0;
        while !thing.is_null() {
            // SAFETY: By the invariants and what `Retired::push()` requires, nobody uses the thing
            // any more, and it comes from a box.
            unsafe {
                let next = *T::link(thing);
                drop(KBox::from_raw(thing));
                thing = next;
            }
        }
    }
}
