// SPDX-License-Identifier: GPL-2.0-or-later

//! The end of all that is [`retired`].
//!
//! [`retired`]: super::retired

use crate::edge::{
    func_stacks,
    index,
    mutex::Locked,
    tasks, //
};

/// Waits with [`tasks::synchronize()`](tasks::synchronize), and frees the func stacks and the
/// indexes that were retired before. Sleeps.
///
/// # Safety
///
/// The caller has no reference to a func stack that [`func_stacks::shed`] may have taken off, and
/// no name from an index that was withdrawn or replaced.
pub(crate) unsafe fn reclaim(locked: &Locked) {
    let stacks = func_stacks::RETIRED.take(locked);
    let indexes = index::RETIRED.take(locked);
    tasks::synchronize(locked);
    // SAFETY: `synchronize()` has returned, and the caller has no reference to one of the stacks.
    unsafe { stacks.free() };
    // SAFETY: The same is true of the indexes.
    unsafe { indexes.free() };
}
