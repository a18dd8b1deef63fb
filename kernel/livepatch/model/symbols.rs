// SPDX-License-Identifier: GPL-2.0-or-later

//! Which of several symbols of the same name is meant, and how far a symbol reaches.

use core::ops::Range;

/// A search for one symbol by name and position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Search {
    /// Which of the symbols of that name, from 1; 0 if there must be one.
    position: usize,
    count: usize,
    address: usize,
}

/// Why a search has no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// There is no such symbol.
    NotFound,
    /// There are several, and it is not said which.
    Ambiguous,
    /// There are not as many.
    TooFew,
}

impl Search {
    /// A search that has seen nothing yet.
    pub(crate) fn new(position: usize) -> Self {
        Self {
            position,
            count: 0,
            address: 0,
        }
    }

    /// Which of the symbols is meant.
    pub(crate) fn position(self) -> usize {
        self.position
    }

    /// Sees the next symbol of that name, in the order of kallsyms. Returns whether the search is
    /// over.
    pub(crate) fn see(&mut self, address: usize) -> bool {
        if !self.is_over() {
            self.count = self.count.saturating_add(1);
            self.address = address;
        }
        self.is_over()
    }

    /// One more than wanted tells that the name is ambiguous.
    fn is_over(self) -> bool {
        match self.position {
            0 => self.count > 1,
            position => self.count == position,
        }
    }

    /// The address of the symbol that is meant.
    pub(crate) fn result(self) -> Result<usize, Failure> {
        if self.address == 0 {
            Err(Failure::NotFound)
        } else if self.position == 0 && self.count > 1 {
            Err(Failure::Ambiguous)
        } else if self.position > self.count {
            Err(Failure::TooFew)
        } else {
            Ok(self.address)
        }
    }
}

/// The size in bytes of the symbol that `address`, inside `region` of memory, belongs to.
///
/// `sorted` are the addresses of all symbols there are, in that order. A symbol reaches to the next
/// one, or to the end of the region.
pub(crate) fn size(address: usize, sorted: &[usize], region: Range<usize>) -> Option<usize> {
    let (before, after) = sorted.split_at_checked(sorted.partition_point(|&at| at <= address))?;
    let start = *before.last().filter(|start| region.contains(start))?;
    let end = after
        .first()
        .map_or(region.end, |&next| next.min(region.end));
    end.checked_sub(start)
}
