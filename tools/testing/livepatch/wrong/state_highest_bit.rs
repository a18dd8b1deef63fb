// SPDX-License-Identifier: GPL-2.0

//! A state without data whose id a state with data may have.
//~ the highest bit marks the ids of states with data

use kernel::livepatch::{
    module_livepatch,
    State, //
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

static FLAG: State<()> = State::new(1 << 63, 1);

extern "C" fn new_function(value: c_int) -> c_int {
    value
}
