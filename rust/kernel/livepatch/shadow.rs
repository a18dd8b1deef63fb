// SPDX-License-Identifier: GPL-2.0-or-later

//! Shadow variables: data that livepatches attach to structures of the kernel.

use super::{
    identity,
    Lasting,
    Livepatch, //
};
use crate::{
    alloc::Flags,
    bindings,
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    sync::rcu,
    types::Opaque, //
};
use core::{
    marker::PhantomData,
    mem::MaybeUninit,
    ops::Deref,
    ptr::NonNull, //
};

/// A kind of shadow variable: values of type `T` that are attached to structures under an id.
///
/// The address of the structure, the id and `T` identify a variable: the same id with another type
/// is another kind. A variable outlives the livepatch that has made it, until it is removed, and
/// another livepatch with the same kind finds it. So remove all variables when the last livepatch
/// that knows the kind goes. If each version replaces the one before, do that in
/// [`post_unpatch`](super::Callbacks::post_unpatch), which does not run for livepatches that are
/// replaced. If livepatches share a kind and do not replace each other, `post_unpatch` runs for
/// each of them, and the first that goes must not remove the variables that the others still use.
///
/// A variable that another livepatch is to find needs a type that both know: one that `core` or
/// `kernel` defines. A type that a livepatch defines belongs to the name of the `.rs` file that is
/// the root of its crate: all livepatches with a root of this name share the type, also if their
/// modules have other names. [`Lasting`] has the requirements for such a type.
///
/// The id and the type become one number with the highest bit set. It is assumed that livepatches
/// in C do not attach anything under such a number, and that no two kinds get the same one.
///
/// A caller can remove a variable while readers use it. The value is dropped and freed when all
/// readers of RCU are done, in a context in which sleeping is not allowed. A value that changes
/// needs a lock of its own, or has to be atomic. Before a livepatch is unloaded, all values that it
/// has removed are dropped.
///
/// # Examples
///
/// ```
/// use kernel::livepatch::Shadow;
/// use kernel::prelude::*;
/// use kernel::sync::atomic::{
///     Atomic,
///     Relaxed, //
/// };
///
/// // SAFETY: The test calls `rcu_barrier()` at its end.
/// static CHECKS: Shadow<Atomic<i32>> = unsafe { Shadow::for_module(1) };
///
/// let request = KBox::new(7_u32, GFP_KERNEL)?;
/// assert!(CHECKS.get(&*request).is_none());
///
/// for _ in 0..2 {
///     let checks = CHECKS.get_or_alloc(&*request, GFP_KERNEL, || Ok(Atomic::new(0)))?;
///     checks.fetch_add(1, Relaxed);
/// }
/// assert_eq!(CHECKS.get(&*request).map(|checks| checks.load(Relaxed)), Some(2));
///
/// // Another type is another variable.
/// // SAFETY: The test calls `rcu_barrier()` at its end.
/// static NAMES: Shadow<[u8; 4]> = unsafe { Shadow::for_module(1) };
/// assert!(NAMES.get(&*request).is_none());
///
/// assert_eq!(CHECKS.remove(&*request).map(|checks| checks.load(Relaxed)), Some(2));
/// assert!(CHECKS.get(&*request).is_none());
/// # kernel::sync::rcu::rcu_barrier();
/// # Ok::<(), Error>(())
/// ```
pub struct Shadow<T> {
    id: usize,
    _values: PhantomData<fn() -> T>,
}

impl<T: Lasting> Shadow<T> {
    /// The kind with this id, for the livepatch `P`: write `Shadow::new::<LocalModule>(1)`.
    #[inline]
    pub const fn new<P: Livepatch>(id: usize) -> Self {
        // SAFETY: `Enabled` waits for RCU before the livepatch is unloaded.
        unsafe { Self::for_module(id) }
    }

    /// The kind with this id, for a module that is no livepatch.
    ///
    /// # Safety
    ///
    /// The function that drops a removed value is code of the module. If the module can be
    /// unloaded, it calls [`rcu::rcu_barrier()`] after it has removed its last variable.
    #[inline]
    pub const unsafe fn for_module(id: usize) -> Self {
        Self {
            id,
            _values: PhantomData,
        }
    }

    /// The variable that is attached to `structure`, if there is one.
    ///
    /// May be called in any context, and does not sleep. The result holds the RCU read lock.
    #[inline]
    pub fn get<O>(&self, structure: *const O) -> Option<ShadowRef<T>> {
        let guard = rcu::read_lock();
        // SAFETY: The function has no preconditions: it takes the pointer for a key alone.
        let data = unsafe { bindings::klp_shadow_get(key(structure), self.id()) };
        let data = NonNull::new(data)?.cast::<NonNull<Node<T>>>();
        // SAFETY: `construct()` has stored a pointer to a node in each variable with this id, which
        // has `T` in it. It may have done so in another module, where `T` is the same, because it
        // is `Lasting`. The guard keeps the variable from being freed.
        let node = unsafe { data.read() };
        // INVARIANT: The guard is older than the search, and so RCU frees the node later.
        Some(ShadowRef {
            node,
            _guard: guard,
        })
    }

    /// The variable that is attached to `structure`; if there is none, one with the value of
    /// `init`.
    ///
    /// `init` is called only if its value is going to be attached. It must not sleep, allocate with
    /// flags that sleep, or use shadow variables: the lock of all shadow variables is held, which
    /// is a spinlock, and interrupts may be disabled.
    ///
    /// Sleeps if `flags` allow it. May be called wherever a spinlock may be taken: anywhere but in
    /// an NMI, and with `CONFIG_PREEMPT_RT` only where tasks may sleep. So may `alloc()`,
    /// `remove()` and `remove_all()`.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`], or the error of `init`; nothing is attached then. [`ENOENT`] if another caller
    /// removes the variable at the same time.
    #[inline]
    pub fn get_or_alloc<O>(
        &self,
        structure: *const O,
        flags: Flags,
        init: impl FnOnce() -> Result<T>,
    ) -> Result<ShadowRef<T>> {
        match self.get(structure) {
            Some(variable) => Ok(variable),
            None => self.attach(structure, flags, init, Existing::Taken),
        }
    }

    /// A new variable with the value of `init`, attached to `structure`.
    ///
    /// `init` is called as for [`get_or_alloc`](Self::get_or_alloc).
    ///
    /// # Errors
    ///
    /// As for [`get_or_alloc`](Self::get_or_alloc); [`EEXIST`] if there is a variable already,
    /// which is a mistake that the kernel warns of.
    ///
    /// # Examples
    ///
    /// ```
    /// use kernel::livepatch::Shadow;
    /// use kernel::prelude::*;
    ///
    /// // SAFETY: The test calls `rcu_barrier()` at its end.
    /// static LIMITS: Shadow<KBox<u64>> = unsafe { Shadow::for_module(1) };
    ///
    /// let request = KBox::new(7_u32, GFP_KERNEL)?;
    /// let limit = KBox::new(100, GFP_KERNEL)?;
    /// LIMITS.alloc(&*request, GFP_KERNEL, || Ok(limit))?;
    /// assert_eq!(LIMITS.get(&*request).map(|limit| **limit), Some(100));
    ///
    /// // A constructor that fails leaves nothing behind.
    /// let other = KBox::new(8_u32, GFP_KERNEL)?;
    /// assert_eq!(LIMITS.alloc(&*other, GFP_KERNEL, || Err(EBUSY)).err(), Some(EBUSY));
    /// assert!(LIMITS.get(&*other).is_none());
    ///
    /// LIMITS.remove_all();
    /// assert!(LIMITS.get(&*request).is_none());
    /// # kernel::sync::rcu::rcu_barrier();
    /// # Ok::<(), Error>(())
    /// ```
    #[inline]
    pub fn alloc<O>(
        &self,
        structure: *const O,
        flags: Flags,
        init: impl FnOnce() -> Result<T>,
    ) -> Result<ShadowRef<T>> {
        self.attach(structure, flags, init, Existing::Refused)
    }

    fn attach<O, F: FnOnce() -> Result<T>>(
        &self,
        structure: *const O,
        flags: Flags,
        init: F,
        existing: Existing,
    ) -> Result<ShadowRef<T>> {
        let mut new = New::<T, F> {
            // Allocate the node here, where flags that sleep may do so.
            node: Some(KBox::new_uninit(flags)?),
            init: Some(init),
            error: None,
        };
        let (key, id, size) = (key(structure), self.id(), size_of::<NonNull<Node<T>>>());
        let (flags, argument) = (flags.as_raw(), (&raw mut new).cast());
        let constructor: bindings::klp_shadow_ctor_t = Some(New::<T, F>::construct);
        // Both are called by name. A call by a pointer would fail with kCFI: for Rust, the type of
        // the constructor is an `Option`.
        let data = match existing {
            // SAFETY: The function calls the constructor, if at all, before it returns, with data
            // of that size, and with `new`, which is not used meanwhile.
            Existing::Taken => unsafe {
                bindings::klp_shadow_get_or_alloc(key, id, size, flags, constructor, argument)
            },
            // SAFETY: The same is true of this function.
            Existing::Refused => unsafe {
                bindings::klp_shadow_alloc(key, id, size, flags, constructor, argument)
            },
        };
        if let Some(error) = new.error {
            return Err(error);
        }
        let constructed = new.init.is_none();
        match self.get(structure) {
            Some(variable) if !data.is_null() => Ok(variable),
            Some(variable) if !constructed => match existing {
                Existing::Taken => Ok(variable),
                Existing::Refused => Err(EEXIST),
            },
            _ if data.is_null() => Err(ENOMEM),
            _ => Err(ENOENT),
        }
    }

    /// Removes the variable that is attached to `structure`, and returns it, if there is one.
    ///
    /// Does not sleep. May be called where [`get_or_alloc`](Self::get_or_alloc) may.
    ///
    /// Readers that have found the variable before can still use it. It is dropped after the last
    /// of them is done.
    ///
    /// The variable is found first and removed after that. If another caller removes it in between,
    /// and a third attaches a new one, the new one is removed, and both removers return the old
    /// one. Callers that attach and remove at the same time need a lock of their own.
    #[inline]
    #[doc(alias = "klp_shadow_free")]
    pub fn remove<O>(&self, structure: *const O) -> Option<ShadowRef<T>> {
        let variable = self.get(structure)?;
        let (key, id) = (key(structure), self.id());
        // SAFETY: `construct()` has made each variable with this id, which has `T` in it, and so
        // `destroy()` can be called with it. The function does that once.
        unsafe { bindings::klp_shadow_free(key, id, Some(Node::<T>::destroy)) };
        Some(variable)
    }

    /// Removes all variables of this kind.
    ///
    /// This takes time, because it visits all shadow variables. It does not sleep. It may be called
    /// where [`get_or_alloc`](Self::get_or_alloc) may.
    #[inline]
    #[doc(alias = "klp_shadow_free_all")]
    pub fn remove_all(&self) {
        // SAFETY: `construct()` has made each variable with this id, which has `T` in it, and so
        // `destroy()` can be called with it. The function does that once for each.
        unsafe { bindings::klp_shadow_free_all(self.id(), Some(Node::<T>::destroy)) };
    }

    #[inline]
    fn id(&self) -> usize {
        identity::typed::<T>(self.id)
    }
}

/// Whether a caller takes a variable that another caller has attached.
#[derive(Clone, Copy)]
enum Existing {
    /// The caller gets it: `klp_shadow_get_or_alloc()`.
    Taken,
    /// It is an error: `klp_shadow_alloc()`.
    Refused,
}

#[inline]
fn key<O>(structure: *const O) -> *mut c_void {
    structure.cast_mut().cast()
}

/// A shadow variable that has been found.
///
/// A `ShadowRef` holds the RCU read lock, so that the variable stays readable while it exists. The
/// holder must not sleep during that time.
///
/// # Examples
///
/// ```
/// use kernel::livepatch::{
///     Shadow,
///     ShadowRef, //
/// };
/// use kernel::prelude::*;
///
/// // SAFETY: The test calls `rcu_barrier()` at its end.
/// static LIMITS: Shadow<u64> = unsafe { Shadow::for_module(2) };
///
/// fn twice(limit: &ShadowRef<u64>) -> u64 {
///     2 * **limit
/// }
///
/// let request = KBox::new(7_u32, GFP_KERNEL)?;
/// LIMITS.alloc(&*request, GFP_KERNEL, || Ok(100))?;
/// assert_eq!(LIMITS.get(&*request).as_ref().map(twice), Some(200));
/// LIMITS.remove_all();
/// # kernel::sync::rcu::rcu_barrier();
/// # Ok::<(), Error>(())
/// ```
///
/// # Invariants
///
/// `node` points to a node, which is not freed before the guard is dropped. Until then, all access
/// to its value is shared access.
pub struct ShadowRef<T> {
    node: NonNull<Node<T>>,
    _guard: rcu::Guard,
}

impl<T> Deref for ShadowRef<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: `node` points to a node that lives as long as `self`, and its value can be
        // shared, by the type invariants.
        unsafe { &(*self.node.as_ptr()).value }
    }
}

/// The memory that a shadow variable points to.
///
/// It is not freed together with the variable, but later. Several modules may use it, which are
/// compiled one by one.
#[repr(C)]
struct Node<T> {
    head: Opaque<bindings::callback_head>,
    value: T,
}

impl<T> Node<T> {
    /// The variable's destructor: no new reader will find the node.
    ///
    /// # Safety
    ///
    /// `data` is the data of a variable that `New::construct()` has made, and is destroyed once.
    unsafe extern "C" fn destroy(_structure: *mut c_void, data: *mut c_void) {
        // SAFETY: `data` is that of a variable in which `construct()` has stored a pointer to a
        // node, by the safety requirement.
        let node = unsafe { data.cast::<NonNull<Self>>().read() };
        // SAFETY: `node` points to a node that lives: only `free()` frees it. Nothing is loaded.
        let head = unsafe { (*node.as_ptr()).head.get() };
        // SAFETY: The head has not been passed to RCU before, because a variable is destroyed once.
        // `free()` can be called with it: readers that have found the node have a guard.
        unsafe { bindings::call_rcu(head, Some(Self::free)) };
    }

    /// Frees the node, which no reader uses any more.
    ///
    /// # Safety
    ///
    /// `destroy()` has passed `head` to RCU, which calls this once.
    unsafe extern "C" fn free(head: *mut bindings::callback_head) {
        // SAFETY: `head` is that of a node, which `destroy()` has passed to RCU, by the safety
        // requirement.
        let node = unsafe { crate::container_of!(Opaque::cast_from(head), Self, head) };
        // SAFETY: The node was a `KBox` in `construct()`. The variable is gone, and RCU's readers
        // are done, so that this is the only pointer to it.
        drop(unsafe { KBox::from_raw(node.cast_mut()) });
    }
}

/// A variable that is about to be attached.
struct New<T, F> {
    /// The memory of the variable, until it is attached.
    node: Option<KBox<MaybeUninit<Node<T>>>>,
    /// The function that returns the value, until it is called.
    init: Option<F>,
    /// The error that the function has returned.
    error: Option<Error>,
}

impl<T, F: FnOnce() -> Result<T>> New<T, F> {
    /// The variable's constructor.
    ///
    /// # Safety
    ///
    /// `data` has room for a pointer, and `new` points to a `Self` that is not used otherwise.
    unsafe extern "C" fn construct(
        _structure: *mut c_void,
        data: *mut c_void,
        new: *mut c_void,
    ) -> c_int {
        // SAFETY: `new` points to a `Self` that is not used otherwise, by the safety requirement.
        let new = unsafe { &mut *new.cast::<Self>() };
        let value = match new.init.take() {
            Some(init) => init(),
            None => Err(EINVAL),
        };
        match (value, new.node.take()) {
            (Ok(value), Some(node)) => {
                let node = KBox::into_raw(node.write(Node {
                    head: Opaque::zeroed(),
                    value,
                }));
                // SAFETY: `data` has room for a pointer by the safety requirement, and is aligned
                // as a `long`.
                unsafe { data.cast::<*mut Node<T>>().write(node) };
                0
            }
            (value, _) => {
                let error = value.err().unwrap_or(EINVAL);
                new.error = Some(error);
                error.to_errno()
            }
        }
    }
}
