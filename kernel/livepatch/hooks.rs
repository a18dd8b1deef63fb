// SPDX-License-Identifier: GPL-2.0-or-later

//! Everything that C calls.
//!
//! Each function turns pointers into references and passes them on. They are declared in
//! `kernel/livepatch/rust.h`, called by the files beside that, and not exported to modules.

use crate::{
    batch,
    core as klp_core,
    edge::{
        abi::{
            self,
            Module,
            Patch,
            State, //
        },
        elf::Image,
        func_stacks,
        mutex::{
            self,
            Locked, //
        },
        patches,
        shadow_table::{
            Constructor,
            Destructor,
            Key, //
        },
        tasks::TaskRef,
    },
    model::{
        self,
        shadow::Existing,
        Way, //
    },
    modules,
    relocs,
    shadow,
    state,
    sysfs,
    text,
    transition::{
        self,
        Tasks, //
    }, //
};
use core::{
    ffi::CStr,
    ptr, //
};
use kernel::{
    bindings,
    error::from_result,
    ffi::{
        c_char,
        c_int,
        c_ulong,
        c_void, //
    },
    prelude::*, //
};

fn status(result: Result) -> c_int {
    from_result(|| result.map(|()| 0))
}

/// `klp_enable_patch()`.
///
/// # Safety
///
/// `patch` is null or points to a patch that the calling module defines.
#[export]
unsafe extern "C" fn klp_rust_enable_patch(patch: *mut bindings::klp_patch) -> c_int {
    // SAFETY: By the safety requirement; it lives as long as its module, which is being loaded.
    let patch = unsafe { Patch::from_raw(patch) };
    status(patch.map_or(Err(EINVAL), klp_core::enable_patch))
}

/// The work that ends a patch.
///
/// # Safety
///
/// `patch` points to a patch whose work `work::queue_free()` has queued.
#[export]
unsafe extern "C" fn klp_rust_free_patch_work(patch: *mut bindings::klp_patch) {
    // SAFETY: By the safety requirement it lives until `text::work()` drops its module.
    if let Some(patch) = unsafe { Patch::from_raw(patch) } {
        klp_core::free_finish(patch);
    }
}

/// `klp_module_coming()`.
///
/// # Safety
///
/// `module` points to a module that is being loaded.
#[export]
unsafe extern "C" fn klp_rust_module_coming(module: *mut bindings::module) -> c_int {
    // SAFETY: By the safety requirement.
    status(modules::coming(unsafe { Module::from_raw(module) }))
}

/// `klp_module_going()`.
///
/// # Safety
///
/// `module` points to a module that is being unloaded, or whose loading has failed.
#[export]
unsafe extern "C" fn klp_rust_module_going(module: *mut bindings::module) {
    // SAFETY: By the safety requirement.
    modules::going(unsafe { Module::from_raw(module) });
}

/// `klp_find_section_by_name()`.
///
/// # Safety
///
/// `module` points to a livepatch module, `name` to a string, and `size` to where the size goes.
#[export]
unsafe extern "C" fn klp_rust_find_section(
    module: *const bindings::module,
    name: *const c_char,
    size: *mut usize,
) -> *mut c_void {
    // SAFETY: By the safety requirement.
    let (module, name) = unsafe { (Module::from_raw(module), CStr::from_char_ptr(name)) };
    let found = Image::kept(module).and_then(|(image, count)| {
        let mut sections = image.kept_sections(count);
        sections
            .find(|section| section.name() == name)
            .map(|section| (section.address() as *mut c_void, section.size()))
    });
    let (address, len) = found.unwrap_or((ptr::null_mut(), 0));
    // SAFETY: By the safety requirement.
    unsafe { *size = len };
    address
}

/// `klp_apply_section_relocs()`.
///
/// # Safety
///
/// The arguments are what the module loader has of `module`; `objname` is null or a string.
#[export]
unsafe extern "C" fn klp_rust_apply_relocs(
    module: *mut bindings::module,
    sections: *mut bindings::Elf64_Shdr,
    section_names: *const c_char,
    symbol_names: *const c_char,
    symbols: u32,
    section: u32,
    objname: *const c_char,
) -> c_int {
    // SAFETY: By the safety requirement.
    unsafe {
        let object = (!objname.is_null()).then(|| CStr::from_char_ptr(objname));
        let module = Module::from_raw(module);
        let image = Image::new(module, sections, section_names, symbol_names, symbols);
        status(relocs::write_section(
            &image,
            image.section(section),
            object,
        ))
    }
}

/// `klp_get_state()`.
///
/// # Safety
///
/// `patch` points to a patch, whose states are complete; the rest of it need not be.
#[export]
unsafe extern "C" fn klp_rust_get_state(
    patch: *mut bindings::klp_patch,
    id: c_ulong,
) -> *mut bindings::klp_state {
    // SAFETY: By the safety requirement.
    let states = unsafe { State::all((*patch).states) };
    state::get(states, id).map_or(ptr::null_mut(), State::as_ptr)
}

/// `klp_get_prev_state()`.
///
/// # Safety
///
/// Called from a callback, or otherwise while a patch is in transition and stays so.
#[export]
unsafe extern "C" fn klp_rust_get_prev_state(id: c_ulong) -> *mut bindings::klp_state {
    // SAFETY: Callbacks are run with the mutex held.
    let locked = unsafe { Locked::assume() };
    state::get_previous(id, locked).map_or(ptr::null_mut(), |state| state.as_ptr())
}

/// The ftrace handler: where the call of the function at `ip` goes on, or 0 for the function
/// itself.
///
/// # Safety
///
/// Preemption is disabled, and `task` is the current task.
#[export]
unsafe extern "C" fn klp_rust_redirect(ip: c_ulong, task: *mut bindings::task_struct) -> c_ulong {
    // SAFETY: By the safety requirement.
    unsafe { func_stacks::redirect(ip, TaskRef::from_raw(task)) }.unwrap_or(0)
}

/// The work that tries again to take functions out of ftrace.
///
/// # Safety
///
/// Process context.
#[export]
unsafe extern "C" fn klp_rust_leave_ftrace_work() {
    batch::leave(&mutex::lock());
}

/// The work that goes on with a transition.
///
/// # Safety
///
/// Process context.
#[export]
unsafe extern "C" fn klp_rust_transition_work() {
    transition::work();
}

/// The work that lets go of livepatch modules.
///
/// # Safety
///
/// Process context.
#[export]
unsafe extern "C" fn klp_rust_let_go_work() {
    text::work();
}

/// `klp_update_patch_state()`.
///
/// # Safety
///
/// `task` is the current task, in no function that can be patched; preemption is disabled.
#[export]
unsafe extern "C" fn klp_rust_update_patch_state(task: *mut bindings::task_struct) {
    // SAFETY: By the safety requirement.
    let task = unsafe { TaskRef::from_raw(task) };
    let way = match task.is_idle() {
        true => Way::IdleLoop,
        false => Way::KernelExit,
    };
    model::transition::update(&Tasks, task, way);
}

/// `__klp_sched_try_switch()`.
///
/// # Safety
///
/// Preemption is disabled.
#[export]
unsafe extern "C" fn klp_rust_sched_try_switch() {
    model::transition::sched_switch(&Tasks);
}

/// `klp_copy_process()`.
///
/// # Safety
///
/// `child` points to a new task that does not run yet.
#[export]
unsafe extern "C" fn klp_rust_copy_process(child: *mut bindings::task_struct) {
    // SAFETY: By the safety requirement.
    model::transition::fork(&Tasks, unsafe { TaskRef::from_raw(child) });
}

/// Calls `body` with the patch that one of its files in sysfs was opened for.
///
/// # Safety
///
/// `patch` points to a patch, which lives during the call.
unsafe fn with_patch<R>(
    patch: *mut bindings::klp_patch,
    body: impl FnOnce(&Patch) -> R,
) -> Option<R> {
    // SAFETY: By the safety requirement.
    unsafe { Patch::from_raw(patch) }.map(body)
}

/// The file `enabled` is read.
///
/// # Safety
///
/// `patch` points to a patch.
#[export]
unsafe extern "C" fn klp_rust_enabled_show(patch: *mut bindings::klp_patch) -> bool {
    // SAFETY: By the safety requirement.
    unsafe { with_patch(patch, Patch::enabled) }.unwrap_or(false)
}

/// The file `enabled` is written.
///
/// # Safety
///
/// `patch` points to a patch, and `buf` to a string.
#[export]
unsafe extern "C" fn klp_rust_enabled_store(
    patch: *mut bindings::klp_patch,
    buf: *const c_char,
) -> c_int {
    // SAFETY: By the safety requirement.
    let (buf, patch) = unsafe { (CStr::from_char_ptr(buf), Patch::from_raw(patch)) };
    status(patch.map_or(Err(EINVAL), |patch| sysfs::store_enabled(patch, buf)))
}

/// The file `transition` is read.
///
/// # Safety
///
/// `patch` points to a patch.
#[export]
unsafe extern "C" fn klp_rust_transition_show(patch: *mut bindings::klp_patch) -> bool {
    // SAFETY: By the safety requirement.
    unsafe { with_patch(patch, patches::in_transition) }.unwrap_or(false)
}

/// The file `force` is written.
///
/// # Safety
///
/// `patch` points to a patch, and `buf` to a string.
#[export]
unsafe extern "C" fn klp_rust_force_store(
    patch: *mut bindings::klp_patch,
    buf: *const c_char,
) -> c_int {
    // SAFETY: By the safety requirement.
    let (buf, patch) = unsafe { (CStr::from_char_ptr(buf), Patch::from_raw(patch)) };
    status(patch.map_or(Err(EINVAL), |patch| sysfs::store_force(patch, buf)))
}

/// The file `stack_order` is read.
///
/// # Safety
///
/// `patch` points to a patch.
#[export]
unsafe extern "C" fn klp_rust_stack_order_show(patch: *mut bindings::klp_patch) -> c_int {
    // SAFETY: By the safety requirement.
    unsafe { with_patch(patch, sysfs::stack_order) }.unwrap_or(0) as c_int
}

/// The last reference to an object's kobject is gone.
///
/// # Safety
///
/// `object` points to that object.
#[export]
unsafe extern "C" fn klp_rust_release_object(object: *mut bindings::klp_object) {
    // SAFETY: By the safety requirement.
    unsafe { abi::release_object(object) };
}

/// The last reference to a func's kobject is gone.
///
/// # Safety
///
/// `func` points to that func.
#[export]
unsafe extern "C" fn klp_rust_release_func(func: *mut bindings::klp_func) {
    // SAFETY: By the safety requirement.
    unsafe { abi::release_func(func) };
}

/// `klp_shadow_alloc()`, or, if `use_existing`, `klp_shadow_get_or_alloc()`.
///
/// # Safety
///
/// `ctor`, if any, can be called with `obj`, `size` bytes of data, and `ctor_data`.
#[export]
unsafe extern "C" fn klp_rust_shadow_alloc(
    object: *mut c_void,
    id: c_ulong,
    size: usize,
    flags: bindings::gfp_t,
    ctor: bindings::klp_shadow_ctor_t,
    ctor_data: *mut c_void,
    use_existing: bool,
) -> *mut c_void {
    let existing = if use_existing {
        Existing::Use
    } else {
        Existing::Refuse
    };
    let key = Key { object, id };
    // SAFETY: By the safety requirement.
    let constructor = unsafe { Constructor::new(ctor, ctor_data) };
    shadow::get_or_alloc(key, size, flags, constructor, existing).unwrap_or(ptr::null_mut())
}

/// `klp_shadow_get()`.
///
/// # Safety
///
/// None: unsafe for the sake of its declaration in C.
#[export]
unsafe extern "C" fn klp_rust_shadow_get(object: *mut c_void, id: c_ulong) -> *mut c_void {
    let key = Key { object, id };
    shadow::get(key).unwrap_or(ptr::null_mut())
}

/// `klp_shadow_free()`.
///
/// # Safety
///
/// `dtor`, if any, can be called with `object` and the data of its variable.
#[export]
unsafe extern "C" fn klp_rust_shadow_free(
    object: *mut c_void,
    id: c_ulong,
    dtor: bindings::klp_shadow_dtor_t,
) {
    let key = Key { object, id };
    // SAFETY: By the safety requirement.
    shadow::free(key, unsafe { Destructor::new(dtor) });
}

/// `klp_shadow_free_all()`.
///
/// # Safety
///
/// `dtor`, if any, can be called with the objects and the data of all variables called `id`.
#[export]
unsafe extern "C" fn klp_rust_shadow_free_all(id: c_ulong, dtor: bindings::klp_shadow_dtor_t) {
    // SAFETY: By the safety requirement.
    shadow::free_all(id, unsafe { Destructor::new(dtor) });
}

/// The work that resizes the table of shadow variables.
///
/// # Safety
///
/// Process context.
#[export]
unsafe extern "C" fn klp_rust_shadow_resize() {
    shadow::resize();
}
