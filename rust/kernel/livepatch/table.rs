// SPDX-License-Identifier: GPL-2.0-or-later

//! The tables that `module_livepatch!` makes of its declarations, and that the core reads.
//!
//! Each ends with an element of zeros.

#![doc(hidden)]

use crate::{
    bindings::{
        klp_callbacks,
        klp_func,
        klp_object,
        klp_patch,
        klp_state,
        module, //
    },
    ffi::c_void,
    prelude::*,
    str::as_char_ptr_in_const_context,
    types::Opaque, //
};

/// A table in the module's static memory, which the core writes to.
#[repr(transparent)]
pub struct Table<T>(Opaque<T>);

// SAFETY: The methods return the address of the table, and do not access its content.
unsafe impl<T> Sync for Table<T> {}

impl<T> Table<T> {
    /// A table with this content.
    pub const fn new(content: T) -> Self {
        Self(Opaque::new(content))
    }

    /// The address of the table.
    pub const fn get(&self) -> *mut T {
        self.0.get()
    }
}

impl<T, const N: usize> Table<[T; N]> {
    /// The address of its first element.
    pub const fn first(&self) -> *mut T {
        self.0.get().cast()
    }
}

/// The element of zeros that ends a table.
///
/// It also holds the place of a state until the livepatch is enabled.
pub const fn end<T: Zeroable>() -> T {
    pin_init::zeroed()
}

/// A function that is replaced.
pub const fn func(name: &'static CStr, position: usize, new: *mut c_void) -> klp_func {
    klp_func {
        old_name: as_char_ptr_in_const_context(name),
        new_func: new,
        old_sympos: position,
        ..end()
    }
}

/// An object, the kernel if it has no name.
pub const fn object(
    name: Option<&'static CStr>,
    funcs: *mut klp_func,
    callbacks: klp_callbacks,
) -> klp_object {
    klp_object {
        name: match name {
            Some(name) => as_char_ptr_in_const_context(name),
            None => core::ptr::null(),
        },
        funcs,
        callbacks,
        ..end()
    }
}

/// A patch.
pub const fn patch(
    module: *mut module,
    objects: *mut klp_object,
    states: *mut klp_state,
    replace: bool,
) -> klp_patch {
    klp_patch {
        mod_: module,
        objs: objects,
        states,
        replace,
        ..end()
    }
}
