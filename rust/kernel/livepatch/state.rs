// SPDX-License-Identifier: GPL-2.0-or-later

//! System states: changes that livepatches make beyond code, and the data that they hand on to the
//! next livepatch.

use super::{
    identity,
    Lasting,
    Object, //
};
use crate::{
    bindings,
    ffi::{
        c_uint,
        c_void, //
    },
    prelude::*,
    sync::Arc,
    types::ForeignOwnable, //
};
use core::marker::PhantomData;

/// A state of the system that a livepatch modifies, listed as one of `states` in
/// [`module_livepatch!`](super::module_livepatch).
///
/// A livepatch that replaces others must have all of their states, each in the same version or a
/// later one. A livepatch that does not replace them, but has some of their states, must have these
/// in the same version or a later one. Otherwise it cannot be enabled.
///
/// A livepatch can keep data with a state. It shares the data with the livepatches that follow, and
/// the data is dropped when the last of them is unloaded. The type `T` of the data is part of the
/// state's identity, as it is for [`Shadow`](super::Shadow), with the same assumption about ids. It
/// has to be a type that all of these livepatches know. A type that has no size and nothing to
/// drop, such as `()`, is an exception: the state has no data then, and C livepatches may have the
/// same state.
///
/// # Examples
///
/// ```
/// use kernel::livepatch::{
///     Callbacks,
///     Object,
///     State, //
/// };
/// use kernel::prelude::*;
/// use kernel::sync::Arc;
///
/// /// The limit, as it was before any livepatch.
/// static LIMIT: State<u64> = State::new(1, 2);
///
/// struct Demo;
///
/// impl Callbacks for Demo {
///     fn pre_patch(object: &Object<'_>) -> Result {
///         let original = match LIMIT.previous(object).and_then(|previous| previous.data()) {
///             Some(original) => original,
///             None => Arc::new(100, GFP_KERNEL)?,
///         };
///         LIMIT.set(object, original)
///     }
/// }
/// ```
pub struct State<T> {
    id: usize,
    version: u32,
    _data: PhantomData<fn() -> T>,
}

impl<T: Lasting> State<T> {
    /// The state with this id.
    ///
    /// `version` is the version of the changes that the livepatch makes to it. The id must not be
    /// 0. That of a state without data must not have the highest bit set.
    #[inline]
    pub const fn new(id: usize, version: u32) -> Self {
        assert!(id != 0, "the id of a state must not be 0");
        assert!(
            !is_plain::<T>() || id & identity::TYPED == 0,
            "the highest bit marks the ids of states with data"
        );
        Self {
            id,
            version,
            _data: PhantomData,
        }
    }

    /// The data that this livepatch keeps with the state. [`None`] if there is none, if this is not
    /// one of the livepatch's states, or if `T` has no size and nothing to drop.
    #[inline]
    pub fn get(&self, object: &Object<'_>) -> Option<Arc<T>> {
        // SAFETY: The patch lives, and has its states, by the invariants of `Object`.
        let state = unsafe { bindings::klp_get_state(object.patch, self.id()) };
        // SAFETY: `state` is null or a state of the patch with this id, and so has data of type
        // `T`. The core's lock, which is held, keeps others from changing it.
        unsafe { shared(state) }
    }

    /// Keeps `data` with the state, in place of the data that was kept before.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if this is none of the livepatch's states, or if `T` has no size and nothing to
    /// drop.
    #[inline]
    pub fn set(&self, object: &Object<'_>, data: Arc<T>) -> Result {
        // SAFETY: The patch lives, and has its states, by the invariants of `Object`.
        let state = unsafe { bindings::klp_get_state(object.patch, self.id()) };
        if state.is_null() || is_plain::<T>() {
            return Err(EINVAL);
        }
        // SAFETY: `state` is not null, and so points to a state of the patch. The core's lock,
        // which is held, keeps others from using it.
        let old = unsafe { core::mem::replace(&mut (*state).data, data.into_foreign()) };
        if !old.is_null() {
            // SAFETY: `set()` has stored the data, and so it was an `Arc<T>`: the state's id has
            // `T` in it. The state does not have it any more.
            drop(unsafe { Arc::<T>::from_foreign(old) });
        }
        Ok(())
    }

    /// The state as the latest livepatch before this one has it, if one of them has it.
    ///
    /// This is for callbacks that run while one livepatch takes over from another: while this one
    /// is being enabled, or while that is reversed. Returns [`None`] if the object is a module that
    /// is being loaded or unloaded, and this livepatch is enabled already. Usually no livepatch
    /// takes over from another at such a time. If one does, the result is still [`None`], and the
    /// callback for `vmlinux` has to [`set`](Self::set) the data that other callbacks need.
    #[inline]
    #[doc(alias = "klp_get_prev_state")]
    pub fn previous(&self, object: &Object<'_>) -> Option<Previous<T>> {
        if object.in_transit() {
            return None;
        }
        // SAFETY: The core's lock is held by the invariants of `Object`, and there is a transition,
        // unless the object is in transit.
        let state = unsafe { bindings::klp_get_prev_state(self.id()) };
        if state.is_null() {
            return None;
        }
        Some(Previous {
            // SAFETY: `state` is not null, and so points to a state of a patch that is installed.
            // The core's lock, which is held, keeps the patch.
            version: unsafe { (*state).version },
            // SAFETY: `set()` has stored the data, if there is some, because the state's id has `T`
            // in it. It may have done so in another module, where `T` is the same, because it is
            // `Lasting`. The core's lock keeps others from changing the state.
            data: unsafe { shared(state) },
        })
    }

    #[inline]
    fn id(&self) -> usize {
        if is_plain::<T>() {
            self.id
        } else {
            identity::typed::<T>(self.id)
        }
    }
}

/// Whether `T` has no size and nothing to drop.
///
/// The state then has no data that could be taken for another type's.
#[inline]
const fn is_plain<T>() -> bool {
    size_of::<T>() == 0 && !core::mem::needs_drop::<T>()
}

/// The data that is kept with a state.
///
/// # Safety
///
/// `state` is null or points to a state whose data, unless `T` is plain, is null or was an
/// [`Arc<T>`]. The state does not change meanwhile.
#[inline]
unsafe fn shared<T: 'static>(state: *mut bindings::klp_state) -> Option<Arc<T>> {
    if state.is_null() || is_plain::<T>() {
        return None;
    }
    // SAFETY: `state` is not null, and so points to a state by the safety requirement.
    let data = unsafe { (*state).data };
    // SAFETY: `data` is not null, and so was an `Arc<T>` by the safety requirement. It stays the
    // state's: this takes a reference of its own.
    (!data.is_null()).then(|| unsafe { Arc::<T>::borrow(data) }.into())
}

/// A state, as a livepatch before this one has it.
///
/// # Examples
///
/// ```
/// use kernel::livepatch::{
///     Object,
///     State, //
/// };
///
/// static LIMIT: State<u64> = State::new(1, 2);
///
/// /// The limit that an earlier livepatch found, if its version of the state has one.
/// fn original(object: &Object<'_>) -> Option<u64> {
///     let previous = LIMIT.previous(object)?;
///     (previous.version() > 0).then(|| previous.data().map(|limit| *limit))?
/// }
/// ```
pub struct Previous<T> {
    version: c_uint,
    data: Option<Arc<T>>,
}

impl<T> Previous<T> {
    /// Its version.
    #[inline]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The data that is kept with it. [`None`] if there is none, or if `T` has no size and nothing
    /// to drop.
    #[inline]
    pub fn data(self) -> Option<Arc<T>> {
        self.data
    }
}

/// A state of any type, as `module_livepatch!` declares it.
///
/// # Safety
///
/// The id in the declaration is not 0, and determines the type of the data that any livepatch
/// stores with a state of that id. The declaration has no data.
#[doc(hidden)]
pub unsafe trait Declared: Sync {
    /// The declaration of the state, for the core.
    fn declaration(&self) -> bindings::klp_state;

    /// Drops the data that is kept with the state.
    ///
    /// # Safety
    ///
    /// `state` points to a state that was made of the declaration. Nothing else uses it any more.
    unsafe fn clear(&self, state: *mut bindings::klp_state);
}

// SAFETY: `new()` does not take 0, nor does `typed()` make it. The id has `T` in it, or it is none
// that `typed()` makes, and there is never data. It is null here.
unsafe impl<T: Lasting> Declared for State<T> {
    fn declaration(&self) -> bindings::klp_state {
        bindings::klp_state {
            id: self.id(),
            version: self.version,
            data: core::ptr::null_mut::<c_void>(),
        }
    }

    unsafe fn clear(&self, state: *mut bindings::klp_state) {
        // SAFETY: `state` points to a state that has no other users, by the safety requirement.
        let data = unsafe { core::mem::replace(&mut (*state).data, core::ptr::null_mut()) };
        if !data.is_null() {
            // SAFETY: `set()` has stored the data, and so it was an `Arc<T>`: the state's id has
            // `T` in it. The state does not have it any more.
            drop(unsafe { Arc::<T>::from_foreign(data) });
        }
    }
}
