// SPDX-License-Identifier: GPL-2.0

//! A livepatch that uses symbols and originals without the mistakes of the other files: it must
//! compile.

use kernel::livepatch::{
    module_livepatch,
    Callbacks,
    Represents, //
};
use kernel::prelude::*;
use kernel::seq_file::SeqFile;
use kernel::task::Task;
use kernel::{
    bindings,
    types::Opaque, //
};

module_livepatch! {
    name: "right_symbols",
    license: "GPL",
    objects: {
        vmlinux: {
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn wake_up_process as original_wake_up(task: &Task) -> c_int = wake_up,
                // SAFETY: This is never loaded.
                unsafe fn jiffies_64_to_clock_t(x: u64) -> u64 = to_clock_t,
                // SAFETY: This is never loaded.
                unsafe fn igrab(inode: Option<&Inode>) -> *mut bindings::inode = grab,
            },
            symbols: {
                /// A function that is used.
                // SAFETY: This is never loaded.
                unsafe fn free_own(own: KBox<Own>, next: Option<&Task>) -> Option<KBox<Own>>,
                // SAFETY: This is never loaded.
                unsafe fn seq_puts(m: &SeqFile, text: *const c_char),
                // SAFETY: This is never loaded.
                unsafe static jiffies: c_ulong,
            },
        },
        "8021q": {
            callbacks: Right,
            symbols: {
                // SAFETY: This is never loaded.
                #[sympos(2)]
                unsafe static "limit.1" as limit: [Own; 2],
                // SAFETY: This is never loaded.
                unsafe fn "helper.isra.0" as helper(value: c_int),
            },
        },
    },
}

struct Own(c_int);

/// An inode.
#[repr(transparent)]
pub struct Inode(Opaque<bindings::inode>);

// SAFETY: It is a transparent wrapper of an `Opaque`.
unsafe impl Represents<bindings::inode> for Inode {}

struct Right;

impl Callbacks for Right {}

extern "C" fn wake_up(task: &Task) -> c_int {
    // SAFETY: This is never loaded.
    unsafe { original_wake_up(task) }
}

extern "C" fn to_clock_t(x: u64) -> u64 {
    // A local variable can have the name of a symbol.
    // SAFETY: This is never loaded.
    let limit = unsafe { (*limit())[0].0 };
    // SAFETY: This is never loaded.
    unsafe {
        helper(limit);
        x + jiffies().read() as u64
    }
}

extern "C" fn grab(inode: Option<&Inode>) -> *mut bindings::inode {
    match inode {
        Some(inode) => inode.0.get(),
        None => core::ptr::null_mut(),
    }
}

/// Nothing calls this.
pub fn puts(m: &SeqFile) -> Result {
    // SAFETY: This is never loaded.
    unsafe { seq_puts(m, c"text".as_char_ptr()) };
    let own = KBox::new(Own(1), GFP_KERNEL)?;
    // SAFETY: This is never loaded.
    let _ = unsafe { free_own(own, None) };
    Ok(())
}
