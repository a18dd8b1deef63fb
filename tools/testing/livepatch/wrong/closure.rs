// SPDX-License-Identifier: GPL-2.0

//! A replacement without a name.
//~ expected identifier

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn old_function(value: c_int) -> c_int = |value| value,
            },
        },
    },
}
