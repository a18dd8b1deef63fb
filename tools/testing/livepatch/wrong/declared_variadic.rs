// SPDX-License-Identifier: GPL-2.0

//! A function that C declares with a variable number of arguments.
//~ error[E0308]: mismatched types

use kernel::livepatch::module_livepatch;
use kernel::prelude::*;
use kernel::seq_file::SeqFile;

module_livepatch! {
    name: "wrong",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn seq_printf(m: &SeqFile, f: *const c_char) = new_function,
            },
        },
    },
}

extern "C" fn new_function(_m: &SeqFile, _f: *const c_char) {}
