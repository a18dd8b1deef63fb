// SPDX-License-Identifier: GPL-2.0

//! A call of a function that is used, without `unsafe`.
//~ error[E0133]: call to unsafe function

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn old_function as original(value: c_int) -> c_int = new_function,
            },
        },
    },
}

extern "C" fn new_function(value: c_int) -> c_int {
    original(value)
}
