// SPDX-License-Identifier: GPL-2.0

//! A reference into the module's memory, in a shadow variable that outlives the module.
//~ str: Lasting

use kernel::livepatch::Shadow;
use kernel::prelude::*;

// SAFETY: This is never loaded.
static SHADOW: Shadow<&'static str> = unsafe { Shadow::for_module(1) };

module! {
    type: Wrong,
    name: "wrong",
    license: "GPL",
}

struct Wrong;

impl kernel::Module for Wrong {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        SHADOW.alloc(&0_u8, GFP_KERNEL, || Ok("a literal"))?;
        Ok(Self)
    }
}
