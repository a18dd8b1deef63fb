// SPDX-License-Identifier: GPL-2.0

//! A livepatch that gives the type of its module.
//~ the type of the module is not chosen

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    type: Wrong,
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

extern "C" fn new_function(_value: c_int) -> c_int {
    0
}
