// SPDX-License-Identifier: GPL-2.0

//! A state of a type without `Lasting`, the promise that its values may outlive the module.
//~ Own: Lasting

use kernel::livepatch::{
    Object,
    State, //
};
use kernel::prelude::*;

static STATE: State<Own> = State::new(1, 1);

struct Own(u32);

pub fn get(object: &Object<'_>) -> Option<u32> {
    STATE.get(object).map(|own| own.0)
}

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
