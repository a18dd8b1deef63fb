// SPDX-License-Identifier: GPL-2.0-or-later

//! The messages about events, and additions to the `kernel` crate's `pr_*!` and `warn_on!`.

use core::ffi::CStr;
use kernel::{
    bindings,
    fmt,
    prelude::*, //
};

/// Prints the message about an event, which names the patch and the object that it is about.
///
/// `error` is the error with which a step has failed, or 0.
pub(crate) fn event(
    event: bindings::klp_event,
    patch: Option<&CStr>,
    object: Option<&CStr>,
    error: i32,
    patching: bool,
) {
    let text = |name: Option<&CStr>| name.map_or(core::ptr::null(), CStr::as_char_ptr);
    // SAFETY: The names are strings, which the function copies to the log, or null.
    unsafe { bindings::klp_log(event, text(patch), text(object), error, patching) };
}

/// A string that messages print as it is.
///
/// `CStr` itself escapes all bytes but printable ASCII, which `%s` does not do. Bytes that are not
/// UTF-8 have to stay escaped, because Rust's formatting does not take them.
pub(crate) struct Text<'a>(pub(crate) &'a CStr);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.to_bytes().utf8_chunks() {
            f.write_str(chunk.valid())?;
            for byte in chunk.invalid() {
                f.write_fmt(fmt!("\\x{byte:02x}"))?;
            }
        }
        Ok(())
    }
}

/// Warns with a backtrace, the first time that the condition is true; evaluates to the condition.
macro_rules! warn_on_once {
    ($condition:expr) => {{
        let condition: bool = $condition;
        if condition {
            ::kernel::do_once_lite! {
                ::kernel::warn_on!(true);
            }
        }
        condition
    }};
}
pub(crate) use warn_on_once;
