// SPDX-License-Identifier: GPL-2.0-or-later

//! Modules that come and go, as the module loader announces them.
//!
//! This file checks the state and the name of a module. [`model::modules`] decides how patches are
//! applied and reverted.

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
/// Any error. The module loader then refuses the module, and nothing is left behind.
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

/// Waits until all functions without a func have left ftrace, among them those of a module that
/// goes. If ftrace has shut itself down, they stay, and this does not wait for them. Sleeps.
///
/// A function needs memory to leave ftrace, and usually a work item can try again later. But a
/// module must not go before its functions have left: ftrace would keep their addresses, and take
/// code that is loaded there next for patched functions.
fn wait_for_ftrace(mut locked: LockedGuard) {
    while !batch::leave(&locked) {
        drop(locked);
        fsleep(Delta::from_millis(100));
        locked = mutex::lock();
    }
}
