// SPDX-License-Identifier: GPL-2.0

//! The rules of live patching, explored and tested in user space.
//!
//! The rules are not here: `rust/kernel/livepatch/model.rs` and its folder are compiled as they
//! are, and so are their KUnit tests.
//!
//! | file | is |
//! |---|---|
//! | `machine` | a simulated machine: tasks, CPUs, func stacks, on loom's atomics and locks |
//! | `interleavings` | the rules on that machine, in all interleavings, also without each barrier |
//! | `parsers` | the parsers of names, against one written from the C core's formats |

#[path = "../../../../../rust/kernel/livepatch"]
mod livepatch {
    // Some of it only the kernel needs.
    #[allow(dead_code)]
    pub(crate) mod model;
    #[cfg(test)]
    mod tests;
}

#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod machine;
#[cfg(test)]
mod parsers;
