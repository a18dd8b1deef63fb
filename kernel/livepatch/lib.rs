// SPDX-License-Identifier: GPL-2.0-or-later

// The log messages of the files in this crate are derived from core.c, patch.c, shadow.c, state.c
// and transition.c:
//
// Copyright (C) 2014 Seth Jennings <sjenning@redhat.com>
// Copyright (C) 2014 SUSE
// Copyright (C) 2014-2016 Josh Poimboeuf <jpoimboe@redhat.com>
// Copyright (C) 2017 Joe Lawrence <joe.lawrence@redhat.com>
// Copyright (C) 2019 SUSE

//! The core of live patching, when `CONFIG_LIVEPATCH_RUST=y`.
//!
//! Livepatch modules are the same as for the C core, and so are the files in sysfs and procfs and
//! the log. `Documentation/livepatch/rust-core.rst` describes the states of patches, funcs and
//! tasks, the departure of a livepatch's module, and the tests. `rust-core-differences.rst` there
//! has the differences from the C core.
//!
//! # Life cycle
//!
//! A **patch** is *enabled* or disabled: this states the wanted result, which is not yet true for
//! every task. The patch changes **objects**, vmlinux and modules, in each of them some functions;
//! a **func** is one of these. Objects and funcs are *patched* when the funcs are on the func
//! stacks, where the ftrace handler finds them. A **transition** makes the statement true: the
//! tasks switch one by one, each when it is inside no function that changes.
//!
//! ```text
//!  klp_enable_patch()
//!      -> enable: publish in sysfs, resolve symbols
//!      -> transition::init     every task unpatched, every func begins its transition
//!      -> patch: every loaded object's funcs onto the stacks, and into ftrace
//!      -> transition::start    every task is asked to switch
//!      -> transition::pass     again and again, until every task has switched
//!      -> every func ends its transition: the patch is settled
//!  echo 0 > enabled
//!      -> the same way back: init, start, pass; then the funcs leave the stacks
//!      -> the patch departs: when no task is found in its text, its module can be unloaded
//! ```
//!
//! # Map
//!
//! A file uses the files of its own layer and of the layers below it. Its first line says which
//! part of the layer it holds.
//!
//! | layer | role | `unsafe` |
//! |---|---|---|
//! | [`hooks`] | the functions that C calls | each block with its reason |
//! | files beside `lib.rs` | this kernel, for the rules | only calls of [`edge`], with reasons |
//! | [`edge`] | the parts of the kernel that the core uses | each block with its reason |
//! | [`model`] | the rules, on Rust's `core` crate alone | no |
//!
//! The rules decide everything. The files beside `lib.rs` have no rules of their own; they are the
//! patches, objects, tasks, modules, symbols and sysfs files of this kernel.
//!
//! The rules have no `unsafe`, and yet soundness depends on them. The reasons in the files beside
//! `lib.rs` rest on the order of the rules' steps: these release a thing when nothing uses it any
//! more, and check a stack while its task is still. Some functions of [`edge`] also depend on
//! others that come first, as their comments and invariants say: for example, a patch has no lists
//! before it is initialized.
//!
//! The `.c` files are the C side of `hooks` and `edge`; `rust.h` is the border between them. The C
//! side is called by name, exports symbols, and uses macros and inline functions. It decides
//! nothing.
//!
//! The rules do not describe the code that runs: they are that code. They reach the machine through
//! five traits in `model/host.rs`: `TaskHost` for a task that switches, `PatchHost` for the patches
//! with their objects and funcs, `ModuleHost` for the modules that come and go, `Host` for the
//! transition, and `TextHost` for the text that remains of a patch after it. `patch.rs`,
//! `transition.rs` and `text.rs` implement the traits for this kernel.
//!
//! The tests of all this are in four places:
//!
//! - `tests/` has the KUnit tests of the rules. They run on a simulated machine, `tests/machine/`,
//!   and are compiled in a crate that needs no live patching, `rules_kunit.rs`.
//! - `live_kunit.rs` has KUnit tests that patch functions of this kernel, in `kunit_target.c`.
//! - `tools/testing/livepatch/` tests the rules in user space, on the same simulated machine and on
//!   one with threads.
//! - `tools/testing/selftests/livepatch/` tests the core from outside.
//!
//! `rust/kernel/livepatch.rs`, the files in `rust/kernel/livepatch/` and `rust/macros/livepatch.rs`
//! are the API for livepatches that are written in Rust. It serves them with either core: it is
//! compiled into their modules, and knows nothing of this crate.
//!
//! # Locks
//!
//! - `klp_mutex` protects patches, objects, funcs, their lists, the func stacks, and the
//!   transition. The code of the core holds it, and may sleep. These do not hold it: shadow
//!   variables; readers of the files `enabled`, `transition` and `patched`; the functions that
//!   read the sections and states of a livepatch, or write its relocations while it is being
//!   loaded; and the code that is named below.
//! - `tasklist_lock`, inside it, protects the list of tasks. A walk over all tasks holds it for
//!   reading, the caller of `fork()` for writing.
//! - `klp_exiting_lock`, inside `tasklist_lock` or alone, protects the list of tasks that exit. A
//!   task joins that list with `tasklist_lock` held for writing, so that a walk finds it on one
//!   list or on both. The task leaves the list without `tasklist_lock`. A walk holds
//!   `klp_exiting_lock` during the visit, and a scan takes a reference to the task under it. So
//!   the task lives until its visit is over.
//! - `klp_exiting_cursor_mutex`, outside of `tasklist_lock`, has one walk at a time go over that
//!   list. The walk holds `klp_exiting_lock` for one task at a time.
//! - A task's `pi_lock` or runqueue lock, inside these, keeps the task still while its stack is
//!   checked.
//! - `klp_shadow_spinlock`, which `spin_lock_irqsave()` takes, protects shadow variables and their
//!   table. Readers find a variable under RCU, without the lock.
//!
//! The ftrace handler (`redirect()`) does not hold `klp_mutex`. Neither does a task that runs the
//! rules on itself: on its way out of the kernel and in the idle loop (`update()`), in
//! `__schedule()` (`sched_switch()`), and where it forks (`fork()`). The handler and a task that
//! switches itself disable preemption instead. `klp_synchronize_transition()` waits until every CPU
//! has left the sections without preemption that it was in. After that, the core frees the memory
//! that these sections can have used ([`edge::retired`]).
//!
//! The work that lets go of a livepatch's module (`let_go()`) holds `klp_mutex` for moments only,
//! because it waits for RCU tasks in between. At the end of a patch the core waits, without
//! `klp_mutex`, for the users of the patch's files: a writer to `enabled` takes the mutex.
//!
//! `Documentation/livepatch/rust-core-barriers.rst` lists the barriers, and the failure that
//! each of them prevents.

#![crate_name = "livepatch"]
#![deny(unsafe_code)]
#![allow(rustdoc::private_intra_doc_links, reason = "nothing here is public")]

// `pr_err!` and its like begin each line with this prefix.
const __LOG_PREFIX: &[u8] = b"livepatch\0";

#[expect(unsafe_code, reason = "what C passes in")]
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

#[expect(unsafe_code, reason = "what the kernel offers")]
mod edge;

mod model;

#[cfg(CONFIG_RUST_LIVEPATCH_KUNIT_TEST)]
#[expect(unsafe_code, reason = "functions of C to patch, and KUnit's macros")]
mod live_kunit;
