// SPDX-License-Identifier: GPL-2.0-or-later

//! Shadow variables: which one is kept.
//!
//! A variable is known by the structure it belongs to and an identifier. There is at most one of
//! each pair; the constructor runs only for the one that is kept, and nobody finds it before that
//! is done.

/// What to do about a variable that exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Existing {
    /// It is a bug: warn and return nothing.
    Refuse,
    /// Return it.
    Use,
}

/// The table of shadow variables, and what makes them.
///
/// One value stands for one call: a key, and how to make the variable.
pub(crate) trait Table {
    /// What a caller gets of a variable in the table.
    type Data: Copy;
    /// A variable that nobody finds yet. Freed if it is dropped.
    type New;
    /// The lock that serializes changes, held until this is dropped.
    type Guard;

    /// The variable with the key.
    fn find(&self) -> Option<Self::Data>;
    /// Makes a zeroed variable; may sleep if the caller of the interface lets it.
    fn allocate(&self) -> Option<Self::New>;
    /// Takes the lock.
    fn lock(&self) -> Self::Guard;
    /// Runs the constructor; on failure, its error.
    fn construct(&self, new: &Self::New, guard: &Self::Guard) -> Result<(), i32>;
    /// Puts the variable into the table.
    fn insert(&self, new: Self::New, guard: &Self::Guard) -> Self::Data;
    /// Warns of a variable that exists.
    fn warn_duplicate(&self);
    /// Tells the log of a constructor that failed.
    fn report_constructor(&self, error: i32);
}

/// The data of a new variable, or of the existing one if that is to be used.
///
/// It is zeroed and then constructed. `None` if there is no memory, if the constructor fails, or
/// for an existing variable that must not be.
pub(crate) fn get_or_alloc<T: Table>(table: &T, existing: Existing) -> Option<T::Data> {
    if let Some(data) = table.find() {
        return found(table, data, existing);
    }
    // Outside the lock, so that the allocation can sleep.
    let new = table.allocate()?;
    let guard = table.lock();
    // Somebody else may have been faster.
    if let Some(data) = table.find() {
        drop(guard);
        return found(table, data, existing);
    }
    if let Err(error) = table.construct(&new, &guard) {
        drop(guard);
        table.report_constructor(error);
        return None;
    }
    Some(table.insert(new, &guard))
}

fn found<T: Table>(table: &T, data: T::Data, existing: Existing) -> Option<T::Data> {
    match existing {
        Existing::Use => Some(data),
        Existing::Refuse => {
            table.warn_duplicate();
            None
        }
    }
}
