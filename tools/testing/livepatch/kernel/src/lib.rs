// SPDX-License-Identifier: GPL-2.0

//! The items of the `kernel` crate that the KUnit tests of the model use, in user space.

pub mod macros {
    pub use livepatch_test_macros::kunit_tests;
}
