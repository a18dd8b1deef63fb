// SPDX-License-Identifier: GPL-2.0

//! Compares the C core of live patching with the rules in Rust, in the same random histories.
//!
//! The crate compiles the C core from the kernel tree unchanged, against headers that give it a
//! machine of one thread (`include/machine.h`, `csrc/`). It compiles the rules unchanged, with the
//! machine of their KUnit tests, and `messages.c`, which prints the rules' messages. After each
//! operation it compares
//!
//! - the result of the operation;
//! - the patches with their objects, the func stacks, and the functions in ftrace;
//! - the state of each task, its pending flag, how often it was woken up or signaled, and the
//!   version of each function that it reaches;
//! - the log, debug messages and callbacks included, line by line;
//! - whether a core has warned;
//! - the patches that were freed, and whether the C core puts their modules;
//! - whether another pass is arranged, and whether tasks try to switch in `__schedule()`;
//! - the states that callbacks find, and the shadow variables with their values, constructors and
//!   destructors.
//!
//! At the end of each history all patches are disabled. Then the module of each patch has been put
//! once, and no memory and no kobject of the C core is left.
//!
//! Of the rest of the core in Rust, `state.rs` and `shadow.rs` are compiled unchanged as well. The
//! table of shadow variables is not the kernel's: that one makes its heads with `kvmalloc()`, frees
//! variables after RCU's readers, and grows in a work item that an interrupt queues. A map is in
//! its place (`src/edge/`). KUnit and the selftests test the kernel's table.
//!
//! The cores are meant to differ in the points that
//! `Documentation/livepatch/rust-core-differences.rst` lists. `src/meant.rs` has the names of those
//! that histories could show. The rules do a pass once a second here, and disturb no running task,
//! as with `CONFIG_LIVEPATCH_RUST_RETRY_EACH_SECOND`.
//!
//! Allocations and other calls of the kernel fail on both cores. The cores do not make the same
//! calls, so one core can fail where the other does not. Then the crate checks the error, and that
//! the core has changed nothing. The core tries again. The log of an operation that fails is not
//! compared.
//!
//! A disabled patch is not enabled again below a patch that changes the same functions, because of
//! the difference `end-of-func-stack`. With `KLP_FIXED=1` it is: then `KLP_TREE` has to be a tree
//! with the fix of that bug in the C core. Without the fix the test fails.
//!
//! `PROPTEST_CASES=n` sets the number of histories, and `KLP_TREE` names the kernel tree. The tests
//! that are ignored compare a million histories.

#[cfg(all(test, core_in_c))]
#[allow(dead_code, unused_imports)]
#[path = "../../../../../kernel/livepatch/tests/machine/mod.rs"]
mod machine;
#[cfg(core_in_c)]
#[allow(dead_code)]
#[path = "../../../../../kernel/livepatch/model/mod.rs"]
mod model;

#[cfg(all(test, core_in_c))]
mod c;
#[cfg(all(test, core_in_c))]
mod edge;
#[cfg(all(test, core_in_c))]
mod history;
#[cfg(all(test, core_in_c))]
mod lines;
#[cfg(all(test, core_in_c))]
mod meant;
#[cfg(all(test, core_in_c))]
mod pair;
#[cfg(all(test, core_in_c))]
mod picture;
#[cfg(all(test, core_in_c))]
#[allow(dead_code)]
#[path = "../../../../../kernel/livepatch/shadow.rs"]
mod shadow;
#[cfg(all(test, core_in_c))]
#[path = "../../../../../kernel/livepatch/state.rs"]
mod state;
#[cfg(all(test, core_in_c))]
#[path = "../../histories/src/tally.rs"]
mod tally;
#[cfg(all(test, core_in_c))]
mod tests;

#[cfg(all(test, not(core_in_c)))]
mod no_core;
