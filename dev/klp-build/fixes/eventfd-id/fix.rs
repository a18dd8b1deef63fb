// SPDX-License-Identifier: GPL-2.0

//! Show the ids of eventfds, kept in shadow variables, by a livepatch in Rust.
//!
//! An eventfd gets its id when it is shown for the first time. It loses the id with its file,
//! because only the file shows it. `eventfd_free()` cannot be replaced: the compiler has inlined it
//! into two functions.

use kernel::{
    bindings::{
        file,
        inode,
        kref,
        wait_queue_head_t,
        EFD_SEMAPHORE, //
    },
    livepatch::{
        module_livepatch,
        Callbacks,
        Object,
        Shadow, //
    },
    prelude::*,
    seq_file::{
        seq_print,
        SeqFile, //
    },
    sync::atomic::{
        atomic_load,
        Atomic,
        Relaxed, //
    }, //
};

module_livepatch! {
    name: "eventfd_id_rust",
    description: "The ids of eventfds are shown",
    license: "GPL",
    objects: {
        vmlinux: {
            callbacks: Fix,
            funcs: {
                // SAFETY: It is `void (struct seq_file *m, struct file *f)`, and `m` is valid
                // during the call.
                unsafe fn eventfd_show_fdinfo(m: &SeqFile, f: *mut file) = show_fdinfo,
                // SAFETY: It is `int (struct inode *inode, struct file *file)`.
                unsafe fn eventfd_release as original_release(
                    inode: *mut inode,
                    file: *mut file,
                ) -> c_int = release,
            },
        },
    },
}

/// The id of an eventfd, attached to its context.
static ID: Shadow<i32> = Shadow::new::<LocalModule>(1);

/// The id of the next eventfd.
static NEXT: Atomic<i32> = Atomic::new(1);

/// The beginning of `struct eventfd_ctx`, which is defined in `fs/eventfd.c`. The types of the
/// first fields are the kernel's own, and so are their sizes.
#[repr(C)]
struct Context {
    kref: kref,
    wqh: wait_queue_head_t,
    count: u64,
    flags: c_uint,
}

/// The context of the eventfd whose file this is.
///
/// # Safety
///
/// `file` is the file of an eventfd, and is not freed while the result is used.
unsafe fn context(file: *mut file) -> *const Context {
    // SAFETY: The file is valid by the safety requirement, and the field does not change.
    unsafe { (*file).private_data.cast_const().cast() }
}

/// # Safety
///
/// The arguments are those of the function that it replaces.
unsafe extern "C" fn show_fdinfo(m: &SeqFile, f: *mut file) {
    // SAFETY: It is the file of an eventfd, to which the caller holds a reference.
    let context = unsafe { context(f) };
    if let Ok(id) = ID.get_or_alloc(context, GFP_KERNEL, || Ok(NEXT.fetch_add(1, Relaxed))) {
        seq_print!(m, "eventfd-id: {}\n", *id);
    }
    // SAFETY: The context lives as long as the file. Writers store the count whole.
    let count = unsafe { atomic_load(&raw mut (*context.cast_mut()).count, Relaxed) };
    // SAFETY: The context lives as long as the file, and its flags do not change.
    let flags = unsafe { (*context).flags };
    seq_print!(m, "eventfd-count: {count:16x}\n");
    seq_print!(m, "eventfd-semaphore: {}\n", flags & EFD_SEMAPHORE);
}

/// # Safety
///
/// The arguments are those of the function that it replaces.
unsafe extern "C" fn release(inode: *mut inode, file: *mut file) -> c_int {
    // SAFETY: It is the file of an eventfd, which the caller frees later.
    ID.remove(unsafe { context(file) });
    // SAFETY: The arguments are for the original by the safety requirement.
    unsafe { original_release(inode, file) }
}

struct Fix;

impl Callbacks for Fix {
    fn post_unpatch(_object: &Object<'_>) {
        // From now on the kernel frees eventfds without regard to their variables.
        ID.remove_all();
    }
}
