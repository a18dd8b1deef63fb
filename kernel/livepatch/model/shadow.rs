// SPDX-License-Identifier: GPL-2.0-or-later

//! Shadow variables: which one is kept, and how large their table is.
//!
//! A variable is known by the structure it belongs to and an identifier. There is at most one of
//! each pair; the constructor runs only for the one that is kept, and nobody finds it before that
//! is done.

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
    /// The variable with the key, which stays there as long as the lock is held.
    fn find_locked(&self, guard: &Self::Guard) -> Option<Self::Data>;
    /// Runs the constructor; on failure, its error.
    fn construct(&self, new: &Self::New, guard: &Self::Guard) -> Result<(), i32>;
    /// Puts the variable into the table.
    fn insert(&self, new: Self::New, guard: &Self::Guard) -> Self::Data;
    /// Warns of a variable that exists.
    fn warn_duplicate(&self);
    /// Tells the log of a constructor that failed.
    fn report_constructor(&self, error: i32);
}

/// The variable that is in the table after an attempt to make one.
enum Kept<T> {
    /// The new one.
    New(T),
    /// The one that exists.
    Existing(T),
}

/// Makes a variable, which is zeroed and then constructed.
///
/// `None` if there is no memory, or if the constructor fails. Inlined, because it is most of both
/// its callers.
#[inline(always)]
fn make<T: Table>(table: &T) -> Option<Kept<T::Data>> {
    // Outside the lock, so that the allocation can sleep.
    let new = table.allocate()?;
    let guard = table.lock();
    if let Some(data) = table.find_locked(&guard) {
        drop(guard);
        return Some(Kept::Existing(data));
    }
    if let Err(error) = table.construct(&new, &guard) {
        drop(guard);
        table.report_constructor(error);
        return None;
    }
    Some(Kept::New(table.insert(new, &guard)))
}

/// The data of a new variable.
///
/// `None` if there is no memory, if the constructor fails, or if the variable exists. The last is a
/// bug in the caller, and rare: this looks for the variable only under the lock.
#[inline]
pub(crate) fn alloc<T: Table>(table: &T) -> Option<T::Data> {
    match make(table)? {
        Kept::New(data) => Some(data),
        Kept::Existing(_) => {
            table.warn_duplicate();
            None
        }
    }
}

/// The data of the variable, which is made if there is none.
///
/// `None` if there is no memory, or if the constructor fails.
#[inline]
pub(crate) fn get_or_alloc<T: Table>(table: &T) -> Option<T::Data> {
    if let Some(data) = table.find() {
        return Some(data);
    }
    // Another caller may make it first.
    let (Kept::New(data) | Kept::Existing(data)) = make(table)?;
    Some(data)
}

/// The number of heads of the smallest table, as a power of two.
pub(crate) const SMALLEST_ORDER: u32 = 10;

/// The number of heads beyond which the table does not grow, as a power of two.
const LARGEST_ORDER: u32 = 28;

/// How many variables a table is kept for.
///
/// Between one variable for 8 heads, and one for each, it stays; it is made to have 1 to 2 heads
/// for each variable: removing all visits the heads, too. So the effort is that of some insertions
/// or removals, a fixed number of them.
pub(crate) struct Limits {
    /// With fewer variables, the table shrinks.
    pub(crate) fewest: usize,
    /// With more variables, the table grows.
    pub(crate) most: usize,
}

impl Limits {
    /// Limits that no number of variables is within: no memory has room for the fewest.
    pub(crate) const NONE: Self = Self {
        fewest: isize::MAX as usize,
        most: 0,
    };

    /// The limits of a table with `1 << order` heads.
    pub(crate) const fn of(order: u32) -> Self {
        let heads = 1_usize << order;
        Self {
            fewest: if order > SMALLEST_ORDER { heads / 8 } else { 0 },
            most: if order < LARGEST_ORDER {
                heads
            } else {
                usize::MAX
            },
        }
    }
}

/// The order that a table should have instead of `order`, if that is too small or too large for
/// `count` variables.
pub(crate) fn better_order(count: usize, order: u32) -> Option<u32> {
    let limits = Limits::of(order);
    let bits = usize::BITS - count.leading_zeros();
    let fitting = bits.clamp(SMALLEST_ORDER, LARGEST_ORDER);
    (count < limits.fewest || count > limits.most).then_some(fitting)
}
