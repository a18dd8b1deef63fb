// SPDX-License-Identifier: GPL-2.0

//! A shadow variable that is changed without a lock, while other tasks may read it.
//~ error[E0594]: cannot assign to data in dereference of `ShadowRef

use kernel::livepatch::Shadow;
use kernel::prelude::*;

// SAFETY: This is never loaded.
static SHADOW: Shadow<u64> = unsafe { Shadow::for_module(1) };

module! {
    type: Wrong,
    name: "wrong",
    license: "GPL",
}

struct Wrong;

impl kernel::Module for Wrong {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        if let Some(mut variable) = SHADOW.get(&0_u8) {
            *variable = 2;
        }
        Ok(Self)
    }
}
