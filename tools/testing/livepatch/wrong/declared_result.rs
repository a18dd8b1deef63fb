// SPDX-License-Identifier: GPL-2.0

//! A function that C declares with another result.
//~ error[E0277]: `i32` is not the type that C declares, `u64`

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn jiffies_64_to_clock_t(x: u64) -> c_int = new_function,
            },
        },
    },
}

extern "C" fn new_function(_x: u64) -> c_int {
    0
}
