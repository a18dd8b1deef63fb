// SPDX-License-Identifier: GPL-2.0-or-later

//! One shadow variable: its key, its data, how it is made.

use crate::edge::shadow_table::Held;
use core::{
    marker::PhantomData,
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

/// The structure and the identifier by which a variable is found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// The structure it belongs to; only its address matters.
    pub(crate) object: *mut c_void,
    /// The number that tells a structure's variables apart.
    pub(crate) id: usize,
}

impl Key {
    /// The highest bits of the result depend on all bits of the key, except for the three highest
    /// of the identifier.
    ///
    /// The variables of an object have places at intervals of 8. The variables of another object
    /// may have the same places, with other identifiers. At worst, keys collide as if identifiers
    /// did not count.
    #[inline]
    pub(super) fn hash(self) -> usize {
        const GOLDEN: usize = 0x9e37_79b9_7f4a_7c15_u64 as usize;
        let place = (self.object as usize).wrapping_add(self.id.wrapping_mul(8));
        place.wrapping_mul(GOLDEN)
    }
}

/// A livepatch's constructor, with its argument. `None` leaves the data zeroed.
///
/// # Invariants
///
/// `call`, if any, can be called with the object and the data of the variable that it is used for,
/// and with `data`.
#[derive(Clone, Copy)]
pub(crate) struct Constructor {
    call: bindings::klp_shadow_ctor_t,
    data: *mut c_void,
}

impl Constructor {
    /// The constructor that a livepatch has passed in.
    ///
    /// # Safety
    ///
    /// `call`, if any, can be called with the variable's object, data of the size that is asked
    /// for, and `data`.
    pub(crate) unsafe fn new(call: bindings::klp_shadow_ctor_t, data: *mut c_void) -> Self {
        // INVARIANT: By the safety requirement.
        Self { call, data }
    }

    /// Calls the constructor. Returns 0, or the constructor's own number for an error.
    fn run(self, variable: Variable<'_>) -> c_int {
        let Some(call) = self.call else {
            return 0;
        };
        // SAFETY: `call` can be called with these arguments by the type invariants.
        unsafe { call(variable.key().object, variable.data(), self.data) }
    }
}

/// A livepatch's destructor, if it has one.
///
/// # Invariants
///
/// The function, if any, can be called with the object and the data of the variables that it is
/// used for.
#[derive(Clone, Copy)]
pub(crate) struct Destructor(bindings::klp_shadow_dtor_t);

impl Destructor {
    /// The destructor that a livepatch has passed in.
    ///
    /// # Safety
    ///
    /// `call`, if any, can be called with the object and the data of the variables that it is used
    /// for.
    pub(crate) unsafe fn new(call: bindings::klp_shadow_dtor_t) -> Self {
        // INVARIANT: By the safety requirement.
        Self(call)
    }

    /// Calls the destructor.
    pub(super) fn run(self, variable: Variable<'_>) {
        if let Some(call) = self.0 {
            // SAFETY: `call` can be called with these arguments by the type invariants.
            unsafe { call(variable.key().object, variable.data()) };
        }
    }
}

/// A variable, in the table or not yet.
///
/// # Invariants
///
/// The pointer is to a variable that lives as long as `'a`. Its `obj` and `id` do not change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Variable<'a>(NonNull<klp_shadow>, PhantomData<&'a klp_shadow>);

impl Variable<'_> {
    /// The variable at `ptr`, or `None` if that is null.
    ///
    /// # Safety
    ///
    /// `ptr` is null or points to a variable that lives as long as the result is used.
    #[inline]
    pub(super) unsafe fn from_raw(ptr: *mut klp_shadow) -> Option<Self> {
        // INVARIANT: By the safety requirement. Nothing stores to the key of a variable.
        NonNull::new(ptr).map(|ptr| Self(ptr, PhantomData))
    }

    /// The variable itself, for C.
    #[inline]
    pub(super) fn as_ptr(self) -> *mut klp_shadow {
        self.0.as_ptr()
    }

    /// The variable's key.
    #[inline]
    pub(super) fn key(self) -> Key {
        let ptr = self.as_ptr();
        // SAFETY: By the type invariants `ptr` points to a variable, and its `obj` and `id` do not
        // change.
        let (object, id) = unsafe { ((*ptr).obj, (*ptr).id) };
        Key { object, id }
    }

    /// The variable's data.
    #[inline]
    pub(super) fn data(self) -> *mut c_void {
        // SAFETY: The pointer is to a variable by the type invariants. Nothing is loaded.
        unsafe { (&raw mut (*self.as_ptr()).data).cast() }
    }

    /// Frees the variable when RCU's readers are done, as `kfree_rcu()` does.
    ///
    /// # Safety
    ///
    /// `klp_shadow_new()` has made the variable, and readers can no longer find it.
    #[inline]
    pub(super) unsafe fn free_rcu(self) {
        let ptr = self.as_ptr();
        // SAFETY: `ptr` was allocated with `kzalloc()`, and its `rcu` is for this alone. The
        // function waits for the readers that have found it.
        unsafe { bindings::kvfree_call_rcu((&raw mut (*ptr).rcu).cast(), ptr.cast()) };
    }
}

/// Warns, with a backtrace, that a variable exists already.
pub(crate) fn warn_duplicate(key: Key) {
    // SAFETY: The function has no preconditions: it prints the key.
    unsafe { bindings::klp_shadow_warn_duplicate(key.object, key.id) };
}

/// Logs that a constructor has failed.
pub(crate) fn report_constructor(key: Key, errno: c_int) {
    // SAFETY: The function has no preconditions: it prints the key and the number.
    unsafe { bindings::klp_shadow_report_constructor(key.object, key.id, errno) };
}

/// A variable that is not in the table.
///
/// # Invariants
///
/// `klp_shadow_new()` has made the variable, and this is the only pointer to it.
pub(crate) struct Shadow(NonNull<klp_shadow>);

impl Shadow {
    /// Allocates a zeroed variable with `size` bytes of data.
    pub(crate) fn new(key: Key, size: usize, flags: bindings::gfp_t) -> Option<Self> {
        // SAFETY: The function has no preconditions but those of `flags`, which the caller of
        // `klp_shadow_alloc()` has chosen. It checks the size.
        let shadow = NonNull::new(unsafe { bindings::klp_shadow_new(size, flags) })?;
        let ptr = shadow.as_ptr();
        // SAFETY: `ptr` points to the variable that was just made, which has no other users.
        unsafe { ((*ptr).obj, (*ptr).id) = (key.object, key.id) };
        // INVARIANT: The variable was just made, and its key is set.
        Some(Self(shadow))
    }

    /// Runs the constructor; the error is its own number.
    pub(crate) fn construct(&self, constructor: Constructor, _: &Held) -> Result<(), c_int> {
        // INVARIANT: The variable lives as long as `self`.
        match constructor.run(Variable(self.0, PhantomData)) {
            0 => Ok(()),
            errno => Err(errno),
        }
    }

    /// The variable, which the caller puts into the table.
    pub(super) fn into_variable(self, _: &Held) -> Variable<'_> {
        // INVARIANT: Only `Held::destroy()` frees variables, and only when RCU's readers are done.
        // The section that holds the lock counts as a reader.
        Variable(ManuallyDrop::new(self).0, PhantomData)
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        // SAFETY: `klp_shadow_new()` has allocated the variable with `kzalloc()`, and this is the
        // only pointer to it, by the type invariants.
        unsafe { bindings::kfree(self.0.as_ptr().cast()) };
    }
}
