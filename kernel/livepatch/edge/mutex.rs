// SPDX-License-Identifier: GPL-2.0-or-later

//! `klp_mutex`, which protects patches, objects, funcs, their lists, the func stacks, and the
//! transition.

use core::ops::Deref;
use kernel::{
    bindings,
    sync::lock::{
        mutex::MutexBackend,
        Guard,
        Lock, //
    }, //
};

/// Proof that `klp_mutex` is held.
///
/// # Invariants
///
/// While a reference to the value exists, `klp_mutex` is held, or nothing that it protects changes.
pub(crate) struct Locked(());

/// `klp_mutex`, held until this is dropped.
pub(crate) struct LockedGuard {
    locked: Locked,
    _guard: Guard<'static, (), MutexBackend>,
}

impl Deref for LockedGuard {
    type Target = Locked;

    fn deref(&self) -> &Locked {
        &self.locked
    }
}

/// Takes `klp_mutex`. Sleeps.
pub(crate) fn lock() -> LockedGuard {
    // SAFETY: `klp_mutex` is a static variable, which `DEFINE_MUTEX()` has initialized.
    let mutex = unsafe { Lock::<(), MutexBackend>::from_raw(&raw mut bindings::klp_mutex) };
    // INVARIANT: `_guard` holds the mutex as long as `locked` can be borrowed.
    LockedGuard {
        _guard: mutex.lock(),
        locked: Locked(()),
    }
}

impl Locked {
    /// The proof, for code that runs inside a section that holds the mutex without having been
    /// passed the proof: callbacks.
    ///
    /// # Safety
    ///
    /// For as long as `'a`, a function that waits for the caller holds the mutex; or nothing that
    /// the mutex protects changes, and the caller only reads.
    pub(crate) unsafe fn assume<'a>() -> &'a Self {
        // INVARIANT: By the safety requirement.
        &Locked(())
    }
}
