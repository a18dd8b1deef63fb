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

use core::{
    cell::UnsafeCell,
    iter,
    ptr, //
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
    fn store(&self, shadow: *mut klp_shadow, _: &ShadowLocked) {
        // SAFETY: `self` is a reference to the word, and all accesses to it load or store it whole.
        unsafe { Atomic::from_ptr(self.0.get()) }.store(shadow, Release);
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

/// The number of heads of the smallest table, as a power of two.
pub(crate) const SMALLEST_ORDER: u32 = 10;

static SMALLEST_HEADS: [Link; 1 << SMALLEST_ORDER] = [const { Link::null() }; 1 << SMALLEST_ORDER];

/// A table.
///
/// # Invariants
///
/// 1. `heads` points to `1 << order` links, which live as long as the table; `order` is not 0.
/// 2. A head, and the link on `side` of a variable in the table, is null or leads to a variable in
///    the table.
/// 3. A variable in the table lives until it has been taken out and RCU's readers are done. That
///    goes for holders of `klp_shadow_lock`, too: they have preemption disabled, or the lock itself
///    is a read side critical section of RCU.
///
/// The last two hold while the table is in use, or takes over from the one that is.
struct Table {
    heads: *const Link,
    order: u32,
    side: Side,
    /// The heads, unless they are [`SMALLEST_HEADS`].
    _owned: Option<KVVec<Link>>,
}

// SAFETY: `Link` can be shared. The fields themselves do not change.
unsafe impl Sync for Table {}

static FIRST_TABLE: Table = Table {
    // INVARIANT: The static array has as many links, and all of them are null.
    heads: (&raw const SMALLEST_HEADS).cast(),
    order: SMALLEST_ORDER,
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
    fn len(&self) -> usize {
        1 << self.order
    }

    #[inline]
    fn index(&self, key: Key) -> usize {
        key.hash() >> (usize::BITS - self.order)
    }

    /// The head at an index.
    ///
    /// # Safety
    ///
    /// `index` is less than [`Table::len`].
    #[inline]
    unsafe fn head_at(&self, index: usize) -> &Link {
        // SAFETY: By the first invariant `heads` points to as many links, of which there is one at
        // `index` by the safety requirement.
        unsafe { &*self.heads.add(index) }
    }

    /// The head of the chain for a key.
    #[inline]
    fn head(&self, key: Key) -> &Link {
        // SAFETY: The shift in `index()` leaves `order` bits.
        unsafe { self.head_at(self.index(key)) }
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

    /// The variables of a chain, each with the link that leads to it.
    ///
    /// # Safety
    ///
    /// `head` is a head of this table. The caller is in a read side critical section of RCU, or
    /// holds the lock, for as long as `'a`.
    #[inline]
    unsafe fn chain<'a>(
        &'a self,
        head: &'a Link,
    ) -> impl Iterator<Item = (&'a Link, Variable<'a>)> {
        let mut next = head;
        iter::from_fn(move || {
            let from = next;
            // SAFETY: `from` is the head, or follows a variable that was found here. The caller
            // meets the other requirement.
            let variable = unsafe { self.follow(from) }?;
            next = self.after(variable);
            Some((from, variable))
        })
    }

    /// Puts a variable at the beginning of its chain.
    ///
    /// # Safety
    ///
    /// The variable is not in this table, and is not freed before it has been taken out.
    unsafe fn add(&self, variable: Variable<'_>, locked: &ShadowLocked) {
        let head = self.head(variable.key());
        // INVARIANT: The variable leads to the rest of the chain, and the head to the variable.
        self.after(variable).store(head.load(), locked);
        head.store(variable.as_ptr(), locked);
    }

    /// Takes a variable out of its chain. A reader that has found it goes on from it as before.
    ///
    /// # Safety
    ///
    /// `from` is a head of this table, or the link of a variable in it, and leads to `variable`.
    unsafe fn cut(&self, from: &Link, variable: Variable<'_>, locked: &ShadowLocked) {
        // INVARIANT: The link leads to the rest of the chain.
        from.store(self.after(variable).load(), locked);
    }
}

/// What goes with the table. All of it is protected by `klp_shadow_lock`.
struct State {
    /// How many variables there are.
    count: usize,
    /// Whether the work that resizes the table is on its way.
    resizing: bool,
    /// The table that will take the place of this one, or null. It is not freed while it is here.
    next: *const Table,
    /// How many heads of this table have been done: what is on them is in `next`, too.
    done: usize,
}

struct StateCell(UnsafeCell<State>);

// SAFETY: `ShadowLocked::with_state()` alone accesses the state, with the lock held.
unsafe impl Sync for StateCell {}

static STATE: StateCell = StateCell(UnsafeCell::new(State {
    count: 0,
    resizing: false,
    next: ptr::null(),
    done: 0,
}));

/// The data of a variable in the table.
pub(crate) fn find(key: Key) -> Option<*mut c_void> {
    let _rcu = rcu::read_lock();
    // SAFETY: The guard makes this a read side critical section of RCU.
    let table = unsafe { current() };
    // SAFETY: This is a head of the table, and the guard is held.
    let mut chain = unsafe { table.chain(table.head(key)) };
    let found = chain.find(|(_, variable)| variable.key() == key);
    found.map(|(_, variable)| variable.data())
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
pub(crate) fn lock() -> ShadowLocked {
    // INVARIANT: The lock is taken here, and released by `drop()`.
    ShadowLocked {
        // SAFETY: The caller does not hold the lock. Any context may take it, except for NMI.
        flags: unsafe { bindings::klp_shadow_lock() },
        _not_send: NotThreadSafe,
    }
}

/// How full the table is.
#[derive(Clone, Copy)]
pub(crate) struct Fill {
    /// The number of variables.
    pub(crate) count: usize,
    /// The number of heads, as a power of two.
    pub(crate) order: u32,
}

impl ShadowLocked {
    fn table(&self) -> &Table {
        // SAFETY: The lock is held until `self` is dropped, and so as long as it is borrowed.
        unsafe { current() }
    }

    /// Calls `body` with the state. `body` must not call this.
    fn with_state<R>(&self, body: impl FnOnce(&mut State) -> R) -> R {
        // SAFETY: The lock is held until `self` is dropped, which excludes other CPUs. Nothing else
        // on this one has a reference, because no `body` calls this, or a function of a livepatch.
        body(unsafe { &mut *STATE.0.get() })
    }

    /// The table that has taken the variables on the key's head over, if it has.
    fn next_for(&self, key: Key) -> Option<&Table> {
        let index = self.table().index(key);
        let next = self.with_state(|state| match index < state.done {
            true => state.next,
            false => ptr::null(),
        });
        // SAFETY: `next` is null or points to a table, which is not freed before the lock is
        // released: it is there, or in use, until the work has waited for RCU's readers.
        unsafe { next.as_ref() }
    }

    /// How full the table is.
    pub(crate) fn fill(&self) -> Fill {
        Fill {
            count: self.with_state(|state| state.count),
            order: self.table().order,
        }
    }

    /// Has the table resized soon, unless this CPU is going offline: the next insertion or removal
    /// elsewhere then asks again. Can be called in any context.
    pub(crate) fn resize_later(&self) {
        if !self.with_state(|state| state.resizing) {
            // SAFETY: The function has no preconditions: it queues a static `irq_work`, on a CPU
            // that is online.
            let queued = unsafe { bindings::klp_shadow_resize_later() };
            self.with_state(|state| state.resizing = queued);
        }
    }

    /// The work has done what it could: [`ShadowLocked::resize_later`] is to start it again.
    pub(crate) fn resized(&self) {
        self.with_state(|state| state.resizing = false);
    }

    /// Puts a variable into the table, where there is none with its key, and returns its data.
    pub(crate) fn insert(&self, shadow: Shadow) -> *mut c_void {
        let variable = shadow.into_variable(self);
        // SAFETY: The variable is new, and so in no table. `destroy()` alone frees it, when it has
        // taken it out.
        unsafe { self.table().add(variable, self) };
        if let Some(next) = self.next_for(variable.key()) {
            // SAFETY: The variable is in the other table alone, and `destroy()` takes it out of
            // both.
            unsafe { next.add(variable, self) };
        }
        self.with_state(|state| state.count = state.count.wrapping_add(1));
        variable.data()
    }

    /// Removes a variable from the table, and destroys it.
    ///
    /// # Safety
    ///
    /// `from` is a head of the table in use, or the link of a variable in it, and leads to
    /// `variable`.
    unsafe fn destroy(&self, from: &Link, variable: Variable<'_>, destructor: Destructor) {
        // SAFETY: By the safety requirement `from` leads to `variable`, in this table.
        unsafe { self.table().cut(from, variable, self) };
        if let Some(next) = self.next_for(variable.key()) {
            // SAFETY: This is a head of the table, and the lock is held.
            let mut chain = unsafe { next.chain(next.head(variable.key())) };
            if let Some((from, _)) = chain.find(|&(_, other)| other == variable) {
                // SAFETY: `from` was found to lead to `variable`, in this table.
                unsafe { next.cut(from, variable, self) };
            }
        }
        self.with_state(|state| state.count = state.count.wrapping_sub(1));
        destructor.run(variable);
        // SAFETY: `klp_shadow_new()` has made the variable. Readers can no longer find it, and the
        // function waits for those that have found it.
        unsafe { bindings::klp_shadow_free_rcu(variable.as_ptr()) };
    }

    /// Removes and destroys a variable, if it is there.
    pub(crate) fn remove(&self, key: Key, destructor: Destructor) {
        let table = self.table();
        // SAFETY: This is a head of the table, and the lock is held.
        let mut chain = unsafe { table.chain(table.head(key)) };
        if let Some((from, variable)) = chain.find(|(_, variable)| variable.key() == key) {
            // SAFETY: `from` was found to lead to `variable`, in the table in use.
            unsafe { self.destroy(from, variable, destructor) };
        }
    }

    /// Removes and destroys all variables with an identifier.
    pub(crate) fn remove_all(&self, id: usize, destructor: Destructor) {
        let table = self.table();
        for index in 0..table.len() {
            // SAFETY: `index` is less than the length.
            let mut from = unsafe { table.head_at(index) };
            // SAFETY: `from` is a head, or follows a variable that is still in the table. The lock
            // is held.
            while let Some(variable) = unsafe { table.follow(from) } {
                if variable.key().id == id {
                    // SAFETY: `from` was found to lead to `variable`, in the table in use.
                    unsafe { self.destroy(from, variable, destructor) };
                } else {
                    from = table.after(variable);
                }
            }
        }
    }
}

impl Drop for ShadowLocked {
    fn drop(&mut self) {
        // SAFETY: The lock is held, and `flags` were returned when this task took it, by the type
        // invariants.
        unsafe { bindings::klp_shadow_unlock(self.flags) };
    }
}
