// SPDX-License-Identifier: GPL-2.0

//! A symbol of a module that the livepatch does not change.
//~ the symbols of a module are there while the livepatch changes the module

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        "some_module": {
            symbols: {
                // SAFETY: This is never loaded.
                unsafe fn helper(value: c_int) -> c_int,
            },
        },
        vmlinux: {
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
