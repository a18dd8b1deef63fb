// SPDX-License-Identifier: GPL-2.0

//! Limit the error that adjtimex() sets, and the one that it has set, by a livepatch in Rust.
//!
//! The livepatch with the bug stays in use: this one replaces a caller of the function that has
//! the bug, limits the argument, and calls the original. The same call corrects an error that is
//! already stored.

use kernel::{
    bindings::{
        __kernel_timex,
        ADJ_ESTERROR,
        NTP_PHASE_LIMIT, //
    },
    error::to_result,
    livepatch::{
        module_livepatch,
        Callbacks,
        Object, //
    },
    prelude::*, //
};

module_livepatch! {
    name: "ntp_error_rust",
    description: "The error that adjtimex() sets has limits",
    license: "GPL",
    objects: {
        vmlinux: {
            callbacks: Fix,
            funcs: {
                // SAFETY: It is `int (struct __kernel_timex *txc)`.
                unsafe fn do_adjtimex as original(txc: *mut __kernel_timex) -> c_int = adjtimex,
            },
        },
    },
}

#[cfg(CONFIG_POSIX_AUX_CLOCKS)]
compile_error!("auxiliary clocks are not set by do_adjtimex(): replace aux_clock_adj(), too");

/// An error within the limits. One below 0 says nothing, and counts as the largest.
fn limited(error: i64) -> i64 {
    let largest = i64::from(NTP_PHASE_LIMIT);
    if (0..largest).contains(&error) {
        error
    } else {
        largest
    }
}

/// # Safety
///
/// The arguments are those of the function that it replaces.
unsafe extern "C" fn adjtimex(txc: *mut __kernel_timex) -> c_int {
    // SAFETY: The structure is valid, and no other code uses it during the call.
    limit(unsafe { &mut *txc });
    // SAFETY: The argument is for the original by the safety requirement.
    unsafe { original(txc) }
}

fn limit(txc: &mut __kernel_timex) {
    if txc.modes & ADJ_ESTERROR != 0 {
        txc.esterror = limited(txc.esterror);
    }
}

/// Reads the stored error, and stores it again if it is not within the limits.
///
/// adjtimex() can store another error in between, which is then lost.
fn correct() -> Result {
    let mut txc = __kernel_timex::default();
    // SAFETY: `txc` is a valid structure. Without modes, the function only fills it in.
    to_result(unsafe { original(&mut txc) })?;
    if limited(txc.esterror) != txc.esterror {
        txc.modes = ADJ_ESTERROR;
        limit(&mut txc);
        // SAFETY: `txc` is a valid structure.
        to_result(unsafe { original(&mut txc) })?;
    }
    Ok(())
}

struct Fix;

impl Callbacks for Fix {
    fn post_patch(_object: &Object<'_>) {
        // From now on every task limits the error that it sets.
        if let Err(error) = correct() {
            pr_warn!("the error of the clock is not limited: {error:?}\n");
        }
    }
}
