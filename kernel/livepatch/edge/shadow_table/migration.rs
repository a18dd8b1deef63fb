// SPDX-License-Identifier: GPL-2.0-or-later

//! The way from one table to the next, of another size.

use crate::{
    edge::shadow_table::{
        lock,
        Held,
        Link,
        Table,
        FIRST_TABLE,
        SMALLEST_HEADS,
        TABLE, //
    },
    model::shadow::{
        Limits,
        SMALLEST_ORDER, //
    }, //
};
use core::{
    mem,
    ptr, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::atomic::{
        Relaxed,
        Release, //
    }, //
};

/// The number of heads that are done in one section that holds `klp_shadow_spinlock`.
const HEADS_PER_STEP: usize = 64;

/// Replaces the table in use by one of `1 << order` heads. Sleeps.
///
/// # Errors
///
/// [`ENOMEM`]; [`EINVAL`] if the table in use has as many heads, or no table can have so many;
/// [`EBUSY`] if another caller replaces the table.
pub(crate) fn migrate(order: u32) -> Result {
    if lock().with_state(|state| mem::replace(&mut state.migrating, true)) {
        return Err(EBUSY);
    }
    let result = Migration::begin(order).map(|migration| {
        while !migration.step(&lock()) {}
        migration.finish();
    });
    lock().with_state(|state| state.migrating = false);
    result
}

/// The way from one table to the next.
///
/// # Invariants
///
/// - There is one at a time.
/// - `old` points to the table that is in use until the last step, `new` to the one that takes
///   over. Only [`Migration::finish`] frees `old`, and nothing frees `new` before that.
struct Migration {
    old: *const Table,
    new: *mut Table,
}

impl Migration {
    /// Makes an empty table of `1 << order` heads to take over from the one in use. Sleeps.
    fn begin(order: u32) -> Result<Self> {
        let old = TABLE.load(Relaxed);
        // SAFETY: `old` points to the table in use. A migration alone replaces and frees tables,
        // and `migrate()` has excluded others.
        let (old_order, side) = unsafe { ((*old).order(), (*old).side) };
        let len = 1_usize.checked_shl(order).ok_or(EINVAL)?;
        if order == old_order {
            return Err(EINVAL);
        }
        let (heads, owned) = if order == SMALLEST_ORDER {
            // The table in use has other heads than these. The readers of a table that used these
            // before are done, because its `finish()` has waited for them.
            let locked = lock();
            for head in &SMALLEST_HEADS {
                head.store(ptr::null_mut(), &locked);
            }
            ((&raw const SMALLEST_HEADS).cast(), None)
        } else {
            let mut heads = KVVec::with_capacity(len, GFP_KERNEL | __GFP_NOWARN)?;
            for _ in 0..len {
                heads.push(Link::null(), GFP_KERNEL)?;
            }
            (heads.as_ptr(), Some(heads))
        };
        // INVARIANT: There are as many links, in an array of the table's or a static one, and all
        // of them are null.
        let new = KBox::new(
            Table {
                heads,
                len,
                side: side.other(),
                _owned: owned,
            },
            GFP_KERNEL,
        )?;
        let new = KBox::into_raw(new);
        lock().with_state(|state| {
            state.next = new;
            state.done = 0;
            state.set_limits(Limits::NONE);
        });
        // INVARIANT: The new table takes over from the one in use. `migrate()` has excluded others.
        Ok(Self { old, new })
    }

    /// Takes over the variables of the next heads. When none remain to be taken over, the new table
    /// is in use, and this returns `true`.
    fn step(&self, locked: &Held) -> bool {
        // SAFETY: Both pointers are to tables, which live as long as `self`, by the type
        // invariants.
        let (old, new) = unsafe { (&*self.old, &*self.new) };
        let done = locked.with_state(|state| state.done);
        let end = old.len.min(done.saturating_add(HEADS_PER_STEP));
        for head in old.heads().iter().take(end).skip(done) {
            let mut from = head;
            // SAFETY: `from` is a head of the old table, or follows a variable in it. `locked`
            // shows that the lock is held.
            while let Some(variable) = unsafe { old.follow(from) } {
                // SAFETY: The variable is not in the new table yet, because its head in the old one
                // is only done now. `Held::destroy()` takes it out of both.
                unsafe { new.add(variable, locked) };
                from = old.after(variable);
            }
        }
        // Most often a table shrinks because all variables are gone: then no head has any.
        let complete = end == old.len || locked.count() == 0;
        locked.with_state(|state| {
            state.done = end;
            if complete {
                state.next = ptr::null();
                state.set_limits(Limits::of(new.order()));
            }
        });
        if complete {
            // Orders the table and its chains before its publication: pairs with the dependent
            // loads after the one in `current()`.
            TABLE.store(self.new, Release);
        }
        complete
    }

    /// Frees the old table, which the last step has replaced. Sleeps.
    ///
    /// Waits for its readers. They follow the links that the table after the new one will use.
    fn finish(self) {
        // SAFETY: The work may sleep, as the function does.
        unsafe { bindings::synchronize_rcu() };
        if !ptr::eq(self.old, &raw const FIRST_TABLE) {
            // SAFETY: The table was a box in `begin()`, as all are but the first. It was replaced
            // in the last step, and the readers that had found it are done.
            drop(unsafe { KBox::from_raw(self.old.cast_mut()) });
        }
    }
}
