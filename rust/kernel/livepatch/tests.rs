// SPDX-License-Identifier: GPL-2.0-or-later

//! KUnit tests of the [`model`](super::model), which need no support for live patching.
//!
//! Each file reads as the specification of one rule. By hand:
//!
//! ```text
//! tools/testing/kunit/kunit.py run --kunitconfig=kernel/livepatch
//! ```

mod func;
mod names;
mod redirect;
mod stack;
