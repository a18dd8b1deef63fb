// SPDX-License-Identifier: GPL-2.0-or-later

//! Work: the core asks to be called again, at once or later.

use crate::edge::abi::Patch;
use kernel::bindings;

/// Calls `transition::work()` in about that many milliseconds, if that is not arranged already.
pub(crate) fn retry_transition(delay: u64) {
    let delay = u32::try_from(delay).unwrap_or(u32::MAX);
    // SAFETY: The function has no preconditions: it queues a static work item.
    unsafe { bindings::klp_retry_transition(delay) };
}

/// Calls `transition::work()` at once. Callers can be in any context.
pub(crate) fn hurry_transition() {
    // SAFETY: The function has no preconditions: it queues a static `irq_work`, on a CPU that is
    // online.
    unsafe { bindings::klp_hurry_transition() };
}

/// Calls `text::work()` in about that many milliseconds, and at no other time.
pub(crate) fn let_go_later(delay: u32) {
    // SAFETY: The function has no preconditions: it queues a static work item.
    unsafe { bindings::klp_let_go_later(delay) };
}

/// Calls `core::free_finish()` with the patch, from a work item.
pub(crate) fn queue_free(patch: &Patch) {
    // SAFETY: `Patch::init()` has initialized the work before the patch was enabled. The patch
    // lives until the work has run, because the work leads to the release of its module.
    unsafe { bindings::klp_queue_free_work(patch.as_ptr()) };
}

/// The time, in milliseconds, by a clock that is never set.
pub(crate) fn now() -> u64 {
    // SAFETY: The function has no preconditions: it reads the clock.
    let now = unsafe { bindings::ktime_get() };
    u64::try_from(now).unwrap_or(0) / 1_000_000
}
