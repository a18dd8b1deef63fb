// SPDX-License-Identifier: GPL-2.0

//! A livepatch in Rust that takes over a state of the system, in version 2.

use kernel::{
    livepatch::{
        module_livepatch,
        Callbacks,
        Object,
        State, //
    },
    prelude::*, //
};

module_livepatch! {
    name: "test_klp_rust_state2",
    authors: ["Rust for Linux Contributors"],
    description: "Livepatch test: system states in Rust",
    license: "GPL",
    fixes: ["CVE-2026-1234", "CVE-2026-2345"],
    replace: true,
    states: [ORIGINAL],
    objects: {
        vmlinux: {
            callbacks: Test,
        },
    },
}

/// The value from before any livepatch.
static ORIGINAL: State<u64> = State::new(1, 2);

/// A state with the same id and another type.
static FLAG: State<bool> = State::new(1, 2);

struct Test;

impl Callbacks for Test {
    fn pre_patch(object: &Object<'_>) -> Result {
        pr_info!("of another type: {}\n", FLAG.previous(object).is_some());
        let Some(previous) = ORIGINAL.previous(object) else {
            pr_info!("there is nothing to take over\n");
            return Ok(());
        };
        let version = previous.version();
        let original = previous.data().ok_or(ENODATA)?;
        pr_info!("taking over {} from version {version}\n", *original);
        ORIGINAL.set(object, original)
    }

    fn post_unpatch(object: &Object<'_>) {
        if let Some(original) = ORIGINAL.get(object) {
            pr_info!("restoring {}\n", *original);
        }
    }
}
