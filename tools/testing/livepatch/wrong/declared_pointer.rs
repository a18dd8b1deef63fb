// SPDX-License-Identifier: GPL-2.0

//! A function that C declares with a pointer to another type.
//~ error[E0277]: `&SeqFile` is not the type that C declares, `*mut kernel::bindings::task_struct`

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
                unsafe fn wake_up_process(task: &SeqFile) -> c_int = new_function,
            },
        },
    },
}

extern "C" fn new_function(_task: &SeqFile) -> c_int {
    0
}
