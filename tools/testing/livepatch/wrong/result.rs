// SPDX-License-Identifier: GPL-2.0

//! A replacement with a result of another type than declared.
//~ error[E0308]: mismatched types
//~ expected fn pointer `unsafe extern "C" fn(_) -> usize`

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn old_function(value: c_int) -> c_ulong = new_function,
            },
        },
    },
}

extern "C" fn new_function(_value: c_int) -> c_int {
    0
}
