// SPDX-License-Identifier: GPL-2.0-or-later

//! When a stack holds a function that changes.

#[kernel::macros::kunit_tests(rust_livepatch_stack)]
mod tests {
    use crate::model::blocker::{
        changing,
        find_blocker,
        in_handler,
        may_hold,
        sort,
        Changing,
        Code, //
    };

    const fn code(start: usize, size: usize) -> Code {
        Code { start, size }
    }

    const NEW: Code = code(0x9000, 0x40);
    const ORIGINAL: Code = code(0x1000, 0x20);
    const BELOW: Code = code(0x8000, 0x30);

    const fn entry(start: usize, size: usize, order: usize) -> Changing<usize> {
        Changing {
            code: code(start, size),
            order,
            name: order,
        }
    }

    /// Four functions, not in the order of their addresses; two of them have the same code.
    fn index() -> [Changing<usize>; 5] {
        let mut index = [
            entry(0x3000, 0x100, 0),
            entry(0x1000, 0x20, 1),
            entry(0x1020, 0x10, 2),
            entry(0x2000, 0x80, 4),
            entry(0x2000, 0x80, 3),
        ];
        sort(&mut index);
        index
    }

    #[test]
    fn patching_changes_the_original() {
        assert_eq!(changing(true, NEW, ORIGINAL, None), ORIGINAL);
    }

    #[test]
    fn patching_again_changes_the_func_below() {
        assert_eq!(changing(true, NEW, ORIGINAL, Some(BELOW)), BELOW);
    }

    #[test]
    fn unpatching_changes_the_new_function() {
        assert_eq!(changing(false, NEW, ORIGINAL, None), NEW);
        assert_eq!(changing(false, NEW, ORIGINAL, Some(BELOW)), NEW);
    }

    #[test]
    fn handler_is_where_its_call_returns_to() {
        let handler = Changing {
            code: in_handler(0x1004, 5),
            order: 0,
            name: (),
        };
        assert_eq!(find_blocker(&[0x1004], &[handler]), None);
        assert_eq!(find_blocker(&[0x1009], &[handler]), Some(()));
        assert_eq!(find_blocker(&[0x100a], &[handler]), None);
    }

    #[test]
    fn empty_stack_blocks_nothing() {
        assert_eq!(find_blocker(&[], &index()), None);
    }

    #[test]
    fn empty_index_blocks_nothing() {
        assert_eq!(find_blocker::<usize>(&[0x1000], &[]), None);
    }

    #[test]
    fn first_and_last_byte_block() {
        let index = index();
        assert_eq!(find_blocker(&[0x3000], &index), Some(0));
        assert_eq!(find_blocker(&[0x30ff], &index), Some(0));
        assert_eq!(find_blocker(&[0x1000], &index), Some(1));
        assert_eq!(find_blocker(&[0x101f], &index), Some(1));
    }

    #[test]
    fn bytes_beside_do_not_block() {
        let index = index();
        for address in [0, 0xfff, 0x1030, 0x1fff, 0x2080, 0x2fff, 0x3100, usize::MAX] {
            assert_eq!(find_blocker(&[address], &index), None);
        }
    }

    #[test]
    fn what_is_far_away_is_told_at_once() {
        let index = index();
        for address in [0, 0xfff, 0x3100, usize::MAX] {
            assert!(!may_hold(address, &index));
        }
        for address in [0x1000, 0x1030, 0x2fff, 0x3000, 0x30ff] {
            assert!(may_hold(address, &index));
        }
        assert!(!may_hold::<usize>(0, &[]));
    }

    #[test]
    fn neighbours_are_told_apart() {
        assert_eq!(find_blocker(&[0x1020], &index()), Some(2));
    }

    #[test]
    fn first_func_is_named() {
        let index = index();
        assert_eq!(find_blocker(&[0x2010], &index), Some(3));
        assert_eq!(find_blocker(&[0x2010, 0x1028, 0x1000], &index), Some(1));
    }

    #[test]
    fn unknown_size_blocks_nothing() {
        assert_eq!(find_blocker(&[0x1000], &[entry(0x1000, 0, 0)]), None);
    }

    #[test]
    fn index_agrees_with_looking_at_each() {
        let index = index();
        for address in (0xf00..0x3200).step_by(8) {
            let hit = |c: &&Changing<usize>| {
                address >= c.code.start && address - c.code.start < c.code.size
            };
            let expected = index.iter().filter(hit).map(|c| c.name).min();
            assert_eq!(find_blocker(&[address], &index), expected);
        }
    }
}
