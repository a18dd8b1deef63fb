// SPDX-License-Identifier: GPL-2.0-or-later

//! `struct klp_patch`.

use crate::{
    edge::{
        abi::{
            copy_name,
            entries,
            func::release_func_list,
            Module,
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
    container_of,
    error::to_result,
    interop::list::clist_create,
    prelude::*,
    types::Opaque, //
};

/// A patch: what one livepatch module changes.
///
/// # Invariants
///
/// `mod`, `objs` and `states` are as a module that passes the patch in must make them; once
/// [`Patch::init`] has been called, the lists are those of an initialized patch, and everything on
/// them lives until it is released by this file.
#[repr(transparent)]
pub(crate) struct Patch(Opaque<bindings::klp_patch>);

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
        // SAFETY: `ptr` is not null, and so valid by the safety requirement.
        let complete = unsafe { !(*ptr).mod_.is_null() && !(*ptr).objs.is_null() };
        // SAFETY: As above; the view is transparent.
        complete.then(|| unsafe { &*ptr.cast() })
    }

    /// The patch itself, for C.
    pub(crate) fn as_ptr(&self) -> *mut bindings::klp_patch {
        self.0.get()
    }

    /// The livepatch module.
    pub(crate) fn module(&self) -> &Module {
        // SAFETY: By the type invariants: a module that defines a patch outlives it.
        unsafe { &*(*self.as_ptr()).mod_.cast() }
    }

    /// The module's name, which is the patch's.
    pub(crate) fn name(&self) -> &CStr {
        self.module().name()
    }

    /// Whether the patch takes the place of all that are enabled.
    pub(crate) fn replaces(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { (*self.as_ptr()).replace }
    }

    /// Whether the patch is enabled: a logical statement, not yet true of every task.
    ///
    /// Sysfs reads it without `klp_mutex`.
    pub(crate) fn enabled(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { (&raw const (*self.as_ptr()).enabled).read_volatile() }
    }

    /// Sets what [`Patch::enabled`] returns.
    pub(crate) fn set_enabled(&self, enabled: bool, _: &Locked) {
        // SAFETY: By the type invariants, and `Locked` excludes other writers.
        unsafe { (&raw mut (*self.as_ptr()).enabled).write_volatile(enabled) };
    }

    /// Whether the patch had to do with a transition that was forced: some task may be in its
    /// code, so its module stays for ever.
    ///
    /// Set under `klp_mutex`, and read there or, by the work that frees the patch, after the last
    /// store.
    pub(crate) fn forced(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { (*self.as_ptr()).forced }
    }

    /// Sets what [`Patch::forced`] returns.
    pub(crate) fn set_forced(&self, _: &Locked) {
        // SAFETY: By the type invariants, and `Locked` excludes other writers.
        unsafe { (*self.as_ptr()).forced = true };
    }

    /// The objects in the module's own array, loaded or not.
    pub(crate) fn declared_objects(&self) -> impl Iterator<Item = &Object> {
        // SAFETY: By the type invariants `objs` points to an array, which ends with an entry that
        // has neither funcs nor a name.
        unsafe {
            entries((*self.as_ptr()).objs.cast(), |object: &Object| {
                !object.has_funcs() && object.name().is_none()
            })
        }
    }

    /// All objects of the patch: the declared ones, and those allocated for nops.
    ///
    /// The iterator must be dropped before [`Patch::release_objects`].
    pub(crate) fn objects<'a>(&'a self, _: &'a Locked) -> impl Iterator<Item = &'a Object> {
        // SAFETY: By the type invariants this is an initialized list of objects; `Locked` keeps
        // others from changing it.
        unsafe {
            clist_create!(
                &raw mut (*self.as_ptr()).obj_list,
                Object,
                bindings::klp_object,
                node
            )
        }
        .iter()
    }

    /// The system states that the patch modifies.
    pub(crate) fn states(&self) -> impl Iterator<Item = &State> {
        // SAFETY: By the type invariants.
        unsafe { State::all((*self.as_ptr()).states) }
    }

    /// Makes the lists, the kobjects and the work of a patch that has just been passed in.
    pub(crate) fn init(&self, locked: &Locked) {
        let ptr = self.as_ptr();
        // SAFETY: The patch is a module's that is being loaded, so nobody else uses it.
        unsafe {
            bindings::INIT_LIST_HEAD(&raw mut (*ptr).list);
            bindings::INIT_LIST_HEAD(&raw mut (*ptr).obj_list);
            bindings::klp_kobj_init_patch(ptr);
            bindings::klp_init_free_work(ptr);
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
        // SAFETY: The kobject was initialized by `init()`.
        to_result(unsafe { bindings::klp_kobj_add_patch(self.as_ptr()) })
    }

    /// Allocates an object to hold nops, for an object that a replaced patch changes and this one
    /// does not.
    pub(crate) fn add_nop_object(&self, name: Option<&CStr>, locked: &Locked) -> Result<&Object> {
        let mut object = KBox::new(pin_init::zeroed::<bindings::klp_object>(), GFP_KERNEL)?;
        object.dynamic = true;
        object.name = name.map_or(Ok(core::ptr::null()), copy_name)?;
        // SAFETY: The object was just allocated, and lives until its kobject is released.
        let object = unsafe { &*KBox::into_raw(object).cast::<Object>() };
        object.init(self, locked);
        Ok(object)
    }

    /// Takes all objects and funcs off the patch's lists and drops its references to them. No
    /// reference to any of them may be left.
    pub(crate) fn release_objects(&self, locked: &Locked) {
        self.release(Which::All, locked);
    }

    /// The same for nops, and for the objects that were allocated to hold them.
    pub(crate) fn release_nops(&self, locked: &Locked) {
        self.release(Which::Nops, locked);
    }

    fn release(&self, which: Which, _: &Locked) {
        // SAFETY: By the type invariants these are initialized lists; `Locked` keeps others from
        // changing them. `next` is loaded before what it follows is released.
        unsafe {
            let objects = &raw mut (*self.as_ptr()).obj_list;
            let mut node = (*objects).next;
            while node != objects {
                let object = container_of!(node, bindings::klp_object, node);
                node = (*node).next;
                release_func_list(&raw mut (*object).func_list, which);
                if which == Which::All || (*object).dynamic {
                    bindings::klp_list_del(&raw mut (*object).node);
                    bindings::klp_kobj_put_object(object);
                }
            }
        }
    }

    /// Waits until nobody uses the patch's files. May sleep; `klp_mutex` must not be held, because
    /// the file `enabled` takes it.
    pub(crate) fn put_and_wait(&self) {
        // SAFETY: The kobject was initialized by `init()`, and this drops that reference.
        unsafe { bindings::klp_kobj_put_patch(self.as_ptr()) };
    }
}
