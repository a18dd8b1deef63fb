// SPDX-License-Identifier: GPL-2.0-or-later

//! The choice among several symbols of the same name, and the extents of symbols.

use core::ops::Range;

/// A search for one symbol by name and position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Search {
    /// The position among the symbols of that name, from 1; 0 if there must be only one.
    position: usize,
    count: usize,
    address: usize,
}

/// Why a search has no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// There is no such symbol.
    NotFound,
    /// There are several, and the search has no position.
    Ambiguous,
    /// There are fewer symbols of that name than the position.
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

    /// The position that the search was made with.
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

    /// Without a position, the search looks for a second symbol, which shows that the name is
    /// ambiguous.
    fn is_over(self) -> bool {
        match self.position {
            0 => self.count > 1,
            position => self.count == position,
        }
    }

    /// The address of the symbol that was searched for.
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

/// An address, and the extent of the symbol that it belongs to.
///
/// A symbol reaches to the next one, or to the end of the region of memory that it is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Extent {
    /// The address that is looked up.
    address: usize,
    /// The last symbol at or below the address, among those that [`see`] and [`finish`] have noted
    /// here.
    start: Option<usize>,
    /// The first symbol above the address, among those that [`see`] and [`finish`] have noted here.
    end: usize,
}

impl Extent {
    /// The extent of the symbol that `address` belongs to; no symbol has been seen yet.
    pub(crate) fn new(address: usize) -> Self {
        Self {
            address,
            start: None,
            end: usize::MAX,
        }
    }

    /// The address that is looked up.
    pub(crate) fn address(self) -> usize {
        self.address
    }

    /// The size in bytes of the symbol, after [`finish`]. `None` if no symbol in `region` begins at
    /// the address or below it. The address is in `region`.
    pub(crate) fn size(self, region: Range<usize>) -> Option<usize> {
        let start = self.start.filter(|start| region.contains(start))?;
        self.end.min(region.end).checked_sub(start)
    }
}

/// Sees a symbol at `at`, on behalf of all `extents`, which are sorted by their addresses.
///
/// This notes the symbol only in the two extents next to it. [`finish`] notes it in the others.
pub(crate) fn see(extents: &mut [Extent], at: usize) {
    let (below, others) = extents
        .split_at_mut_checked(extents.partition_point(|extent| extent.address < at))
        .unwrap_or_default();
    if let Some(extent) = below.last_mut() {
        extent.end = extent.end.min(at);
    }
    if let Some(extent) = others.first_mut() {
        extent.start = extent.start.max(Some(at));
    }
}

/// Completes sorted `extents` when every symbol has been seen.
///
/// A symbol below an address is below all higher addresses, too. A symbol above an address is above
/// all lower ones.
pub(crate) fn finish(extents: &mut [Extent]) {
    let mut start = None;
    for extent in extents.iter_mut() {
        start = extent.start.max(start);
        extent.start = start;
    }
    let mut end = usize::MAX;
    for extent in extents.iter_mut().rev() {
        end = extent.end.min(end);
        extent.end = end;
    }
}
