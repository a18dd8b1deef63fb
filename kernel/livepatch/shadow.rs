// SPDX-License-Identifier: GPL-2.0-or-later

//! Shadow variables: data that patches attach to structures of the kernel.
//!
//! [`model::shadow`] decides which variable is kept, and which result callers get. The livepatches
//! that use a variable are responsible for its data.
//!
//! Readers find a variable under RCU. Writers hold `klp_shadow_spinlock`, which
//! `spin_lock_irqsave()` takes, and run constructors and destructors under it. A work item grows
//! and shrinks the table with the number of variables. Until it has done so, or if it has no
//! memory, searches take longer, and nothing else changes.

use crate::{
    edge::shadow_table::{
        self,
        Constructor,
        Destructor,
        Key,
        Shadow,
        ShadowLocked, //
    },
    model::{
        self,
        shadow::Table, //
    }, //
};
use kernel::{
    bindings::gfp_t,
    ffi::c_void, //
};

/// A request for a variable.
struct Wanted {
    key: Key,
    size: usize,
    flags: gfp_t,
    constructor: Constructor,
}

impl Table for Wanted {
    type Data = *mut c_void;
    type New = Shadow;
    type Guard = ShadowLocked;

    fn find(&self) -> Option<*mut c_void> {
        shadow_table::find(self.key)
    }

    fn allocate(&self) -> Option<Shadow> {
        Shadow::new(self.key, self.size, self.flags)
    }

    fn lock(&self) -> ShadowLocked {
        shadow_table::lock()
    }

    fn find_locked(&self, guard: &ShadowLocked) -> Option<*mut c_void> {
        guard.find(self.key)
    }

    fn construct(&self, new: &Shadow, guard: &ShadowLocked) -> Result<(), i32> {
        new.construct(self.constructor, guard)
    }

    fn insert(&self, new: Shadow, guard: &ShadowLocked) -> *mut c_void {
        guard.insert(new)
    }

    fn warn_duplicate(&self) {
        shadow_table::warn_duplicate(self.key);
    }

    fn report_constructor(&self, error: i32) {
        shadow_table::report_constructor(self.key, error);
    }
}

/// The data of a new variable, zeroed and then constructed.
///
/// `None` if there is no memory, if the constructor fails, or, with a warning, if the variable
/// exists.
pub(crate) fn alloc(
    key: Key,
    size: usize,
    flags: gfp_t,
    constructor: Constructor,
) -> Option<*mut c_void> {
    model::shadow::alloc(&Wanted {
        key,
        size,
        flags,
        constructor,
    })
}

/// The data of the existing variable, or of a new one, zeroed and then constructed.
///
/// `None` if there is no memory, or if the constructor fails.
pub(crate) fn get_or_alloc(
    key: Key,
    size: usize,
    flags: gfp_t,
    constructor: Constructor,
) -> Option<*mut c_void> {
    model::shadow::get_or_alloc(&Wanted {
        key,
        size,
        flags,
        constructor,
    })
}

/// Removes a variable, if there is one, and runs its destructor. Its memory stays until all readers
/// of RCU that may have found it are done.
pub(crate) fn free(key: Key, destructor: Destructor) {
    shadow_table::lock().remove(key, destructor);
}

/// Removes all variables with that identifier, and runs the destructor for each.
pub(crate) fn free_all(id: usize, destructor: Destructor) {
    shadow_table::lock().remove_all(id, destructor);
}

/// The work that resizes the table. Sleeps.
pub(crate) fn resize() {
    loop {
        let locked = shadow_table::lock();
        let Some(order) = model::shadow::better_order(locked.count(), locked.order()) else {
            locked.resized();
            return;
        };
        drop(locked);
        if shadow_table::migrate(order).is_err() {
            // The next insertion or removal tries again.
            shadow_table::lock().resized();
            return;
        }
    }
}
