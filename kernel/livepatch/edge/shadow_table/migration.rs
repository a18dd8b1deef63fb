// SPDX-License-Identifier: GPL-2.0-or-later

//! The way from one table to the next, of another size.

use crate::edge::shadow_table::{
    current,
    lock,
    Link,
    ShadowLocked,
    Table,
    FIRST_TABLE,
    SMALLEST_HEADS,
    SMALLEST_ORDER,
    TABLE, //
};
use core::ptr;
use kernel::{
    bindings,
    prelude::*,
    sync::atomic::Release, //
};

/// How many heads are done in one section with interrupts disabled.
const HEADS_PER_STEP: usize = 64;

/// The way from one table to the next. One at a time: the work's.
pub(crate) struct Migration {
    old: *const Table,
    new: *mut Table,
}

impl Migration {
    /// Makes an empty table of `1 << order` heads, not 0, to take over from the one in use, which
    /// has a different order. Sleeps.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(crate) fn begin(order: u32) -> Result<Self> {
        // SAFETY: The work is the caller.
        let old: &Table = unsafe { current() };
        let (heads, owned) = if order == SMALLEST_ORDER {
            // The table is bigger, and the one before it, with these heads, was waited for.
            let locked = lock();
            for head in &SMALLEST_HEADS {
                head.store(ptr::null_mut(), &locked);
            }
            ((&raw const SMALLEST_HEADS).cast(), None)
        } else {
            let len = 1 << order;
            let mut heads = KVVec::with_capacity(len, GFP_KERNEL | __GFP_NOWARN)?;
            for _ in 0..len {
                heads.push(Link::null(), GFP_KERNEL)?;
            }
            (heads.as_ptr(), Some(heads))
        };
        // INVARIANT: There are as many links, in an array of the table's or a static one.
        let new = KBox::new(
            Table {
                heads,
                order,
                side: old.side.other(),
                _owned: owned,
            },
            GFP_KERNEL,
        )?;
        let new = KBox::into_raw(new);
        lock().with_state(|state| {
            state.next = new;
            state.done = 0;
        });
        Ok(Self { old, new })
    }

    /// Takes the next heads over. When all of them have been, the new table is in use, and this
    /// returns `true`.
    pub(crate) fn step(&self, locked: &ShadowLocked) -> bool {
        // SAFETY: The work, whose this is, has not freed either yet.
        let (old, new) = unsafe { (&*self.old, &*self.new) };
        let done = locked.with_state(|state| state.done);
        let end = old.len().min(done.saturating_add(HEADS_PER_STEP));
        for index in done..end {
            // SAFETY: The index is less than the length. What is on the chain lives while the lock
            // is held; it is not in the new table yet, because its head is only done now.
            unsafe {
                let mut shadow = old.head_at(index).load();
                while !shadow.is_null() {
                    new.add(shadow, locked);
                    shadow = old.after(shadow).load();
                }
            }
        }
        let complete = end == old.len();
        locked.with_state(|state| {
            state.done = end;
            if complete {
                state.next = ptr::null();
            }
        });
        if complete {
            // Orders the table and its chains before its publication: pairs with the dependent
            // loads after the one in `current()`.
            TABLE.store(self.new, Release);
        }
        complete
    }

    /// Frees the old table, after the last step. Sleeps.
    ///
    /// Waits for its readers: the links that they use are those of the table after the next.
    pub(crate) fn finish(self) {
        // SAFETY: The work can sleep. Nobody finds the old table any more, and when this returns,
        // nobody uses it. It comes from `begin()`, unless it is the first.
        unsafe {
            bindings::synchronize_rcu();
            if !ptr::eq(self.old, &FIRST_TABLE) {
                drop(KBox::from_raw(self.old.cast_mut()));
            }
        }
    }
}
