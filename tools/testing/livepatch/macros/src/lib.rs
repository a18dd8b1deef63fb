// SPDX-License-Identifier: GPL-2.0

//! KUnit's attributes, for tests that run in user space.

use proc_macro::TokenStream;

/// A KUnit suite: here, a module of ordinary `#[test]` functions.
#[proc_macro_attribute]
pub fn kunit_tests(_suite: TokenStream, module: TokenStream) -> TokenStream {
    module
}
