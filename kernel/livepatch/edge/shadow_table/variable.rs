// SPDX-License-Identifier: GPL-2.0-or-later

//! One shadow variable: its key, its data, how it is made.

use crate::edge::shadow_table::ShadowLocked;
use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::{
    bindings::{
        self,
        klp_shadow, //
    },
    ffi::{
        c_int,
        c_void, //
    }, //
};

/// What a variable is known by.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    /// The structure it belongs to; only its address matters.
    pub(crate) object: *mut c_void,
    /// What tells a structure's variables apart.
    pub(crate) id: usize,
}

impl Key {
    /// The highest bits of the result depend on all bits of the key.
    pub(super) fn hash(self) -> usize {
        const GOLDEN: usize = 0x9e37_79b9_7f4a_7c15_u64 as usize;
        ((self.object as usize).wrapping_mul(GOLDEN) ^ self.id).wrapping_mul(GOLDEN)
    }
}

/// A constructor of a livepatch's, with its argument; `None` leaves the data zeroed.
#[derive(Clone, Copy)]
pub(crate) struct Constructor {
    call: bindings::klp_shadow_ctor_t,
    data: *mut c_void,
}

impl Constructor {
    /// The constructor that was passed in.
    ///
    /// # Safety
    ///
    /// `call`, if any, can be called with the variable's object, data of the size that is asked
    /// for, and `data`.
    pub(crate) unsafe fn new(call: bindings::klp_shadow_ctor_t, data: *mut c_void) -> Self {
        Self { call, data }
    }
}

/// A destructor of a livepatch's, if it has one.
#[derive(Clone, Copy)]
pub(crate) struct Destructor(pub(super) bindings::klp_shadow_dtor_t);

impl Destructor {
    /// The destructor that was passed in.
    ///
    /// # Safety
    ///
    /// `call`, if any, can be called with the object and the data of the variables that it is used
    /// for.
    pub(crate) unsafe fn new(call: bindings::klp_shadow_dtor_t) -> Self {
        Self(call)
    }
}

/// The variable's key.
///
/// # Safety
///
/// `shadow` points to a variable that lives during the call.
#[inline]
pub(super) unsafe fn key_of(shadow: *mut klp_shadow) -> Key {
    // SAFETY: By the safety requirement; the key never changes.
    unsafe {
        Key {
            object: (*shadow).obj,
            id: (*shadow).id,
        }
    }
}

/// The variable's data.
///
/// # Safety
///
/// `shadow` points to a variable that lives during the call.
#[inline]
pub(super) unsafe fn data_of(shadow: *mut klp_shadow) -> *mut c_void {
    // SAFETY: By the safety requirement; nothing is loaded.
    unsafe { (&raw mut (*shadow).data).cast() }
}

/// Whether the variable is the one with that key.
///
/// # Safety
///
/// `shadow` points to a variable that lives during the call.
#[inline]
pub(super) unsafe fn is(key: Key, shadow: *mut klp_shadow) -> bool {
    // SAFETY: By the safety requirement.
    let other = unsafe { key_of(shadow) };
    key.object == other.object && key.id == other.id
}

/// Warns, with a backtrace, of a variable that exists.
pub(crate) fn warn_duplicate(key: Key) {
    // SAFETY: No requirements.
    unsafe { bindings::klp_shadow_warn_duplicate(key.object, key.id) };
}

/// Tells the log of a constructor that failed.
pub(crate) fn report_constructor(key: Key, errno: c_int) {
    // SAFETY: No requirements.
    unsafe { bindings::klp_shadow_report_constructor(key.object, key.id, errno) };
}

/// A variable that is not in the table.
pub(crate) struct Shadow(NonNull<klp_shadow>);

impl Shadow {
    /// Allocates a zeroed variable with `size` bytes of data.
    pub(crate) fn new(key: Key, size: usize, flags: bindings::gfp_t) -> Option<Self> {
        // SAFETY: No requirements.
        let shadow = unsafe { bindings::klp_shadow_new(key.object, key.id, size, flags) };
        NonNull::new(shadow).map(Self)
    }

    /// Runs the constructor; the error is its own number.
    pub(crate) fn construct(
        &self,
        constructor: Constructor,
        _: &ShadowLocked,
    ) -> Result<(), c_int> {
        let Some(call) = constructor.call else {
            return Ok(());
        };
        let shadow = self.0.as_ptr();
        // SAFETY: By what `Constructor::new()` requires; the variable is ours.
        let errno = unsafe { call((*shadow).obj, data_of(shadow), constructor.data) };
        if errno == 0 {
            Ok(())
        } else {
            Err(errno)
        }
    }

    /// The variable, which the caller is to free.
    pub(super) fn into_raw(self) -> *mut klp_shadow {
        ManuallyDrop::new(self).0.as_ptr()
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        // SAFETY: The variable is ours, and nobody else knows of it.
        unsafe { bindings::kfree(self.0.as_ptr().cast()) };
    }
}
