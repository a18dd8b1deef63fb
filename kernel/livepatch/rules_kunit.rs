// SPDX-License-Identifier: GPL-2.0-or-later

//! The rules of live patching, with their KUnit tests.
//!
//! This crate needs no live patching: the tests also run where the architecture has none, as under
//! UML.

#![crate_name = "livepatch_rules"]

#[expect(dead_code, reason = "the core uses the rest")]
mod model;
mod tests;
