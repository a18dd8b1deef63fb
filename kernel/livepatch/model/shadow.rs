// SPDX-License-Identifier: GPL-2.0-or-later

//! Shadow variables: the choice of the variable that is kept, and the size of their table.
//!
//! The key of a variable is the structure that it belongs to and an identifier. There is at most
//! one variable with each key. The constructor runs only for a variable that is kept, and readers
//! find the variable only after it has run.

/// The table of shadow variables, and the operations that make a variable.
///
/// One value stands for one call: it has the key, and everything that is needed to make the
/// variable.
pub(crate) trait Table {
    /// The data of a variable in the table, as a caller gets it.
    type Data: Copy;
    /// A variable that is not in the table yet. It is freed if it is dropped.
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
    /// Runs the constructor. If the constructor fails, returns its error.
    fn construct(&self, new: &Self::New, guard: &Self::Guard) -> Result<(), i32>;
    /// Puts the variable into the table.
    fn insert(&self, new: Self::New, guard: &Self::Guard) -> Self::Data;
    /// Warns that the variable exists already.
    fn warn_duplicate(&self);
    /// Logs that a constructor has failed.
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
    // Allocate outside the lock, so that the allocation can sleep.
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

/// The numbers of variables for which a table keeps its size.
///
/// A table keeps its size while it has between one variable for 8 heads and one variable for each
/// head. A new table gets 1 to 2 heads for each variable, and not more, because removing all
/// variables visits the heads, too. So each insertion or removal bears a fixed share of the cost of
/// a resize.
#[derive(Clone, Copy)]
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
