// SPDX-License-Identifier: GPL-2.0-or-later

//! Atomic replace: a patch that takes the place of all that are enabled.
//!
//! For the time of the transition, what they change and it does not is redirected by nops, which
//! stand for the original functions. Afterwards the replaced patches are unpatched and freed, and
//! the nops as well: `transition.rs`.

#![deny(unsafe_code)]

use super::{
    abi::{
        Func,
        Object,
        Patch, //
    },
    host::{
        self,
        Locked, //
    }, //
};
use crate::prelude::*;

/// Adds nops to a new patch for all functions that enabled patches change and it does not.
pub(crate) fn add_nops(patch: &Patch, locked: &Locked) -> Result {
    for older in host::patches(locked) {
        for replaced in older.objects(locked) {
            let name = replaced.name();
            let object = match patch.objects(locked).find(|object| object.name() == name) {
                Some(object) => object,
                None => patch.add_nop_object(name, locked)?,
            };
            add_object_nops(object, replaced, locked)?;
        }
    }
    Ok(())
}

fn add_object_nops(object: &Object, replaced: &Object, locked: &Locked) -> Result {
    for func in replaced.funcs(locked) {
        if !object.funcs(locked).any(|own| same(own, func)) {
            object.add_nop(func, locked)?;
        }
    }
    Ok(())
}

/// Whether two funcs change the same function: position 0, for a unique name, is the first.
fn same(one: &Func, other: &Func) -> bool {
    one.name() == other.name() && one.position().max(1) == other.position().max(1)
}
