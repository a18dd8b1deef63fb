// SPDX-License-Identifier: GPL-2.0

//! A function that returns, although C declares that it does not.
//~ error[E0277]
//~ is not the type that C declares, `!`

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn do_exit(code: c_long) = new_function,
            },
        },
    },
}

extern "C" fn new_function(_code: c_long) {}
