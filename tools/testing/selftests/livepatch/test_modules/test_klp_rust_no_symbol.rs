// SPDX-License-Identifier: GPL-2.0

//! A livepatch in Rust that uses a function which the kernel does not have.

use kernel::{
    livepatch::module_livepatch,
    prelude::*, //
};

module_livepatch! {
    name: "test_klp_rust_no_symbol",
    authors: ["Rust for Linux Contributors"],
    description: "Livepatch test: a symbol that is not there",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                // SAFETY: It is `int (struct seq_file *m, void *v)`.
                unsafe fn cmdline_proc_show(m: *mut c_void, v: *mut c_void) -> c_int = show,
            },
            symbols: {
                // SAFETY: It is not called, because the kernel refuses the livepatch.
                unsafe fn test_klp_no_such_function() -> c_int,
            },
        },
    },
}

extern "C" fn show(_m: *mut c_void, _v: *mut c_void) -> c_int {
    // SAFETY: This is not reached.
    unsafe { test_klp_no_such_function() }
}
