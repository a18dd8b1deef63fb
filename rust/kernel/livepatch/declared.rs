// SPDX-License-Identifier: GPL-2.0-or-later

//! The types by which a livepatch may declare what C has declared.
//!
//! [`module_livepatch!`](super::module_livepatch) compares each function and variable with its
//! declaration in [`bindings`], if there is one.

use crate::{
    bindings,
    prelude::*,
    types::Opaque, //
};
use core::marker::PhantomData;

/// A type that has the layout of the type `C` of C, so that a reference to one is a pointer to the
/// other.
///
/// # Safety
///
/// The types have the same layout, and every `C` in memory is a valid `Self`.
///
/// # Examples
///
/// ```
/// use kernel::bindings;
/// use kernel::livepatch::Represents;
/// use kernel::types::Opaque;
///
/// /// An inode that a livepatch has methods for.
/// #[repr(transparent)]
/// struct Inode(Opaque<bindings::inode>);
///
/// // SAFETY: It is a transparent wrapper, in which any inode is valid.
/// unsafe impl Represents<bindings::inode> for Inode {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the type that C declares, `{C}`",
    label = "C declares another type",
    note = "`kernel::bindings` has the declaration of C"
)]
pub unsafe trait Represents<C> {}

// SAFETY: A type has the layout of itself, and each of its values is a valid one.
unsafe impl<T> Represents<T> for T {}

// SAFETY: `Opaque` is a transparent wrapper, in which any value is valid.
unsafe impl<T> Represents<T> for Opaque<T> {}

macro_rules! represents {
    ($($c:ident: $rust:ty),* $(,)?) => {
        $(
            // SAFETY: It is a transparent wrapper of an `Opaque`, and its invariants hold for each
            // structure of C.
            unsafe impl Represents<bindings::$c> for $rust {}
        )*
    };
}

represents! {
    cred: crate::cred::Credential,
    device: crate::device::Device,
    file: crate::fs::LocalFile,
    mm_struct: crate::mm::Mm,
    pid_namespace: crate::pid_namespace::PidNamespace,
    seq_file: crate::seq_file::SeqFile,
    task_struct: crate::task::Task,
}

/// A type by which a livepatch may declare an argument or a result of the type `C`.
///
/// It is the type itself. For a pointer, it may be another type that is a pointer.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the type that C declares, `{C}`",
    label = "C declares another type",
    note = "`kernel::bindings` has the declaration of C",
    note = "a livepatch may declare a pointer to `C` as `&T`, if `T` is `Represents<C>`"
)]
pub trait DeclaredAs<C> {}

impl<T> DeclaredAs<T> for T {}

macro_rules! pointers {
    ($($pointer:ty),* $(,)?) => {
        $(
            impl<T: Represents<C>, C> DeclaredAs<*mut C> for $pointer {}
            impl<T: Represents<C>, C> DeclaredAs<*const C> for $pointer {}
        )*
    };
}

pointers! {
    &T, Option<&T>, KBox<T>, Option<KBox<T>>
}

/// Passes an argument to the function that C declares. Never called.
#[doc(hidden)]
pub fn argument<T: DeclaredAs<C>, C>(_argument: T) -> C {
    build_error!("the function that C declares is not called")
}

/// Returns a result of the type that C declares. Never called.
#[doc(hidden)]
pub fn result<T: DeclaredAs<C>, C>(_result: PhantomData<C>) -> T {
    build_error!("the function that C declares is not called")
}

/// Returns a pointer to the variable that C declares. Never called.
#[doc(hidden)]
pub fn variable<T: Represents<C>, C>(_variable: *const C) -> *const T {
    core::ptr::null()
}
