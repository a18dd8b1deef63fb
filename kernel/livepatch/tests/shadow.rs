// SPDX-License-Identifier: GPL-2.0-or-later

//! Which shadow variable is kept, and when its constructor runs.

#[kernel::macros::kunit_tests(rust_livepatch_shadow)]
mod tests {
    use crate::model::shadow::{
        self,
        better_order,
        Limits,
        Table,
        SMALLEST_ORDER, //
    };
    use core::cell::Cell;

    /// A table for one key. A variable is the number it was made with.
    struct OneVariable {
        kept: Cell<Option<u32>>,
        made: Cell<u32>,
        dropped: Cell<u32>,
        constructed: Cell<u32>,
        /// The variable of another caller, which inserts it after the first search and before the
        /// lock is taken.
        rival: Cell<Option<u32>>,
        locked: Cell<bool>,
        memory: Cell<bool>,
        error: Cell<i32>,
        reported: Cell<i32>,
        warned: Cell<bool>,
    }

    struct New<'a>(&'a OneVariable, u32);

    impl Drop for New<'_> {
        fn drop(&mut self) {
            self.0.dropped.set(self.0.dropped.get() + 1);
        }
    }

    struct Guard<'a>(&'a OneVariable);

    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            self.0.locked.set(false);
        }
    }

    impl<'a> Table for &'a OneVariable {
        type Data = u32;
        type New = New<'a>;
        type Guard = Guard<'a>;

        fn find(&self) -> Option<u32> {
            self.kept.get()
        }

        fn allocate(&self) -> Option<New<'a>> {
            // The allocation may sleep.
            assert!(!self.locked.get());
            if !self.memory.get() {
                return None;
            }
            self.made.set(self.made.get() + 1);
            Some(New(self, self.made.get()))
        }

        fn lock(&self) -> Guard<'a> {
            assert!(!self.locked.replace(true));
            if let Some(rival) = self.rival.take() {
                self.kept.set(Some(rival));
            }
            Guard(self)
        }

        fn find_locked(&self, _: &Guard<'a>) -> Option<u32> {
            assert!(self.locked.get());
            self.kept.get()
        }

        fn construct(&self, _: &New<'a>, _: &Guard<'a>) -> Result<(), i32> {
            // Readers do not find the variable before its constructor is done.
            assert_eq!(self.kept.get(), None);
            assert!(self.locked.get());
            self.constructed.set(self.constructed.get() + 1);
            match self.error.get() {
                0 => Ok(()),
                error => Err(error),
            }
        }

        fn insert(&self, new: New<'a>, _: &Guard<'a>) -> u32 {
            assert!(self.locked.get());
            let number = new.1;
            core::mem::forget(new);
            self.kept.set(Some(number));
            number
        }

        fn warn_duplicate(&self) {
            assert!(!self.locked.get());
            self.warned.set(true);
        }

        fn report_constructor(&self, error: i32) {
            assert!(!self.locked.get());
            self.reported.set(error);
        }
    }

    fn table() -> OneVariable {
        OneVariable {
            kept: Cell::new(None),
            made: Cell::new(0),
            dropped: Cell::new(0),
            constructed: Cell::new(0),
            rival: Cell::new(None),
            locked: Cell::new(false),
            memory: Cell::new(true),
            error: Cell::new(0),
            reported: Cell::new(0),
            warned: Cell::new(false),
        }
    }

    fn alloc(table: &OneVariable) -> Option<u32> {
        shadow::alloc(&table)
    }

    fn get_or_make(table: &OneVariable) -> Option<u32> {
        shadow::get_or_alloc(&table)
    }

    #[test]
    fn alloc_makes_and_constructs() {
        let table = table();
        assert_eq!(alloc(&table), Some(1));
        assert_eq!(table.kept.get(), Some(1));
        assert_eq!(table.constructed.get(), 1);
        assert_eq!(table.dropped.get(), 0);
        assert!(!table.warned.get());
        assert!(!table.locked.get());
    }

    #[test]
    fn get_or_alloc_makes_what_is_not_there() {
        let table = table();
        assert_eq!(get_or_make(&table), Some(1));
        assert_eq!(table.constructed.get(), 1);
    }

    #[test]
    fn get_or_alloc_gets_what_is_there() {
        let table = table();
        table.kept.set(Some(7));
        assert_eq!(get_or_make(&table), Some(7));
        assert_eq!(table.made.get(), 0);
        assert_eq!(table.constructed.get(), 0);
        assert!(!table.warned.get());
    }

    #[test]
    fn alloc_warns_of_a_duplicate() {
        let table = table();
        table.kept.set(Some(7));
        assert_eq!(alloc(&table), None);
        assert!(table.warned.get());
        assert_eq!(table.kept.get(), Some(7));
        assert_eq!(table.dropped.get(), table.made.get());
        assert_eq!(table.constructed.get(), 0);
    }

    #[test]
    fn get_or_alloc_gets_what_somebody_else_made_first() {
        let table = table();
        table.rival.set(Some(9));
        assert_eq!(get_or_make(&table), Some(9));
        // The caller gets the other variable. Its own is dropped without having been constructed.
        assert_eq!(table.dropped.get(), 1);
        assert_eq!(table.constructed.get(), 0);
        assert!(!table.locked.get());
    }

    #[test]
    fn alloc_warns_of_what_somebody_else_made_first() {
        let table = table();
        table.rival.set(Some(9));
        assert_eq!(alloc(&table), None);
        assert!(table.warned.get());
        assert_eq!(table.dropped.get(), 1);
        assert_eq!(table.kept.get(), Some(9));
    }

    #[test]
    fn failing_constructor_leaves_nothing() {
        let table = table();
        table.error.set(-12);
        assert_eq!(alloc(&table), None);
        assert_eq!(table.kept.get(), None);
        assert_eq!(table.reported.get(), -12);
        assert_eq!(table.dropped.get(), 1);
        assert!(!table.locked.get());
    }

    #[test]
    fn without_memory_nothing_is_made() {
        let table = table();
        table.memory.set(false);
        assert_eq!(alloc(&table), None);
        assert_eq!(get_or_make(&table), None);
        assert_eq!(table.constructed.get(), 0);
    }

    #[test]
    fn table_is_kept_within_its_limits() {
        for order in SMALLEST_ORDER..=30 {
            let Limits { fewest, most } = Limits::of(order);
            assert!(fewest < most);
            assert_eq!(better_order(fewest, order), None);
            assert_eq!(better_order(most, order), None);
        }
    }

    #[test]
    fn resized_table_fits() {
        for order in SMALLEST_ORDER..=30 {
            let Limits { fewest, most } = Limits::of(order);
            for count in [
                0,
                fewest.saturating_sub(1),
                most.saturating_add(1),
                usize::MAX,
            ] {
                let Some(better) = better_order(count, order) else {
                    assert!(fewest <= count && count <= most);
                    continue;
                };
                let (grows, is_crowded) = (better > order, count > most);
                assert_eq!(grows, is_crowded);
                assert_ne!(better, order);
                assert_eq!(better_order(count, better), None);
            }
        }
    }

    #[test]
    fn table_shrinks_with_fewer_variables_than_an_eighth_of_its_heads() {
        for order in SMALLEST_ORDER + 1..=28 {
            let eighth = (1 << order) / 8;
            assert_eq!(better_order(eighth, order), None);
            assert!(better_order(eighth - 1, order).is_some_and(|better| better < order));
        }
        assert_eq!(better_order(0, SMALLEST_ORDER), None);
    }
}
