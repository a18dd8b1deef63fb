// SPDX-License-Identifier: GPL-2.0

//! A function with an argument in some configurations.
//~ the macro does not see attributes of arguments

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn old_function(#[cfg(CONFIG_SMP)] value: c_int) -> c_int = new_function,
            },
        },
    },
}

extern "C" fn new_function(value: c_int) -> c_int {
    value
}
