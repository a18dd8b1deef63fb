// SPDX-License-Identifier: GPL-2.0

//! A replacement with an argument of another type than declared.
//~ error[E0308]: mismatched types
//~ expected fn pointer `unsafe extern "C" fn(*mut core::ffi::c_void) -> _`

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn old_function(value: *mut c_void) -> c_int = new_function,
            },
        },
    },
}

extern "C" fn new_function(_value: c_int) -> c_int {
    0
}
