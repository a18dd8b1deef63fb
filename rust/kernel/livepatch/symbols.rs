// SPDX-License-Identifier: GPL-2.0-or-later

//! The places in which the kernel writes the addresses of variables that a livepatch uses although
//! they are not exported.

use crate::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// A pointer to a variable of the kernel or of a module.
///
/// [`module_livepatch!`](super::module_livepatch) defines one for each variable among the symbols
/// of a livepatch. The kernel writes the pointer when it loads the livepatch, or a module that the
/// livepatch changes.
#[doc(hidden)]
#[repr(transparent)]
pub struct Variable<T>(Atomic<*mut T>);

impl<T> Variable<T> {
    /// The variable.
    ///
    /// For a variable of a module, the pointer is null before the livepatch changes the module, and
    /// after the module is unloaded while the livepatch is enabled. A livepatch that is disabled
    /// keeps the pointer, which may then lead to freed memory.
    #[inline]
    pub fn get(&self) -> *mut T {
        // The kernel writes it whole, as a relocation.
        self.0.load(Relaxed)
    }
}
