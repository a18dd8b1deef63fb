// SPDX-License-Identifier: GPL-2.0-or-later

//! Shadow variables: data that patches attach to structures of the kernel.
//!
//! What happens to a variable that exists, or that cannot be made, is decided in
//! [`model::shadow`]. For the data itself, the users are responsible.
//!
//! Found by readers under RCU, changed under `klp_shadow_lock`, which is taken with interrupts
//! disabled: constructors and destructors run under it. The table is the kernel's `rhashtable`, in
//! `kernel/livepatch/shadow_table.c`, which grows with the number of variables.

#![deny(unsafe_code)]

use super::{
    model::{
        self,
        shadow::{
            Existing,
            Table, //
        }, //
    },
    shadow_table::{
        self,
        Constructor,
        Destructor,
        Key,
        Locked,
        Shadow, //
    }, //
};
use crate::{
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
    type Guard = Locked;

    fn find(&self) -> Option<*mut c_void> {
        shadow_table::find(self.key)
    }

    fn allocate(&self) -> Option<Shadow> {
        Shadow::new(self.key, self.size, self.flags)
    }

    fn lock(&self) -> Locked {
        shadow_table::lock()
    }

    fn construct(&self, new: &Shadow, guard: &Locked) -> Result<(), i32> {
        new.construct(self.constructor, guard)
    }

    fn insert(&self, new: Shadow, guard: &Locked) -> Option<*mut c_void> {
        new.insert(guard)
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
    shadow_table::lock().remove(key, destructor);
}

/// Removes and destroys all variables with that identifier.
pub(crate) fn free_all(id: usize, destructor: Destructor) {
    shadow_table::lock().remove_all(id, destructor);
}
