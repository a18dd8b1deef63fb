// SPDX-License-Identifier: GPL-2.0

//! Two defects in one identifier.
//~ the identifier of a defect has visible ASCII characters and no comma

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    fixes: ["CVE-2026-1234, CVE-2026-2345"],
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
