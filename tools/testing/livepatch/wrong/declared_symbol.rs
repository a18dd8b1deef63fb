// SPDX-License-Identifier: GPL-2.0

//! A function that is used, and that C declares with another argument.
//~ error[E0308]: mismatched types
//~ expected `u64`, found `u32`

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            symbols: {
                // SAFETY: This is never loaded.
                unsafe fn jiffies_64_to_clock_t(x: u32) -> u64,
            },
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
