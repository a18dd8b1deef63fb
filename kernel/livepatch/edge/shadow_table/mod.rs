// SPDX-License-Identifier: GPL-2.0-or-later

//! The table of shadow variables.
//!
//! A hash table, whose chains readers follow under RCU, in any context: they take no lock, and
//! never start again. Everybody else holds `klp_shadow_lock`. The smallest table is static, so
//! that it is there before anything else is, and a variable that has been made always has a place.
//!
//! Each variable has two links, of which a table uses one, and the table that takes its place the
//! other. So a table is resized in small steps, head by head, while readers use the old one: what
//! is on a head that has been done is in both, the rest in the old one alone.

mod migration;
mod variable;

pub(crate) use migration::Migration;
pub(crate) use variable::{
    report_constructor,
    warn_duplicate,
    Constructor,
    Destructor,
    Key,
    Shadow, //
};

use crate::model::shadow::{
    Limits,
    SMALLEST_ORDER, //
};
use core::{
    cell::UnsafeCell,
    ops::Deref,
    ptr,
    slice, //
};
use kernel::{
    bindings::{
        self,
        klp_shadow, //
    },
    ffi::c_void,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Release, //
        },
        rcu, //
    },
    types::NotThreadSafe, //
};
use variable::Variable;

/// Where a chain begins, or goes on: a pointer to a variable, or null.
///
/// Written under `klp_shadow_lock`, read under RCU.
#[repr(transparent)]
struct Link(UnsafeCell<*mut klp_shadow>);

// SAFETY: The word is written under `klp_shadow_lock`, and always loaded and stored whole.
unsafe impl Sync for Link {}

impl Link {
    const fn null() -> Self {
        Self(UnsafeCell::new(ptr::null_mut()))
    }

    /// What it points to. Loads through the result depend on this one, which pairs with the store
    /// in [`Link::store`].
    #[inline]
    fn load(&self) -> *mut klp_shadow {
        // SAFETY: `self` is a reference to the word, and writers store it whole. The load is what
        // `READ_ONCE()` is.
        unsafe { self.0.get().read_volatile() }
    }

    /// Orders what has been written to the variable before the store: pairs with the dependent
    /// loads of readers.
    fn store(&self, shadow: *mut klp_shadow, _: &Held) {
        // SAFETY: `self` is a reference to the word, and all accesses to it load or store it whole.
        unsafe { Atomic::from_ptr(self.0.get()) }.store(shadow, Release);
    }

    /// The same without that order. It is enough for a link that no reader follows yet, and for
    /// leading to a variable that readers can find already, or to none.
    #[inline]
    fn store_relaxed(&self, shadow: *mut klp_shadow, _: &Held) {
        // SAFETY: `self` is a reference to the word, and readers load it whole. The store is what
        // `WRITE_ONCE()` is.
        unsafe { self.0.get().write_volatile(shadow) };
    }
}

/// Which of a variable's two links.
#[derive(Clone, Copy)]
enum Side {
    First = 0,
    Second = 1,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

static SMALLEST_HEADS: [Link; 1 << SMALLEST_ORDER] = [const { Link::null() }; 1 << SMALLEST_ORDER];

/// A table.
///
/// # Invariants
///
/// 1. `heads` points to `len` links, which live as long as the table. `len` is a power of two.
/// 2. A head, and the link on `side` of a variable in the table, is null or leads to a variable in
///    the table.
/// 3. A variable in the table lives until it has been taken out and RCU's readers are done. That
///    goes for holders of `klp_shadow_lock`, too: they have preemption disabled, or the lock itself
///    is a read side critical section of RCU.
///
/// The last two hold while the table is in use, or takes over from the one that is.
struct Table {
    heads: *const Link,
    len: usize,
    side: Side,
    /// The heads, unless they are [`SMALLEST_HEADS`].
    _owned: Option<KVVec<Link>>,
}

// SAFETY: `Link` can be shared. The fields themselves do not change.
unsafe impl Sync for Table {}

static FIRST_TABLE: Table = Table {
    // INVARIANT: The static array has as many links, and all of them are null.
    heads: (&raw const SMALLEST_HEADS).cast(),
    len: 1 << SMALLEST_ORDER,
    side: Side::First,
    _owned: None,
};

/// The table. Written under `klp_shadow_lock`, by the work that resizes it; read under RCU.
///
/// The table that it points to lives until it has been replaced and RCU's readers are done.
static TABLE: Atomic<*mut Table> = Atomic::new((&raw const FIRST_TABLE).cast_mut());

/// The table that is in use.
///
/// # Safety
///
/// The caller is in a read side critical section of RCU, or holds the lock, for as long as `'a`.
#[inline]
unsafe fn current<'a>() -> &'a Table {
    // SAFETY: `TABLE` is static, and writers store it whole. The load is what `READ_ONCE()` is. The
    // loads through the result depend on it, which pairs with the store in `Migration::step()`.
    let table = unsafe { TABLE.as_ptr().read_volatile() };
    // SAFETY: `TABLE` points to a table. `Migration::finish()` waits for readers before it frees
    // one that was replaced, and so for the caller.
    unsafe { &*table }
}

impl Table {
    /// The number of heads, as a power of two.
    fn order(&self) -> u32 {
        self.len.trailing_zeros()
    }

    fn heads(&self) -> &[Link] {
        // SAFETY: By the first invariant `heads` points to as many links, which live as long as
        // `self`.
        unsafe { slice::from_raw_parts(self.heads, self.len) }
    }

    /// The index of the head for a key, less than `len`: the highest bits of the hash.
    #[inline]
    fn index(&self, key: Key) -> usize {
        ((key.hash() as u128 * self.len as u128) >> usize::BITS) as usize
    }

    /// The head of the chain for a key.
    #[inline]
    fn head(&self, key: Key) -> &Link {
        // SAFETY: By the first invariant `heads` points to `len` links, and the index is less.
        unsafe { &*self.heads.add(self.index(key)) }
    }

    /// The link by which the chain goes on after a variable.
    #[inline]
    fn after<'a>(&self, variable: Variable<'a>) -> &'a Link {
        // SAFETY: The variable lives as long as `'a` by its invariants. Nothing is loaded.
        let links = unsafe { &raw const (*variable.as_ptr()).next };
        // SAFETY: There are two links, and `side` is the index of one. `Link` is a transparent view
        // of a pointer.
        unsafe { &*links.cast::<Link>().add(self.side as usize) }
    }

    /// The variable that a link leads to, or `None` at the end of the chain.
    ///
    /// # Safety
    ///
    /// `from` is a head of this table, or the result of [`Table::after`] for a variable in it. The
    /// caller is in a read side critical section of RCU, or holds the lock, for as long as `'a`.
    #[inline]
    unsafe fn follow<'a>(&self, from: &Link) -> Option<Variable<'a>> {
        // SAFETY: By the second invariant the link is null or leads to a variable in the table, and
        // by the third that lives as long as `'a`.
        unsafe { Variable::from_raw(from.load()) }
    }

    /// The first variable of a chain that is wanted, with the link that leads to it.
    ///
    /// # Safety
    ///
    /// `head` is a head of this table. The caller is in a read side critical section of RCU, or
    /// holds the lock, for as long as `'a`.
    #[inline]
    unsafe fn seek<'a>(
        &self,
        head: &'a Link,
        wanted: impl Fn(Variable<'a>) -> bool,
    ) -> Option<(&'a Link, Variable<'a>)> {
        let mut from = head;
        loop {
            // SAFETY: `from` is the head, or follows a variable that was found here. The caller
            // meets the other requirement.
            let variable = unsafe { self.follow(from) }?;
            if wanted(variable) {
                return Some((from, variable));
            }
            from = self.after(variable);
        }
    }

    /// The data of a variable.
    ///
    /// # Safety
    ///
    /// The caller is in a read side critical section of RCU, or holds the lock.
    #[inline]
    unsafe fn find(&self, key: Key) -> Option<*mut c_void> {
        let wanted = |variable: Variable<'_>| variable.key() == key;
        // SAFETY: This is a head of the table, and the caller meets the other requirement.
        let (_, variable) = unsafe { self.seek(self.head(key), wanted) }?;
        Some(variable.data())
    }

    /// Puts a variable at the beginning of its chain.
    ///
    /// # Safety
    ///
    /// The variable is not in this table, and is not freed before it has been taken out.
    unsafe fn add(&self, variable: Variable<'_>, locked: &Held) {
        let head = self.head(variable.key());
        // INVARIANT: The variable leads to the rest of the chain, and the head to the variable.
        self.after(variable).store_relaxed(head.load(), locked);
        head.store(variable.as_ptr(), locked);
    }

    /// Takes a variable out of its chain. A reader that has found it goes on from it as before.
    ///
    /// # Safety
    ///
    /// `from` is a head of this table, or the link of a variable in it, and leads to `variable`.
    unsafe fn cut(&self, from: &Link, variable: Variable<'_>, locked: &Held) {
        // INVARIANT: The link leads to the rest of the chain.
        from.store_relaxed(self.after(variable).load(), locked);
    }
}

/// What goes with the table. All of it is protected by `klp_shadow_lock`.
struct State {
    /// A change that leaves the number of variables within these needs nothing else. They are those
    /// of the table in use, or [`Limits::NONE`] while variables are in the next table, too.
    limits: Limits,
    /// How many variables there are beyond the fewest; negative if there are not as many. So a
    /// removal only looks at the sign.
    spare: isize,
    /// Whether the work that resizes the table is on its way.
    resizing: bool,
    /// The table that will take the place of this one, or null. It is not freed while it is here.
    next: *const Table,
    /// How many heads of this table have been done: what is on them is in `next`, too.
    done: usize,
}

impl State {
    /// How many variables there are.
    fn count(&self) -> usize {
        self.limits.fewest.wrapping_add_signed(self.spare)
    }

    /// Sets the limits. The number of variables remains.
    fn set_limits(&mut self, limits: Limits) {
        self.spare = self.count().wrapping_sub(limits.fewest) as isize;
        self.limits = limits;
    }
}

struct StateCell(UnsafeCell<State>);

// SAFETY: `Held::with_state()` alone accesses the state, with the lock held.
unsafe impl Sync for StateCell {}

static STATE: StateCell = StateCell(UnsafeCell::new(State {
    // The fewest that the smallest table is kept for are none.
    limits: Limits::of(SMALLEST_ORDER),
    spare: 0,
    resizing: false,
    next: ptr::null(),
    done: 0,
}));

/// The data of a variable in the table.
///
/// # Safety
///
/// The caller is in a read side critical section of RCU.
#[inline]
pub(crate) unsafe fn find_under_rcu(key: Key) -> Option<*mut c_void> {
    // SAFETY: The caller is in a read side critical section, by the safety requirement.
    unsafe { current().find(key) }
}

/// The same, for callers elsewhere.
pub(crate) fn find(key: Key) -> Option<*mut c_void> {
    let _rcu = rcu::read_lock();
    // SAFETY: The guard makes this a read side critical section of RCU.
    unsafe { find_under_rcu(key) }
}

/// `klp_shadow_lock`, held with interrupts disabled until this is dropped.
///
/// # Invariants
///
/// The lock is held, and `klp_shadow_lock()` has returned `flags` to this task.
pub(crate) struct ShadowLocked {
    flags: usize,
    _not_send: NotThreadSafe,
}

/// Takes `klp_shadow_lock`.
#[inline]
pub(crate) fn lock() -> ShadowLocked {
    // INVARIANT: The lock is taken here, and released by `drop()`.
    ShadowLocked {
        // SAFETY: The caller does not hold the lock. Any context may take it, except for NMI.
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

/// Shows that `klp_shadow_lock` is held.
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

    /// Calls `body` with the state. `body` must not call this.
    #[inline]
    fn with_state<R>(&self, body: impl FnOnce(&mut State) -> R) -> R {
        // SAFETY: The lock is held by the type invariants, which excludes other CPUs. Nothing else
        // on this one has a reference, because no `body` calls this, or a function of a livepatch.
        body(unsafe { &mut *STATE.0.get() })
    }

    /// The table that has taken the variables on the key's head over, if it has.
    fn next_for(&self, key: Key) -> Option<&Table> {
        let (next, done) = self.with_state(|state| (state.next, state.done));
        // SAFETY: `next` is null or points to a table, which is not freed before the lock is
        // released: it is there, or in use, until the work has waited for RCU's readers.
        let next = unsafe { next.as_ref() }?;
        (self.table().index(key) < done).then_some(next)
    }

    /// How many variables there are.
    pub(crate) fn count(&self) -> usize {
        self.with_state(|state| state.count())
    }

    /// The number of the table's heads, as a power of two.
    pub(crate) fn order(&self) -> u32 {
        self.table().order()
    }

    /// Has the table resized soon, unless this CPU is going offline: the next insertion or removal
    /// elsewhere then asks again. Can be called in any context.
    fn resize_later(&self) {
        if !self.with_state(|state| state.resizing) {
            // SAFETY: The function has no preconditions: it queues a static `irq_work`, on a CPU
            // that is online.
            let queued = unsafe { bindings::klp_shadow_resize_later() };
            self.with_state(|state| state.resizing = queued);
        }
    }

    /// The work has done what it could: the next insertion or removal may start it again.
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

    /// Completes an insertion that leaves the limits.
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

    /// Completes a removal that leaves the limits.
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
