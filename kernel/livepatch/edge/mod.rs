// SPDX-License-Identifier: GPL-2.0-or-later

//! The parts of the kernel that this core uses by way of `unsafe`, each block with its reason.
//!
//! This code decides nothing. The files in `kernel/livepatch/*.c` do the things for it that only C
//! can do; `rust.h` declares their functions.

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
pub(crate) mod reclaim;
pub(crate) mod retired;
pub(crate) mod shadow_table;
pub(crate) mod tasks;
pub(crate) mod trace;
pub(crate) mod work;
