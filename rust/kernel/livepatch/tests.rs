// SPDX-License-Identifier: GPL-2.0-or-later

//! KUnit tests of the [`model`](super::model), which need no support for live patching, and of the
//! real thing where there is some.
//!
//! Each file reads as the specification of one rule. [`machine`] is the machine that they happen
//! on. By hand:
//!
//! ```text
//! tools/testing/kunit/kunit.py run --kunitconfig=kernel/livepatch
//! ```

mod func;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod live;
mod machine;
mod modules;
mod names;
mod patch;
mod redirect;
mod relocs;
mod replace;
mod retry;
mod shadow;
mod stack;
mod state;
mod symbols;
mod task;
mod text;
mod trace;
mod transition;
