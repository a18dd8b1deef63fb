// SPDX-License-Identifier: GPL-2.0

//! A shadow variable of a type that only one task may use.
//~ error[E0599]
//~ *mut u8: Lasting

use kernel::livepatch::Shadow;
use kernel::prelude::*;

// SAFETY: This is never loaded.
static SHADOW: Shadow<*mut u8> = unsafe { Shadow::for_module(1) };

module! {
    type: Wrong,
    name: "wrong",
    license: "GPL",
}

struct Wrong;

impl kernel::Module for Wrong {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        SHADOW.remove_all();
        Ok(Self)
    }
}
