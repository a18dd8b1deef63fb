// SPDX-License-Identifier: GPL-2.0

//! The guard of a shadow variable, sent to another task.
//~ error[E0277]: `*mut ()` cannot be sent between threads safely

use kernel::livepatch::Shadow;
use kernel::prelude::*;

// SAFETY: This is never loaded.
static SHADOW: Shadow<u64> = unsafe { Shadow::for_module(1) };

fn send<T: Send>(_value: T) {}

module! {
    type: Wrong,
    name: "wrong",
    license: "GPL",
}

struct Wrong;

impl kernel::Module for Wrong {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        send(SHADOW.get(&0_u8));
        Ok(Self)
    }
}
