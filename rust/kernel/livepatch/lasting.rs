// SPDX-License-Identifier: GPL-2.0-or-later

//! Data that may outlive the module that has made it.

use crate::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            AtomicType, //
        },
        Arc, //
    }, //
};

/// A type of values that may outlive the module that has made them, as those in
/// [`Shadow`](super::Shadow) variables and [`State`](super::State)s do.
///
/// A livepatch implements this trait for its own types.
///
/// # Safety
///
/// - A value stays valid when the module that has made it is gone: nothing in it points into the
///   memory of a module. So there is no reference to a static or to a literal in it, no function
///   pointer, and no trait object.
/// - In all modules that are loaded while one kernel runs, at the same time or not, the types with
///   the [`TypeId`] of this type have the same layout and the same meaning. The id depends on the
///   path of the type, which begins with the name of the `.rs` file that is the root of the crate,
///   and not on the definition or on the name of the module. So if a type changes and that file
///   keeps its name, the type needs a new name.
/// - Dropping a value does not sleep, does not leave work to RCU or to other code that calls the
///   module later, and does not use shadow variables or states.
///
/// [`TypeId`]: core::any::TypeId
///
/// # Examples
///
/// ```
/// use kernel::livepatch::{
///     Lasting,
///     Shadow, //
/// };
/// use kernel::prelude::*;
///
/// /// The limits of a request.
/// struct Limits {
///     lowest: u32,
///     highest: u32,
/// }
///
/// // SAFETY: There are numbers in it, and nothing is done when it is dropped. No other definition
/// // has had this name.
/// unsafe impl Lasting for Limits {}
///
/// // SAFETY: The test calls `rcu_barrier()` at its end.
/// static LIMITS: Shadow<Limits> = unsafe { Shadow::for_module(1) };
///
/// let request = KBox::new(7_u32, GFP_KERNEL)?;
/// LIMITS.alloc(&*request, GFP_KERNEL, || Ok(Limits { lowest: 2, highest: 5 }))?;
/// assert_eq!(LIMITS.get(&*request).map(|limits| limits.highest - limits.lowest), Some(3));
/// LIMITS.remove_all();
/// # kernel::sync::rcu::rcu_barrier();
/// # Ok::<(), Error>(())
/// ```
pub unsafe trait Lasting: Send + Sync + 'static {}

macro_rules! lasting {
    ($($plain:ty),*) => {
        $(
            // SAFETY: It is a plain value, the same in all modules.
            unsafe impl Lasting for $plain {}
        )*
    };
}

lasting! {
    (), bool, i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize
}

// SAFETY: It is a `T`, and dropping it does nothing.
unsafe impl<T: AtomicType + Lasting> Lasting for Atomic<T> {}

// SAFETY: It is nothing but `T`s.
unsafe impl<T: Lasting, const N: usize> Lasting for [T; N] {}

// SAFETY: It is nothing but an `A` and a `B`.
unsafe impl<A: Lasting, B: Lasting> Lasting for (A, B) {}

// SAFETY: It is a `T` in memory from `kmalloc()`, which is freed without sleeping.
unsafe impl<T: Lasting> Lasting for KBox<T> {}

// SAFETY: These are `T`s in memory from `kmalloc()`, which is freed without sleeping.
unsafe impl<T: Lasting> Lasting for KVec<T> {}

// SAFETY: It shares a `T` in memory from `kmalloc()`, which is freed without sleeping.
unsafe impl<T: Lasting> Lasting for Arc<T> {}
