// SPDX-License-Identifier: GPL-2.0

//! The rules of live patching, explored and tested in user space.
//!
//! This crate has no copy of the rules: it compiles the files in `kernel/livepatch/model/` and
//! their KUnit tests unchanged.
//!
//! | file | content |
//! |---|---|
//! | `machine` | a simulated machine: tasks, CPUs, func stacks, on loom's atomics and locks |
//! | `interleavings` | all interleavings of the rules on that machine, also without each barrier |
//! | `parsers` | the parsers of names, compared with one written from the C core's formats |

// Only the kernel needs some of the items.
#[allow(dead_code)]
#[path = "../../../../../kernel/livepatch/model/mod.rs"]
mod model;
#[cfg(test)]
#[path = "../../../../../kernel/livepatch/tests/mod.rs"]
mod tests;

#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod parsers;
