// SPDX-License-Identifier: GPL-2.0-or-later

//! A livepatch in Rust that changes the output of `/proc/cmdline`.
//!
//! The counterpart of `livepatch-sample.c`.
//!
//! ```text
//! # insmod livepatch_rust_sample.ko
//! # cat /proc/cmdline
//! this has been live patched
//!
//! # echo 0 > /sys/kernel/livepatch/livepatch_rust_sample/enabled
//! # cat /proc/cmdline
//! <your cmdline>
//! ```

use kernel::{
    livepatch::module_livepatch,
    prelude::*,
    seq_file::{
        seq_print,
        SeqFile, //
    }, //
};

module_livepatch! {
    name: "livepatch_rust_sample",
    authors: ["Rust for Linux Contributors"],
    description: "Live patching sample in Rust",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                // SAFETY: It is `int (struct seq_file *m, void *v)`, and `m` is valid during
                // the call.
                unsafe fn cmdline_proc_show(m: &SeqFile, v: *mut c_void) -> c_int =
                    new_cmdline_proc_show,
            },
        },
    },
}

extern "C" fn new_cmdline_proc_show(m: &SeqFile, _v: *mut c_void) -> c_int {
    seq_print!(m, "this has been live patched\n");
    0
}
