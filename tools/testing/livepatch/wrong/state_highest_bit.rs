// SPDX-License-Identifier: GPL-2.0

//! A state without data, with an id that marks a state with data.
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
