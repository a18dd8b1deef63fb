// SPDX-License-Identifier: GPL-2.0

//! A function declared without `unsafe`, although the compiler cannot check its type.
//~ the compiler cannot check that the original has this type: vouch for it with `unsafe fn`

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                fn old_function(value: c_int) -> c_int = new_function,
            },
        },
    },
}

extern "C" fn new_function(_value: c_int) -> c_int {
    0
}
