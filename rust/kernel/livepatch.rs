// SPDX-License-Identifier: GPL-2.0-or-later

//! Live patching: replacing functions of the running kernel.
//!
//! This is the core of `CONFIG_LIVEPATCH` when `CONFIG_LIVEPATCH_RUST=y`. Livepatch modules are
//! the same as for the C core, and so are the files in sysfs and procfs and the log.
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
//!      -> core: check, publish in sysfs, resolve symbols
//!      -> transition::init     every task unpatched, every func begins its transition
//!      -> patch: every loaded object's funcs onto the stacks, and into ftrace
//!      -> transition::start    every task is asked to switch
//!      -> transition::try_complete, again and again
//!      -> every func ends its transition: the patch is settled
//!  echo 0 > enabled
//!      -> the same way back: init, start, try_complete; then the funcs leave the stacks
//!      -> core: the patch is freed, its module can be unloaded
//! ```
//!
//! # Map
//!
//! | layer | where | `unsafe` |
//! |---|---|---|
//! | C edge | `kernel/livepatch/` | (C) what only C can do; decides nothing |
//! | Rust edge | `abi`: the ABI's structures; `hooks`: what C calls; `host`: what is called; `stacks`: func stacks and handler; `index`: changing code by address; `elf`, `shadow_table` | each block with its reason |
//! | core | `core`, `patch`, `transition`, `replace`, `modules`, `relocs`, `state`, `shadow`, `symbols`, `sysfs` | none |
//! | model | `model`: the rules | none; depends on [`core`](::core) alone |
//!
//! # Locks
//!
//! | lock | protects | taken by |
//! |---|---|---|
//! | `klp_mutex` | patches, objects, funcs, their lists, the func stacks, the transition | all of the core; sleeps |
//! | `tasklist_lock` | which tasks there are | walks over the tasks, inside `klp_mutex` |
//! | `pi_lock` and runqueue lock | a task keeps still while its stack is checked | inside `tasklist_lock` |
//! | `klp_shadow_lock` | shadow variables, except for finding them | interrupts disabled |
//!
//! Without `klp_mutex` there are: the ftrace handler, and a task that switches itself, on its way
//! out of the kernel, in the idle loop, in `__schedule()`, or that forks. They disable preemption,
//! and `klp_synchronize_transition()` waits for that.
//!
//! # Barriers
//!
//! | orders | in | pairs with |
//! |---|---|---|
//! | tasks' states before funcs' `transition` | `model::transition::init` | second read barrier in `model::redirect` |
//! | target before tasks' pending flags | `model::transition::init`, `reverse` | test-and-clear in `update`, read barrier in `sched_switch` |
//! | funcs' `transition` before func stacks | `core::enable` | first read barrier in `model::redirect` |
//! | funcs' `transition` before tasks' pending flags | `core::disable` | test-and-clear in `update`, before the task's next handler |
//! | a func stack before its place in the table | `stacks::insert` | dependent loads in `stacks::lookup` |
//! | an index before its publication | `index::replace` | load in `index::find_blocker` |

// Without the rest of the core, the tests alone use it.
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
mod replace;
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
mod transition;
