// SPDX-License-Identifier: GPL-2.0-or-later

//! The table of shadow variables.
//!
//! This is a hash table. The *head* of a bucket is the beginning of its chain of variables. Readers
//! follow the chains under RCU, in any context. They take no lock, and never retry. All other users
//! hold `klp_shadow_spinlock`. The smallest table is static, so that it is there before anything
//! else is, and a variable that has been made always has a place.
//!
//! Each variable has two links. A table uses one of them, and the table that takes its place uses
//! the other. So the work resizes a table in small steps, head by head, while readers use the old
//! table: the variables of a head that has been done are in both tables, and the rest are only in
//! the old one.

mod locked;
mod migration;
mod variable;

pub(crate) use locked::{
    lock,
    Held,
    ShadowLocked, //
};
pub(crate) use migration::migrate;
pub(crate) use variable::{
    report_constructor,
    warn_duplicate,
    Constructor,
    Destructor,
    Key,
    Shadow, //
};

use crate::model::shadow::SMALLEST_ORDER;
use core::{
    cell::UnsafeCell,
    ptr,
    slice, //
};
use kernel::{
    bindings::klp_shadow,
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
use variable::Variable;

/// A head, or the link from a variable to the next one: a pointer to a variable, or null.
///
/// Writers hold `klp_shadow_spinlock`. Readers use RCU.
#[repr(transparent)]
struct Link(UnsafeCell<*mut klp_shadow>);

// SAFETY: The word is written under `klp_shadow_spinlock`, and always loaded and stored whole.
unsafe impl Sync for Link {}

impl Link {
    const fn null() -> Self {
        Self(UnsafeCell::new(ptr::null_mut()))
    }

    /// The pointer. Loads through the result depend on this load, which pairs with the store in
    /// [`Link::store`].
    #[inline]
    fn load(&self) -> *mut klp_shadow {
        // SAFETY: `self` is a reference to the word, and writers store it whole. The load is a
        // `READ_ONCE()`.
        unsafe { self.0.get().read_volatile() }
    }

    /// Sets the pointer. Orders the stores to the variable before this store: pairs with the
    /// dependent loads of readers.
    fn store(&self, shadow: *mut klp_shadow, _: &Held) {
        // SAFETY: `self` is a reference to the word, and all accesses to it load or store it whole.
        unsafe { Atomic::from_ptr(self.0.get()) }.store(shadow, Release);
    }

    /// Sets the pointer without that order. This is enough for a link that no reader follows yet,
    /// and for a pointer to a variable that readers can find already, or to none.
    #[inline]
    fn store_relaxed(&self, shadow: *mut klp_shadow, _: &Held) {
        // SAFETY: `self` is a reference to the word, and readers load it whole. The store is a
        // `WRITE_ONCE()`.
        unsafe { self.0.get().write_volatile(shadow) };
    }
}

/// A choice between the two links of a variable.
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
///    goes for holders of `klp_shadow_spinlock`, too: they have preemption disabled, or the lock
///    itself is a read side critical section of RCU.
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

/// The table that is in use. The work that resizes it sets the pointer under `klp_shadow_spinlock`.
/// Readers load it under RCU.
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
    // SAFETY: `TABLE` is static, and writers store it whole. The load is a `READ_ONCE()`. The loads
    // through the result depend on it, which pairs with the store in `Migration::step()`.
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

/// The same, for callers that are in no such section.
pub(crate) fn find(key: Key) -> Option<*mut c_void> {
    let _rcu = rcu::read_lock();
    // SAFETY: The guard makes this a read side critical section of RCU.
    unsafe { find_under_rcu(key) }
}
