// SPDX-License-Identifier: GPL-2.0-or-later

//! KUnit tests of the [`model`](super::model), which need no support for live patching.
//!
//! Each file reads as the specification of one rule. The tests run on the simulated [`machine`]. By
//! hand:
//!
//! ```text
//! tools/testing/kunit/kunit.py run --kunitconfig=kernel/livepatch
//! ```

mod blocker;
mod func;
mod idle;
mod machine;
mod modules;
mod names;
mod notify;
mod patch;
mod redirect;
mod relocs;
mod replace;
mod retry;
mod settle;
mod shadow;
mod state;
mod symbols;
mod task;
mod text;
mod trace;
mod transition;
