// SPDX-License-Identifier: GPL-2.0

//! A livepatch that takes back that it was enabled.
//~ error[E0133]

use kernel::livepatch::{
    module_livepatch,
    Livepatch, //
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

extern "C" fn new_function(value: c_int) -> c_int {
    let _flag = LocalModule::passed();
    value
}
