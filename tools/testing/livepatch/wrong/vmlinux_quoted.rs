// SPDX-License-Identifier: GPL-2.0

//! The kernel named in quotation marks, like a module.
//~ no module has this name: the kernel is `vmlinux` without quotation marks

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        "vmlinux": {
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
