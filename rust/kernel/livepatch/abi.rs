// SPDX-License-Identifier: GPL-2.0-or-later

//! Rust edge: what livepatch modules share with the kernel.
//!
//! [`Patch`], [`Object`], [`Func`] and [`State`] are views of `struct klp_patch`, `klp_object`,
//! `klp_func` and `klp_state` (`include/linux/livepatch.h`). Their layout is module ABI, so it is
//! bindgen's. A module fills in the external fields and passes the patch to `klp_enable_patch()`;
//! the internal ones are this core's.
//!
//! A view is only ever made of a structure that a module has passed in or that this core has
//! allocated. The external fields do not change from then on, and need no lock. Internal fields
//! and lists are protected by `klp_mutex`: the methods that use them take a [`Locked`] to prove
//! it. The exceptions, which the ftrace handler and sysfs read without it, are stored and loaded
//! as volatile, which is what `WRITE_ONCE()` and `READ_ONCE()` are: the `kernel` crate's atomics
//! would call C functions that can be traced.

use core::{
    ffi::CStr,
    iter,
    ptr::NonNull, //
};

use super::{
    host::Locked,
    model::{
        func::{
            Change,
            FuncState, //
        },
        stack::Code, //
    }, //
};
use crate::{
    alloc::flags::*,
    bindings,
    container_of,
    error::to_result,
    ffi::c_char,
    interop::list::clist_create,
    prelude::*,
    types::Opaque, //
};

/// The string at `ptr`, or `None` if that is null.
///
/// # Safety
///
/// `ptr` is null or points to a string that lives and does not change as long as `'a`.
unsafe fn string<'a>(ptr: *const c_char) -> Option<&'a CStr> {
    // SAFETY: By the safety requirement.
    (!ptr.is_null()).then(|| unsafe { CStr::from_ptr(ptr.cast()) })
}

/// A patch: what one livepatch module changes.
///
/// # Invariants
///
/// `mod`, `objs` and `states` are as a module that passes the patch in must make them; once
/// [`Patch::init`] has been called, the lists are those of an initialized patch, and everything on
/// them lives until it is released by this file.
#[repr(transparent)]
pub(crate) struct Patch(Opaque<bindings::klp_patch>);

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
        // SAFETY: By the type invariants `objs` points to an array.
        let mut next = unsafe { (*self.as_ptr()).objs };
        iter::from_fn(move || {
            // SAFETY: By the type invariants the array ends with an entry that has neither funcs
            // nor a name, and `next` has not passed it.
            let object = unsafe { &*next.cast::<Object>() };
            if !object.has_funcs() && object.name().is_none() {
                return None;
            }
            // SAFETY: `next` is not the end of the array.
            next = unsafe { next.add(1) };
            Some(object)
        })
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
        let mut next = unsafe { (*self.as_ptr()).states };
        iter::from_fn(move || {
            // SAFETY: By the type invariants the array, if there is one, ends with an entry whose
            // identifier is zero, and `next` has not passed it.
            let state = unsafe { next.cast::<State>().as_ref() }.filter(|s| s.id() != 0)?;
            // SAFETY: `next` is not the end of the array.
            next = unsafe { next.add(1) };
            Some(state)
        })
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

    /// Takes objects and funcs off the patch's lists and drops its references to them: all, or
    /// only what was allocated for nops. No reference to any of them may be left.
    pub(crate) fn release_objects(&self, nops_only: bool, _: &Locked) {
        // SAFETY: By the type invariants these are initialized lists; `Locked` keeps others from
        // changing them. `next` is loaded before what it follows is released.
        unsafe {
            let objects = &raw mut (*self.as_ptr()).obj_list;
            let mut node = (*objects).next;
            while node != objects {
                let object = container_of!(node, bindings::klp_object, node);
                node = (*node).next;
                release_funcs(object, nops_only);
                if !nops_only || (*object).dynamic {
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

/// Takes funcs off an object's list and drops the references to them.
///
/// # Safety
///
/// `object` is an initialized object, `klp_mutex` is held, and no reference to a released func is
/// left.
unsafe fn release_funcs(object: *mut bindings::klp_object, nops_only: bool) {
    // SAFETY: By the safety requirements this is an initialized list.
    unsafe {
        let funcs = &raw mut (*object).func_list;
        let mut node = (*funcs).next;
        while node != funcs {
            let func = container_of!(node, bindings::klp_func, node);
            node = (*node).next;
            if !nops_only || (*func).nop {
                bindings::klp_list_del(&raw mut (*func).node);
                bindings::klp_kobj_put_func(func);
            }
        }
    }
}

/// Frees an object that [`Patch::add_nop_object`] made; nothing for a module's own.
///
/// # Safety
///
/// The last reference to `object` is gone.
pub(crate) unsafe fn release_object(object: *mut bindings::klp_object) {
    // SAFETY: By the safety requirement; a dynamic object and its name come from `KBox`es.
    unsafe {
        if (*object).dynamic {
            drop_name((*object).name);
            drop(KBox::from_raw(object));
        }
    }
}

/// Frees a func that [`Object::add_nop`] made; nothing for a module's own.
///
/// # Safety
///
/// The last reference to `func` is gone.
pub(crate) unsafe fn release_func(func: *mut bindings::klp_func) {
    // SAFETY: By the safety requirement; a nop and its name come from `KBox`es.
    unsafe {
        if (*func).nop {
            drop_name((*func).old_name);
            drop(KBox::from_raw(func));
        }
    }
}

/// Copies a name for as long as the nop or object that bears it lives.
fn copy_name(name: &CStr) -> Result<*const c_char> {
    // SAFETY: `name` is a string.
    let copy = unsafe { bindings::kstrdup(name.as_ptr().cast(), GFP_KERNEL.as_raw()) };
    if copy.is_null() {
        Err(ENOMEM)
    } else {
        Ok(copy)
    }
}

/// Frees a name that was copied by [`copy_name`].
///
/// # Safety
///
/// `name` is null or comes from [`copy_name`], and is not used any more.
unsafe fn drop_name(name: *const c_char) {
    // SAFETY: By the safety requirement.
    unsafe { bindings::kfree(name.cast()) };
}

/// A kernel module.
#[repr(transparent)]
pub(crate) struct Module(Opaque<bindings::module>);

impl Module {
    /// The view of the module at `ptr`.
    ///
    /// # Safety
    ///
    /// `ptr` points to a module that lives as long as `'a`.
    pub(crate) unsafe fn from_raw<'a>(ptr: *const bindings::module) -> &'a Self {
        // SAFETY: By the safety requirement; the view is transparent.
        unsafe { &*ptr.cast() }
    }

    /// The module itself, for C.
    pub(crate) fn as_ptr(&self) -> *mut bindings::module {
        self.0.get()
    }

    /// Its name.
    pub(crate) fn name(&self) -> &CStr {
        // SAFETY: The module lives, and its name is a string that does not change.
        unsafe { CStr::from_ptr((&raw const (*self.as_ptr()).name).cast()) }
    }

    /// Whether it is marked as a livepatch in its module information.
    pub(crate) fn is_livepatch(&self) -> bool {
        // SAFETY: The module lives; the field is set before its init function is called.
        unsafe { (*self.as_ptr()).klp }
    }

    /// Whether patches are applied to it: [`Module::set_patchable`].
    pub(crate) fn patchable(&self, _: &Locked) -> bool {
        // SAFETY: The module lives, and `Locked` excludes writers.
        unsafe { (*self.as_ptr()).klp_alive }
    }

    /// From `klp_module_coming()` to `klp_module_going()` a new patch finds the module; before and
    /// after, those two see to it.
    pub(crate) fn set_patchable(&self, patchable: bool, _: &Locked) {
        // SAFETY: The module lives, and `Locked` excludes others.
        unsafe { (*self.as_ptr()).klp_alive = patchable };
    }

    /// Whether the module is on its way in.
    pub(crate) fn is_coming(&self) -> bool {
        self.state() == bindings::module_state_MODULE_STATE_COMING
    }

    /// Whether the module is on its way out.
    pub(crate) fn is_going(&self) -> bool {
        self.state() == bindings::module_state_MODULE_STATE_GOING
    }

    fn state(&self) -> bindings::module_state {
        // SAFETY: The module lives.
        unsafe { (&raw const (*self.as_ptr()).state).read_volatile() }
    }
}

/// An object: vmlinux or a module, with the functions that a patch changes in it.
///
/// # Invariants
///
/// As [`Patch`]'s.
#[repr(transparent)]
pub(crate) struct Object(Opaque<bindings::klp_object>);

impl Object {
    fn as_ptr(&self) -> *mut bindings::klp_object {
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

    /// Whether the object is the module called `name`.
    pub(crate) fn is_module(&self, name: &CStr) -> bool {
        self.name() == Some(name)
    }

    /// Whether the module has given an array of funcs.
    pub(crate) fn has_funcs(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { !(*self.as_ptr()).funcs.is_null() }
    }

    /// The funcs in the module's own array.
    pub(crate) fn declared_funcs(&self) -> impl Iterator<Item = &Func> {
        // SAFETY: By the type invariants.
        let mut next = unsafe { (*self.as_ptr()).funcs };
        iter::from_fn(move || {
            // SAFETY: By the type invariants the array, if there is one, ends with an entry whose
            // external fields are all zero, and `next` has not passed it.
            let func = unsafe { next.cast::<Func>().as_ref() }.filter(|f| f.is_declared())?;
            // SAFETY: `next` is not the end of the array.
            next = unsafe { next.add(1) };
            Some(func)
        })
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

    fn init(&self, patch: &Patch, _: &Locked) {
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

    /// Runs the module's callback before patching. If it fails, nothing is to be undone.
    ///
    /// A callback that breaks its contract by returning a positive number fails with [`EINVAL`].
    pub(crate) fn pre_patch(&self, _: &Locked) -> Result {
        let callbacks = self.callbacks();
        // SAFETY: A callback that a module gives is one for its own object; `Locked` excludes
        // other users of the flag.
        unsafe {
            let ret = (*callbacks).pre_patch.map_or(0, |f| f(self.as_ptr()));
            (*callbacks).post_unpatch_enabled = ret == 0;
            if ret > 0 {
                return Err(EINVAL);
            }
            to_result(ret)
        }
    }

    /// Runs the module's callback after patching.
    pub(crate) fn post_patch(&self, _: &Locked) {
        // SAFETY: As for `pre_patch()`.
        unsafe {
            if let Some(f) = (*self.callbacks()).post_patch {
                f(self.as_ptr());
            }
        }
    }

    /// Runs the module's callback before unpatching.
    pub(crate) fn pre_unpatch(&self, _: &Locked) {
        // SAFETY: As for `pre_patch()`.
        unsafe {
            if let Some(f) = (*self.callbacks()).pre_unpatch {
                f(self.as_ptr());
            }
        }
    }

    /// Runs the module's callback after unpatching, once for each pre-patch callback that
    /// succeeded.
    pub(crate) fn post_unpatch(&self, _: &Locked) {
        let callbacks = self.callbacks();
        // SAFETY: As for `pre_patch()`.
        unsafe {
            if (*callbacks).post_unpatch_enabled {
                if let Some(f) = (*callbacks).post_unpatch {
                    f(self.as_ptr());
                }
            }
            (*callbacks).post_unpatch_enabled = false;
        }
    }
}

/// A func: one function that a patch changes.
///
/// # Invariants
///
/// As [`Patch`]'s.
#[repr(transparent)]
pub(crate) struct Func(Opaque<bindings::klp_func>);

impl Func {
    fn as_ptr(&self) -> *mut bindings::klp_func {
        self.0.get()
    }

    /// Whether this is a func, and not the end of the array.
    fn is_declared(&self) -> bool {
        let ptr = self.as_ptr();
        // SAFETY: By the type invariants.
        unsafe {
            !(*ptr).old_name.is_null() || !(*ptr).new_func.is_null() || (*ptr).old_sympos != 0
        }
    }

    /// Whether the module has given the name of the function.
    pub(crate) fn has_name(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { !(*self.as_ptr()).old_name.is_null() }
    }

    /// The name of the function that is changed.
    pub(crate) fn name(&self) -> &CStr {
        // SAFETY: By the type invariants.
        unsafe { string((*self.as_ptr()).old_name) }.unwrap_or_default()
    }

    /// Which of the symbols of that name in the object is meant, from 1; 0 if there must be one.
    pub(crate) fn position(&self) -> usize {
        // SAFETY: By the type invariants.
        unsafe { (*self.as_ptr()).old_sympos }
    }

    /// Whether the func stands for the original function.
    #[inline(always)]
    pub(crate) fn is_nop(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { (*self.as_ptr()).nop }
    }

    fn init(&self, object: &Object, _: &Locked) {
        let ptr = self.as_ptr();
        // SAFETY: The func is part of a patch that is being initialized, or was just allocated;
        // the object's list is initialized.
        unsafe {
            bindings::INIT_LIST_HEAD(&raw mut (*ptr).stack_node);
            bindings::klp_kobj_init_func(ptr);
            bindings::list_add_tail(&raw mut (*ptr).node, &raw mut (*object.as_ptr()).func_list);
            (*ptr).patched = false;
            (*ptr).transition = false;
        }
    }

    /// Creates the func's directory in sysfs. May sleep.
    pub(crate) fn publish(&self, object: &Object) -> Result {
        // SAFETY: The kobjects were initialized.
        to_result(unsafe { bindings::klp_kobj_add_func(self.as_ptr(), object.as_ptr()) })
    }

    /// Whether there is something to call in place of the original.
    pub(crate) fn has_new(&self) -> bool {
        self.new_address() != 0
    }

    /// The address of the patch's function; of the original, for a nop whose object is loaded.
    #[inline(always)]
    pub(crate) fn new_address(&self) -> usize {
        // SAFETY: By the type invariants. The ftrace handler loads it without `klp_mutex`: for
        // funcs that are not nops it does not change, and for nops the value is not used there.
        unsafe { (&raw const (*self.as_ptr()).new_func).read_volatile() as usize }
    }

    /// The address of the original function, while its object is loaded.
    pub(crate) fn old_address(&self, _: &Locked) -> Option<usize> {
        // SAFETY: By the type invariants.
        let old = unsafe { (*self.as_ptr()).old_func } as usize;
        (old != 0).then_some(old)
    }

    /// Records where the original function is. For a nop, that is also its own.
    pub(crate) fn set_original(&self, code: Code, _: &Locked) {
        let ptr = self.as_ptr();
        // SAFETY: By the type invariants, and `Locked` excludes others: the func is not on a stack.
        unsafe {
            (*ptr).old_func = code.start as *mut _;
            (*ptr).old_size = code.size;
            if (*ptr).nop {
                (*ptr).new_func = code.start as *mut _;
            }
        }
    }

    /// Records the size of the patch's function.
    pub(crate) fn set_new_size(&self, size: usize, _: &Locked) {
        // SAFETY: By the type invariants, and `Locked` excludes others.
        unsafe { (*self.as_ptr()).new_size = size };
    }

    /// Forgets the original function: its object goes away.
    pub(crate) fn clear_original(&self, _: &Locked) {
        let ptr = self.as_ptr();
        // SAFETY: By the type invariants, and `Locked` excludes others: the func is not on a stack.
        unsafe {
            (*ptr).old_func = core::ptr::null_mut();
            if (*ptr).nop {
                (*ptr).new_func = core::ptr::null_mut();
            }
        }
    }

    /// The code of the original function, while its object is loaded.
    ///
    /// Tasks that check their own stack use this and the two below without `klp_mutex`; the
    /// values they look at do not change while the object is loaded and its patch in transition.
    pub(crate) fn original(&self) -> Code {
        // SAFETY: By the type invariants.
        unsafe {
            Code {
                start: (*self.as_ptr()).old_func as usize,
                size: (*self.as_ptr()).old_size,
            }
        }
    }

    /// The code of the patch's function.
    pub(crate) fn new_code(&self) -> Code {
        Code {
            start: self.new_address(),
            // SAFETY: By the type invariants.
            size: unsafe { (*self.as_ptr()).new_size },
        }
    }

    /// The node by which the func is on a func stack.
    #[inline(always)]
    pub(crate) fn stack_node(&self) -> *mut bindings::list_head {
        // SAFETY: By the type invariants; nothing is loaded.
        unsafe { &raw mut (*self.as_ptr()).stack_node }
    }

    /// The func whose node `node` is.
    ///
    /// # Safety
    ///
    /// `node` is the `stack_node` of a func that lives as long as `'a`.
    #[inline(always)]
    pub(crate) unsafe fn from_stack_node<'a>(node: *mut bindings::list_head) -> &'a Self {
        // SAFETY: By the safety requirement; the view is transparent.
        unsafe { &*container_of!(node, bindings::klp_func, stack_node).cast() }
    }

    /// Whether tasks differ in whether they use the func. The ftrace handler reads it without
    /// `klp_mutex`.
    #[inline(always)]
    pub(crate) fn in_transition(&self) -> bool {
        // SAFETY: By the type invariants.
        unsafe { (&raw const (*self.as_ptr()).transition).read_volatile() }
    }

    /// The func's state.
    pub(crate) fn state(&self, _: &Locked) -> FuncState {
        FuncState {
            // SAFETY: By the type invariants.
            patched: unsafe { (*self.as_ptr()).patched },
            transition: self.in_transition(),
        }
    }

    /// Makes a change that the state table allows; the only place where the booleans are written.
    /// Returns whether it was legal; if not, nothing has changed.
    pub(crate) fn change(&self, change: Change, locked: &Locked) -> bool {
        let Ok(state) = self.state(locked).after(change) else {
            return false;
        };
        let ptr = self.as_ptr();
        // SAFETY: By the type invariants, and `Locked` excludes other writers.
        unsafe {
            (&raw mut (*ptr).patched).write_volatile(state.patched);
            (&raw mut (*ptr).transition).write_volatile(state.transition);
        }
        true
    }
}

/// A system state that a patch modifies, beyond code.
#[repr(transparent)]
pub(crate) struct State(Opaque<bindings::klp_state>);

impl State {
    /// The state itself, for C.
    pub(crate) fn as_ptr(&self) -> *mut bindings::klp_state {
        self.0.get()
    }

    /// What identifies the state across patches; never zero.
    pub(crate) fn id(&self) -> usize {
        // SAFETY: The state is in a patch's array, and does not change.
        unsafe { (*self.as_ptr()).id }
    }

    /// The version of the change.
    pub(crate) fn version(&self) -> u32 {
        // SAFETY: The state is in a patch's array, and does not change.
        unsafe { (*self.as_ptr()).version }
    }
}
