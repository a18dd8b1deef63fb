// SPDX-License-Identifier: GPL-2.0

//! A replacement with an argument that would have to live for ever.
//~ error[E0308]: mismatched types
//~ one type is more general than the other

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn old_function(value: &c_int) = new_function,
            },
        },
    },
}

extern "C" fn new_function(_value: &'static c_int) {}
