// SPDX-License-Identifier: GPL-2.0-or-later

//! Livepatches written in Rust.
//!
//! A livepatch is a module that says which functions of the kernel, and of its modules, it
//! replaces. [`module_livepatch!`] declares all of that; what it does besides, it does in
//! [`Callbacks`], with [`Shadow`] variables and with system [`State`]s.
//!
//! This is on the interface that all livepatch modules use, and does not depend on how the core of
//! live patching is implemented. It exports nothing: all of it is compiled into the modules.
//!
//! # What the compiler checks, and what it cannot
//!
//! The replacement must be an `extern "C"` function of the type that the livepatch declares for the
//! original. That the original has that type, nobody checks: that is what the author answers for
//! with `unsafe fn`. For what is passed by pointer, the declaration can say more than C does:
//!
//! - `&T` for a pointer that is valid during the call, to what nobody changes meanwhile or what is
//!   made for that, like [`SeqFile`];
//! - [`KBox<T>`] for memory from `kmalloc()` that is handed over, [`Option`] of it if it may be
//!   `NULL`;
//! - `*mut T` where neither is so.
//!
//! # Examples
//!
//! ```
//! # // As a test, which is built in, it has an initcall and no module: either core refuses it with
//! # // `EINVAL` when the kernel boots, and nothing is patched.
//! # mod module_livepatch_sample {
//! use kernel::{
//!     livepatch::module_livepatch,
//!     prelude::*,
//!     seq_file::{
//!         seq_print,
//!         SeqFile, //
//!     }, //
//! };
//!
//! module_livepatch! {
//!     name: "rust_sample_livepatch",
//!     description: "Another /proc/cmdline",
//!     license: "GPL",
//!     objects: {
//!         vmlinux: {
//!             funcs: {
//!                 // SAFETY: It is `int (struct seq_file *m, void *v)`, and `m` is valid during
//!                 // the call.
//!                 unsafe fn cmdline_proc_show(m: &SeqFile, v: *mut c_void) -> c_int = my_show,
//!             },
//!         },
//!     },
//! }
//!
//! extern "C" fn my_show(m: &SeqFile, _v: *mut c_void) -> c_int {
//!     seq_print!(m, "this has been live patched\n");
//!     0
//! }
//! # }
//! ```
//!
//! [`SeqFile`]: crate::seq_file::SeqFile
//!
//! C header: [`include/linux/livepatch.h`](srctree/include/linux/livepatch.h)

mod identity;
mod lasting;
mod shadow;
mod state;
pub mod table;

#[doc(hidden)]
pub use self::state::Declared as DeclaredState;
pub use self::{
    lasting::Lasting,
    shadow::{
        Shadow,
        ShadowRef, //
    },
    state::{
        Previous,
        State, //
    }, //
};
pub use macros::module_livepatch;

use crate::{
    bindings,
    error::to_result,
    ffi::c_int,
    prelude::*,
    sync::{
        atomic::{
            AtomicFlag,
            Relaxed, //
        },
        rcu, //
    },
    types::Opaque, //
};
use core::marker::PhantomData;

/// What a livepatch does when one of its objects changes.
///
/// An object that is not there is not called for; it is, when it is loaded. The functions may
/// sleep. The core's lock is held: they cannot enable or disable livepatches.
///
/// # Examples
///
/// ```
/// use kernel::livepatch::{
///     Callbacks,
///     Object, //
/// };
/// use kernel::prelude::*;
///
/// struct Demo;
///
/// impl Callbacks for Demo {
///     fn pre_patch(object: &Object<'_>) -> Result {
///         match object.name() {
///             Some(module) => pr_info!("about to change {module:?}\n"),
///             None => pr_info!("about to change the kernel\n"),
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Callbacks {
    /// Before the object's functions are replaced.
    ///
    /// # Errors
    ///
    /// Any: the livepatch is not enabled then, or, if it is, the object, being a module, is not
    /// loaded.
    fn pre_patch(_object: &Object<'_>) -> Result {
        Ok(())
    }

    /// After the object's functions have been replaced, for all tasks.
    fn post_patch(_object: &Object<'_>) {}

    /// Before the object's original functions come back.
    fn pre_unpatch(_object: &Object<'_>) {}

    /// After the object's original functions have come back, for all tasks; also when what
    /// [`pre_patch`](Self::pre_patch) has prepared is not going to happen.
    ///
    /// Not when another livepatch takes over by replacing this one.
    fn post_unpatch(_object: &Object<'_>) {}
}

/// An object, as a callback sees it: the kernel, or one of its modules.
///
/// # Examples
///
/// ```
/// use kernel::livepatch::{
///     ModuleState,
///     Object, //
/// };
///
/// fn is_being_loaded(object: &Object<'_>) -> bool {
///     object.name().is_some() && object.module_state() == Some(ModuleState::Coming)
/// }
/// ```
///
/// # Invariants
///
/// `patch` is the livepatch that `object` belongs to. The core's lock is held.
pub struct Object<'a> {
    object: &'a Opaque<bindings::klp_object>,
    patch: *mut bindings::klp_patch,
}

impl<'a> Object<'a> {
    /// The module's name; [`None`] for the kernel.
    #[inline]
    pub fn name(&self) -> Option<&'a CStr> {
        // SAFETY: The name is the livepatch's, and written by nobody.
        let name = unsafe { (*self.object.get()).name };
        // SAFETY: `module_livepatch!` makes it a C string in the livepatch's own memory.
        (!name.is_null()).then(|| unsafe { CStr::from_char_ptr(name) })
    }

    /// What the module is doing; [`None`] for the kernel.
    #[inline]
    pub fn module_state(&self) -> Option<ModuleState> {
        // SAFETY: The core's lock, which is held, protects the field.
        let module = unsafe { (*self.object.get()).mod_ };
        if module.is_null() {
            return None;
        }
        // SAFETY: The module stays while the core's lock is held. Its loader may be changing the
        // state, in one store.
        let state = unsafe { (&raw const (*module).state).read_volatile() };
        Some(match state {
            bindings::module_state_MODULE_STATE_LIVE => ModuleState::Live,
            bindings::module_state_MODULE_STATE_COMING => ModuleState::Coming,
            bindings::module_state_MODULE_STATE_GOING => ModuleState::Going,
            _ => ModuleState::Unformed,
        })
    }

    /// Whether there may be no transition: the object is changed because its module is loaded or
    /// unloaded.
    ///
    /// A patch that has callbacks called and is not enabled is in a transition, be its module new
    /// or not: the core sets the field when it has started to enable it, and clears it when it has
    /// started to disable it.
    #[inline]
    fn in_transit(&self) -> bool {
        // SAFETY: The core's lock, which is held, protects the field.
        let enabled = unsafe { (*self.patch).enabled };
        enabled && !matches!(self.module_state(), None | Some(ModuleState::Live))
    }
}

/// What a module is doing.
///
/// # Examples
///
/// ```
/// use kernel::livepatch::{
///     ModuleState,
///     Object, //
/// };
///
/// /// Whether there is something to take over from a module that already runs.
/// fn runs(object: &Object<'_>) -> bool {
///     matches!(object.module_state(), None | Some(ModuleState::Live))
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleState {
    /// Normal state.
    Live,
    /// Complete, and its init function has yet to return.
    Coming,
    /// Going away.
    Going,
    /// Still being set up.
    Unformed,
}

/// The livepatch that [`module_livepatch!`] declares.
///
/// # Safety
///
/// Only [`module_livepatch!`] implements it. The functions return pointers into static memory of
/// the module: to a patch that is complete but for its states, and to its states, of which there is
/// one more than in `STATES`, all zeros. Nobody else uses them, or the flag, which is not set.
#[doc(hidden)]
pub unsafe trait Livepatch {
    /// The states, in order.
    const STATES: &'static [&'static dyn DeclaredState];

    /// The patch.
    fn patch() -> *mut bindings::klp_patch;

    /// The array of its states.
    fn states() -> *mut bindings::klp_state;

    /// Whether the patch has been passed to the core.
    fn passed() -> &'static AtomicFlag;
}

/// A livepatch that has been enabled: what its module keeps until it is unloaded.
///
/// # Invariants
///
/// There has been no other of the same `P`. It is dropped when the core has released the patch.
#[doc(hidden)]
pub struct Enabled<P: Livepatch>(PhantomData<fn() -> P>);

impl<P: Livepatch> Enabled<P> {
    /// Enables the livepatch. Sleeps.
    ///
    /// # Errors
    ///
    /// What `klp_enable_patch()` returns; what a callback returns. [`EBUSY`] if this has been
    /// called before.
    ///
    /// # Safety
    ///
    /// The first to call this is the module's init function. What it returns is dropped by the
    /// module's exit function.
    pub unsafe fn new() -> Result<Self> {
        if P::passed().xchg(true, Relaxed) {
            return Err(EBUSY);
        }
        // INVARIANT: It is the first. The core does not have the patch yet, or refuses it, or
        // releases it before the exit function is called.
        let enabled = Self(PhantomData);
        for (index, state) in P::STATES.iter().enumerate() {
            // SAFETY: There is a place for each state. The core does not know of them yet.
            unsafe { P::states().add(index).write(state.declaration()) };
        }
        // SAFETY: The patch is complete now, in static memory, and is passed once.
        to_result(unsafe { bindings::klp_enable_patch(P::patch()) })?;
        Ok(enabled)
    }
}

impl<P: Livepatch> Drop for Enabled<P> {
    fn drop(&mut self) {
        for (index, state) in P::STATES.iter().enumerate() {
            // SAFETY: By the invariant, nobody else uses the state, or will.
            unsafe { state.clear(P::states().add(index)) };
        }
        // What `Shadow` passes to RCU is this module's code.
        rcu::rcu_barrier();
    }
}

/// The callbacks of one object, as the core knows them.
#[doc(hidden)]
pub const fn callbacks<P: Livepatch, C: Callbacks>() -> bindings::klp_callbacks {
    bindings::klp_callbacks {
        pre_patch: Some(Trampolines::<P, C>::pre_patch),
        post_patch: Some(Trampolines::<P, C>::post_patch),
        pre_unpatch: Some(Trampolines::<P, C>::pre_unpatch),
        post_unpatch: Some(Trampolines::<P, C>::post_unpatch),
        post_unpatch_enabled: false,
    }
}

/// From C to the callbacks `C` of an object of the livepatch `P`.
struct Trampolines<P, C>(PhantomData<(P, C)>);

impl<P: Livepatch, C: Callbacks> Trampolines<P, C> {
    /// # Safety
    ///
    /// `object` is the patch's, and the core's lock is held for `'a`.
    unsafe fn object<'a>(object: *mut bindings::klp_object) -> Object<'a> {
        // INVARIANT: By the requirements.
        Object {
            // SAFETY: By the requirements, the object is there; anything may be in an `Opaque`.
            object: unsafe { &*object.cast() },
            patch: P::patch(),
        }
    }

    /// # Safety
    ///
    /// As [`Self::object`].
    unsafe extern "C" fn pre_patch(object: *mut bindings::klp_object) -> c_int {
        // SAFETY: The core calls, with the patch's object.
        match C::pre_patch(unsafe { &Self::object(object) }) {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// As [`Self::object`].
    unsafe extern "C" fn post_patch(object: *mut bindings::klp_object) {
        // SAFETY: As above.
        C::post_patch(unsafe { &Self::object(object) });
    }

    /// # Safety
    ///
    /// As [`Self::object`].
    unsafe extern "C" fn pre_unpatch(object: *mut bindings::klp_object) {
        // SAFETY: As above.
        C::pre_unpatch(unsafe { &Self::object(object) });
    }

    /// # Safety
    ///
    /// As [`Self::object`].
    unsafe extern "C" fn post_unpatch(object: *mut bindings::klp_object) {
        // SAFETY: As above.
        C::post_unpatch(unsafe { &Self::object(object) });
    }
}
