// SPDX-License-Identifier: GPL-2.0

//! A livepatch that enables itself a second time.
//~ error[E0133]

use kernel::livepatch::{
    module_livepatch,
    Enabled, //
};
use kernel::prelude::*;

module_livepatch! {
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
    match Enabled::<__Livepatch>::new() {
        Ok(_enabled) => 1,
        Err(_) => 0,
    }
}
