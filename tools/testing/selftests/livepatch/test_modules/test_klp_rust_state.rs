// SPDX-License-Identifier: GPL-2.0

//! A livepatch in Rust that modifies a state of the system, in version 1.

use kernel::{
    livepatch::{
        module_livepatch,
        Callbacks,
        Object,
        State, //
    },
    prelude::*,
    sync::Arc, //
};

module_livepatch! {
    name: "test_klp_rust_state",
    authors: ["Rust for Linux Contributors"],
    description: "Livepatch test: system states in Rust",
    license: "GPL",
    params: {
        pre_patch_ret: i32 {
            default: 0,
            description: "What the pre-patch callback returns (default: 0)",
        },
    },
    replace: true,
    states: [ORIGINAL],
    objects: {
        vmlinux: {
            callbacks: Test,
        },
    },
}

/// The value from before any livepatch.
static ORIGINAL: State<u64> = State::new(1, 1);

/// A state that the livepatch does not list.
static OTHER: State<u64> = State::new(2, 1);

// The only place that ends the uses of a livepatch that was replaced.
impl Drop for LocalModule {
    fn drop(&mut self) {
        pr_info!("the module goes\n");
    }
}

struct Test;

impl Callbacks for Test {
    fn pre_patch(object: &Object<'_>) -> Result {
        if let Some(previous) = ORIGINAL.previous(object) {
            pr_info!("there is version {} already\n", previous.version());
            return Err(EEXIST);
        }
        ORIGINAL.set(object, Arc::new(41, GFP_KERNEL)?)?;
        ORIGINAL.set(object, Arc::new(42, GFP_KERNEL)?)?;
        pr_info!("remembering 42\n");
        let other = OTHER.set(object, Arc::new(43, GFP_KERNEL)?);
        pr_info!(
            "another state: {}\n",
            other.map_or_else(Error::to_errno, |()| 0)
        );
        kernel::error::to_result(module_parameters::pre_patch_ret.value())
    }

    fn post_unpatch(object: &Object<'_>) {
        if let Some(original) = ORIGINAL.get(object) {
            pr_info!("restoring {}\n", *original);
        }
    }
}
