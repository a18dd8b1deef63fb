// SPDX-License-Identifier: GPL-2.0-or-later

//! The core of live patching, when `CONFIG_LIVEPATCH_RUST=y`.
//!
//! Livepatch modules are the same as for the C core, and so are the files in sysfs and procfs and
//! the log.
//!
//! # Life cycle
//!
//! A **patch** is *enabled* or disabled: a statement about what is wanted. It changes **objects**,
//! vmlinux and modules, in each of them some functions; a **func** is one of these. Objects and
//! funcs are *patched* when the funcs are on the func stacks, where the ftrace handler finds them.
//! Between the two there is a **transition**, in which every task switches by itself, when it is
//! inside no function that changes.
//!
//! ```text
//!  klp_enable_patch()
//!      -> enable: publish in sysfs, resolve symbols
//!      -> transition::init     every task unpatched, every func begins its transition
//!      -> patch: every loaded object's funcs onto the stacks, and into ftrace
//!      -> transition::start    every task is asked to switch
//!      -> transition::try_complete, again and again
//!      -> every func ends its transition: the patch is settled
//!  echo 0 > enabled
//!      -> the same way back: init, start, try_complete; then the funcs leave the stacks
//!      -> the patch departs: when no task can be in its text, its module can be unloaded
//! ```
//!
//! # Map
//!
//! A file uses those of its own layer and of the layers below it.
//!
//! | layer | is | `unsafe` |
//! |---|---|---|
//! | [`hooks`] | what C calls | each with its reason |
//! | the files here | this kernel for the rules: patches, objects, tasks, modules, symbols, sysfs | no |
//! | [`edge`] | what we call | each with its reason |
//! | [`model`] | the rules, on Rust's `core` crate alone: everything is decided there | no |
//!
//! The `.c` files here are the other side of `hooks` and `edge`. `rust/kernel/livepatch.rs` is what
//! livepatches in Rust are written with; it is compiled into their modules, and knows nothing of
//! this crate.
//!
//! # Locks
//!
//! - `klp_mutex` protects patches, objects, funcs, their lists, the func stacks, and the
//!   transition. All of the core holds it, and sleeps.
//! - `tasklist_lock`, inside it, protects which tasks there are.
//! - A task's `pi_lock` or runqueue lock, inside that, keeps it still while its stack is checked.
//! - `klp_exiting_lock`, inside `tasklist_lock` or alone, protects which tasks exit.
//! - `klp_shadow_lock`, with interrupts disabled, protects shadow variables, except for finding
//!   them.
//!
//! Without `klp_mutex` there are the ftrace handler, and a task that switches itself, on its way
//! out of the kernel, in the idle loop, in `__schedule()`, or that forks. They disable preemption,
//! and `klp_synchronize_transition()` waits for that. The work that lets go of a livepatch's module
//! takes `klp_mutex` for moments only, because it waits for RCU tasks.
//!
//! The barriers are in `Documentation/livepatch/rust-core-barriers.rst`.

#![crate_name = "livepatch"]
#![deny(unsafe_code)]

// `pr_err!` and its like begin each line with it.
const __LOG_PREFIX: &[u8] = b"livepatch\0";

#[allow(unsafe_code, reason = "what C passes in")]
mod hooks;

mod batch;
mod core;
mod modules;
mod objects;
mod patch;
mod relocs;
mod report;
mod shadow;
mod state;
mod symbols;
mod sysfs;
mod text;
mod transition;

#[allow(unsafe_code, reason = "what the kernel offers")]
mod edge;

mod model;

#[cfg(CONFIG_RUST_LIVEPATCH_KUNIT_TEST)]
#[allow(unsafe_code, reason = "functions of C to patch, and KUnit's macros")]
mod live_kunit;
