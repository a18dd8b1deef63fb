// SPDX-License-Identifier: GPL-2.0-or-later

//! A livepatch in Rust that takes over the shadow variables of another, and has one of its own.
//!
//! The counterpart of `livepatch-shadow-fix2.c`, for `livepatch-shadow-mod.ko`. It replaces
//! `livepatch_rust_shadow_fix1.ko`. So it fixes the leak in the same way, and it also counts how
//! often each dummy is checked.

use kernel::{
    livepatch::{
        module_livepatch,
        Callbacks,
        Object,
        Shadow, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::{
        jiffies,
        msecs_to_jiffies,
        Jiffies, //
    }, //
};

module_livepatch! {
    name: "livepatch_rust_shadow_fix2",
    authors: ["Rust for Linux Contributors"],
    description: "Live patching shadow variables in Rust, second version",
    license: "GPL",
    replace: true,
    objects: {
        "livepatch_shadow_mod": {
            callbacks: Fix,
            funcs: {
                // SAFETY: It is `struct dummy *(void)`. It returns memory from `kmalloc()`, which
                // belongs to the caller from then on, or `NULL`.
                unsafe fn dummy_alloc() -> Option<KBox<Dummy>> = patched_dummy_alloc,
                // SAFETY: It is `void (struct dummy *d)`. `d` is from `dummy_alloc()`, and handed
                // over.
                unsafe fn dummy_free(d: KBox<Dummy>) = patched_dummy_free,
                // SAFETY: It is `bool (struct dummy *d, unsigned long jiffies)`. The caller holds
                // the lock of the dummies, so `d` is not freed or changed.
                unsafe fn dummy_check(d: &Dummy, jiffies: c_ulong) -> bool = patched_dummy_check,
            },
        },
    },
}

/// The memory that the module forgets, attached to its dummy. The first version of the livepatch
/// has the same id and type.
static LEAK: Shadow<KBox<c_int>> = Shadow::new::<LocalModule>(1);

/// How often a dummy has been checked.
static COUNTER: Shadow<Atomic<i32>> = Shadow::new::<LocalModule>(2);

/// The time until a dummy expires, in milliseconds.
const EXPIRE_PERIOD: u32 = 12_000;

/// `struct dummy`, as the module has it.
#[repr(C)]
pub struct Dummy {
    _list: [usize; 2],
    jiffies_expire: Jiffies,
}

fn alloc() -> Result<KBox<Dummy>> {
    let dummy = KBox::new(
        Dummy {
            _list: [0; 2],
            jiffies_expire: jiffies().wrapping_add(msecs_to_jiffies(EXPIRE_PERIOD)),
        },
        GFP_KERNEL,
    )?;
    let leak = KBox::new(0, GFP_KERNEL)?;
    LEAK.alloc(&*dummy, GFP_KERNEL, || Ok(leak))?;
    pr_info!("dummy_alloc: attached the memory that would leak\n");
    Ok(dummy)
}

extern "C" fn patched_dummy_alloc() -> Option<KBox<Dummy>> {
    alloc().ok()
}

extern "C" fn patched_dummy_check(d: &Dummy, jiffies: c_ulong) -> bool {
    // Dummies may be older than this livepatch.
    if let Ok(counter) = COUNTER.get_or_alloc(d, GFP_NOWAIT, || Ok(Atomic::new(0))) {
        counter.fetch_add(1, Relaxed);
    }
    // This is `time_after(jiffies, d->jiffies_expire)`.
    (d.jiffies_expire.wrapping_sub(jiffies) as isize) < 0
}

extern "C" fn patched_dummy_free(d: KBox<Dummy>) {
    match LEAK.remove(&*d) {
        Some(_leak) => pr_info!("dummy_free: prevented a leak\n"),
        None => pr_info!("dummy_free: leaked!\n"),
    }
    if let Some(counter) = COUNTER.remove(&*d) {
        pr_info!("dummy_free: check counter = {}\n", counter.load(Relaxed));
    }
}

struct Fix;

impl Callbacks for Fix {
    fn post_unpatch(_object: &Object<'_>) {
        // From now on the module frees the dummies without regard to their variables.
        LEAK.remove_all();
        COUNTER.remove_all();
        pr_info!("post_unpatch: nothing is left to leak\n");
    }
}
