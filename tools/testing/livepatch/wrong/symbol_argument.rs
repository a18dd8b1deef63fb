// SPDX-License-Identifier: GPL-2.0

//! A function that is used, with an argument of another type than declared.
//~ error[E0308]: mismatched types

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            symbols: {
                // SAFETY: This is never loaded.
                unsafe fn helper(value: c_int) -> c_int,
            },
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn old_function(value: *mut c_void) -> c_int = new_function,
            },
        },
    },
}

extern "C" fn new_function(value: *mut c_void) -> c_int {
    // SAFETY: This is never loaded.
    unsafe { helper(value) }
}
