// SPDX-License-Identifier: GPL-2.0

//! Counts events, so that a test can assert that the random histories contain them.
//!
//! The crate `versus` compiles this file as well.

use std::collections::BTreeMap;

/// The number of times that each event has happened.
#[derive(Default, Debug)]
pub(crate) struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    pub(crate) fn note(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    /// Those of the needed events that have never happened.
    pub(crate) fn missing(&self, needed: &[&'static str]) -> Vec<&'static str> {
        let needed = needed.iter().copied();
        needed.filter(|what| !self.0.contains_key(what)).collect()
    }
}
