// SPDX-License-Identifier: GPL-2.0-or-later

//! Shadow variables: data that patches attach to structures of the kernel.
//!
//! What happens to a variable that exists, or that cannot be made, is decided in
//! [`model::shadow`]. For the data itself, the users are responsible.
//!
//! Found by readers under RCU, changed under `klp_shadow_lock`, which is taken with interrupts
//! disabled: constructors and destructors run under it. The table grows and shrinks with the number
//! of variables, in a work item; until it has, or if there is no memory for it, finding takes
//! longer, and nothing else changes.

use crate::{
    edge::shadow_table::{
        self,
        Constructor,
        Destructor,
        Fill,
        Key,
        Migration,
        Shadow,
        ShadowLocked,
        SMALLEST_ORDER, //
    },
    model::{
        self,
        shadow::{
            Existing,
            Table, //
        }, //
    }, //
};
use kernel::{
    bindings::gfp_t,
    ffi::c_void, //
};

/// A variable that is asked for.
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

    fn construct(&self, new: &Shadow, guard: &ShadowLocked) -> Result<(), i32> {
        new.construct(self.constructor, guard)
    }

    fn insert(&self, new: Shadow, guard: &ShadowLocked) -> *mut c_void {
        let data = guard.insert(new);
        keep_fitting(guard);
        data
    }

    fn warn_duplicate(&self) {
        shadow_table::warn_duplicate(self.key);
    }

    fn report_constructor(&self, error: i32) {
        shadow_table::report_constructor(self.key, error);
    }
}

/// The variable's data, if there is one.
pub(crate) fn get(key: Key) -> Option<*mut c_void> {
    shadow_table::find(key)
}

/// The data of a new variable, zeroed and then constructed, or of the existing one.
///
/// `None` if there is no memory, if the constructor fails, or for an existing variable that is to
/// be refused.
pub(crate) fn get_or_alloc(
    key: Key,
    size: usize,
    flags: gfp_t,
    constructor: Constructor,
    existing: Existing,
) -> Option<*mut c_void> {
    let wanted = Wanted {
        key,
        size,
        flags,
        constructor,
    };
    model::shadow::get_or_alloc(&wanted, existing)
}

/// Removes a variable, if there is one, and destroys it; readers may use it until RCU says so.
pub(crate) fn free(key: Key, destructor: Destructor) {
    let locked = shadow_table::lock();
    locked.remove(key, destructor);
    keep_fitting(&locked);
}

/// Removes and destroys all variables with that identifier.
pub(crate) fn free_all(id: usize, destructor: Destructor) {
    let locked = shadow_table::lock();
    locked.remove_all(id, destructor);
    keep_fitting(&locked);
}

/// The number of heads, as a power of two, beyond which the table does not grow.
const LARGEST_ORDER: u32 = 28;

/// The order that the table should have, if it is too small or too large.
///
/// Between one variable for 8 heads, and one for each, it stays; it is made to have 2 to 4 heads
/// for each variable. So the effort is that of some insertions or removals, a fixed number of them.
fn better_order(fill: Fill) -> Option<u32> {
    let bits = usize::BITS - fill.count.leading_zeros();
    let fitting = bits.saturating_add(1).clamp(SMALLEST_ORDER, LARGEST_ORDER);
    let heads = 1_usize << fill.order;
    let grow = fill.count > heads && fitting > fill.order;
    let shrink = fill.count < heads / 8 && fitting < fill.order;
    (grow || shrink).then_some(fitting)
}

fn keep_fitting(locked: &ShadowLocked) {
    if better_order(locked.fill()).is_some() {
        locked.resize_later();
    }
}

/// The work that resizes the table. Sleeps.
pub(crate) fn resize() {
    loop {
        let locked = shadow_table::lock();
        let Some(order) = better_order(locked.fill()) else {
            locked.resized();
            return;
        };
        drop(locked);
        let Ok(migration) = Migration::begin(order) else {
            // The next insertion or removal tries again.
            shadow_table::lock().resized();
            return;
        };
        while !migration.step(&shadow_table::lock()) {}
        migration.finish();
    }
}
