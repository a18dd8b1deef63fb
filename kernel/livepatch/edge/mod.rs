// SPDX-License-Identifier: GPL-2.0-or-later

//! Everything that this core uses of the kernel by way of `unsafe`, each block with its reason.
//!
//! What is here decides nothing. The files in `kernel/livepatch/*.c` do for it what C alone can do;
//! `rust.h` declares that.

pub(crate) mod abi;
pub(crate) mod elf;
pub(crate) mod ftrace;
pub(crate) mod func_stacks;
pub(crate) mod index;
pub(crate) mod kallsyms;
pub(crate) mod log;
pub(crate) mod mutex;
pub(crate) mod notify;
pub(crate) mod patches;
pub(crate) mod retired;
pub(crate) mod shadow_table;
pub(crate) mod tasks;
pub(crate) mod trace;
pub(crate) mod work;
