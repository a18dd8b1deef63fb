// SPDX-License-Identifier: GPL-2.0

//! A replacement that C cannot call.
//~ error[E0308]: mismatched types
//~ expected "C" fn, found "Rust" fn

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn old_function(value: c_int) -> c_int = new_function,
            },
        },
    },
}

fn new_function(_value: c_int) -> c_int {
    0
}
