// SPDX-License-Identifier: GPL-2.0

//! A shadow variable of a module that is no livepatch, and does not wait for RCU.
//~ error[E0277]: the trait bound `Wrong:

use kernel::livepatch::Shadow;
use kernel::prelude::*;

static SHADOW: Shadow<KBox<u64>> = Shadow::new::<LocalModule>(1);

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
