// SPDX-License-Identifier: GPL-2.0

//! A function that is used, declared without `unsafe`.
//~ the compiler cannot check that the symbol has this type: claim it with `unsafe fn`

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            symbols: {
                fn helper(value: c_int) -> c_int,
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
