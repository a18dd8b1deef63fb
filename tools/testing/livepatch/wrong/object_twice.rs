// SPDX-License-Identifier: GPL-2.0

//! Two objects for the same module.
//~ this object is there already

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        "some_module": {
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn old_function(value: c_int) -> c_int = new_function,
            },
        },
        "some_module": {
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn other_function(value: c_int) -> c_int = new_function,
            },
        },
    },
}

extern "C" fn new_function(_value: c_int) -> c_int {
    0
}
