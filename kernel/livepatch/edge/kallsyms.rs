// SPDX-License-Identifier: GPL-2.0-or-later

//! kallsyms, which knows the symbols of vmlinux and of modules.

use core::{
    ffi::CStr,
    ops::ControlFlow,
    ptr, //
};
use kernel::{
    bindings,
    ffi::{
        c_char,
        c_int,
        c_ulong,
        c_void, //
    },
    prelude::*, //
};

/// Calls `visit` with the address of each symbol of vmlinux called `name`, in the order of
/// kallsyms, until it breaks. Sleeps.
pub(crate) fn each_vmlinux_symbol<F>(name: &CStr, mut visit: F)
where
    F: FnMut(usize) -> ControlFlow<()>,
{
    /// # Safety
    ///
    /// `visit` points to an `F`.
    unsafe extern "C" fn call<F: FnMut(usize) -> ControlFlow<()>>(
        visit: *mut c_void,
        address: c_ulong,
    ) -> c_int {
        // SAFETY: `visit` points to an `F` by the safety requirement. `each_vmlinux_symbol()` does
        // not use it meanwhile, and the calls come one after the other.
        let visit = unsafe { &mut *visit.cast::<F>() };
        visit(address).is_break().into()
    }

    let visit = (&raw mut visit).cast();
    // SAFETY: `name` is a string, and `call` gets `visit`, which points to an `F`.
    unsafe { bindings::kallsyms_on_each_match_symbol(Some(call::<F>), name.as_char_ptr(), visit) };
}

/// Calls `visit` with the name and the address of each symbol of the module called `module`, in
/// the order of kallsyms, until it breaks. Sleeps.
pub(crate) fn each_module_symbol<F>(module: &CStr, mut visit: F)
where
    F: FnMut(&CStr, usize) -> ControlFlow<()>,
{
    /// # Safety
    ///
    /// `visit` points to an `F`, and `name` to a string.
    unsafe extern "C" fn call<F: FnMut(&CStr, usize) -> ControlFlow<()>>(
        visit: *mut c_void,
        name: *const c_char,
        address: c_ulong,
    ) -> c_int {
        // SAFETY: `visit` points to an `F` by the safety requirement. `each_module_symbol()` does
        // not use it meanwhile, and the calls come one after the other.
        let visit = unsafe { &mut *visit.cast::<F>() };
        // SAFETY: `name` points to a string by the safety requirement.
        let name = unsafe { CStr::from_char_ptr(name) };
        visit(name, address).is_break().into()
    }

    let visit = (&raw mut visit).cast();
    // SAFETY: `module` is a string, and `call` gets `visit`, which points to an `F`, and strings.
    unsafe {
        bindings::module_kallsyms_on_each_symbol(module.as_char_ptr(), Some(call::<F>), visit)
    };
}

/// Whether a symbol marks a place for tools, and is no function or object.
pub(crate) fn is_mapping_symbol(name: &CStr) -> bool {
    // SAFETY: `name` is a string, and the function only reads its first characters.
    unsafe { bindings::klp_is_mapping_symbol(name.as_char_ptr()) }
}

/// Whether a function that kallsyms knows begins at `address`.
pub(crate) fn is_function(address: usize) -> bool {
    let (mut size, mut offset) = (0, 0);
    // SAFETY: The function stores to both variables, and any address may be looked up.
    let found = unsafe { bindings::kallsyms_lookup_size_offset(address, &mut size, &mut offset) };
    found != 0 && offset == 0
}

/// The size of the function at `address`, if kallsyms knows it. 0 is for "unknown".
pub(crate) fn symbol_size(address: usize) -> Option<usize> {
    let mut size = 0;
    // SAFETY: The function stores to `size`, and takes null for an offset that is not wanted.
    let found =
        unsafe { bindings::kallsyms_lookup_size_offset(address, &mut size, ptr::null_mut()) };
    (found != 0).then_some(size)
}
