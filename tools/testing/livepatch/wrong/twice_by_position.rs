// SPDX-License-Identifier: GPL-2.0

//! A function that is replaced twice, once by its position.
//~ this function is replaced already

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
                // SAFETY: This is never loaded.
                #[sympos(1)]
                unsafe fn old_function(value: c_int) -> c_int = new_function,
            },
        },
    },
}

extern "C" fn new_function(value: c_int) -> c_int {
    value
}
