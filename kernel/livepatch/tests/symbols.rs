// SPDX-License-Identifier: GPL-2.0-or-later

//! The choice among several symbols of the same name, and the extents of symbols.

#[kernel::macros::kunit_tests(rust_livepatch_symbols)]
mod tests {
    use crate::model::symbols::{
        finish,
        see,
        Extent,
        Failure,
        Search, //
    };
    use core::ops::Range;

    /// The result of a search among symbols at these addresses, and the number of symbols that it
    /// sees.
    fn find(position: usize, addresses: &[usize]) -> (Result<usize, Failure>, usize) {
        let mut search = Search::new(position);
        assert_eq!(search.position(), position);
        let over = addresses.iter().position(|&address| search.see(address));
        let seen = over.map_or(addresses.len(), |place| place + 1);
        (search.result(), seen)
    }

    #[test]
    fn the_only_one_is_meant() {
        assert_eq!(find(0, &[10]), (Ok(10), 1));
        assert_eq!(find(1, &[10]), (Ok(10), 1));
    }

    #[test]
    fn none_is_not_found() {
        for position in 0..3 {
            assert_eq!(find(position, &[]), (Err(Failure::NotFound), 0));
        }
    }

    #[test]
    fn two_are_ambiguous() {
        assert_eq!(find(0, &[10, 20]), (Err(Failure::Ambiguous), 2));
        assert_eq!(find(0, &[10, 20, 30]), (Err(Failure::Ambiguous), 2));
    }

    #[test]
    fn position_tells_which() {
        assert_eq!(find(1, &[10, 20, 30]), (Ok(10), 1));
        assert_eq!(find(2, &[10, 20, 30]), (Ok(20), 2));
        assert_eq!(find(3, &[10, 20, 30]), (Ok(30), 3));
    }

    #[test]
    fn position_out_of_range() {
        assert_eq!(find(2, &[10]), (Err(Failure::TooFew), 1));
        assert_eq!(find(usize::MAX, &[10, 20]), (Err(Failure::TooFew), 2));
    }

    #[test]
    fn what_comes_after_is_not_seen() {
        let mut search = Search::new(1);
        assert!(search.see(10));
        assert!(search.see(20));
        assert_eq!(search.result(), Ok(10));
        assert_eq!(search.position(), 1);
    }

    const SYMBOLS: [usize; 5] = [0x900, 0x140, 0x100, 0x180, 0x140];

    /// The sizes of the symbols that sorted addresses belong to, among [`SYMBOLS`].
    fn sizes<const N: usize>(addresses: [usize; N], region: Range<usize>) -> [Option<usize>; N] {
        let mut extents = addresses.map(Extent::new);
        for at in SYMBOLS {
            see(&mut extents, at);
        }
        finish(&mut extents);
        assert!(extents.map(Extent::address) == addresses);
        extents.map(|extent| extent.size(region.clone()))
    }

    #[test]
    fn symbol_reaches_to_the_next() {
        assert_eq!(sizes([0x100], 0x100..0x200), [Some(0x40)]);
        assert_eq!(sizes([0x140], 0x100..0x200), [Some(0x40)]);
    }

    #[test]
    fn last_symbol_reaches_to_the_end_of_the_region() {
        assert_eq!(sizes([0x180], 0x100..0x200), [Some(0x80)]);
        assert_eq!(sizes([0x900], 0x800..0x910), [Some(0x10)]);
    }

    #[test]
    fn address_inside_belongs_to_the_symbol_before_it() {
        assert_eq!(sizes([0x13f], 0x100..0x200), [Some(0x40)]);
        assert_eq!(sizes([0x1ff], 0x100..0x200), [Some(0x80)]);
    }

    #[test]
    fn symbol_of_another_region_does_not_count() {
        assert_eq!(sizes([0x850], 0x800..0x910), [None]);
        assert_eq!(sizes([0x50], 0..0x60), [None]);
    }

    #[test]
    fn many_are_looked_up_as_one_is() {
        let all = [0x50, 0x100, 0x101, 0x13f, 0x140, 0x17f, 0x180, 0x1ff];
        let together = sizes(all, 0x100..0x200);
        for (address, size) in all.into_iter().zip(together) {
            assert_eq!([size], sizes([address], 0x100..0x200));
        }
        // Symbols between two addresses that are far from both do not change the result.
        assert_eq!(sizes([0x100, 0x900], 0..0x1000), [Some(0x40), Some(0x700)]);
        assert_eq!(sizes([], 0..0x1000), []);
    }
}
