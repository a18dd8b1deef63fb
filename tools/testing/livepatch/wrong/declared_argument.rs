// SPDX-License-Identifier: GPL-2.0

//! A function that C declares with another argument.
//~ error[E0308]: mismatched types
//~ expected `u64`, found `u32`

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn jiffies_64_to_clock_t(x: u32) -> u64 = new_function,
            },
        },
    },
}

extern "C" fn new_function(_x: u32) -> u64 {
    0
}
