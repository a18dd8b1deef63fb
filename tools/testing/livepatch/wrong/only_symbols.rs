// SPDX-License-Identifier: GPL-2.0

//! A livepatch that uses symbols, and changes nothing.
//~ this livepatch changes nothing: give it `objects`

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            symbols: {
                // SAFETY: This is never loaded.
                unsafe fn helper(value: c_int) -> c_int,
            },
        },
    },
}
