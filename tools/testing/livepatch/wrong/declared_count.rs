// SPDX-License-Identifier: GPL-2.0

//! A function that C declares with more arguments.
//~ error[E0308]: mismatched types
//~ expected fn pointer

use kernel::bindings;
use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn wake_up_state(task: *mut bindings::task_struct) -> c_int = new_function,
            },
        },
    },
}

extern "C" fn new_function(_task: *mut bindings::task_struct) -> c_int {
    0
}
