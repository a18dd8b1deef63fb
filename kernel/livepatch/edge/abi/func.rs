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
        },
        patch::Which, //
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
/// As [`Patch`]'s.
#[repr(transparent)]
pub(crate) struct Func(Opaque<bindings::klp_func>);

impl Func {
    pub(super) fn as_ptr(&self) -> *mut bindings::klp_func {
        self.0.get()
    }

    /// Whether this is a func, and not the end of the array.
    pub(super) fn is_declared(&self) -> bool {
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

    pub(super) fn init(&self, object: &Object, _: &Locked) {
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
    /// Tasks that check their own stack do not use this: the index has a copy.
    pub(crate) fn original(&self, _: &Locked) -> Code {
        // SAFETY: By the type invariants, and `Locked` excludes writers.
        unsafe {
            Code {
                start: (*self.as_ptr()).old_func as usize,
                size: (*self.as_ptr()).old_size,
            }
        }
    }

    /// The code of the patch's function.
    pub(crate) fn new_code(&self, _: &Locked) -> Code {
        Code {
            start: self.new_address(),
            // SAFETY: By the type invariants, and `Locked` excludes writers.
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
        // SAFETY: By the type invariants.
        FuncState::new(unsafe { (*self.as_ptr()).patched }, self.in_transition())
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
            (&raw mut (*ptr).patched).write_volatile(state.patched());
            (&raw mut (*ptr).transition).write_volatile(state.transition());
        }
        true
    }
}

/// Takes funcs off an object's list and drops the references to them: all, or the nops.
///
/// # Safety
///
/// `funcs` is the initialized list of an object's funcs, `klp_mutex` is held, and no reference to a
/// released func is left.
pub(super) unsafe fn release_func_list(funcs: *mut bindings::list_head, which: Which) {
    // SAFETY: By the safety requirements. `next` is loaded before what it follows is released.
    unsafe {
        let mut node = (*funcs).next;
        while node != funcs {
            let func = container_of!(node, bindings::klp_func, node);
            node = (*node).next;
            if which == Which::All || (*func).nop {
                bindings::klp_list_del(&raw mut (*func).node);
                bindings::klp_kobj_put_func(func);
            }
        }
    }
}

/// Frees a func that [`Object::add_nop`] made; nothing for a module's own.
///
/// # Safety
///
/// The last reference to `func` is gone.
pub(crate) unsafe fn release_func(func: *mut bindings::klp_func) {
    // SAFETY: By the safety requirement; a nop comes from a `KBox`, and its name from
    // `copy_name()`.
    unsafe {
        if (*func).nop {
            drop_name((*func).old_name);
            drop(KBox::from_raw(func));
        }
    }
}

/// The name of a func of the patch in transition; a string that lives as long as the index.
#[derive(Clone, Copy)]
pub(crate) struct FuncName(*const c_char);

impl FuncName {
    /// The name of `func`, which outlives the index that this goes into.
    pub(crate) fn of(func: &Func) -> Self {
        Self(func.name().as_char_ptr())
    }

    /// The string, for C.
    pub(crate) fn as_ptr(self) -> *const c_char {
        self.0
    }
}
