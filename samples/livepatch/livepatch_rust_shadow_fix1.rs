// SPDX-License-Identifier: GPL-2.0-or-later

//! A livepatch in Rust that fixes a leak with a shadow variable.
//!
//! The counterpart of `livepatch-shadow-fix1.c`, for `livepatch-shadow-mod.ko`, which allocates
//! memory with each of its dummies and forgets it. This livepatch attaches the memory to the dummy,
//! and frees it with the dummy.
//!
//! `livepatch_rust_shadow_fix2.ko` can replace this livepatch.

use kernel::{
    livepatch::{
        module_livepatch,
        Callbacks,
        Object,
        Shadow, //
    },
    prelude::*,
    time::{
        jiffies,
        msecs_to_jiffies,
        Jiffies, //
    }, //
};

module_livepatch! {
    name: "livepatch_rust_shadow_fix1",
    authors: ["Rust for Linux Contributors"],
    description: "Live patching shadow variables in Rust",
    license: "GPL",
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
            },
        },
    },
}

/// The memory that the module forgets, attached to its dummy. The next version of the livepatch
/// finds it under the same id and type.
static LEAK: Shadow<KBox<c_int>> = Shadow::new::<LocalModule>(1);

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

extern "C" fn patched_dummy_free(d: KBox<Dummy>) {
    // A dummy that is older than this livepatch has no variable.
    match LEAK.remove(&*d) {
        Some(_leak) => pr_info!("dummy_free: prevented a leak\n"),
        None => pr_info!("dummy_free: leaked!\n"),
    }
}

struct Fix;

impl Callbacks for Fix {
    fn post_unpatch(_object: &Object<'_>) {
        // From now on the module frees the dummies without regard to their variables.
        LEAK.remove_all();
        pr_info!("post_unpatch: nothing is left to leak\n");
    }
}
