// SPDX-License-Identifier: GPL-2.0-or-later

//! A livepatch in Rust with callbacks for each of its objects, which log each call.
//!
//! The counterpart of `livepatch-callbacks-demo.c`. Its targets are `livepatch-callbacks-mod.ko`
//! and `livepatch-callbacks-busymod.ko`, which may be loaded before it and after it.
//!
//! ```text
//! # insmod livepatch-callbacks-mod.ko
//! # insmod livepatch_rust_callbacks.ko
//! # echo 0 > /sys/kernel/livepatch/livepatch_rust_callbacks/enabled
//! # dmesg
//! ```
//!
//! `vmlinux_ret=-19` (`-ENODEV`) makes the callback for the kernel refuse the livepatch.
//! `module_ret=-19` makes the callbacks for modules fail: they refuse the livepatch if their module
//! is loaded before it, and the module if it is loaded later.

use kernel::{
    error::to_result,
    livepatch::{
        module_livepatch,
        Callbacks,
        ModuleState,
        Object, //
    },
    prelude::*, //
};

module_livepatch! {
    name: "livepatch_rust_callbacks",
    authors: ["Rust for Linux Contributors"],
    description: "Live patching callbacks in Rust",
    license: "GPL",
    params: {
        vmlinux_ret: i32 {
            default: 0,
            description: "What the pre-patch callback returns for the kernel (default: 0)",
        },
        module_ret: i32 {
            default: 0,
            description: "What the pre-patch callback returns for modules (default: 0)",
        },
    },
    objects: {
        vmlinux: {
            callbacks: Demo,
        },
        "livepatch_callbacks_mod": {
            callbacks: Demo,
        },
        "livepatch_callbacks_busymod": {
            callbacks: Demo,
            funcs: {
                // SAFETY: It is `void (struct work_struct *work)`.
                unsafe fn busymod_work_func(work: *mut c_void) = patched_work_func,
            },
        },
    },
}

struct Demo;

impl Demo {
    fn info(callback: &str, object: &Object<'_>) {
        let Some(name) = object.name() else {
            pr_info!("{callback}: vmlinux\n");
            return;
        };
        let state = match object.module_state() {
            Some(ModuleState::Live) => "[MODULE_STATE_LIVE] Normal state",
            Some(ModuleState::Coming) => "[MODULE_STATE_COMING] Full formed, running module_init",
            Some(ModuleState::Going) => "[MODULE_STATE_GOING] Going away",
            Some(ModuleState::Unformed) | None => "[MODULE_STATE_UNFORMED] Still setting it up",
        };
        pr_info!("{callback}: {name} -> {state}\n");
    }
}

impl Callbacks for Demo {
    fn pre_patch(object: &Object<'_>) -> Result {
        Self::info("pre_patch", object);
        to_result(match object.name() {
            None => module_parameters::vmlinux_ret.value(),
            Some(_) => module_parameters::module_ret.value(),
        })
    }

    fn post_patch(object: &Object<'_>) {
        Self::info("post_patch", object);
    }

    fn pre_unpatch(object: &Object<'_>) {
        Self::info("pre_unpatch", object);
    }

    fn post_unpatch(object: &Object<'_>) {
        Self::info("post_unpatch", object);
    }
}

extern "C" fn patched_work_func(_work: *mut c_void) {
    pr_info!("patched_work_func\n");
}
