// SPDX-License-Identifier: GPL-2.0-or-later

//! Livepatches written in Rust.
//!
//! C header: [`include/linux/livepatch.h`](srctree/include/linux/livepatch.h)
//!
//! A livepatch is a module that replaces functions of the running kernel, and of its modules. It
//! declares them with [`module_livepatch!`], as they are declared in C, each with its replacement.
//! It can call the originals, and use functions and variables that are not exported. It can also
//! have [`Callbacks`] that run when an object changes, attach [`Shadow`] variables to structures of
//! the kernel, and keep track of the system [`State`]s that it modifies.
//!
//! A livepatch in Rust loads with either core of live patching, and looks like one in C from
//! outside: it uses the same interface. This module exports nothing, because all of it is compiled
//! into the livepatches.
//!
//! `Documentation/livepatch/rust-api.rst` is the guide. It goes from an empty directory to a
//! livepatch that is applied.
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
//! # The checks of the compiler, and their limits
//!
//! The replacement must be an `extern "C"` function of the type that the livepatch declares for the
//! original. The compiler checks that. It also compares the declared type with that of
//! [`bindings`], if the original is in there: each type must be the same, or stand for it, as `&T`
//! does for a pointer to `C` if `T` is [`Represents<C>`](Represents). For other functions it cannot
//! check that the original has that type in C: the author vouches for it with `unsafe fn`. The
//! kernel looks the original up when the livepatch, or the module that has the original, is loaded.
//! Loading fails if there is none.
//!
//! The same holds for `symbols`, the functions and variables that the livepatch uses although they
//! are not exported:
//!
//! ```ignore
//! module_livepatch! {
//!     // ...
//!     objects: {
//!         vmlinux: {
//!             symbols: {
//!                 // SAFETY: It is `static int (struct seq_file *m, void *v)`, and `m` is valid
//!                 // during the call.
//!                 unsafe fn version_proc_show as version(m: &SeqFile, v: *mut c_void) -> c_int,
//!                 // SAFETY: It is `unsigned int`.
//!                 unsafe static sysctl_sched_features: c_uint,
//!             },
//!             // ...
//!         },
//!     },
//! }
//!
//! fn features() -> c_uint {
//!     // SAFETY: The variable is always valid and aligned, and writers store it whole.
//!     unsafe { atomic_load(sysctl_sched_features(), Relaxed) }
//! }
//! ```
//!
//! A variable becomes a function that returns a pointer to it. For a variable of a module, the
//! pointer is valid from the call of `pre_patch()` for the module to the return of
//! `post_unpatch()`, and in the functions that replace functions of the module. It is null before
//! that, and after the module is unloaded while the livepatch is enabled. After the livepatch is
//! disabled, it keeps its value, and may point to freed memory. A function of a module may be
//! called while such a pointer is valid.
//!
//! For a pointer, the declaration can say more than C does, so that the replacement needs no
//! `unsafe` to use it:
//!
//! - `&T` is a pointer that is valid during the call, to a value that does not change meanwhile
//!   outside of an [`Opaque`] or another type with interior mutability. [`SeqFile`] is an
//!   [`Opaque`].
//! - [`KBox<T>`] is memory from `kmalloc()` that the caller hands over. It is [`Option`] of that if
//!   the pointer may be `NULL`.
//! - `*mut T` is any other pointer.
//!
//! # Life cycle
//!
//! 1. Loading the module enables the livepatch. For each object that is loaded, `pre_patch` runs,
//!    and new calls begin to reach the replacements, task by task. When all tasks use them,
//!    `post_patch` runs. A module that is loaded later has the replacements, after a `pre_patch` of
//!    its own, before its init function runs.
//! 2. Writing 0 to `/sys/kernel/livepatch/NAME/enabled` disables it: `pre_unpatch` runs, the tasks
//!    go back to the original functions one by one, and `post_unpatch` runs.
//! 3. Then the module can be unloaded, as soon as the kernel lets it go. The section "When the code
//!    goes" of the guide says which things the author has to take back before that. The data of
//!    [`State`]s is dropped with the last livepatch that shares it. [`Shadow`] variables stay until
//!    they are removed.
//!
//! A livepatch with `replace: true` takes the place of all others. Their callbacks do not run then.
//!
//! [`SeqFile`]: crate::seq_file::SeqFile

#[doc(hidden)]
pub mod declared;
mod identity;
mod lasting;
mod shadow;
mod state;
mod symbols;
pub mod table;

pub use self::{
    declared::Represents,
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
#[doc(hidden)]
pub use self::{
    state::Declared as DeclaredState,
    symbols::Variable, //
};
pub use macros::module_livepatch;

use crate::{
    bindings,
    error::to_result,
    ffi::c_int,
    prelude::*,
    sync::{
        atomic::{
            atomic_load,
            AtomicFlag,
            Relaxed, //
        },
        rcu, //
    },
    types::Opaque, //
};
use core::marker::PhantomData;

/// Functions of a livepatch that run when one of its objects changes.
///
/// They run for the kernel, and for each module that is loaded. For a module that is loaded later,
/// they run at that time. They may sleep. The core's lock is held: they must not enable or disable
/// livepatches, or load or unload modules and wait for that.
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
    /// Runs before the object's functions are replaced.
    ///
    /// # Errors
    ///
    /// Any error. The livepatch is not enabled then. If it is enabled already, and the object is a
    /// module that is being loaded, the module is not loaded.
    fn pre_patch(_object: &Object<'_>) -> Result {
        Ok(())
    }

    /// Runs after the object's functions have been replaced for all tasks.
    fn post_patch(_object: &Object<'_>) {}

    /// Runs before the object's original functions come back.
    ///
    /// It runs only if [`post_patch`](Self::post_patch) has run, and so not if a transition is
    /// reversed.
    fn pre_unpatch(_object: &Object<'_>) {}

    /// Runs after the object's original functions have come back for all tasks.
    ///
    /// It also runs if [`pre_patch`](Self::pre_patch) has succeeded and the object is not patched
    /// after all, because enabling the livepatch, or loading the module, has failed. It does not
    /// run if another livepatch replaces this one.
    fn post_unpatch(_object: &Object<'_>) {}
}

/// The object that a callback runs for: the kernel, or one of its modules.
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
/// - `object` is an object of `patch`, and both live as long as `'a`.
/// - The object's `name` is null or a string that lives as long and does not change.
/// - The core's lock is held for as long as `'a`. It protects `mod_` of the object and `enabled` of
///   the patch, and keeps the module that `mod_` points to from being freed.
pub struct Object<'a> {
    object: &'a Opaque<bindings::klp_object>,
    patch: *mut bindings::klp_patch,
}

impl<'a> Object<'a> {
    /// The module's name; [`None`] for the kernel.
    #[inline]
    pub fn name(&self) -> Option<&'a CStr> {
        // SAFETY: The object lives, and its `name` does not change, by the type invariants.
        let name = unsafe { (*self.object.get()).name };
        // SAFETY: `name` is not null, and so a string that lives as long as `'a`, by the type
        // invariants.
        (!name.is_null()).then(|| unsafe { CStr::from_char_ptr(name) })
    }

    /// The state of the module; [`None`] for the kernel.
    #[inline]
    pub fn module_state(&self) -> Option<ModuleState> {
        // SAFETY: The object lives, and the core's lock protects the field, by the type invariants.
        let module = unsafe { (*self.object.get()).mod_ };
        if module.is_null() {
            return None;
        }
        // SAFETY: `module` is not null, and so points to a module, which the core's lock keeps. Its
        // loader may change the state at the same time, in one store.
        let state = unsafe { atomic_load(&raw mut (*module).state, Relaxed) };
        Some(match state {
            bindings::module_state_MODULE_STATE_LIVE => ModuleState::Live,
            bindings::module_state_MODULE_STATE_COMING => ModuleState::Coming,
            bindings::module_state_MODULE_STATE_GOING => ModuleState::Going,
            _ => ModuleState::Unformed,
        })
    }

    /// Whether the object changes because its module is loaded or unloaded, so that there may be no
    /// transition.
    ///
    /// If a callback runs while the patch is not enabled, there is a transition, whether the
    /// object's module is being loaded or not. The core sets `enabled` after it has started to
    /// enable the patch, and clears it after it has started to disable the patch.
    #[inline]
    fn in_transit(&self) -> bool {
        // SAFETY: The patch lives, and the core's lock protects the field, by the type invariants.
        let enabled = unsafe { (*self.patch).enabled };
        enabled && !matches!(self.module_state(), None | Some(ModuleState::Live))
    }
}

/// The state of a module.
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
/// one more than in `STATES`, all zeros. No other code uses them. The flag is not set.
#[doc(hidden)]
pub unsafe trait Livepatch {
    /// The states, in order.
    const STATES: &'static [&'static dyn DeclaredState];

    /// The patch.
    fn patch() -> *mut bindings::klp_patch;

    /// The array of its states.
    fn states() -> *mut bindings::klp_state;

    /// Whether the patch has been passed to the core.
    ///
    /// # Safety
    ///
    /// Only [`Enabled::new`] calls this.
    unsafe fn passed() -> &'static AtomicFlag;
}

/// A livepatch that has been enabled.
///
/// Its module keeps this until it is unloaded.
///
/// # Invariants
///
/// - There has been no other value for the same `P`.
/// - It is dropped when the core has released the patch, or has never had it: from then on, nothing
///   else uses the patch or its states.
#[doc(hidden)]
pub struct Enabled<P: Livepatch>(PhantomData<fn() -> P>);

impl<P: Livepatch> Enabled<P> {
    /// Enables the livepatch.
    ///
    /// Sleeps.
    ///
    /// # Errors
    ///
    /// The error of `klp_enable_patch()`, which may be one of a callback. [`EBUSY`] if this has
    /// been called before.
    ///
    /// # Safety
    ///
    /// The first to call this is the module's init function. The module's exit function drops the
    /// returned value.
    pub unsafe fn new() -> Result<Self> {
        // SAFETY: This function is the one that may call it, and uses the flag for this alone.
        if unsafe { P::passed() }.xchg(true, Relaxed) {
            return Err(EBUSY);
        }
        // INVARIANT: It is the first. The core does not have the patch yet, or refuses it, or
        // releases it before the exit function is called.
        let enabled = Self(PhantomData);
        for (index, state) in P::STATES.iter().enumerate() {
            // SAFETY: `states()` points to an array with an element for each of `STATES`, as the
            // trait demands. The core does not have the patch yet, and so does not use them.
            unsafe { P::states().add(index).write(state.declaration()) };
        }
        // SAFETY: `patch()` points to a patch in static memory, as the trait demands. It is
        // complete now that its states are, and this is the only call with it.
        to_result(unsafe { bindings::klp_enable_patch(P::patch()) })?;
        Ok(enabled)
    }
}

impl<P: Livepatch> Drop for Enabled<P> {
    fn drop(&mut self) {
        for (index, state) in P::STATES.iter().enumerate() {
            // SAFETY: `states()` points to an array with an element for each of `STATES`, as the
            // trait demands.
            let place = unsafe { P::states().add(index) };
            // SAFETY: `new()` has written the declaration of this state there. By the type
            // invariants nothing else uses it any more.
            unsafe { state.clear(place) };
        }
        // The functions that `Shadow` has passed to RCU are code of this module.
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

/// The functions by which C calls the callbacks `C` of an object of the livepatch `P`.
struct Trampolines<P, C>(PhantomData<(P, C)>);

impl<P: Livepatch, C: Callbacks> Trampolines<P, C> {
    /// The object, as a callback sees it.
    ///
    /// # Safety
    ///
    /// `object` points to an object of the patch, and the core's lock is held for as long as `'a`.
    unsafe fn object<'a>(object: *mut bindings::klp_object) -> Object<'a> {
        // INVARIANT: The object is one of `patch` by the safety requirement, and both are in static
        // memory, or the core's, which keeps them while its lock is held. `module_livepatch!` makes
        // the name a C string in the livepatch's own memory.
        Object {
            // SAFETY: `object` points to an object by the safety requirement, and that lives as
            // long as `'a`. Anything may change behind an `Opaque`.
            object: unsafe { &*object.cast() },
            patch: P::patch(),
        }
    }

    /// # Safety
    ///
    /// `object` points to an object of the patch, and the core's lock is held during the call.
    unsafe extern "C" fn pre_patch(object: *mut bindings::klp_object) -> c_int {
        // SAFETY: The core calls this with an object of the patch, and with its lock held.
        match C::pre_patch(unsafe { &Self::object(object) }) {
            Ok(()) => 0,
            Err(error) => error.to_errno(),
        }
    }

    /// # Safety
    ///
    /// `object` points to an object of the patch, and the core's lock is held during the call.
    unsafe extern "C" fn post_patch(object: *mut bindings::klp_object) {
        // SAFETY: The core calls this with an object of the patch, and with its lock held.
        C::post_patch(unsafe { &Self::object(object) });
    }

    /// # Safety
    ///
    /// `object` points to an object of the patch, and the core's lock is held during the call.
    unsafe extern "C" fn pre_unpatch(object: *mut bindings::klp_object) {
        // SAFETY: The core calls this with an object of the patch, and with its lock held.
        C::pre_unpatch(unsafe { &Self::object(object) });
    }

    /// # Safety
    ///
    /// `object` points to an object of the patch, and the core's lock is held during the call.
    unsafe extern "C" fn post_unpatch(object: *mut bindings::klp_object) {
        // SAFETY: The core calls this with an object of the patch, and with its lock held.
        C::post_unpatch(unsafe { &Self::object(object) });
    }
}
