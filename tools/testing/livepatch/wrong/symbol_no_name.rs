// SPDX-License-Identifier: GPL-2.0

//! A symbol whose name is no name in Rust, and that gets none.
//~ this is no name in Rust: give it one with `as`

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            symbols: {
                // SAFETY: This is never loaded.
                unsafe fn "helper.isra.0"(value: c_int) -> c_int,
            },
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn old_function(value: c_int) -> c_int = new_function,
            },
        },
    },
}

extern "C" fn new_function(value: c_int) -> c_int {
    value
}
