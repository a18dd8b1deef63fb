// SPDX-License-Identifier: GPL-2.0

//! A table of shadow variables, in place of the one in `kernel/livepatch/edge/shadow_table/`.
//!
//! The data of a variable is a value, and 0 before the constructor has run.

use crate::lines;
use kernel::ffi::c_void;
use std::{
    cell::{
        Cell,
        RefCell, //
    },
    collections::BTreeMap,
    mem, //
};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) object: *mut c_void,
    pub(crate) id: usize,
}

impl Key {
    /// The key of an object that has a number.
    pub(crate) fn new(object: usize, id: usize) -> Self {
        Self {
            object: std::ptr::without_provenance_mut(0x1000 * (object + 1)),
            id,
        }
    }
}

/// A constructor, which sets a value, or fails with an error.
#[derive(Clone, Copy)]
pub(crate) struct Constructor {
    pub(crate) value: u64,
    pub(crate) error: i32,
}

#[derive(Clone, Copy)]
pub(crate) struct Destructor;

impl Destructor {
    fn run(self, shadow: &Shadow) {
        lines::add(format!(
            "destroy {:?}, which was {}",
            shadow.key.object,
            shadow.value.get()
        ));
    }
}

pub(crate) struct Shadow {
    key: Key,
    value: Box<Cell<u64>>,
}

thread_local! {
    static TABLE: RefCell<BTreeMap<Key, Shadow>> = const { RefCell::new(BTreeMap::new()) };
    static LOCKED: Cell<bool> = const { Cell::new(false) };
    /// There is no memory for a variable.
    pub(crate) static FAILS: Cell<bool> = const { Cell::new(false) };
}

impl Shadow {
    pub(crate) fn new(key: Key, _size: usize, _flags: u32) -> Option<Self> {
        let value = Box::new(Cell::new(0));
        (!FAILS.get()).then_some(Self { key, value })
    }

    pub(crate) fn construct(&self, by: Constructor, _: &ShadowLocked) -> Result<(), i32> {
        let value = self.value.get();
        lines::add(format!(
            "construct {:?}, which was {value}",
            self.key.object
        ));
        match by.error {
            0 => {
                self.value.set(by.value);
                Ok(())
            }
            error => Err(error),
        }
    }

    fn data(&self) -> *mut c_void {
        self.value.as_ptr().cast()
    }
}

pub(crate) fn find(key: Key) -> Option<*mut c_void> {
    TABLE.with(|table| table.borrow().get(&key).map(Shadow::data))
}

/// The value of a variable, or 0 if there is none.
pub(crate) fn value(key: Key) -> u64 {
    TABLE.with(|table| table.borrow().get(&key).map_or(0, |it| it.value.get()))
}

/// Forgets all variables.
pub(crate) fn clear() {
    TABLE.with(|table| table.borrow_mut().clear());
}

pub(crate) struct ShadowLocked(());

pub(crate) fn lock() -> ShadowLocked {
    if LOCKED.replace(true) {
        lines::add("the lock of the table is held already".into());
    }
    ShadowLocked(())
}

impl Drop for ShadowLocked {
    fn drop(&mut self) {
        LOCKED.set(false);
    }
}

impl ShadowLocked {
    pub(crate) fn find(&self, key: Key) -> Option<*mut c_void> {
        find(key)
    }

    pub(crate) fn insert(&self, new: Shadow) -> *mut c_void {
        let data = new.data();
        TABLE.with(|table| table.borrow_mut().insert(new.key, new));
        data
    }

    pub(crate) fn remove(&self, key: Key, by: Destructor) {
        if let Some(old) = TABLE.with(|table| table.borrow_mut().remove(&key)) {
            by.run(&old);
        }
    }

    pub(crate) fn remove_all(&self, id: usize, by: Destructor) {
        let table = TABLE.with(|table| mem::take(&mut *table.borrow_mut()));
        let (gone, left) = table.into_iter().partition(|(key, _)| key.id == id);
        TABLE.with(|table| *table.borrow_mut() = left);
        let gone: BTreeMap<Key, Shadow> = gone;
        gone.values().for_each(|old| by.run(old));
    }

    pub(crate) fn count(&self) -> usize {
        TABLE.with(|table| table.borrow().len())
    }

    pub(crate) fn order(&self) -> u32 {
        crate::model::shadow::SMALLEST_ORDER
    }

    pub(crate) fn resized(&self) {}
}

pub(crate) fn migrate(_order: u32) -> Result<(), ()> {
    Ok(())
}

// The messages of `kernel/livepatch/shadow_table.c`.

pub(crate) fn warn_duplicate(key: Key) {
    let Key { object, id } = key;
    lines::add(format!(
        "warning: Duplicate shadow variable <{object:?}, {id:x}>"
    ));
}

pub(crate) fn report_constructor(key: Key, error: i32) {
    let Key { object, id } = key;
    lines::add(format!(
        "err: livepatch: Failed to construct shadow variable <{object:?}, {id:x}> ({error})"
    ));
}
