// SPDX-License-Identifier: GPL-2.0

//! The data of a shadow variable, moved out of it.
//~ error[E0507]: cannot move out of dereference of `ShadowRef

use kernel::livepatch::Shadow;
use kernel::prelude::*;

// SAFETY: This is never loaded.
static SHADOW: Shadow<KBox<u64>> = unsafe { Shadow::for_module(1) };

module! {
    type: Wrong,
    name: "wrong",
    license: "GPL",
}

struct Wrong;

impl kernel::Module for Wrong {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        if let Some(variable) = SHADOW.get(&0_u8) {
            drop(*variable);
        }
        Ok(Self)
    }
}
