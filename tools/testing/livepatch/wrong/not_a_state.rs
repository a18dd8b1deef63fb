// SPDX-License-Identifier: GPL-2.0

//! A list of states with an item that is no `State`.
//~ error[E0277]: the trait bound
//~ DeclaredState` is not satisfied

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    states: [WRONG],
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
    0
}

static WRONG: u64 = 1;
