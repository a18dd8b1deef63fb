// SPDX-License-Identifier: GPL-2.0

//! A livepatch in Rust that uses functions and variables which are not exported, and calls the
//! functions that it replaces.

use kernel::{
    livepatch::module_livepatch,
    prelude::*,
    seq_file::{
        seq_print,
        SeqFile, //
    },
    sync::atomic::{
        atomic_load,
        Relaxed, //
    }, //
};

module_livepatch! {
    name: "test_klp_rust_symbols",
    authors: ["Rust for Linux Contributors"],
    description: "Livepatch test: symbols that are not exported, and originals",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                // SAFETY: It is `int (struct seq_file *m, void *v)`, and `m` is valid during the
                // call.
                unsafe fn cmdline_proc_show as original_cmdline(
                    m: &SeqFile,
                    v: *mut c_void,
                ) -> c_int = show_cmdline,
            },
            symbols: {
                // SAFETY: It is `int (struct seq_file *m, void *v)`, and `m` is valid during the
                // call.
                unsafe fn version_proc_show as version(m: &SeqFile, v: *mut c_void) -> c_int,
                // SAFETY: It is `char *`.
                unsafe static saved_command_line: *mut c_char,
            },
        },
        "test_klp_symbols_target": {
            funcs: {
                // SAFETY: It is `int (struct seq_file *m, void *v)`, and `m` is valid during the
                // call.
                unsafe fn test_klp_symbols_show as original_show(
                    m: &SeqFile,
                    v: *mut c_void,
                ) -> c_int = show,
            },
            symbols: {
                // SAFETY: It is `int (int value)`.
                #[sympos(1)]
                unsafe fn test_klp_symbols_helper as first(value: c_int) -> c_int,
                // SAFETY: It is `int (int value)`.
                #[sympos(2)]
                unsafe fn test_klp_symbols_helper as second(value: c_int) -> c_int,
                // SAFETY: It is `int`.
                unsafe static test_klp_symbols_limit as limit: c_int,
            },
        },
    },
}

/// # Safety
///
/// The arguments are those of the function that it replaces.
unsafe extern "C" fn show_cmdline(m: &SeqFile, v: *mut c_void) -> c_int {
    // SAFETY: The variable is valid, and does not change after boot. It points to a string.
    let line = unsafe { CStr::from_char_ptr(*saved_command_line()) };
    seq_print!(m, "patched: {}\n", line.to_bytes().len());
    // SAFETY: The function takes the arguments of this one, and uses the first only.
    unsafe { version(m, v) };
    // SAFETY: The arguments are for the original by the safety requirement.
    unsafe { original_cmdline(m, v) }
}

/// # Safety
///
/// The arguments are those of the function that it replaces.
unsafe extern "C" fn show(m: &SeqFile, v: *mut c_void) -> c_int {
    // SAFETY: This replaces a function of the variable's module, so that the pointer is valid and
    // aligned. The kernel always stores the variable whole.
    let limit = unsafe { atomic_load(limit(), Relaxed) };
    // SAFETY: This replaces a function of the same module. The functions take any number.
    let (first, second) = unsafe { (first(limit), second(limit)) };
    seq_print!(m, "patched: {first} {second}\n");
    // SAFETY: The arguments are for the original by the safety requirement.
    unsafe { original_show(m, v) }
}
