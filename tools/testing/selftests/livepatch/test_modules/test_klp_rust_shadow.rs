// SPDX-License-Identifier: GPL-2.0

//! A livepatch in Rust that uses shadow variables in its callbacks, and logs their values.

use kernel::{
    alloc::Flags,
    livepatch::{
        module_livepatch,
        Callbacks,
        Lasting,
        Object,
        Shadow, //
    },
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        rcu::rcu_barrier, //
    }, //
};

module_livepatch! {
    name: "test_klp_rust_shadow",
    authors: ["Rust for Linux Contributors"],
    description: "Livepatch test: shadow variables in Rust",
    license: "GPL",
    params: {
        pre_patch_ret: i32 {
            default: 0,
            description: "What the pre-patch callback returns (default: 0)",
        },
        no_wait: bool {
            default: false,
            description: "Do not wait until RCU has dropped the variables (default: false)",
        },
    },
    objects: {
        vmlinux: {
            callbacks: Test,
        },
    },
}

/// A number that logs a message when it is dropped.
struct Noisy(i32);

impl Drop for Noisy {
    fn drop(&mut self) {
        pr_info!("dropping {}\n", self.0);
    }
}

// SAFETY: The type is a number that only this module uses. Its destructor logs a message.
unsafe impl Lasting for Noisy {}

static NOISY: Shadow<Noisy> = Shadow::new::<LocalModule>(1);
/// The shadow variables of another type. They have the same id.
static NUMBER: Shadow<Atomic<i32>> = Shadow::new::<LocalModule>(1);

/// The objects to which the variables are attached.
static ANCHORS: [u8; 3] = [0; 3];

/// Logs the value of an object's variable after a step.
fn log(step: &str, anchor: &u8) {
    match NOISY.get(anchor) {
        Some(variable) => pr_info!("{step}: {}\n", variable.0),
        None => pr_info!("{step}: none\n"),
    }
}

/// Attaches, finds and removes variables. The caller removes those that are left if this fails.
fn use_variables(flags: Flags) -> Result {
    let [first, second, third] = &ANCHORS;

    log("at first", first);
    NOISY.alloc(first, flags, || Ok(Noisy(1)))?;
    log("allocated", first);
    let same = NOISY.get_or_alloc(first, flags, || Ok(Noisy(2)))?.0;
    pr_info!("got or allocated: {same}\n");
    let new = NOISY.get_or_alloc(second, flags, || Ok(Noisy(3)))?.0;
    pr_info!("got or allocated: {new}\n");

    if let Err(error) = NOISY.alloc(third, flags, || Err(EBUSY)) {
        if error != EBUSY {
            return Err(error);
        }
        pr_info!("the constructor has failed\n");
    }
    log("not constructed", third);

    let number = NUMBER.get_or_alloc(first, flags, || Ok(Atomic::new(4)))?;
    number.fetch_add(1, Relaxed);
    drop(number);
    if let Some(number) = NUMBER.get(first) {
        pr_info!("of another type: {}\n", number.load(Relaxed));
    }

    if let Some(variable) = NOISY.remove(first) {
        // Readers do not find the variable any more, but its data still exists.
        log("removed", first);
        pr_info!("still there: {}\n", variable.0);
    }
    pr_info!("removed again: {}\n", NOISY.remove(first).is_some());
    rcu_barrier();
    Ok(())
}

fn remove_all() {
    NOISY.remove_all();
    NUMBER.remove_all();
    if !module_parameters::no_wait.value() {
        rcu_barrier();
    }
}

struct Test;

impl Callbacks for Test {
    fn pre_patch(_object: &Object<'_>) -> Result {
        use_variables(GFP_KERNEL)
            .and_then(|()| kernel::error::to_result(module_parameters::pre_patch_ret.value()))
            .inspect_err(|_| remove_all())
    }

    fn post_unpatch(_object: &Object<'_>) {
        pr_info!("removing all\n");
        remove_all();
        log("all removed", &ANCHORS[1]);
    }
}
