// SPDX-License-Identifier: GPL-2.0

//! A reference to a shadow variable's data, used after the guard is dropped.
//~ error[E0597]: `variable` does not live long enough

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
        let value: &u64 = {
            let variable = SHADOW.get_or_alloc(&0_u8, GFP_KERNEL, || Ok(1))?;
            &variable
        };
        pr_info!("{value}\n");
        Ok(Self)
    }
}
