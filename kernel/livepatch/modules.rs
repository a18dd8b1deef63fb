// SPDX-License-Identifier: GPL-2.0-or-later

//! Modules that come and go: what the module loader must have got right.
//!
//! What happens then is decided in [`model::modules`].

use crate::{
    batch,
    edge::{
        abi::Module,
        mutex::{
            self,
            LockedGuard, //
        }, //
    },
    model,
    patch::Kernel, //
};
use kernel::{
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    },
    warn_on, //
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
        pr_err!("vmlinux.ko: invalid module name\n");
        return Err(EINVAL);
    }
    let locked = mutex::lock();
    let result = model::modules::coming(&Kernel(&locked), module);
    if result.is_err() {
        wait_for_ftrace(locked);
    }
    result
}

/// Reverts the enabled patches on a module that is being unloaded. Sleeps.
pub(crate) fn going(module: &Module) {
    if warn_on!(!module.is_going() && !module.is_coming()) {
        return;
    }
    let locked = mutex::lock();
    model::modules::going(&Kernel(&locked), module);
    wait_for_ftrace(locked);
}

/// Waits until no function of a module that goes is in ftrace for us. Sleeps.
///
/// Leaving ftrace can need memory, and is tried again later, but the module cannot wait: ftrace
/// would go by the addresses, and take for patched what is loaded there next.
fn wait_for_ftrace(mut locked: LockedGuard) {
    while !batch::leave(&locked) {
        drop(locked);
        fsleep(Delta::from_millis(100));
        locked = mutex::lock();
    }
}
