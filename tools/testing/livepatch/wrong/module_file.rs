// SPDX-License-Identifier: GPL-2.0

//! An object with the name of a module's file, with a hyphen, instead of the module's name.
//~ '-' cannot be in a name

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        "some-module": {
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
