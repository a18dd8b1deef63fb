// SPDX-License-Identifier: GPL-2.0

//! The items of the `kernel` crate that the KUnit tests of the model and a part of the core use, in
//! user space.

pub mod bindings {
    #[allow(non_camel_case_types, reason = "the kernel's own name")]
    pub type gfp_t = u32;
}

pub mod ffi {
    pub use core::ffi::c_void;
}

pub mod macros {
    pub use livepatch_test_macros::kunit_tests;
}
