// SPDX-License-Identifier: GPL-2.0

//! What the KUnit tests of the model take from the `kernel` crate, as far as user space has it.

pub mod macros {
    pub use livepatch_test_macros::kunit_tests;
}
