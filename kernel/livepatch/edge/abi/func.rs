// SPDX-License-Identifier: GPL-2.0-or-later

//! `struct klp_func`.

use crate::{
    edge::{
        abi::{
            drop_name,
            string,
            Object, //
        },
        mutex::Locked, //
    },
    model::{
        blocker::Code,
        func::{
            Change,
            FuncState, //
        }, //
    }, //
};
use core::ffi::CStr;
use kernel::{
    bindings,
    container_of,
    error::to_result,
    ffi::c_char,
    prelude::*,
    types::Opaque, //
};

/// A func: one function that a patch changes.
///
/// # Invariants
///
/// 1. The structure lives as long as the view: it is in an object's array, or comes from
///    [`Object::add_nop`] and is freed with the last reference to its kobject.
/// 2. `old_name`, `old_sympos` and `nop` do not change. Neither does `new_func`, unless `nop` is
///    true. `old_name` is null or a string that lives as long as the structure.
/// 3. From [`Func::init`] on, `kobj` and `stack_node` are initialized, and `node` is on the
///    `func_list` of an object until the func is released.
/// 4. `stack_node` is on the list of a func stack if `patched` is true, and on no list otherwise:
///    [`FuncStack::push`] and [`func_stacks::remove`] change both.
/// 5. `klp_mutex` protects the lists and the internal fields. Readers without the mutex may load
///    `transition`, and follow `stack_node`; both are always stored whole.
///
/// [`FuncStack::push`]: crate::edge::func_stacks::FuncStack::push
/// [`func_stacks::remove`]: crate::edge::func_stacks::remove
#[repr(transparent)]
pub(crate) struct Func(Opaque<bindings::klp_func>);

impl Func {
    /// The func that `node` belongs to.
    ///
    /// # Safety
    ///
    /// `node` is the `node` of a func that lives as long as `'a`.
    pub(super) unsafe fn from_node<'a>(node: *mut bindings::list_head) -> &'a Self {
        // SAFETY: By the safety requirement the result points to the func that `node` is in.
        let func = unsafe { container_of!(node, bindings::klp_func, node) };
        // SAFETY: The func lives as long as `'a`. The view is transparent, and anything may change
        // behind an `Opaque`.
        unsafe { &*func.cast() }
    }

    pub(super) fn as_ptr(&self) -> *mut bindings::klp_func {
        self.0.get()
    }

    /// Whether this is a func, and not the end of the array.
    pub(super) fn is_declared(&self) -> bool {
        self.has_name() || self.has_new() || self.position() != 0
    }

    /// Whether the module has given the name of the function.
    pub(crate) fn has_name(&self) -> bool {
        // SAFETY: The structure lives, and `old_name` does not change, by the first two invariants.
        unsafe { !(*self.as_ptr()).old_name.is_null() }
    }

    /// The name of the function that is changed.
    pub(crate) fn name(&self) -> &CStr {
        // SAFETY: The structure lives, and `old_name` is null or a string that lives as long and
        // does not change, by the first two invariants.
        unsafe { string((*self.as_ptr()).old_name) }.unwrap_or_default()
    }

    /// The function's position among the symbols of that name in the object, from 1; 0 if there
    /// must be only one.
    pub(crate) fn position(&self) -> usize {
        // SAFETY: The structure lives, and `old_sympos` does not change, by the first two
        // invariants.
        unsafe { (*self.as_ptr()).old_sympos }
    }

    /// Whether the func stands for the original function.
    #[inline(always)]
    pub(crate) fn is_nop(&self) -> bool {
        // SAFETY: The structure lives, and `nop` does not change, by the first two invariants.
        unsafe { (*self.as_ptr()).nop }
    }

    pub(super) fn init(&self, object: &Object, _: &Locked) {
        let ptr = self.as_ptr();
        // INVARIANT: The func is unpatched, and on no stack.
        // SAFETY: `stack_node` is a field of a func that has no other users yet: its patch has just
        // been passed in, or it was just allocated.
        unsafe { bindings::INIT_LIST_HEAD(self.stack_node()) };
        // SAFETY: The func's kobject is zeroed, as `kobject_init()` demands.
        unsafe { bindings::klp_kobj_init_func(ptr) };
        // SAFETY: `node` is on no list yet. `func_list` is initialized by the invariants of
        // `Object`, and `Locked` excludes other users of it.
        unsafe { bindings::list_add_tail(&raw mut (*ptr).node, object.func_list()) };
        // SAFETY: The structure lives, and the func has no other users yet.
        unsafe {
            (*ptr).patched = false;
            (*ptr).transition = false;
        }
    }

    /// Creates the func's directory in sysfs. May sleep.
    pub(crate) fn publish(&self, object: &Object) -> Result {
        // SAFETY: `init()` has initialized the kobjects of both, and the object's was added before.
        to_result(unsafe { bindings::klp_kobj_add_func(self.as_ptr(), object.as_ptr()) })
    }

    /// Whether there is a function to call in place of the original.
    pub(crate) fn has_new(&self) -> bool {
        self.new_address() != 0
    }

    /// The address of the patch's function. For a nop, that of the original while its object is
    /// loaded.
    #[inline(always)]
    pub(crate) fn new_address(&self) -> usize {
        // SAFETY: The structure lives by the first invariant. `new_func` does not change, unless
        // the func is a nop. The callers that load it for a nop hold `klp_mutex`; the ftrace
        // handler, which does not, passes nops over.
        unsafe { (&raw const (*self.as_ptr()).new_func).read_volatile() as usize }
    }

    /// The address of the original function, while its object is loaded.
    pub(crate) fn old_address(&self, _: &Locked) -> Option<usize> {
        // SAFETY: The structure lives by the first invariant, and `Locked` excludes writers.
        let old = unsafe { (*self.as_ptr()).old_func } as usize;
        (old != 0).then_some(old)
    }

    /// Records the code of the original function. For a nop, that is also the new function. The
    /// func is on no stack: the address of the original leads to its stack.
    pub(crate) fn set_original(&self, code: Code, locked: &Locked) {
        let ptr = self.as_ptr();
        // SAFETY: The structure lives by the first invariant, and `Locked` excludes other users of
        // these fields.
        unsafe {
            (*ptr).old_func = code.start as *mut _;
            (*ptr).old_size = code.size;
        }
        self.set_new_of_nop(code.start, locked);
    }

    /// Records the size of the patch's function.
    pub(crate) fn set_new_size(&self, size: usize, _: &Locked) {
        // SAFETY: The structure lives by the first invariant, and `Locked` excludes other users of
        // the field.
        unsafe { (*self.as_ptr()).new_size = size };
    }

    /// Forgets the original function: its object goes away. The func is on no stack.
    pub(crate) fn clear_original(&self, locked: &Locked) {
        // SAFETY: The structure lives by the first invariant, and `Locked` excludes other users of
        // the field.
        unsafe { (*self.as_ptr()).old_func = core::ptr::null_mut() };
        self.set_new_of_nop(0, locked);
    }

    /// Sets the address of a nop's new function. Does nothing for other funcs.
    fn set_new_of_nop(&self, address: usize, _: &Locked) {
        if self.is_nop() {
            // SAFETY: The structure lives by the first invariant. `Locked` excludes other users of
            // the field, because the handler does not use that of a nop.
            unsafe { (*self.as_ptr()).new_func = address as *mut _ };
        }
    }

    /// The code of the original function, while its object is loaded.
    ///
    /// Tasks that check their own stack do not use this: the index has a copy.
    pub(crate) fn original(&self, _: &Locked) -> Code {
        let ptr = self.as_ptr();
        // SAFETY: The structure lives by the first invariant, and `Locked` excludes writers.
        let (start, size) = unsafe { ((*ptr).old_func as usize, (*ptr).old_size) };
        Code { start, size }
    }

    /// The code of the patch's function.
    pub(crate) fn new_code(&self, _: &Locked) -> Code {
        Code {
            start: self.new_address(),
            // SAFETY: The structure lives by the first invariant, and `Locked` excludes writers.
            size: unsafe { (*self.as_ptr()).new_size },
        }
    }

    /// The node by which the func is on a func stack.
    #[inline(always)]
    pub(crate) fn stack_node(&self) -> *mut bindings::list_head {
        // SAFETY: The structure lives by the first invariant. Nothing is loaded.
        unsafe { &raw mut (*self.as_ptr()).stack_node }
    }

    /// The func that `node` belongs to.
    ///
    /// # Safety
    ///
    /// `node` is the `stack_node` of a func that lives as long as `'a`.
    #[inline(always)]
    pub(crate) unsafe fn from_stack_node<'a>(node: *mut bindings::list_head) -> &'a Self {
        // SAFETY: By the safety requirement the result points to the func that `node` is in.
        let func = unsafe { container_of!(node, bindings::klp_func, stack_node) };
        // SAFETY: The func lives as long as `'a`. The view is transparent, and anything may change
        // behind an `Opaque`.
        unsafe { &*func.cast() }
    }

    /// Whether the func is in transition: some tasks use it, and some do not. The ftrace handler
    /// reads it without `klp_mutex`.
    #[inline(always)]
    pub(crate) fn in_transition(&self) -> bool {
        // SAFETY: The structure lives by the first invariant, and writers store the field whole.
        unsafe { (&raw const (*self.as_ptr()).transition).read_volatile() }
    }

    /// The func's state.
    pub(crate) fn state(&self, _: &Locked) -> FuncState {
        // SAFETY: The structure lives by the first invariant, and `Locked` excludes writers.
        FuncState::new(unsafe { (*self.as_ptr()).patched }, self.in_transition())
    }

    /// Begins or ends the func's transition if the state table allows it. Returns whether it was
    /// legal; if not, nothing has changed.
    pub(crate) fn change_transition(&self, change: Change, locked: &Locked) -> bool {
        matches!(change, Change::Begin | Change::End) && self.change(change, locked)
    }

    /// Makes a change if the state table allows it. Returns whether it was legal; if not, nothing
    /// has changed. After [`Func::init`], no other code writes the booleans.
    ///
    /// If `patched` changes, the caller goes on to put the func on a stack, or to take it off.
    pub(in crate::edge) fn change(&self, change: Change, locked: &Locked) -> bool {
        let Ok(state) = self.state(locked).after(change) else {
            return false;
        };
        let ptr = self.as_ptr();
        // INVARIANT: If `patched` changes, the caller goes on to change the list.
        // SAFETY: The structure lives by the first invariant. `Locked` excludes other writers, and
        // readers without the mutex load the fields whole.
        unsafe {
            (&raw mut (*ptr).patched).write_volatile(state.patched());
            (&raw mut (*ptr).transition).write_volatile(state.transition());
        }
        true
    }
}

/// Frees a func that [`Object::add_nop`] has made. Does nothing for a module's own func.
///
/// # Safety
///
/// `func` points to a func, and the last reference to it is gone.
pub(crate) unsafe fn release_func(func: *mut bindings::klp_func) {
    // SAFETY: `func` points to a func by the safety requirement.
    if !unsafe { (*func).nop } {
        return;
    }
    // SAFETY: A nop was a box in `Object::add_nop()`, and has no more users by the safety
    // requirement.
    let func = unsafe { KBox::from_raw(func) };
    // SAFETY: The name of a nop comes from `copy_name()`.
    unsafe { drop_name(func.old_name) };
}

/// The name of a func of the patch in transition.
///
/// # Invariants
///
/// The pointer is to a string that lives as long as the value and its copies are used.
#[derive(Clone, Copy)]
pub(crate) struct FuncName(*const c_char);

// SAFETY: By the invariants the string lives, on whichever CPU it is read, and it does not change.
unsafe impl Send for FuncName {}

impl FuncName {
    /// The name of `func`.
    ///
    /// # Safety
    ///
    /// The func lives as long as the value and its copies are used.
    pub(crate) unsafe fn of(func: &Func) -> Self {
        // INVARIANT: The func, and so its name, lives that long by the safety requirement.
        Self(func.name().as_char_ptr())
    }

    /// The string, for C.
    pub(crate) fn as_ptr(self) -> *const c_char {
        self.0
    }
}
