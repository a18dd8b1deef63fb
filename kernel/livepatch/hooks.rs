// SPDX-License-Identifier: GPL-2.0-or-later

//! The functions of the core that C calls.
//!
//! Each function turns pointers into references and passes these on. `kernel/livepatch/rust.h`
//! declares the functions, and the `.c` files beside it call them. Modules cannot.
//!
//! All of them are `unsafe`, even those without requirements, because `#[export]` demands it.

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
            self,
            Constructor,
            Destructor,
            Key, //
        },
        tasks::TaskRef,
    },
    model,
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
    num::NonZeroUsize,
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
/// `patch` is null or points to a patch that the calling module defines and keeps as it is.
#[export]
unsafe extern "C" fn klp_rust_enable_patch(patch: *mut bindings::klp_patch) -> c_int {
    // SAFETY: `patch` is null or points to a patch of a module by the safety requirement. The patch
    // lives as long as its module, which calls this.
    let patch = unsafe { Patch::from_raw(patch) };
    status(patch.map_or(Err(EINVAL), klp_core::enable_patch))
}

/// The work that ends a patch.
///
/// # Safety
///
/// `patch` points to a patch, and `work::queue_free()` has queued its work.
#[export]
unsafe extern "C" fn klp_rust_free_patch_work(patch: *mut bindings::klp_patch) {
    // SAFETY: `patch` points to a patch by the safety requirement. The patch lives until
    // `text::work()` drops the reference to its module.
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
    // SAFETY: `module` points to a module by the safety requirement. The module loader waits for
    // this function before it goes on.
    status(modules::coming(unsafe { Module::from_raw(module) }))
}

/// `klp_module_going()`.
///
/// # Safety
///
/// `module` points to a module that is being unloaded, or that could not be loaded.
#[export]
unsafe extern "C" fn klp_rust_module_going(module: *mut bindings::module) {
    // SAFETY: `module` points to a module by the safety requirement. The module loader waits for
    // this before it frees the module.
    modules::going(unsafe { Module::from_raw(module) });
}

/// `klp_find_section_by_name()`.
///
/// # Safety
///
/// `module` points to a livepatch module, `name` to a string, and `size` to a `size_t` that is
/// written to. All of them live during the call.
#[export]
unsafe extern "C" fn klp_rust_find_section(
    module: *const bindings::module,
    name: *const c_char,
    size: *mut usize,
) -> *mut c_void {
    // SAFETY: `module` points to a module that lives during the call, by the safety requirement.
    let module = unsafe { Module::from_raw(module) };
    // SAFETY: `name` points to a string that lives during the call, by the safety requirement.
    let name = unsafe { CStr::from_char_ptr(name) };
    let found = Image::kept(module).and_then(|image| {
        image
            .kept_sections()
            .find(|section| section.name() == name)
            .map(|section| (section.address() as *mut c_void, section.size()))
    });
    let (address, len) = found.unwrap_or((ptr::null_mut(), 0));
    // SAFETY: `size` points to a `size_t` that is the caller's to write to, by the safety
    // requirement.
    unsafe { *size = len };
    address
}

/// `klp_apply_section_relocs()`.
///
/// # Safety
///
/// - `module` points to a module that is being loaded, `sections` to its section headers,
///   `section_names` to their names, and `symbol_names` to the names of its symbols.
/// - `symbols` is the index of the symbol table, and `section` that of a section with relocations
///   for live patching.
/// - `objname` is null or points to a string.
/// - All of these live during the call.
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
    // SAFETY: `objname` is not null, and so points to a string by the safety requirement.
    let object = (!objname.is_null()).then(|| unsafe { CStr::from_char_ptr(objname) });
    // SAFETY: `module` points to a module by the safety requirement.
    let module = unsafe { Module::from_raw(module) };
    // SAFETY: By the safety requirement these are the headers, names and symbols of `module`.
    let image = unsafe { Image::new(module, sections, section_names, symbol_names, symbols) };
    // SAFETY: By the safety requirement this is the index of a section with such relocations.
    let relocations = unsafe { image.relocations(section) };
    status(relocs::write_section(&image, relocations, object))
}

/// `klp_get_state()`.
///
/// # Safety
///
/// `patch` points to a patch. Its `states` is null or points to an array that ends with a state of
/// identifier zero. The states live as long as the result is used. The rest of the patch need not
/// be complete.
#[export]
unsafe extern "C" fn klp_rust_get_state(
    patch: *mut bindings::klp_patch,
    id: c_ulong,
) -> *mut bindings::klp_state {
    // SAFETY: `patch` points to a patch by the safety requirement, and its states do not change.
    let states = unsafe { (*patch).states };
    // SAFETY: By the safety requirement `states` is null or points to an array that ends with a
    // state of identifier zero.
    let states = unsafe { State::all(states) };
    state::get(states, id).map_or(ptr::null_mut(), State::as_ptr)
}

/// `klp_get_prev_state()`.
///
/// # Safety
///
/// Called from a callback, or otherwise while a patch is in transition and stays so.
#[export]
unsafe extern "C" fn klp_rust_get_prev_state(id: c_ulong) -> *mut bindings::klp_state {
    // SAFETY: The core runs callbacks with the mutex held, and waits for them. Other callers see to
    // it that no transition begins or ends, by the safety requirement.
    let locked = unsafe { Locked::assume() };
    state::get_previous(id, locked).map_or(ptr::null_mut(), |state| state.as_ptr())
}

/// The ftrace handler: returns the address at which a call of the function at `ip` goes on, or 0
/// for the function itself.
///
/// # Safety
///
/// Preemption is disabled, and `task` is the current task.
#[export]
unsafe extern "C" fn klp_rust_redirect(ip: c_ulong, task: *mut bindings::task_struct) -> c_ulong {
    // SAFETY: `task` is the current task by the safety requirement, and lives as long as it runs.
    let task = unsafe { TaskRef::from_raw(task) };
    // SAFETY: Preemption is disabled, and `task` is the current task, by the safety requirement.
    unsafe { func_stacks::redirect(ip, task) }.map_or(0, NonZeroUsize::get)
}

/// The address that calls of the function at `ip` jump to, or 0 if they reach the ftrace handler.
///
/// # Safety
///
/// `klp_mutex` is held.
#[export]
unsafe extern "C" fn klp_rust_jump_target(ip: c_ulong) -> c_ulong {
    // SAFETY: By the safety requirement the mutex is held until this returns, and `locked` is not
    // used for longer.
    let locked = unsafe { Locked::assume() };
    func_stacks::find(ip, locked)
        .and_then(func_stacks::FuncStack::settled)
        .map_or(0, NonZeroUsize::get)
}

/// The work that tries again to take functions out of ftrace; it sleeps, and takes `klp_mutex`.
///
/// # Safety
///
/// Always safe to call.
#[export]
unsafe extern "C" fn klp_rust_leave_ftrace_work() {
    batch::leave(&mutex::lock());
}

/// The work that continues a transition; it sleeps, and takes `klp_mutex`.
///
/// # Safety
///
/// Always safe to call.
#[export]
unsafe extern "C" fn klp_rust_transition_work() {
    transition::work();
}

/// The work that lets go of livepatch modules; it sleeps, and takes `klp_mutex`.
///
/// # Safety
///
/// Always safe to call.
#[export]
unsafe extern "C" fn klp_rust_let_go_work() {
    text::work();
}

/// `klp_update_patch_state()`.
///
/// # Safety
///
/// `task` is the current task, on its way out of the kernel or in the idle loop; preemption is
/// disabled.
#[export]
unsafe extern "C" fn klp_rust_update_patch_state(task: *mut bindings::task_struct) {
    // SAFETY: `task` is the current task by the safety requirement, and lives as long as it runs.
    transition::update(unsafe { TaskRef::from_raw(task) });
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
    // SAFETY: `child` points to a task by the safety requirement. The task does not run yet, and so
    // lives during the call.
    model::transition::fork(&Tasks, unsafe { TaskRef::from_raw(child) });
}

/// Calls `body` with the patch to which a file in sysfs belongs.
///
/// # Safety
///
/// `patch` points to a patch, which sysfs keeps for as long as one of its files is in use.
unsafe fn with_patch<R>(
    patch: *mut bindings::klp_patch,
    body: impl FnOnce(&Patch) -> R,
) -> Option<R> {
    // SAFETY: `patch` points to a patch that lives during the call, by the safety requirement.
    unsafe { Patch::from_raw(patch) }.map(body)
}

/// Serves a reader of the file `enabled`.
///
/// # Safety
///
/// `patch` points to a patch that lives during the call.
#[export]
unsafe extern "C" fn klp_rust_enabled_show(patch: *mut bindings::klp_patch) -> bool {
    // SAFETY: `patch` points to a patch, which lives during the call, by the safety requirement.
    unsafe { with_patch(patch, Patch::enabled) }.unwrap_or(false)
}

/// Serves a writer to the file `enabled`.
///
/// # Safety
///
/// `patch` points to a patch and `buf` to a string, which live during the call.
#[export]
unsafe extern "C" fn klp_rust_enabled_store(
    patch: *mut bindings::klp_patch,
    buf: *const c_char,
) -> c_int {
    // SAFETY: `buf` points to a string by the safety requirement.
    let buf = unsafe { CStr::from_char_ptr(buf) };
    // SAFETY: `patch` points to a patch by the safety requirement.
    let done = unsafe { with_patch(patch, |patch| sysfs::store_enabled(patch, buf)) };
    status(done.unwrap_or(Err(EINVAL)))
}

/// Serves a reader of the file `transition`.
///
/// # Safety
///
/// `patch` points to a patch that lives during the call.
#[export]
unsafe extern "C" fn klp_rust_transition_show(patch: *mut bindings::klp_patch) -> bool {
    // SAFETY: `patch` points to a patch, which lives during the call, by the safety requirement.
    unsafe { with_patch(patch, patches::in_transition) }.unwrap_or(false)
}

/// Serves a writer to the file `force`.
///
/// # Safety
///
/// `patch` points to a patch and `buf` to a string, which live during the call.
#[export]
unsafe extern "C" fn klp_rust_force_store(
    patch: *mut bindings::klp_patch,
    buf: *const c_char,
) -> c_int {
    // SAFETY: `buf` points to a string by the safety requirement.
    let buf = unsafe { CStr::from_char_ptr(buf) };
    // SAFETY: `patch` points to a patch by the safety requirement.
    let done = unsafe { with_patch(patch, |patch| sysfs::store_force(patch, buf)) };
    status(done.unwrap_or(Err(EINVAL)))
}

/// Serves a reader of the file `stack_order`.
///
/// # Safety
///
/// `patch` points to a patch that lives during the call.
#[export]
unsafe extern "C" fn klp_rust_stack_order_show(patch: *mut bindings::klp_patch) -> c_int {
    // SAFETY: `patch` points to a patch, which lives during the call, by the safety requirement.
    unsafe { with_patch(patch, sysfs::stack_order) }.unwrap_or(0) as c_int
}

/// Releases an object, after the last reference to its kobject is gone.
///
/// # Safety
///
/// `object` points to that object, which has no other users.
#[export]
unsafe extern "C" fn klp_rust_release_object(object: *mut bindings::klp_object) {
    // SAFETY: The last reference to the object is gone, by the safety requirement.
    unsafe { abi::release_object(object) };
}

/// Releases a func, after the last reference to its kobject is gone.
///
/// # Safety
///
/// `func` points to that func, which has no other users.
#[export]
unsafe extern "C" fn klp_rust_release_func(func: *mut bindings::klp_func) {
    // SAFETY: The last reference to the func is gone, by the safety requirement.
    unsafe { abi::release_func(func) };
}

/// `klp_shadow_alloc()`.
///
/// # Safety
///
/// `ctor`, if any, can be called with `object`, `size` bytes of data, and `ctor_data`.
#[export]
unsafe extern "C" fn klp_rust_shadow_alloc(
    object: *mut c_void,
    id: c_ulong,
    size: usize,
    flags: bindings::gfp_t,
    ctor: bindings::klp_shadow_ctor_t,
    ctor_data: *mut c_void,
) -> *mut c_void {
    let key = Key { object, id };
    // SAFETY: `ctor` can be called with these arguments, by the safety requirement.
    let constructor = unsafe { Constructor::new(ctor, ctor_data) };
    shadow::alloc(key, size, flags, constructor).unwrap_or(ptr::null_mut())
}

/// `klp_shadow_get_or_alloc()`.
///
/// # Safety
///
/// `ctor`, if any, can be called with `object`, `size` bytes of data, and `ctor_data`.
#[export]
unsafe extern "C" fn klp_rust_shadow_get_or_alloc(
    object: *mut c_void,
    id: c_ulong,
    size: usize,
    flags: bindings::gfp_t,
    ctor: bindings::klp_shadow_ctor_t,
    ctor_data: *mut c_void,
) -> *mut c_void {
    let key = Key { object, id };
    // SAFETY: `ctor` can be called with these arguments, by the safety requirement.
    let constructor = unsafe { Constructor::new(ctor, ctor_data) };
    shadow::get_or_alloc(key, size, flags, constructor).unwrap_or(ptr::null_mut())
}

/// `klp_shadow_get()`.
///
/// # Safety
///
/// The caller is in a read side critical section of RCU.
#[export]
unsafe extern "C" fn klp_rust_shadow_find(object: *mut c_void, id: c_ulong) -> *mut c_void {
    // SAFETY: The caller is in a read side critical section, by the safety requirement.
    unsafe { shadow_table::find_under_rcu(Key { object, id }) }.unwrap_or(ptr::null_mut())
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
    // SAFETY: `dtor` can be called with the variable that has this key, by the safety requirement.
    shadow::free(key, unsafe { Destructor::new(dtor) });
}

/// `klp_shadow_free_all()`.
///
/// # Safety
///
/// `dtor`, if any, can be called with the objects and the data of all variables called `id`.
#[export]
unsafe extern "C" fn klp_rust_shadow_free_all(id: c_ulong, dtor: bindings::klp_shadow_dtor_t) {
    // SAFETY: `dtor` can be called with the variables called `id`, by the safety requirement.
    shadow::free_all(id, unsafe { Destructor::new(dtor) });
}

/// The work that resizes the table of shadow variables; it sleeps.
///
/// # Safety
///
/// Always safe to call.
#[export]
unsafe extern "C" fn klp_rust_shadow_resize() {
    shadow::resize();
}
