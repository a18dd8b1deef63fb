// SPDX-License-Identifier: GPL-2.0

//! A state with the id that ends the list.
//~ error[E0080]
//~ the id of a state must not be 0

use kernel::livepatch::State;
use kernel::prelude::*;

pub static STATE: State<u64> = State::new(0, 1);

module! {
    type: Wrong,
    name: "wrong",
    license: "GPL",
}

struct Wrong;

impl kernel::Module for Wrong {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}
