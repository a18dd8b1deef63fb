// SPDX-License-Identifier: GPL-2.0-or-later

//! Notifications of processes that wait for a patch: pollers of its files, listeners to uevents.

use crate::{
    edge::abi::{
        Object,
        Patch, //
    },
    model::{
        Shown,
        Stage, //
    }, //
};
use kernel::{
    bindings,
    prelude::*, //
};

/// Wakes up the pollers of the file that shows a value, after the value has changed. Sleeps.
pub(crate) fn wake_pollers(shown: Shown<&Patch, &Object>) {
    match shown {
        // SAFETY: The pointer is to a patch that lives, by the invariants of `Patch`, and
        // `Patch::init()` has initialized its kobject.
        Shown::Enabled(patch) => unsafe { bindings::klp_notify_enabled(patch.as_ptr()) },
        // SAFETY: As for the file `enabled`.
        Shown::Transition(patch) => unsafe { bindings::klp_notify_transition(patch.as_ptr()) },
        // SAFETY: The pointer is to an object that lives and has an initialized kobject, by the
        // invariants of `Object`.
        Shown::Patched(object) => unsafe { bindings::klp_notify_patched(object.as_ptr()) },
    }
}

/// Sends a uevent about the transition of a patch. Sleeps.
///
/// A uevent is lost if memory is short. The transition does not depend on it, and the patch's files
/// are right in any case.
pub(crate) fn send_uevent(patch: &Patch, stage: Stage) {
    let transition = match stage {
        Stage::Started => c"TRANSITION=start",
        Stage::Reversed => c"TRANSITION=reverse",
        Stage::Forced => c"TRANSITION=force",
        Stage::Completed => c"TRANSITION=complete",
    };
    // SAFETY: The pointer is to a patch that lives, by the invariants of `Patch`. Its kobject is in
    // sysfs, and stays there: the rules report a stage with `klp_mutex` held, and the work that
    // drops the kobject's first reference is queued later, by `work::queue_free()`. `transition` is
    // a string.
    unsafe { bindings::klp_send_uevent(patch.as_ptr(), transition.as_char_ptr(), patch.enabled()) };
}
