// SPDX-License-Identifier: GPL-2.0

//! A livepatch in Rust for a function in Rust, which calls the original.

use kernel::{
    livepatch::module_livepatch,
    prelude::*, //
};

module_livepatch! {
    name: "test_klp_rust_traced_patch",
    authors: ["Rust for Linux Contributors"],
    description: "Livepatch test: from Rust to Rust, and back",
    license: "GPL",
    objects: {
        "test_klp_rust_traced": {
            funcs: {
                // SAFETY: It is `int (int value)`.
                unsafe fn test_klp_rust_traced_answer as original(value: c_int) -> c_int =
                    patched_answer,
            },
        },
    },
}

extern "C" fn patched_answer(value: c_int) -> c_int {
    // SAFETY: The original takes any number.
    unsafe { original(value) }.wrapping_mul(100)
}
