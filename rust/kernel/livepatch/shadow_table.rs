// SPDX-License-Identifier: GPL-2.0-or-later

//! Rust edge: the table of shadow variables, `kernel/livepatch/shadow_table.c`.

use crate::{
    bindings,
    ffi::{
        c_int,
        c_void, //
    }, //
};
use core::{
    mem,
    ptr::NonNull, //
};

/// What a variable is known by.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    /// The structure it belongs to; only its address matters.
    pub(crate) object: *mut c_void,
    /// What tells a structure's variables apart.
    pub(crate) id: usize,
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
pub(crate) struct Destructor(bindings::klp_shadow_dtor_t);

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

/// The data of a variable in the table.
pub(crate) fn find(key: Key) -> Option<*mut c_void> {
    // SAFETY: No requirements.
    let data = unsafe { bindings::klp_shadow_find(key.object, key.id) };
    NonNull::new(data).map(NonNull::as_ptr)
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
pub(crate) struct Shadow(NonNull<bindings::klp_shadow>);

impl Shadow {
    /// Allocates a zeroed variable with `size` bytes of data.
    pub(crate) fn new(key: Key, size: usize, flags: bindings::gfp_t) -> Option<Self> {
        // SAFETY: No requirements.
        let shadow = unsafe { bindings::klp_shadow_new(key.object, key.id, size, flags) };
        NonNull::new(shadow).map(Self)
    }

    /// Runs the constructor; the error is its own number.
    pub(crate) fn construct(&self, constructor: Constructor, _: &Locked) -> Result<(), c_int> {
        let Some(call) = constructor.call else {
            return Ok(());
        };
        let shadow = self.0.as_ptr();
        // SAFETY: By what `Constructor::new()` requires; the variable is ours.
        let errno = unsafe {
            let data = (&raw mut (*shadow).data).cast();
            call((*shadow).obj, data, constructor.data)
        };
        if errno == 0 {
            Ok(())
        } else {
            Err(errno)
        }
    }

    /// Puts the variable into the table, where there is none with its key, and returns its data.
    /// `None` if the table has no memory.
    pub(crate) fn insert(self, _: &Locked) -> Option<*mut c_void> {
        let shadow = self.0.as_ptr();
        // SAFETY: The variable is ours; the table owns it if it takes it.
        unsafe {
            if bindings::klp_shadow_insert(shadow) != 0 {
                return None;
            }
            mem::forget(self);
            Some((&raw mut (*shadow).data).cast())
        }
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        // SAFETY: The variable is ours, and nobody else knows of it.
        unsafe { bindings::kfree(self.0.as_ptr().cast()) };
    }
}

/// `klp_shadow_lock`, held with interrupts disabled until this is dropped.
pub(crate) struct Locked {
    flags: usize,
}

/// Takes `klp_shadow_lock`.
pub(crate) fn lock() -> Locked {
    Locked {
        // SAFETY: Released below.
        flags: unsafe { bindings::klp_shadow_lock() },
    }
}

impl Locked {
    /// Removes and destroys a variable.
    pub(crate) fn remove(&self, key: Key, destructor: Destructor) {
        // SAFETY: The lock is held; the destructor is as `Destructor::new()` requires.
        unsafe { bindings::klp_shadow_remove(key.object, key.id, destructor.0) };
    }

    /// Removes and destroys all variables with an identifier.
    pub(crate) fn remove_all(&self, id: usize, destructor: Destructor) {
        // SAFETY: The lock is held; the destructor is as `Destructor::new()` requires.
        unsafe { bindings::klp_shadow_remove_all(id, destructor.0) };
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: Taken by `lock()`, which has returned these flags.
        unsafe { bindings::klp_shadow_unlock(self.flags) };
    }
}
