// SPDX-License-Identifier: GPL-2.0

//! A symbol that is used in some configurations.
//~ the macro does not see this condition

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            symbols: {
                // SAFETY: This is never loaded.
                #[cfg(CONFIG_SMP)]
                unsafe fn helper(value: c_int) -> c_int,
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
