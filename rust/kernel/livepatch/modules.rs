// SPDX-License-Identifier: GPL-2.0-or-later

//! Modules that come and go: what the module loader must have got right.
//!
//! What happens then is decided in [`model::modules`].

#![deny(unsafe_code)]

use super::{
    abi::Module,
    host::{
        self,
        klp_err,
        warn_on, //
    },
    model,
    patch::Kernel, //
};
use crate::{
    prelude::*, //
};

/// Applies the enabled patches to a module that is being loaded. Sleeps.
///
/// # Errors
///
/// Those with which the module is to be refused; nothing is left behind then.
pub(crate) fn coming(module: &Module) -> Result {
    if warn_on!(!module.is_coming()) {
        return Err(EINVAL);
    }
    if module.name() == c"vmlinux" {
        klp_err!("vmlinux.ko: invalid module name\n");
        return Err(EINVAL);
    }
    let locked = host::lock();
    model::modules::coming(&Kernel(&locked), module)
}

/// Reverts the enabled patches on a module that is being unloaded. Sleeps.
pub(crate) fn going(module: &Module) {
    if warn_on!(!module.is_going() && !module.is_coming()) {
        return;
    }
    let locked = host::lock();
    model::modules::going(&Kernel(&locked), module);
}
