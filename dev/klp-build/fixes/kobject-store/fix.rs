// SPDX-License-Identifier: GPL-2.0

//! Let the attribute foo take only numbers, by a livepatch in Rust.
//!
//! It replaces the livepatch with the bug. The function is static, in a module, and stores the
//! number in a static variable of that module.

use kernel::{
    bindings::{
        kobj_attribute,
        kobject,
        kstrtoint, //
    },
    error::to_result,
    livepatch::module_livepatch,
    prelude::*,
    sync::atomic::{
        atomic_store,
        Relaxed, //
    }, //
};

module_livepatch! {
    name: "kobject_store_rust",
    description: "The attribute foo takes only numbers",
    license: "GPL",
    replace: true,
    objects: {
        "kobject_example": {
            funcs: {
                // SAFETY: It is `ssize_t (struct kobject *kobj, const struct kobj_attribute *attr,
                // const char *buf, size_t count)`.
                unsafe fn foo_store(
                    kobj: *mut kobject,
                    attr: *const kobj_attribute,
                    buf: *const c_char,
                    count: usize,
                ) -> isize = store,
            },
            symbols: {
                // SAFETY: It is `static int`.
                unsafe static foo: c_int,
            },
        },
    },
}

/// # Safety
///
/// The arguments are those of the function that it replaces.
unsafe extern "C" fn store(
    _kobj: *mut kobject,
    _attr: *const kobj_attribute,
    buf: *const c_char,
    count: usize,
) -> isize {
    let mut value = 0;
    // SAFETY: sysfs passes a string that ends with a null byte, and `value` is a valid integer.
    if let Err(error) = to_result(unsafe { kstrtoint(buf, 10, &mut value) }) {
        pr_info!("foo takes only numbers\n");
        return error.to_errno() as isize;
    }
    // SAFETY: This replaces a function of the variable's module, so that the variable is there.
    // Other code reads and writes it whole, too.
    unsafe { atomic_store(foo(), value, Relaxed) };
    count as isize
}
