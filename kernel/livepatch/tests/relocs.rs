// SPDX-License-Identifier: GPL-2.0-or-later

//! Relocations: all of an object's are written, or none.

#[kernel::macros::kunit_tests(rust_livepatch_relocs)]
mod tests {
    use crate::model::relocs::{
        clear_all,
        write_all,
        Sections, //
    };
    use core::cell::Cell;

    const SECTIONS: usize = 4;
    const LENGTH: usize = 3;

    /// The section that is for another object.
    const OTHER: usize = 1;

    /// The place of the step that fails.
    #[derive(Clone, Copy, PartialEq)]
    enum Failure {
        None,
        /// The name of the section has the wrong format.
        Name(usize),
        /// A symbol of the section is not found.
        Symbol(usize),
        /// This relocation of the section cannot be written.
        Relocation(usize, usize),
    }

    /// A livepatch module on an architecture that writes and clears as x86 does.
    struct Module {
        written: [[Cell<bool>; LENGTH]; SECTIONS],
        failure: Cell<Failure>,
        /// How many times the architecture has complained of a relocation that was written already,
        /// or that was to be cleared without having been written.
        complaints: Cell<usize>,
    }

    impl Module {
        fn new() -> Self {
            Self {
                written: [const { [const { Cell::new(false) }; LENGTH] }; SECTIONS],
                failure: Cell::new(Failure::None),
                complaints: Cell::new(0),
            }
        }

        fn complain(&self) {
            self.complaints.set(self.complaints.get() + 1);
        }

        fn count(&self) -> usize {
            let all = self.written.iter().flatten();
            all.filter(|written| written.get()).count()
        }
    }

    impl Sections for Module {
        type Section = usize;
        type Error = ();

        fn all(&self) -> impl Iterator<Item = usize> {
            0..SECTIONS
        }

        fn is_meant(&self, section: usize) -> Result<bool, ()> {
            match self.failure.get() {
                Failure::Name(failing) if failing == section => Err(()),
                _ => Ok(section != OTHER),
            }
        }

        fn resolve(&self, section: usize) -> Result<(), ()> {
            match self.failure.get() {
                Failure::Symbol(failing) if failing == section => Err(()),
                _ => Ok(()),
            }
        }

        fn write(&self, section: usize) -> Result<(), ()> {
            for (place, written) in self.written[section].iter().enumerate() {
                if self.failure.get() == Failure::Relocation(section, place) {
                    return Err(());
                }
                if written.replace(true) {
                    self.complain();
                    return Err(());
                }
            }
            Ok(())
        }

        fn clear(&self, section: usize) {
            for written in &self.written[section] {
                if !written.replace(false) {
                    self.complain();
                    return;
                }
            }
        }
    }

    #[test]
    fn written_and_cleared() {
        let module = Module::new();
        for _ in 0..3 {
            assert_eq!(write_all(&module), Ok(()));
            assert_eq!(module.count(), (SECTIONS - 1) * LENGTH);
            assert!(module.written[OTHER].iter().all(|written| !written.get()));
            clear_all(&module);
            assert_eq!(module.count(), 0);
        }
        assert_eq!(module.complaints.get(), 0);
    }

    #[test]
    fn written_once() {
        let module = Module::new();
        assert_eq!(write_all(&module), Ok(()));
        assert_eq!(write_all(&module), Err(()));
        assert_eq!(module.complaints.get(), 1);
    }

    /// Writing fails and leaves nothing behind. When no step fails any more, it succeeds.
    fn fails(failure: Failure, complaints: usize) {
        let module = Module::new();
        for _ in 0..2 {
            module.failure.set(failure);
            assert_eq!(write_all(&module), Err(()));
            assert_eq!(module.count(), 0);
            assert_eq!(module.complaints.get(), complaints);
            module.failure.set(Failure::None);
            assert_eq!(write_all(&module), Ok(()));
            clear_all(&module);
            module.complaints.set(0);
        }
    }

    #[test]
    fn refused_name() {
        for section in 0..SECTIONS {
            fails(Failure::Name(section), 0);
        }
    }

    #[test]
    fn missing_symbol() {
        for section in (0..SECTIONS).filter(|&section| section != OTHER) {
            fails(Failure::Symbol(section), 0);
        }
    }

    #[test]
    fn relocation_in_the_middle_of_a_section() {
        for section in (0..SECTIONS).filter(|&section| section != OTHER) {
            for place in 0..LENGTH {
                // The architecture complains again of the relocation that cannot be written.
                fails(Failure::Relocation(section, place), 1);
            }
        }
    }
}
