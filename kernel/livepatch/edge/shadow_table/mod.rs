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
    }, //
};
use variable::{
    data_of,
    is,
    key_of, //
};

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
        // SAFETY: The word is valid; it is loaded as `READ_ONCE()` does.
        unsafe { self.0.get().read_volatile() }
    }

    /// Orders what has been written to the variable before the store: pairs with the dependent
    /// loads of readers.
    fn store(&self, shadow: *mut klp_shadow, _: &ShadowLocked) {
        // SAFETY: The word is valid, and readers load it whole.
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
/// `heads` points to `1 << order` links, that live as long as the table; `order` is not 0. The
/// chains are linked by the variables' links on `side`, and everything on them lives as long as a
/// reader may be there.
struct Table {
    heads: *const Link,
    order: u32,
    side: Side,
    /// The heads, unless they are [`SMALLEST_HEADS`].
    _owned: Option<KVVec<Link>>,
}

// SAFETY: The links are for many to use, see there; nothing else is ever written.
unsafe impl Sync for Table {}

static FIRST_TABLE: Table = Table {
    // INVARIANT: The array has as many links.
    heads: (&raw const SMALLEST_HEADS).cast(),
    order: SMALLEST_ORDER,
    side: Side::First,
    _owned: None,
};

/// The table. Written under `klp_shadow_lock`, by the work that resizes it; read under RCU.
static TABLE: Atomic<*mut Table> = Atomic::new((&raw const FIRST_TABLE).cast_mut());

/// The table that is in use.
///
/// # Safety
///
/// An RCU read side critical section or the lock is held, as long as `'a`; or the caller is the
/// work that resizes the table, and does not go on to free it.
#[inline]
unsafe fn current<'a>() -> &'a Table {
    // SAFETY: By the safety requirement, and what `Migration::finish()` waits for. The table is
    // loaded as `READ_ONCE()` does; what is loaded through it depends on that, which pairs with
    // the store in `Migration::step()`.
    unsafe { &*TABLE.as_ptr().read_volatile() }
}

impl Table {
    fn len(&self) -> usize {
        1 << self.order
    }

    #[inline]
    fn index(&self, key: Key) -> usize {
        key.hash() >> (usize::BITS - self.order)
    }

    /// The head at an index that is less than [`Table::len`].
    ///
    /// # Safety
    ///
    /// It is.
    #[inline]
    unsafe fn head_at(&self, index: usize) -> &Link {
        // SAFETY: By the safety requirement and the type invariants.
        unsafe { &*self.heads.add(index) }
    }

    /// The head of the chain for a key.
    #[inline]
    fn head(&self, key: Key) -> &Link {
        // SAFETY: The shift in `index()` leaves `order` bits.
        unsafe { self.head_at(self.index(key)) }
    }

    /// What the chain goes on with after a variable.
    ///
    /// # Safety
    ///
    /// `shadow` points to a variable that lives as long as `'a`.
    #[inline]
    unsafe fn after<'a>(&self, shadow: *mut klp_shadow) -> &'a Link {
        // SAFETY: By the safety requirement; there are two links, and `Link` is transparent.
        unsafe {
            let links = (&raw mut (*shadow).next).cast::<Link>();
            &*links.add(self.side as usize)
        }
    }

    /// Puts a variable at the beginning of its chain.
    ///
    /// # Safety
    ///
    /// `shadow` points to a variable that is not in this table, and stays until it is removed.
    unsafe fn add(&self, shadow: *mut klp_shadow, locked: &ShadowLocked) {
        // SAFETY: By the safety requirement.
        unsafe {
            let head = self.head(key_of(shadow));
            self.after(shadow).store(head.load(), locked);
            head.store(shadow, locked);
        }
    }

    /// Takes the variable that `from` leads to out of its chain. Who has found it goes on from it
    /// as before.
    ///
    /// # Safety
    ///
    /// `from` is a head of this table, or the link of a variable in it, and leads to one.
    unsafe fn cut(&self, from: &Link, locked: &ShadowLocked) {
        // SAFETY: By the safety requirement.
        unsafe { from.store(self.after(from.load()).load(), locked) };
    }

    /// The link that leads to the first variable of a key's chain for which `wanted` says so.
    ///
    /// # Safety
    ///
    /// The table is in use, or to be used next.
    unsafe fn link_to(
        &self,
        key: Key,
        _: &ShadowLocked,
        wanted: impl Fn(*mut klp_shadow) -> bool,
    ) -> Option<&Link> {
        let mut from = self.head(key);
        loop {
            let shadow = from.load();
            if shadow.is_null() {
                return None;
            }
            if wanted(shadow) {
                return Some(from);
            }
            // SAFETY: What is on a chain lives while the lock is held.
            from = unsafe { self.after(shadow) };
        }
    }
}

/// What goes with the table. All of it is protected by `klp_shadow_lock`.
struct State {
    /// How many variables there are.
    count: usize,
    /// Whether the work that resizes the table is on its way.
    resizing: bool,
    /// The table that will take the place of this one, or null.
    next: *const Table,
    /// How many heads of this table have been done: what is on them is in `next`, too.
    done: usize,
}

struct StateCell(UnsafeCell<State>);

// SAFETY: Used through `ShadowLocked` alone, which holds the lock.
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
    // SAFETY: Under RCU, the table and all that its chains lead to live.
    unsafe {
        let table = current();
        let mut shadow = table.head(key).load();
        while !shadow.is_null() {
            if is(key, shadow) {
                return Some(data_of(shadow));
            }
            shadow = table.after(shadow).load();
        }
    }
    None
}

/// `klp_shadow_lock`, held with interrupts disabled until this is dropped.
pub(crate) struct ShadowLocked {
    flags: usize,
}

/// Takes `klp_shadow_lock`.
pub(crate) fn lock() -> ShadowLocked {
    ShadowLocked {
        // SAFETY: Released below.
        flags: unsafe { bindings::klp_shadow_lock() },
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
        // SAFETY: The lock is held as long as `self` is borrowed.
        unsafe { current() }
    }

    /// Calls `body` with the state, which it must not get at in another way.
    fn with_state<R>(&self, body: impl FnOnce(&mut State) -> R) -> R {
        // SAFETY: The lock is held, and no `body` here calls this again, or what is not ours.
        body(unsafe { &mut *STATE.0.get() })
    }

    /// The table that has taken over what is on that head, if it has.
    fn next_for(&self, key: Key) -> Option<&Table> {
        let index = self.table().index(key);
        // SAFETY: `next` is null or points to a table that lives while it is there.
        self.with_state(|state| unsafe { state.next.as_ref() }.filter(|_| index < state.done))
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
            // SAFETY: No requirements.
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
        let shadow = shadow.into_raw();
        // SAFETY: The variable was ours, and is freed by `destroy()`.
        unsafe {
            self.table().add(shadow, self);
            if let Some(next) = self.next_for(key_of(shadow)) {
                next.add(shadow, self);
            }
            self.with_state(|state| state.count = state.count.wrapping_add(1));
            data_of(shadow)
        }
    }

    /// Removes the variable that a link of the table leads to, and destroys it.
    ///
    /// # Safety
    ///
    /// `from` is a head of the table in use, or the link of a variable in it, and leads to one.
    unsafe fn destroy(&self, from: &Link, destructor: Destructor) {
        let shadow = from.load();
        // SAFETY: By the safety requirement the variable is in the table, and alive. Readers who
        // have found it may use it until RCU says so; nobody finds it any more.
        unsafe {
            let key = key_of(shadow);
            self.table().cut(from, self);
            if let Some(next) = self.next_for(key) {
                if let Some(from) = next.link_to(key, self, |other| other == shadow) {
                    next.cut(from, self);
                }
            }
            self.with_state(|state| state.count = state.count.wrapping_sub(1));
            // Its user's, as `Destructor::new()` requires.
            if let Some(call) = destructor.0 {
                call(key.object, data_of(shadow));
            }
            bindings::klp_shadow_free_rcu(shadow);
        }
    }

    /// Removes and destroys a variable, if it is there.
    pub(crate) fn remove(&self, key: Key, destructor: Destructor) {
        // SAFETY: The table is in use, and what is on its chains lives while the lock is held.
        unsafe {
            if let Some(from) = self.table().link_to(key, self, |shadow| is(key, shadow)) {
                self.destroy(from, destructor);
            }
        }
    }

    /// Removes and destroys all variables with an identifier.
    pub(crate) fn remove_all(&self, id: usize, destructor: Destructor) {
        let table = self.table();
        for index in 0..table.len() {
            // SAFETY: The index is less than the length; what is on the chain lives while the lock
            // is held.
            unsafe {
                let mut from = table.head_at(index);
                loop {
                    let shadow = from.load();
                    if shadow.is_null() {
                        break;
                    }
                    if key_of(shadow).id == id {
                        self.destroy(from, destructor);
                    } else {
                        from = table.after(shadow);
                    }
                }
            }
        }
    }
}

impl Drop for ShadowLocked {
    fn drop(&mut self) {
        // SAFETY: Taken by `lock()`, which has returned these flags.
        unsafe { bindings::klp_shadow_unlock(self.flags) };
    }
}
