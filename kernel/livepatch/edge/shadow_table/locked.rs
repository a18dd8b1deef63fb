// SPDX-License-Identifier: GPL-2.0-or-later

//! The lock of the table, and the operations that need it.

use super::{
    current,
    Destructor,
    Key,
    Link,
    Shadow,
    Table,
    Variable, //
};
use crate::model::shadow::{
    Limits,
    SMALLEST_ORDER, //
};
use core::{
    cell::Cell,
    ops::Deref,
    ptr, //
};
use kernel::{
    bindings,
    ffi::c_void,
    types::NotThreadSafe, //
};

/// The state that goes with the table. `klp_shadow_spinlock` protects all of it.
#[derive(Clone, Copy)]
pub(super) struct State {
    /// As long as the number of variables stays within these limits, an insertion or a removal has
    /// nothing more to do. They are the limits of the table in use, or [`Limits::NONE`] while
    /// variables are in the next table, too.
    limits: Limits,
    /// The number of variables above the fewest, negative if there are fewer. So a removal only
    /// tests the sign.
    spare: isize,
    /// Whether the work that resizes the table is on its way.
    resizing: bool,
    /// Whether [`migrate()`](super::migrate) is replacing the table.
    pub(super) migrating: bool,
    /// The table that will take the place of this one, or null. It is not freed while this points
    /// to it.
    pub(super) next: *const Table,
    /// The number of heads of this table that have been done: their variables are in `next`, too.
    pub(super) done: usize,
}

impl State {
    /// The number of variables.
    fn count(&self) -> usize {
        self.limits.fewest.wrapping_add_signed(self.spare)
    }

    /// Sets the limits. The number of variables remains.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.spare = self.count().wrapping_sub(limits.fewest) as isize;
        self.limits = limits;
    }
}

struct StateCell(Cell<State>);

// SAFETY: `Held::with_state()` alone accesses the state, with the lock held.
unsafe impl Sync for StateCell {}

static STATE: StateCell = StateCell(Cell::new(State {
    // The smallest table is kept even if there are no variables: its fewest are 0.
    limits: Limits::of(SMALLEST_ORDER),
    spare: 0,
    resizing: false,
    migrating: false,
    next: ptr::null(),
    done: 0,
}));

/// `klp_shadow_spinlock`, which `spin_lock_irqsave()` has taken, held until this is dropped.
///
/// # Invariants
///
/// The lock is held, and `klp_shadow_lock()` has returned `flags` to this task.
pub(crate) struct ShadowLocked {
    flags: usize,
    _not_send: NotThreadSafe,
}

/// Takes `klp_shadow_spinlock`.
#[inline]
pub(crate) fn lock() -> ShadowLocked {
    // INVARIANT: The lock is taken here, and released by `drop()`.
    ShadowLocked {
        // SAFETY: The caller does not hold the lock. Any context may take it, except for NMI and,
        // with PREEMPT_RT, contexts that cannot sleep.
        flags: unsafe { bindings::klp_shadow_lock() },
        _not_send: NotThreadSafe,
    }
}

impl Drop for ShadowLocked {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The lock is held, and `flags` were returned when this task took it, by the type
        // invariants.
        unsafe { bindings::klp_shadow_unlock(self.flags) };
    }
}

/// Shows that `klp_shadow_spinlock` is held.
///
/// Functions get references to this, which has no size, and not to [`ShadowLocked`], so that the
/// compiler can keep that in a register.
///
/// # Invariants
///
/// There are references to this only while the lock is held.
pub(crate) struct Held(NotThreadSafe);

impl Deref for ShadowLocked {
    type Target = Held;

    #[inline]
    fn deref(&self) -> &Held {
        // INVARIANT: The lock is held as long as `self` lives.
        &Held(NotThreadSafe)
    }
}

impl Held {
    #[inline]
    fn table(&self) -> &Table {
        // SAFETY: The lock is held as long as `self` is borrowed, by the type invariants.
        unsafe { current() }
    }

    /// Calls `body` with the state, and stores it again. If `body` calls this, the changes of the
    /// inner call are lost.
    #[inline]
    pub(super) fn with_state<R>(&self, body: impl FnOnce(&mut State) -> R) -> R {
        let mut state = STATE.0.get();
        let result = body(&mut state);
        STATE.0.set(state);
        result
    }

    /// The next table, if it has taken over the variables of the key's head.
    fn next_for(&self, key: Key) -> Option<&Table> {
        let (next, done) = self.with_state(|state| (state.next, state.done));
        // SAFETY: `next` is null or points to the table that takes over. The table is not freed
        // before it has been in use and was replaced, which needs this lock, and before the work
        // has waited for RCU's readers.
        let next = unsafe { next.as_ref() }?;
        (self.table().index(key) < done).then_some(next)
    }

    /// The number of variables.
    pub(crate) fn count(&self) -> usize {
        self.with_state(|state| state.count())
    }

    /// The number of the table's heads, as a power of two.
    pub(crate) fn order(&self) -> u32 {
        self.table().order()
    }

    /// Asks for a resize of the table. If this CPU is going offline, the next insertion or removal
    /// on another CPU asks again. Can be called in any context.
    fn resize_later(&self) {
        if !self.with_state(|state| state.resizing) {
            // SAFETY: The function has no preconditions: it queues a static `irq_work`, on a CPU
            // that is online.
            let queued = unsafe { bindings::klp_shadow_resize_later() };
            self.with_state(|state| state.resizing = queued);
        }
    }

    /// Notes that the work is done: the next insertion or removal may start it again.
    pub(crate) fn resized(&self) {
        self.with_state(|state| state.resizing = false);
    }

    /// The data of a variable in the table.
    #[inline]
    pub(crate) fn find(&self, key: Key) -> Option<*mut c_void> {
        // SAFETY: By the type invariants the lock is held as long as `self` is borrowed, and so for
        // all of the call.
        unsafe { self.table().find(key) }
    }

    /// Puts a variable into the table, where there is none with its key, and returns its data.
    #[inline]
    pub(crate) fn insert(&self, shadow: Shadow) -> *mut c_void {
        let variable = shadow.into_variable(self);
        // SAFETY: The variable is new, and so in no table. `destroy()` alone frees it, when it has
        // taken it out.
        unsafe { self.table().add(variable, self) };
        let within = self.with_state(|state| {
            state.spare = state.spare.wrapping_add(1);
            state.count() <= state.limits.most
        });
        if !within {
            // SAFETY: The variable is in the table in use alone, and `destroy()` takes it out of
            // both.
            unsafe { self.inserted_beyond(variable) };
        }
        variable.data()
    }

    /// Completes an insertion that goes beyond the limits.
    ///
    /// # Safety
    ///
    /// The variable is not in the next table, and is not freed before it has been taken out.
    #[cold]
    unsafe fn inserted_beyond(&self, variable: Variable<'_>) {
        if let Some(next) = self.next_for(variable.key()) {
            // SAFETY: The variable is not in `next`, and is not freed too early, by the safety
            // requirement.
            unsafe { next.add(variable, self) };
        }
        self.resize_later();
    }

    /// Removes a variable from the table, and destroys it.
    ///
    /// # Safety
    ///
    /// `table` is in use. `from` is a head of it, or the link of a variable in it, and leads to
    /// `variable`.
    #[inline]
    unsafe fn destroy(
        &self,
        table: &Table,
        from: &Link,
        variable: Variable<'_>,
        destructor: Destructor,
    ) {
        // SAFETY: `from` leads to `variable`, in this table, by the safety requirement.
        unsafe { table.cut(from, variable, self) };
        let within = self.with_state(|state| {
            state.spare = state.spare.wrapping_sub(1);
            state.spare >= 0
        });
        if !within {
            self.removed_beyond(variable);
        }
        destructor.run(variable);
        // SAFETY: `klp_shadow_new()` has made the variable, and readers can no longer find it.
        unsafe { variable.free_rcu() };
    }

    /// Completes a removal that goes beyond the limits.
    #[cold]
    fn removed_beyond(&self, variable: Variable<'_>) {
        if let Some(next) = self.next_for(variable.key()) {
            // SAFETY: This is a head of the table, and the lock is held.
            let found = unsafe { next.seek(next.head(variable.key()), |other| other == variable) };
            if let Some((from, _)) = found {
                // SAFETY: `from` was found to lead to `variable`, in this table.
                unsafe { next.cut(from, variable, self) };
            }
        }
        self.resize_later();
    }

    /// Removes and destroys a variable, if it is there.
    #[inline]
    pub(crate) fn remove(&self, key: Key, destructor: Destructor) {
        let table = self.table();
        // SAFETY: This is a head of the table, and the lock is held.
        let found = unsafe { table.seek(table.head(key), |variable| variable.key() == key) };
        if let Some((from, variable)) = found {
            // SAFETY: `from` was found to lead to `variable`, in the table in use.
            unsafe { self.destroy(table, from, variable, destructor) };
        }
    }

    /// Removes and destroys all variables with an identifier.
    #[inline]
    pub(crate) fn remove_all(&self, id: usize, destructor: Destructor) {
        let table = self.table();
        for head in table.heads() {
            let mut from = head;
            // SAFETY: `from` is a head, or follows a variable that is still in the table. The lock
            // is held.
            while let Some(variable) = unsafe { table.follow(from) } {
                if variable.key().id == id {
                    // SAFETY: `from` was found to lead to `variable`, in the table in use.
                    unsafe { self.destroy(table, from, variable, destructor) };
                } else {
                    from = table.after(variable);
                }
            }
        }
    }
}
