// SPDX-License-Identifier: GPL-2.0

//! A function without a name.
//~ the function needs a name

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn(value: c_int) -> c_int = new_function,
            },
        },
    },
}

extern "C" fn new_function(_value: c_int) -> c_int {
    0
}
