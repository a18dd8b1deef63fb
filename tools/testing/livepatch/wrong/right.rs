// SPDX-License-Identifier: GPL-2.0

//! A livepatch without the mistakes of the other files: it must compile.

use kernel::livepatch::{
    module_livepatch,
    Callbacks,
    Lasting,
    Object,
    Shadow,
    State, //
};
use kernel::prelude::*;
use kernel::task::Task;

module_livepatch! {
    name: "right",
    license: "GPL",
    replace: true,
    fixes: ["CVE-2026-1234", "bug:56"],
    states: [STATES, FLAG],
    objects: {
        vmlinux: {
            callbacks: Right,
            funcs: {
                // SAFETY: This is never loaded.
                unsafe fn old_function(value: c_int) -> c_int = new_function,
                // SAFETY: This is never loaded.
                #[sympos(2)]
                unsafe fn "helper.isra.0"(value: c_int) -> c_int = new_function,
                // SAFETY: This is never loaded.
                unsafe fn by_pointer(value: *mut c_void) = unsafe_function,
                // SAFETY: This is never loaded.
                unsafe fn nothing() = nothing,
                // Any function of C may be named like these.
                // SAFETY: This is never loaded.
                unsafe fn check(value: c_int) -> c_int = new_function,
                // SAFETY: This is never loaded.
                unsafe fn match(value: c_int) -> c_int = new_function,
                // SAFETY: This is never loaded.
                unsafe fn wake_up_process(task: &Task) -> c_int = wake_up,
                // In quotation marks, it is not compared with the declaration of C.
                // SAFETY: This is never loaded.
                unsafe fn "wake_up_state"(value: c_int) -> c_int = new_function,
            },
        },
        "8021q": {
            callbacks: Right,
        },
    },
}

static STATES: State<u64> = State::new(1, 1);
static FLAG: State<()> = State::new(2, 1);
static SHADOW: Shadow<KBox<u64>> = Shadow::new::<LocalModule>(1);

/// A type of the livepatch's own.
pub struct Own(pub u32);

// SAFETY: It is a number, in this livepatch alone.
unsafe impl Lasting for Own {}

static OWN: Shadow<(Own, [KVec<u8>; 2])> = Shadow::new::<LocalModule>(1);

struct Right;

impl Callbacks for Right {
    fn post_unpatch(_object: &Object<'_>) {
        OWN.remove_all();
    }
}

extern "C" fn new_function(value: c_int) -> c_int {
    match SHADOW.get(&value) {
        Some(_variable) => value,
        None => 0,
    }
}

unsafe extern "C" fn unsafe_function(_value: *mut c_void) {}

extern "C" fn nothing() {}

extern "C" fn wake_up(_task: &Task) -> c_int {
    0
}
