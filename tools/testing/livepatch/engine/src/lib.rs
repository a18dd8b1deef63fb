// SPDX-License-Identifier: GPL-2.0

//! The rules of live patching, explored and tested in user space.
//!
//! The rules are not here: `kernel/livepatch/model/` is compiled as it
//! is, and so are its KUnit tests.
//!
//! | file | is |
//! |---|---|
//! | `machine` | a simulated machine: tasks, CPUs, func stacks, on loom's atomics and locks |
//! | `interleavings` | the rules on that machine, in all interleavings, also without each barrier |
//! | `parsers` | the parsers of names, against one written from the C core's formats |

// Some of it only the kernel needs.
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
