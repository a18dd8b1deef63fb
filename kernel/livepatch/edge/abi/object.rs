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
            Nodes,
            Patch, //
        },
        mutex::Locked, //
    },
    model::{
        patch::Which,
        Callback, //
    }, //
};
use core::ffi::CStr;
use kernel::{
    bindings,
    container_of,
    error::to_result,
    interop::list::clist_create,
    prelude::*,
    sync::atomic::{
        atomic_store,
        Relaxed, //
    },
    types::Opaque, //
};

/// An object: vmlinux or a module, with the functions that a patch changes in it.
///
/// # Invariants
///
/// 1. The structure lives as long as the view: it is in a patch's array, or comes from
///    [`Patch::add_nop_object`] and is freed with the last reference to its kobject.
/// 2. The external fields and `dynamic` do not change, except for the flag among the callbacks.
///    `name` is null or a string. `funcs` is null, or points to an array that ends with a func
///    whose external fields are zero. Both live as long as the structure.
/// 3. From [`Object::init`] on, `kobj` and `func_list` are initialized, and `node` is on the
///    `obj_list` of a patch until the object is released.
/// 4. The nodes of `func_list` are the `node` of the object's funcs, which live as long as they are
///    on the list.
/// 5. `mod_` is null or points to a module, and is null again before that goes.
/// 6. `klp_mutex` protects the list, the internal fields and the flag among the callbacks. Readers
///    without the mutex may load `patched`, which is always stored whole.
#[repr(transparent)]
pub(crate) struct Object(Opaque<bindings::klp_object>);

impl Object {
    /// The object that `node` belongs to.
    ///
    /// # Safety
    ///
    /// `node` is the `node` of an object that lives as long as `'a`.
    pub(super) unsafe fn from_node<'a>(node: *mut bindings::list_head) -> &'a Self {
        // SAFETY: By the safety requirement the result points to the object that `node` is in.
        let object = unsafe { container_of!(node, bindings::klp_object, node) };
        // SAFETY: The object lives as long as `'a`. The view is transparent, and anything may
        // change behind an `Opaque`.
        unsafe { &*object.cast() }
    }

    /// The object itself, for C.
    pub(crate) fn as_ptr(&self) -> *mut bindings::klp_object {
        self.0.get()
    }

    /// The head of the list of the object's funcs.
    pub(super) fn func_list(&self) -> *mut bindings::list_head {
        // SAFETY: The structure lives by the first invariant. Nothing is loaded.
        unsafe { &raw mut (*self.as_ptr()).func_list }
    }

    /// The module's name, or `None` for vmlinux.
    pub(crate) fn name(&self) -> Option<&CStr> {
        // SAFETY: The structure lives, and `name` is null or a string that lives as long and does
        // not change, by the first two invariants.
        unsafe { string((*self.as_ptr()).name) }
    }

    /// The name of the object in messages.
    pub(crate) fn display_name(&self) -> &CStr {
        self.name().unwrap_or(c"vmlinux")
    }

    /// Whether the module has given an array of funcs.
    pub(crate) fn has_funcs(&self) -> bool {
        // SAFETY: The structure lives, and `funcs` does not change, by the first two invariants.
        unsafe { !(*self.as_ptr()).funcs.is_null() }
    }

    /// The funcs in the module's own array.
    pub(crate) fn declared_funcs(&self) -> impl Iterator<Item = &Func> {
        // SAFETY: The structure lives, and `funcs` does not change, by the first two invariants.
        let funcs = unsafe { (*self.as_ptr()).funcs };
        // SAFETY: By the second invariant `funcs` is null or points to an array that ends with a
        // func whose external fields are zero. The view is transparent.
        unsafe { entries(funcs.cast(), |func: &Func| !func.is_declared()) }
    }

    /// All funcs of the object: the declared ones, and nops.
    ///
    /// The iterator must be dropped before [`Patch::release`].
    pub(crate) fn funcs<'a>(&'a self, _: &'a Locked) -> impl Iterator<Item = &'a Func> {
        let list = self.func_list();
        // SAFETY: `list` is initialized by the third invariant, and its nodes are the `node` of
        // funcs by the fourth. `Locked` keeps others from changing it.
        unsafe { clist_create!(list, Func, bindings::klp_func, node) }.iter()
    }

    /// Takes funcs off the list and drops the references to them: all, or the nops.
    ///
    /// # Safety
    ///
    /// No reference to a released func is left.
    pub(super) unsafe fn release_funcs(&self, which: Which, _: &Locked) {
        // SAFETY: `func_list` is initialized by the third invariant. `Locked` keeps others from
        // changing it, and the loop takes no node off but the one that it has got.
        for node in unsafe { Nodes::of(self.func_list()) } {
            // SAFETY: By the fourth invariant `node` is the `node` of a func, which lives as long
            // as it is on the list.
            let func = unsafe { Func::from_node(node) };
            if which == Which::All || func.is_nop() {
                // SAFETY: `node` is on the list, and `Locked` excludes other users of that.
                unsafe { bindings::klp_list_del(node) };
                // SAFETY: `init()` has initialized the func's kobject. This drops the reference of
                // the list, and callers have none left.
                unsafe { bindings::klp_kobj_put_func(func.as_ptr()) };
            }
        }
    }

    pub(super) fn init(&self, patch: &Patch, _: &Locked) {
        let ptr = self.as_ptr();
        // INVARIANT: The list is empty.
        // SAFETY: `func_list` is a field of an object that has no other users yet: its patch has
        // just been passed in, or it was just allocated.
        unsafe { bindings::INIT_LIST_HEAD(self.func_list()) };
        // SAFETY: The object's kobject is zeroed, as `kobject_init()` demands.
        unsafe { bindings::klp_kobj_init_object(ptr) };
        // SAFETY: `node` is on no list yet. `obj_list` is initialized by the invariants of `Patch`,
        // and `Locked` excludes other users of it.
        unsafe { bindings::list_add_tail(&raw mut (*ptr).node, patch.obj_list()) };
        // SAFETY: The structure lives by the first invariant, and `Locked` excludes other users of
        // these fields.
        unsafe {
            (*ptr).patched = false;
            (*ptr).mod_ = core::ptr::null_mut();
        }
    }

    /// Creates the object's directory and file in sysfs. May sleep.
    pub(crate) fn publish(&self, patch: &Patch) -> Result {
        // SAFETY: `init()` has initialized the kobjects of both, and the patch's was added before.
        to_result(unsafe { bindings::klp_kobj_add_object(self.as_ptr(), patch.as_ptr()) })
    }

    /// Whether there is code to patch: vmlinux, or a module that is loaded.
    pub(crate) fn is_loaded(&self, locked: &Locked) -> bool {
        self.name().is_none() || self.module(locked).is_some()
    }

    /// The module, while it is loaded.
    pub(crate) fn module(&self, _: &Locked) -> Option<&Module> {
        // SAFETY: The structure lives by the first invariant, and `Locked` excludes writers.
        let module = unsafe { (*self.as_ptr()).mod_ };
        // SAFETY: By the fifth invariant `module` is null or points to a module.
        // `klp_module_going()` clears the pointer before the module goes, and `Locked` keeps it
        // out.
        (!module.is_null()).then(|| unsafe { Module::from_raw(module) })
    }

    /// Looks for the object's module, if it has a name. Sets the module that [`Object::module`]
    /// returns if that can be patched.
    pub(crate) fn find_module(&self, locked: &Locked) {
        if let Some(name) = self.name() {
            Module::with_patchable(name, locked, |module| {
                // SAFETY: `klp_module_going()` has yet to be called for a module that can be
                // patched, and `Locked` keeps it out.
                unsafe { self.set_module(module, locked) }
            });
        }
    }

    /// Sets the module that [`Object::module`] returns.
    ///
    /// # Safety
    ///
    /// [`Object::clear_module`] is called before the module goes: by `klp_module_going()`, or by
    /// `klp_module_coming()` if the module is refused.
    pub(crate) unsafe fn set_module(&self, module: &Module, _: &Locked) {
        // INVARIANT: The pointer is null again before the module goes, by the safety requirement.
        // SAFETY: The structure lives by the first invariant, and `Locked` excludes other users of
        // the field.
        unsafe { (*self.as_ptr()).mod_ = module.as_ptr() };
    }

    /// Notes that the module goes.
    pub(crate) fn clear_module(&self, _: &Locked) {
        // INVARIANT: The pointer is null.
        // SAFETY: The structure lives by the first invariant, and `Locked` excludes other users of
        // the field.
        unsafe { (*self.as_ptr()).mod_ = core::ptr::null_mut() };
    }

    /// Whether the object's funcs are on the func stacks.
    pub(crate) fn patched(&self, _: &Locked) -> bool {
        // SAFETY: The structure lives by the first invariant, and `Locked` excludes writers.
        unsafe { (*self.as_ptr()).patched }
    }

    /// Sets the value that [`Object::patched`] returns. Sysfs reads it without `klp_mutex`.
    pub(crate) fn set_patched(&self, patched: bool, _: &Locked) {
        // SAFETY: The structure lives by the first invariant. `Locked` excludes other writers, and
        // readers without the mutex load the field whole.
        unsafe { atomic_store(&raw mut (*self.as_ptr()).patched, patched, Relaxed) };
    }

    /// Whether the object was allocated for nops.
    pub(crate) fn is_nop_object(&self) -> bool {
        // SAFETY: The structure lives, and `dynamic` does not change, by the first two invariants.
        unsafe { (*self.as_ptr()).dynamic }
    }

    /// Allocates a nop: a func that stands for the original of the function that `replaced`
    /// changes.
    pub(crate) fn add_nop(&self, replaced: &Func, locked: &Locked) -> Result {
        let mut func = KBox::new(pin_init::zeroed::<bindings::klp_func>(), GFP_KERNEL)?;
        func.nop = true;
        func.old_sympos = replaced.position();
        func.old_name = copy_name(replaced.name())?;
        // INVARIANT: The func is a nop with a name of its own, and is unpatched.
        // SAFETY: The func was just allocated, and `release_func()` frees it, not before it has
        // left the object's list. The view is transparent.
        let func = unsafe { &*KBox::into_raw(func).cast::<Func>() };
        func.init(self, locked);
        Ok(())
    }

    fn callbacks(&self) -> *mut bindings::klp_callbacks {
        // SAFETY: The structure lives by the first invariant. Nothing is loaded.
        unsafe { &raw mut (*self.as_ptr()).callbacks }
    }

    /// Runs a callback, if the module has it. Sleeps.
    ///
    /// A callback that breaks its contract, and returns a positive number, fails with [`EINVAL`].
    pub(crate) fn call(&self, callback: Callback, _: &Locked) -> Result {
        let object = self.as_ptr();
        // SAFETY: The pointer is to a field of the structure, which lives. The callbacks do not
        // change by the second invariant, and `Locked` excludes writers of the flag among them.
        let callbacks = unsafe { *self.callbacks() };
        let call = match callback {
            Callback::PrePatch => {
                // SAFETY: The module gives the callback for this object, to be called with
                // `klp_mutex` held, as `Locked` shows that it is.
                let ret = callbacks
                    .pre_patch
                    .map_or(0, |call| unsafe { call(object) });
                return if ret > 0 { Err(EINVAL) } else { to_result(ret) };
            }
            Callback::PostPatch => callbacks.post_patch,
            Callback::PreUnpatch => callbacks.pre_unpatch,
            Callback::PostUnpatch => callbacks.post_unpatch,
        };
        if let Some(call) = call {
            // SAFETY: The module gives the callback for this object, to be called with `klp_mutex`
            // held, as `Locked` shows that it is.
            unsafe { call(object) };
        }
        Ok(())
    }

    /// Whether the callback after unpatching has yet to run, because the one before patching has
    /// succeeded.
    pub(crate) fn owes_post_unpatch(&self, _: &Locked) -> bool {
        // SAFETY: The pointer is to a field of the structure, which lives, and `Locked` excludes
        // writers.
        unsafe { (*self.callbacks()).post_unpatch_enabled }
    }

    /// Sets the value that [`Object::owes_post_unpatch`] returns.
    pub(crate) fn set_owes_post_unpatch(&self, owes: bool, _: &Locked) {
        // SAFETY: The pointer is to a field of the structure, which lives, and `Locked` excludes
        // other users of the flag.
        unsafe { (*self.callbacks()).post_unpatch_enabled = owes };
    }
}

/// Frees an object that [`Patch::add_nop_object`] has made. Does nothing for a module's own object.
///
/// # Safety
///
/// `object` points to an object, and the last reference to it is gone.
pub(crate) unsafe fn release_object(object: *mut bindings::klp_object) {
    // SAFETY: `object` points to an object by the safety requirement.
    if !unsafe { (*object).dynamic } {
        return;
    }
    // SAFETY: An object that is dynamic was a box in `Patch::add_nop_object()`, and has no more
    // users by the safety requirement.
    let object = unsafe { KBox::from_raw(object) };
    // SAFETY: The name of such an object is null or comes from `copy_name()`.
    unsafe { drop_name(object.name) };
}
