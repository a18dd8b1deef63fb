// SPDX-License-Identifier: GPL-2.0

//! A livepatch in Rust for a function in Rust.

use kernel::{
    livepatch::module_livepatch,
    prelude::*, //
};

module_livepatch! {
    name: "test_klp_rust_patch",
    authors: ["Rust for Linux Contributors"],
    description: "Livepatch test: from Rust to Rust",
    license: "GPL",
    objects: {
        "test_klp_rust_target": {
            funcs: {
                // SAFETY: It is `int (int value)`.
                unsafe fn test_klp_rust_answer(value: c_int) -> c_int = patched_answer,
            },
        },
    },
}

extern "C" fn patched_answer(value: c_int) -> c_int {
    value.wrapping_mul(100)
}
