// SPDX-License-Identifier: GPL-2.0-or-later

//! The code that the transition in progress changes, by address.
//!
//! Tasks check their own stacks in `__schedule()`, where they can take no lock, while modules come
//! and go. So they do not read the patch's lists, but an index that never changes. A writer
//! publishes a new index in its place, and retires the old one.

use crate::{
    edge::{
        abi::{
            FuncName,
            Patch, //
        },
        ftrace,
        func_stacks,
        mutex::Locked,
        retired::{
            Link,
            Retired, //
        }, //
    },
    model::{
        blocker::{
            self,
            Changing, //
        },
        TaskState, //
    }, //
};
use core::ptr;
use kernel::{
    bindings,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    }, //
};

/// The changing code for both directions, so that a reversal needs no memory.
pub(crate) struct Index {
    patching: KVVec<Changing<FuncName>>,
    unpatching: KVVec<Changing<FuncName>>,
    /// The handlers of all these functions, for tasks that may be in one.
    handlers: KVVec<Changing<FuncName>>,
    /// The link of the chain in [`RETIRED`].
    link: *mut Index,
}

/// The size in bytes of the call of an ftrace handler.
const CALL_SIZE: usize = bindings::MCOUNT_INSN_SIZE as usize;

/// The published index, or null. It is published before a transition begins, and replaced by null
/// when every task has switched. Stored under `klp_mutex`.
///
/// The index comes from [`publish`]. Once it is replaced, it lives until [`tasks::synchronize`] has
/// returned.
///
/// [`tasks::synchronize`]: crate::edge::tasks::synchronize
static INDEX: Atomic<*mut Index> = Atomic::new(ptr::null_mut());

impl Index {
    fn new(patch: &Patch, locked: &Locked) -> Result<Self> {
        let mut index = Self {
            patching: KVVec::new(),
            unpatching: KVVec::new(),
            handlers: KVVec::new(),
            link: ptr::null_mut(),
        };
        let patched = patch.objects(locked).filter(|o| o.patched(locked));
        for func in patched.flat_map(|object| object.funcs(locked)) {
            // SAFETY: The patch and its funcs live until the index has been withdrawn and no task
            // uses it. `find_blocker()` demands that names are not used for longer.
            let name = unsafe { FuncName::of(func) };
            let (old, new) = (func.original(locked), func.new_code(locked));
            let location = ftrace::location(old.start);
            let below = location
                .and_then(|location| func_stacks::below(func, location, locked))
                .map(|below| below.new_code(locked));
            let order = index.patching.len();
            if let Some(location) = location {
                let code = blocker::in_handler(location, CALL_SIZE);
                index
                    .handlers
                    .push(Changing { code, order, name }, GFP_KERNEL)?;
            }
            for (list, patching) in [(&mut index.patching, true), (&mut index.unpatching, false)] {
                let code = blocker::changing(patching, new, old, below);
                list.push(Changing { code, order, name }, GFP_KERNEL)?;
            }
        }
        blocker::sort(&mut index.patching);
        blocker::sort(&mut index.unpatching);
        blocker::sort(&mut index.handlers);
        Ok(index)
    }
}

/// Indexes that can no longer be found.
pub(super) static RETIRED: Retired<Index> = Retired::new();

// SAFETY: `link` points to the field of that name, which has no other use.
unsafe impl Link for Index {
    unsafe fn link(this: *mut Self) -> *mut *mut Self {
        // SAFETY: `this` points to an index by the safety requirement. Nothing is loaded.
        unsafe { &raw mut (*this).link }
    }
}

fn replace(index: *mut Index, locked: &Locked) {
    let old = INDEX.load(Relaxed);
    // Orders the writes to the index before it can be found: pairs with the load in
    // `find_blocker()`.
    INDEX.store(index, Release);
    if !old.is_null() {
        // SAFETY: `old` was a box in `publish()`, and `INDEX` does not lead to it any more. Tasks
        // that have found it have preemption disabled, and `tasks::synchronize()` waits for them.
        unsafe { RETIRED.push(old, locked) };
    }
}

/// Publishes an index of `patch`, which is in transition, or about to be, and has its funcs on
/// their stacks. Sleeps.
pub(crate) fn publish(patch: &Patch, locked: &Locked) -> Result {
    let index = KBox::new(Index::new(patch, locked)?, GFP_KERNEL)?;
    replace(KBox::into_raw(index), locked);
    Ok(())
}

/// Withdraws the index: no task has to look for functions any more.
pub(crate) fn withdraw(locked: &Locked) {
    replace(ptr::null_mut(), locked);
}

/// The name of a func with code that a transition to `target` changes and that holds an address of
/// `stack`. If the task is `runnable`, a handler of such a func counts as well.
///
/// # Safety
///
/// The caller has preemption disabled, or holds `klp_mutex`, and does not use the name for longer.
pub(crate) unsafe fn find_blocker(
    target: TaskState,
    stack: &[usize],
    runnable: bool,
) -> Option<FuncName> {
    // Pairs with the release store in `replace()`: orders this load before those of the index.
    let index = INDEX.load(Acquire);
    // SAFETY: `index` is null, or comes from `publish()`. `reclaim()`, which holds the mutex, frees
    // it after `tasks::synchronize()` has returned. That waits for a caller with preemption
    // disabled, and a caller that holds the mutex excludes it. So the index lives until this
    // returns.
    let index = unsafe { index.as_ref() }?;
    let changing = match target {
        TaskState::Patched => &index.patching,
        TaskState::Unpatched | TaskState::Idle => &index.unpatching,
    };
    let blocker = blocker::find_blocker(stack, changing);
    if blocker.is_none() && runnable {
        return blocker::find_blocker(stack, &index.handlers);
    }
    blocker
}
