// SPDX-License-Identifier: GPL-2.0

//! A livepatch in Rust that uses shadow variables in its callbacks, and says what happens to them.

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
        hurry: bool {
            default: false,
            description: "Let the module go while RCU has yet to drop variables (default: false)",
        },
    },
    objects: {
        vmlinux: {
            callbacks: Test,
        },
    },
}

/// Says so when it is dropped.
struct Noisy(i32);

impl Drop for Noisy {
    fn drop(&mut self) {
        pr_info!("dropping {}\n", self.0);
    }
}

// SAFETY: It is a number, in this module alone, and a message when it is dropped.
unsafe impl Lasting for Noisy {}

static NOISY: Shadow<Noisy> = Shadow::new(1);
/// Of the same id, and another type.
static NUMBER: Shadow<Atomic<i32>> = Shadow::new(1);

/// What the variables are attached to.
static ANCHORS: [u8; 3] = [0; 3];

fn say(what: &str, anchor: &u8) {
    match NOISY.get(anchor) {
        Some(variable) => pr_info!("{what}: {}\n", variable.0),
        None => pr_info!("{what}: none\n"),
    }
}

/// None of it is left behind if this fails.
fn use_variables(flags: Flags) -> Result {
    let [first, second, third] = &ANCHORS;

    say("at first", first);
    NOISY.alloc(first, flags, || Ok(Noisy(1)))?;
    say("allocated", first);
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
    say("not constructed", third);

    let number = NUMBER.get_or_alloc(first, flags, || Ok(Atomic::new(4)))?;
    number.fetch_add(1, Relaxed);
    drop(number);
    if let Some(number) = NUMBER.get(first) {
        pr_info!("of another type: {}\n", number.load(Relaxed));
    }

    if let Some(variable) = NOISY.remove(first) {
        // Nobody finds it any more, but it is still there.
        say("removed", first);
        pr_info!("still there: {}\n", variable.0);
    }
    pr_info!("removed again: {}\n", NOISY.remove(first).is_some());
    rcu_barrier();
    Ok(())
}

fn remove_all() {
    NOISY.remove_all();
    NUMBER.remove_all();
    if !module_parameters::hurry.value() {
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
        say("all removed", &ANCHORS[1]);
    }
}
