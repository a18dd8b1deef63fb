// SPDX-License-Identifier: GPL-2.0

//! A function that is used, passed to C as a function to call.
//~ error[E0308]: mismatched types
//~ expected "C" fn, found "Rust" fn

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
                unsafe fn old_function(value: c_int) -> c_int = helper,
            },
        },
    },
}
