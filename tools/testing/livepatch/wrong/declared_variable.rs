// SPDX-License-Identifier: GPL-2.0

//! A variable that C declares with another type.
//~ error[E0277]: `i32` is not the type that C declares, `usize`

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            symbols: {
                // SAFETY: This is never loaded.
                unsafe static jiffies: c_int,
            },
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn old_function(value: c_int) -> c_int = new_function,
            },
        },
    },
}

extern "C" fn new_function(_value: c_int) -> c_int {
    0
}
