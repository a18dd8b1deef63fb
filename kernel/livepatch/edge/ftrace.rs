// SPDX-License-Identifier: GPL-2.0-or-later

//! ftrace, which calls the handler for the functions that are patched.

use crate::edge::{
    mutex::Locked,
    tasks, //
};
use kernel::{
    bindings,
    error::to_result,
    prelude::*,
    sync::Arc,
    types::Opaque, //
};

/// The ftrace location of the function at `address`, if it has one: the address of the instruction
/// that ftrace changes.
pub(crate) fn location(address: usize) -> Option<usize> {
    // SAFETY: The function has no preconditions: it looks the address up in ftrace's tables.
    let location = unsafe { bindings::ftrace_location(address) };
    (location != 0).then_some(location)
}

/// Calls `batch::leave()` in about that many milliseconds, if that is not arranged already.
pub(crate) fn leave_later(delay: u32) {
    // SAFETY: The function has no preconditions: it queues a static work item.
    unsafe { bindings::klp_leave_ftrace_later(delay) };
}

/// The step that ftrace has refused.
pub(crate) enum FtraceError {
    /// Setting the filter to the functions.
    Filter(Error),
    /// Registering the handler for them.
    Register(Error),
}

impl FtraceError {
    /// Whether one of the functions is the reason: another user has it ([`EBUSY`]), or ftrace does
    /// not know it ([`EINVAL`]).
    pub(crate) fn is_of_a_function(&self) -> bool {
        let (Self::Filter(error) | Self::Register(error)) = *self;
        error == EBUSY || error == EINVAL
    }
}

/// Functions that enter ftrace together: a `struct ftrace_ops`.
///
/// # Invariants
///
/// - The structure was initialized by `klp_ftrace_init()`. It does not move, because it is in an
///   [`Arc`], and from then on only ftrace accesses it.
/// - Holders of `klp_mutex` alone pass it to ftrace.
/// - While it is registered, ftrace has a reference of its own, from [`Arc::into_raw`]. So when the
///   structure is dropped, ftrace does not use it.
pub(crate) struct Ops(Opaque<bindings::ftrace_ops>);

impl Ops {
    /// Makes an `ftrace_ops` without functions.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let ops = Arc::new(Self(Opaque::zeroed()), GFP_KERNEL)?;
        // INVARIANT: The structure is initialized here, where it stays.
        // SAFETY: `ops` is zeroed, as the function demands, and the only pointer to the structure.
        unsafe { bindings::klp_ftrace_init(ops.0.get()) };
        Ok(ops)
    }

    /// Makes these locations the filter. There is at least one: an empty filter would mean all
    /// functions.
    fn set_filter(&self, locations: &mut [usize]) -> Result {
        let count = u32::try_from(locations.len()).map_err(|_| EINVAL)?;
        if count == 0 {
            return Err(EINVAL);
        }
        let ips = locations.as_mut_ptr();
        // SAFETY: The structure is initialized by the type invariants. `ips` points to `count`
        // elements, and `usize` is C's `unsigned long`. The last arguments say that the filter is
        // replaced, and not that locations are removed.
        to_result(unsafe { bindings::ftrace_set_filter_ips(self.0.get(), ips, count, 0, 1) })
    }

    /// Makes ftrace call the handler for the functions at these locations, of which there is at
    /// least one. Callers do this once. If it fails, nothing has changed. Sleeps.
    pub(crate) fn enter(
        self: &Arc<Self>,
        locations: &mut [usize],
        locked: &Locked,
    ) -> Result<(), FtraceError> {
        self.set_filter(locations).map_err(FtraceError::Filter)?;
        // SAFETY: The structure is initialized by the type invariants. It stays until it has been
        // unregistered, or for ever: ftrace gets a reference below, and `self` is one until then.
        // `klp_mutex` keeps others from registering it, too.
        let entered = to_result(unsafe { bindings::register_ftrace_function(self.0.get()) });
        // If ftrace has shut itself down in the middle, it may use the structure for ever.
        if matches!(entered, Ok(()) | Err(ENODEV)) {
            // INVARIANT: This is ftrace's reference.
            let _ = Arc::into_raw(self.clone());
        }
        entered.map_err(|error| {
            // INVARIANT: ftrace may have used the structure for a moment, and is done with it after
            // the wait.
            tasks::synchronize(locked);
            FtraceError::Register(error)
        })
    }

    /// Makes ftrace stop calling the handler for all functions that have entered, except for those
    /// at these locations, of which there is at least one. Needs memory, and sleeps. If it fails,
    /// nothing has changed.
    ///
    /// This sets the whole filter, because ftrace does not remove the location of a function that
    /// it has forgotten from a filter. If such a location stayed, and other code came to have a
    /// function there, ftrace would find its records wrong, and shut itself down.
    ///
    /// Unlike [`Ops::leave`], this does not tell a BPF trampoline that the function is not
    /// redirected any more: ftrace does that when an `ftrace_ops` is unregistered, and does not
    /// export it. The trampoline goes on to call the function by its address, which is slower than
    /// it could be, and right.
    pub(crate) fn keep(&self, locations: &mut [usize], _: &Locked) -> Result {
        self.set_filter(locations)
    }

    /// Makes the functions with settled stacks jump past the handler, and no others. When this
    /// returns, every CPU executes the new instructions. Sleeps, and needs no memory.
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if ftrace has shut itself down. Then some functions may jump that did not jump
    /// before.
    pub(crate) fn jump(&self, _: &Locked) -> Result {
        // SAFETY: The structure is initialized by the type invariants. If it is not registered, the
        // function returns an error. `Locked` shows that `klp_mutex` is held, as the function that
        // ftrace asks for the targets demands.
        to_result(unsafe { bindings::klp_ftrace_jump(self.0.get()) })
    }

    /// Makes ftrace stop calling the handler for all of the functions, and waits until it does not
    /// call it any more. Needs no memory. This only fails if ftrace has shut itself down. Then it
    /// keeps its reference for ever.
    pub(crate) fn leave(self: &Arc<Self>, _: &Locked) -> Result {
        // SAFETY: The structure is initialized by the type invariants. If it is not registered, the
        // function returns an error.
        to_result(unsafe { bindings::unregister_ftrace_function(self.0.get()) })?;
        // SAFETY: The structure was registered until now, so that ftrace had a reference from
        // `Arc::into_raw()` by the type invariants, and does not use it any more.
        drop(unsafe { Arc::from_raw(Arc::as_ptr(self)) });
        Ok(())
    }
}

impl Drop for Ops {
    fn drop(&mut self) {
        // SAFETY: The structure is initialized, and not registered any more, by the type
        // invariants: ftrace has nothing of it but the filter.
        unsafe { bindings::ftrace_free_filter(self.0.get()) };
    }
}
