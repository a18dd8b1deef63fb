// SPDX-License-Identifier: GPL-2.0-or-later

//! `struct klp_patch`.

use crate::{
    edge::{
        abi::{
            copy_name,
            entries,
            Module,
            Nodes,
            Object,
            State, //
        },
        mutex::Locked, //
    },
    model::patch::Which, //
};
use core::{
    ffi::CStr,
    ptr::NonNull, //
};
use kernel::{
    bindings,
    error::to_result,
    interop::list::clist_create,
    prelude::*,
    sync::atomic::{
        atomic_load,
        atomic_store,
        Relaxed, //
    },
    types::Opaque, //
};

/// A patch: the changes of one livepatch module.
///
/// # Invariants
///
/// 1. The structure, and all that its external fields point to, live as long as the view.
/// 2. The external fields do not change. `mod` points to the livepatch module. `objs` points to an
///    array that ends with an object without funcs and without a name. `states` is null, or points
///    to an array that ends with a state of identifier zero.
/// 3. From [`Patch::init`] on, `kobj`, `free_work`, `list` and `obj_list` are initialized. `list`
///    is on a [`PatchList`](crate::edge::patches::PatchList), or on no list.
/// 4. The nodes of `obj_list` are the `node` of the patch's objects, which live as long as they are
///    on the list.
/// 5. `klp_mutex` protects the lists and the internal fields. Readers without the mutex may load
///    `enabled`, which is always stored whole, and `forced` once the patch is released: nothing
///    stores to it from then on.
#[repr(transparent)]
pub(crate) struct Patch(Opaque<bindings::klp_patch>);

// SAFETY: By the fifth invariant, readers without `klp_mutex` load only a word that is stored whole
// and a flag that does not change any more.
unsafe impl Sync for Patch {}

/// Patches are the same if they are the same structure.
impl PartialEq for Patch {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }
}

impl Patch {
    /// The view of the patch at `ptr`; `None` if it, its module or its objects are null.
    ///
    /// # Safety
    ///
    /// `ptr` is null or points to a patch that a livepatch module defines, and that lives as long
    /// as `'a`. So do all that it points to.
    pub(crate) unsafe fn from_raw<'a>(ptr: *mut bindings::klp_patch) -> Option<&'a Self> {
        let ptr = NonNull::new(ptr)?.as_ptr();
        // SAFETY: `ptr` is not null, and so points to a patch by the safety requirement.
        let complete = unsafe { !(*ptr).mod_.is_null() && !(*ptr).objs.is_null() };
        // INVARIANT: Livepatch modules define patches as these demand. The internal fields of a new
        // one are zero, and `init()` initializes them.
        // SAFETY: `ptr` points to a patch that lives as long as `'a`. The view is transparent, and
        // anything may change behind an `Opaque`.
        complete.then(|| unsafe { &*ptr.cast() })
    }

    /// The patch itself, for C.
    pub(crate) fn as_ptr(&self) -> *mut bindings::klp_patch {
        self.0.get()
    }

    /// The livepatch module.
    pub(crate) fn module(&self) -> &Module {
        // SAFETY: By the first two invariants `mod` does not change, and points to a module that
        // lives as long as the patch.
        unsafe { Module::from_raw((*self.as_ptr()).mod_) }
    }

    /// The module's name, which is the patch's.
    pub(crate) fn name(&self) -> &CStr {
        self.module().name()
    }

    /// Whether the patch takes the place of all that are enabled.
    pub(crate) fn replaces(&self) -> bool {
        // SAFETY: The structure lives, and `replace` does not change, by the first two invariants.
        unsafe { (*self.as_ptr()).replace }
    }

    /// Whether the patch is enabled: a logical statement, not yet true of every task.
    ///
    /// Sysfs reads it without `klp_mutex`.
    pub(crate) fn enabled(&self) -> bool {
        // SAFETY: The structure lives by the first invariant, and the field is stored whole.
        unsafe { atomic_load(&raw mut (*self.as_ptr()).enabled, Relaxed) }
    }

    /// Sets the value that [`Patch::enabled`] returns.
    pub(crate) fn set_enabled(&self, enabled: bool, _: &Locked) {
        // SAFETY: The structure lives by the first invariant. `Locked` excludes other writers, and
        // readers without the mutex load the field whole.
        unsafe { atomic_store(&raw mut (*self.as_ptr()).enabled, enabled, Relaxed) };
    }

    /// Whether a forced transition may have left a task in the patch's code. If stacks are not
    /// reliable, the patch's module then stays for ever.
    ///
    /// Writers hold `klp_mutex`. The work that lets go of the patch's module reads the flag without
    /// it, after the last store.
    pub(crate) fn forced(&self) -> bool {
        // SAFETY: The structure lives by the first invariant. Callers hold the mutex, or come after
        // the last store.
        unsafe { (*self.as_ptr()).forced }
    }

    /// Sets the flag that [`Patch::forced`] returns.
    pub(crate) fn set_forced(&self, _: &Locked) {
        // SAFETY: The structure lives by the first invariant, and `Locked` excludes other users of
        // the field.
        unsafe { (*self.as_ptr()).forced = true };
    }

    /// The objects in the module's own array, loaded or not.
    pub(crate) fn declared_objects(&self) -> impl Iterator<Item = &Object> {
        // SAFETY: The structure lives, and `objs` does not change, by the first two invariants.
        let objects = unsafe { (*self.as_ptr()).objs };
        let is_end = |object: &Object| !object.has_funcs() && object.name().is_none();
        // SAFETY: By the second invariant `objects` points to an array that ends with an entry of
        // which `is_end` is true. The view is transparent.
        unsafe { entries(objects.cast(), is_end) }
    }

    /// All objects of the patch: the declared ones, and those allocated for nops.
    ///
    /// The iterator must be dropped before [`Patch::release`].
    pub(crate) fn objects<'a>(&'a self, _: &'a Locked) -> impl Iterator<Item = &'a Object> {
        let list = self.obj_list();
        // SAFETY: `list` is initialized by the third invariant, and its nodes are the `node` of
        // objects by the fourth. `Locked` keeps others from changing it.
        unsafe { clist_create!(list, Object, bindings::klp_object, node) }.iter()
    }

    /// The head of the list of the patch's objects.
    pub(super) fn obj_list(&self) -> *mut bindings::list_head {
        // SAFETY: The structure lives by the first invariant. Nothing is loaded.
        unsafe { &raw mut (*self.as_ptr()).obj_list }
    }

    /// The node by which the patch is on a list of patches.
    pub(crate) fn list_node(&self) -> *mut bindings::list_head {
        // SAFETY: The structure lives by the first invariant. Nothing is loaded.
        unsafe { &raw mut (*self.as_ptr()).list }
    }

    /// The system states that the patch modifies.
    pub(crate) fn states(&self) -> impl Iterator<Item = &State> {
        // SAFETY: The structure lives, and `states` does not change, by the first two invariants.
        let states = unsafe { (*self.as_ptr()).states };
        // SAFETY: By the second invariant `states` is null or points to an array that ends with a
        // state of identifier zero.
        unsafe { State::all(states) }
    }

    /// Makes the lists, the kobjects and the work of a patch.
    ///
    /// # Safety
    ///
    /// The patch has just been passed in, and has no other users.
    pub(crate) unsafe fn init(&self, locked: &Locked) {
        let ptr = self.as_ptr();
        // INVARIANT: The lists are empty; the patch is on no list.
        // SAFETY: `list` is a field of a patch that has no other users, by the safety requirement.
        unsafe { bindings::INIT_LIST_HEAD(self.list_node()) };
        // SAFETY: `obj_list` is a field of the same patch.
        unsafe { bindings::INIT_LIST_HEAD(self.obj_list()) };
        // SAFETY: The patch's kobject is zeroed, as `kobject_init()` demands.
        unsafe { bindings::klp_kobj_init_patch(ptr) };
        // SAFETY: The patch's work is not queued: it has not been initialized yet.
        unsafe { bindings::klp_init_free_work(ptr) };
        // SAFETY: The structure lives, and the patch has no other users yet.
        unsafe {
            (*ptr).enabled = false;
            (*ptr).forced = false;
        }
        for object in self.declared_objects() {
            object.init(self, locked);
            for func in object.declared_funcs() {
                func.init(object, locked);
            }
        }
    }

    /// Creates the patch's directory and files in sysfs. May sleep.
    pub(crate) fn publish(&self) -> Result {
        // SAFETY: `init()` has initialized the patch's kobject. It gets the name of `mod`, which
        // points to a module by the second invariant.
        to_result(unsafe { bindings::klp_kobj_add_patch(self.as_ptr()) })
    }

    /// Allocates an object to hold nops, for an object that a replaced patch changes and this one
    /// does not.
    pub(crate) fn add_nop_object(&self, name: Option<&CStr>, locked: &Locked) -> Result<&Object> {
        let mut object = KBox::new(pin_init::zeroed::<bindings::klp_object>(), GFP_KERNEL)?;
        object.dynamic = true;
        object.name = name.map_or(Ok(core::ptr::null()), copy_name)?;
        // INVARIANT: The object has no funcs of a module's, and a name of its own.
        // SAFETY: The object was just allocated, and `release_object()` frees it, not before it has
        // left the patch's list. The view is transparent.
        let object = unsafe { &*KBox::into_raw(object).cast::<Object>() };
        object.init(self, locked);
        Ok(object)
    }

    /// Takes all objects and funcs off the patch's lists and drops its references to them; or the
    /// nops, and the objects that were allocated to hold them.
    ///
    /// # Safety
    ///
    /// The funcs are on no stack, and no handler uses them any more. The caller has no reference to
    /// any of the things that are released.
    pub(crate) unsafe fn release(&self, which: Which, locked: &Locked) {
        // SAFETY: `obj_list` is initialized by the third invariant. `Locked` keeps others from
        // changing it, and the loop takes no node off but the one that it has got.
        for node in unsafe { Nodes::of(self.obj_list()) } {
            // SAFETY: By the fourth invariant `node` is the `node` of an object, which lives as
            // long as it is on the list.
            let object = unsafe { Object::from_node(node) };
            // SAFETY: The caller has no reference to a released func, by the safety requirement.
            unsafe { object.release_funcs(which, locked) };
            if which == Which::All || object.is_nop_object() {
                // SAFETY: `node` is on the list, and `Locked` excludes other users of that.
                unsafe { bindings::klp_list_del(node) };
                // SAFETY: `init()` has initialized the object's kobject. This drops the reference
                // of the list, and the caller has none, by the safety requirement.
                unsafe { bindings::klp_kobj_put_object(object.as_ptr()) };
            }
        }
    }

    /// Waits until the patch's files have no more users. May sleep; `klp_mutex` must not be held,
    /// because the file `enabled` takes it.
    ///
    /// # Safety
    ///
    /// [`Patch::init`] was called, and this was not called since.
    pub(crate) unsafe fn put_and_wait(&self) {
        // SAFETY: `init()` has initialized the patch's kobject, and this drops the reference that
        // it has made, by the safety requirement.
        unsafe { bindings::klp_kobj_put_patch(self.as_ptr()) };
    }
}
