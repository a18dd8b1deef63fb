// SPDX-License-Identifier: GPL-2.0

//! An object to which nothing is done.
//~ nothing is done to this object: give it `funcs`, `callbacks`, or both

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {},
        },
    },
}
