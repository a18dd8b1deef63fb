// SPDX-License-Identifier: GPL-2.0

//! A livepatch in Rust that uses a function by an ambiguous name: its module has two functions of
//! that name, and the livepatch gives no position.

use kernel::{
    livepatch::module_livepatch,
    prelude::*, //
};

module_livepatch! {
    name: "test_klp_rust_two_symbols",
    authors: ["Rust for Linux Contributors"],
    description: "Livepatch test: an ambiguous symbol",
    license: "GPL",
    objects: {
        "test_klp_symbols_target": {
            funcs: {
                // SAFETY: It is `int (struct seq_file *m, void *v)`.
                unsafe fn test_klp_symbols_show(m: *mut c_void, v: *mut c_void) -> c_int = show,
            },
            symbols: {
                // SAFETY: It is not called, because the kernel refuses the livepatch, or the module
                // that has the symbol.
                unsafe fn test_klp_symbols_helper as helper(value: c_int) -> c_int,
            },
        },
    },
}

extern "C" fn show(_m: *mut c_void, _v: *mut c_void) -> c_int {
    // SAFETY: This is not reached.
    unsafe { helper(0) }
}
