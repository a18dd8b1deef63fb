// SPDX-License-Identifier: GPL-2.0-or-later

//! Live patching: replacing functions of the running kernel.
//!
//! This is the core of `CONFIG_LIVEPATCH` when `CONFIG_LIVEPATCH_RUST=y`. Livepatch modules are
//! the same as for the C core, and so are the files in sysfs and procfs and the log.
//!
//! With either core, it has what livepatches are written with in Rust: `module_livepatch!`,
//! `Callbacks`, `Shadow` and `State`. That is all that is public.
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
//! - **C edge**, `kernel/livepatch/`: what only C can do. Decides nothing.
//! - **Rust edge**, each `unsafe` with its reason: `abi`, the structures that modules know;
//!   `hooks`, what C calls; `host`, what is called; `stacks`, the func stacks and the
//!   handler; `index`, changing code by address; `retired`, what waits to be freed; `trace`, the
//!   tracepoints; `elf` and `shadow_table`.
//! - **Core**, no `unsafe`, this kernel for the model: `core`, patches as they are passed in;
//!   `patch`, their objects and funcs; `ftrace`, functions in batches; `transition`, tasks;
//!   `modules`; `text`, modules that are let go; `relocs`; `symbols`; `state`; `shadow`; `sysfs`.
//! - **Model**, `model`: the rules, without `unsafe`, on the `core` crate alone. Everything is
//!   decided there: the life of a patch, transitions, replace, modules that come and go.
//! - **API**, `api`: what livepatches in Rust are written with. It is compiled into their modules,
//!   for either core, and knows nothing of the others.
//!
//! # Locks
//!
//! - `klp_mutex` protects patches, objects, funcs, their lists, the func stacks, and the
//!   transition. All of the core holds it, and sleeps.
//! - `tasklist_lock`, inside it, protects which tasks there are.
//! - A task's `pi_lock` or runqueue lock, inside that, keeps it still while its stack is checked.
//! - `klp_shadow_lock`, with interrupts disabled, protects shadow variables, except for finding
//!   them.
//!
//! - `klp_exiting_lock`, inside `tasklist_lock` or alone, protects which tasks exit.
//!
//! Without `klp_mutex` there are the ftrace handler, and a task that switches itself, on its way
//! out of the kernel, in the idle loop, in `__schedule()`, or that forks. They disable preemption,
//! and `klp_synchronize_transition()` waits for that. The work that lets go of a livepatch's module
//! takes `klp_mutex` for moments only, because it waits for RCU tasks.
//!
//! # Barriers
//!
//! What is ordered, where, and what that pairs with:
//!
//! 1. tasks' states before funcs' `transition`, in `model::transition::init()`: the second read
//!    barrier in `model::redirect`;
//! 2. the target, funcs' `transition` and their place on the func stacks before tasks' pending
//!    flags, in `model::transition::start()`: the test-and-clear in `update()` and the read barrier
//!    in `sched_switch()`, before the load of the target and the task's next handler;
//! 3. funcs' `transition` before their place on the func stacks, in `model::enable::begin()`: the
//!    first read barrier in `model::redirect`;
//! 4. a func stack before its place in the table, in `stacks::insert()`: the dependent loads in
//!    `stacks::lookup()`;
//! 5. an index before its publication, in `index::replace()`: the load in
//!    `index::find_blocker()`;
//! 6. a shadow variable before its place in a chain, in `shadow_table::Link::store()`, and a table
//!    before its publication, in `Migration::step()`: the dependent loads in
//!    `shadow_table::find()`.

#[cfg(CONFIG_LIVEPATCH)]
mod api;
#[cfg(CONFIG_LIVEPATCH)]
pub use self::api::*;

// Without the rest of the core, the tests alone use it.
#[cfg(any(CONFIG_LIVEPATCH_RUST, CONFIG_RUST_LIVEPATCH_KUNIT_TEST))]
#[cfg_attr(not(CONFIG_LIVEPATCH_RUST), allow(dead_code))]
mod model;
#[cfg(CONFIG_RUST_LIVEPATCH_KUNIT_TEST)]
mod tests;

#[cfg(CONFIG_LIVEPATCH_RUST)]
mod abi;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod core;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod elf;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod ftrace;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod hooks;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod host;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod index;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod modules;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod patch;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod relocs;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod retired;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod shadow;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod shadow_table;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod stacks;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod state;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod symbols;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod sysfs;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod text;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod trace;
#[cfg(CONFIG_LIVEPATCH_RUST)]
mod transition;
