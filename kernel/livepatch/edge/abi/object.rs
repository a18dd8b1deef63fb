// SPDX-License-Identifier: GPL-2.0-or-later

//! `struct klp_object`.

use crate::{
    edge::{
        abi::{
            copy_name,
            drop_name,
            entries,
            string,
            Func,
            Module,
            Patch, //
        },
        mutex::Locked, //
    },
    model::Callback, //
};
use core::ffi::CStr;
use kernel::{
    bindings,
    error::to_result,
    interop::list::clist_create,
    prelude::*,
    types::Opaque, //
};

/// An object: vmlinux or a module, with the functions that a patch changes in it.
///
/// # Invariants
///
/// As [`Patch`]'s.
#[repr(transparent)]
pub(crate) struct Object(Opaque<bindings::klp_object>);

impl Object {
    pub(super) fn as_ptr(&self) -> *mut bindings::klp_object {
        self.0.get()
    }

    /// The module's name, or `None` for vmlinux.
    pub(crate) fn name(&self) -> Option<&CStr> {
        // SAFETY: By the type invariants.
        unsafe { string((*self.as_ptr()).name) }
    }

    /// What messages call the object.
    pub(crate) fn display_name(&self) -> &CStr {
        self.name().unwrap_or(c"vmlinux")
    }

    /// Whether the module has given an array of funcs.
    pub(crate) fn has_funcs(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { !(*self.as_ptr()).funcs.is_null() }
    }

    /// The funcs in the module's own array.
    pub(crate) fn declared_funcs(&self) -> impl Iterator<Item = &Func> {
        // SAFETY: By the type invariants the array, if there is one, ends with an entry whose
        // external fields are all zero.
        unsafe {
            entries((*self.as_ptr()).funcs.cast(), |func: &Func| {
                !func.is_declared()
            })
        }
    }

    /// All funcs of the object: the declared ones, and nops.
    ///
    /// The iterator must be dropped before [`Patch::release_objects`].
    pub(crate) fn funcs<'a>(&'a self, _: &'a Locked) -> impl Iterator<Item = &'a Func> {
        // SAFETY: By the type invariants this is an initialized list of funcs; `Locked` keeps
        // others from changing it.
        unsafe {
            clist_create!(
                &raw mut (*self.as_ptr()).func_list,
                Func,
                bindings::klp_func,
                node
            )
        }
        .iter()
    }

    pub(super) fn init(&self, patch: &Patch, _: &Locked) {
        let ptr = self.as_ptr();
        // SAFETY: The object is part of a patch that is being initialized, or was just allocated;
        // the patch's list is initialized.
        unsafe {
            bindings::INIT_LIST_HEAD(&raw mut (*ptr).func_list);
            bindings::klp_kobj_init_object(ptr);
            bindings::list_add_tail(&raw mut (*ptr).node, &raw mut (*patch.as_ptr()).obj_list);
            (*ptr).patched = false;
            (*ptr).mod_ = core::ptr::null_mut();
        }
    }

    /// Creates the object's directory and file in sysfs. May sleep.
    pub(crate) fn publish(&self, patch: &Patch) -> Result {
        // SAFETY: The kobjects were initialized.
        to_result(unsafe { bindings::klp_kobj_add_object(self.as_ptr(), patch.as_ptr()) })
    }

    /// Whether there is code to patch: vmlinux, or a module that is loaded.
    pub(crate) fn is_loaded(&self, locked: &Locked) -> bool {
        self.name().is_none() || self.module(locked).is_some()
    }

    /// The module, while it is loaded.
    pub(crate) fn module(&self, _: &Locked) -> Option<&Module> {
        // SAFETY: By the type invariants. `klp_module_going()` clears the pointer before the
        // module goes, and `Locked` keeps it out.
        unsafe { (*self.as_ptr()).mod_.cast::<Module>().as_ref() }
    }

    /// Sets what [`Object::module`] returns; the caller is `klp_module_coming()`, or has found it
    /// to be [`Module::patchable`].
    pub(crate) fn set_module(&self, module: Option<&Module>, _: &Locked) {
        let module = module.map_or(core::ptr::null_mut(), Module::as_ptr);
        // SAFETY: By the type invariants, and `Locked` excludes others.
        unsafe { (*self.as_ptr()).mod_ = module };
    }

    /// Whether the object's funcs are on the func stacks.
    pub(crate) fn patched(&self, _: &Locked) -> bool {
        // SAFETY: By the type invariants.
        unsafe { (*self.as_ptr()).patched }
    }

    /// Sets what [`Object::patched`] returns. Sysfs reads it without `klp_mutex`.
    pub(crate) fn set_patched(&self, patched: bool, _: &Locked) {
        // SAFETY: By the type invariants, and `Locked` excludes other writers.
        unsafe { (&raw mut (*self.as_ptr()).patched).write_volatile(patched) };
    }

    /// Whether the object was allocated for nops.
    pub(crate) fn is_nop_object(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { (*self.as_ptr()).dynamic }
    }

    /// Allocates a func that stands for the original of what `replaced` changes.
    pub(crate) fn add_nop(&self, replaced: &Func, locked: &Locked) -> Result {
        let mut func = KBox::new(pin_init::zeroed::<bindings::klp_func>(), GFP_KERNEL)?;
        func.nop = true;
        func.old_sympos = replaced.position();
        func.old_name = copy_name(replaced.name())?;
        // SAFETY: The func was just allocated, and lives until its kobject is released.
        let func = unsafe { &*KBox::into_raw(func).cast::<Func>() };
        func.init(self, locked);
        Ok(())
    }

    fn callbacks(&self) -> *mut bindings::klp_callbacks {
        // SAFETY: By the type invariants.
        unsafe { &raw mut (*self.as_ptr()).callbacks }
    }

    /// Runs a callback, if the module gives it. Sleeps.
    ///
    /// One that breaks its contract by returning a positive number fails with [`EINVAL`].
    pub(crate) fn call(&self, callback: Callback, _: &Locked) -> Result {
        let (object, callbacks) = (self.as_ptr(), self.callbacks());
        // SAFETY: A callback that a module gives is one for its own object; `Locked` excludes
        // other users of the flag.
        let ret = unsafe {
            let ignoring = |f: Option<unsafe extern "C" fn(_)>| f.map_or(0, |f| (f(object), 0).1);
            match callback {
                Callback::PrePatch => (*callbacks).pre_patch.map_or(0, |f| f(object)),
                Callback::PostPatch => ignoring((*callbacks).post_patch),
                Callback::PreUnpatch => ignoring((*callbacks).pre_unpatch),
                Callback::PostUnpatch => ignoring((*callbacks).post_unpatch),
            }
        };
        if ret > 0 {
            return Err(EINVAL);
        }
        to_result(ret)
    }

    /// Whether the callback after unpatching is to be run: the one before patching has succeeded.
    pub(crate) fn owes_post_unpatch(&self, _: &Locked) -> bool {
        // SAFETY: By the type invariants.
        unsafe { (*self.callbacks()).post_unpatch_enabled }
    }

    /// Sets what [`Object::owes_post_unpatch`] returns.
    pub(crate) fn set_owes_post_unpatch(&self, owes: bool, _: &Locked) {
        // SAFETY: By the type invariants, and `Locked` excludes others.
        unsafe { (*self.callbacks()).post_unpatch_enabled = owes };
    }
}

/// Frees an object that [`Patch::add_nop_object`] made; nothing for a module's own.
///
/// # Safety
///
/// The last reference to `object` is gone.
pub(crate) unsafe fn release_object(object: *mut bindings::klp_object) {
    // SAFETY: By the safety requirement; a dynamic object comes from a `KBox`, and its name from
    // `copy_name()`.
    unsafe {
        if (*object).dynamic {
            drop_name((*object).name);
            drop(KBox::from_raw(object));
        }
    }
}
