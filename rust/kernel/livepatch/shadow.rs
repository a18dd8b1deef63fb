// SPDX-License-Identifier: GPL-2.0-or-later

//! Shadow variables: data that patches attach to structures of the kernel.
//!
//! A variable is known by the structure it belongs to and an identifier. There is at most one of
//! each pair; the constructor runs only for the one that is kept, and nobody finds it before that
//! is done. For the data itself, the users are responsible.
//!
//! Found by readers under RCU, changed under `klp_shadow_lock`, which is taken with interrupts
//! disabled: constructors and destructors run under it. The table is the kernel's `rhashtable`, in
//! `kernel/livepatch/shadow_table.c`, which grows with the number of variables.

#![deny(unsafe_code)]

use super::shadow_table::{
    self,
    Constructor,
    Destructor,
    Key,
    Shadow, //
};
use crate::{
    bindings::gfp_t,
    ffi::c_void, //
};

/// What to do about a variable that exists.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It is a bug: warn and return nothing.
    Refuse,
    /// Return it.
    Use,
}

/// The variable's data, if there is one.
pub(crate) fn get(key: Key) -> Option<*mut c_void> {
    shadow_table::find(key)
}

/// The data of a new variable, or of the existing one if that is to be used.
///
/// It is zeroed and then constructed. `None` if there is no memory, if the constructor fails, or
/// for an existing variable that must not be.
pub(crate) fn get_or_alloc(
    key: Key,
    size: usize,
    flags: gfp_t,
    constructor: Constructor,
    existing: Existing,
) -> Option<*mut c_void> {
    if let Some(data) = get(key) {
        return existing_data(key, data, existing);
    }
    // Outside the lock, so that the allocation can sleep if the caller lets it.
    let new = Shadow::new(key, size, flags)?;
    let locked = shadow_table::lock();
    if let Some(data) = get(key) {
        drop(locked);
        return existing_data(key, data, existing);
    }
    if let Err(errno) = new.construct(constructor, &locked) {
        drop(locked);
        shadow_table::report_constructor(key, errno);
        return None;
    }
    new.insert(&locked)
}

fn existing_data(key: Key, data: *mut c_void, existing: Existing) -> Option<*mut c_void> {
    match existing {
        Existing::Use => Some(data),
        Existing::Refuse => {
            shadow_table::warn_duplicate(key);
            None
        }
    }
}

/// Removes a variable, if there is one, and destroys it; readers may use it until RCU says so.
pub(crate) fn free(key: Key, destructor: Destructor) {
    shadow_table::lock().remove(key, destructor);
}

/// Removes and destroys all variables with that identifier.
pub(crate) fn free_all(id: usize, destructor: Destructor) {
    shadow_table::lock().remove_all(id, destructor);
}
