// SPDX-License-Identifier: GPL-2.0-or-later

//! Which function a name means.

#![deny(unsafe_code)]

use super::host::{
    self,
    klp_err, //
};
use crate::prelude::*;
use ::core::{
    ffi::CStr,
    ops::ControlFlow, //
};

/// The address of the symbol called `name` in `object`, or in vmlinux.
///
/// `position` says which of several, from 1, in the order of kallsyms; 0 says that there is one.
/// Sleeps.
///
/// # Errors
///
/// [`EINVAL`], with a message, if there is none, more than one, or not as many.
pub(crate) fn find(object: Option<&CStr>, name: &CStr, position: usize) -> Result<usize> {
    let mut count = 0usize;
    let mut last = 0;
    host::each_symbol(object, name, |address| {
        count = count.saturating_add(1);
        last = address;
        // One more than wanted tells that the name is ambiguous.
        if count == position || (position == 0 && count > 1) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });

    if last == 0 {
        klp_err!("symbol '{name}' not found in symbol table\n");
    } else if position == 0 && count > 1 {
        // The C core prints a null pointer for vmlinux here.
        let object = object.unwrap_or(c"(null)");
        klp_err!("unresolvable ambiguity for symbol '{name}' in object '{object}'\n");
    } else if position != 0 && position != count {
        let object = object.unwrap_or(c"vmlinux");
        klp_err!("symbol position {position} for symbol '{name}' in object '{object}' not found\n");
    } else {
        return Ok(last);
    }
    Err(EINVAL)
}
