// SPDX-License-Identifier: GPL-2.0-or-later

//! The order in which the relocations of a patch for one object are written and cleared.
//!
//! An architecture may refuse to write a relocation where one is written already. A module that is
//! refused must therefore leave none behind, or it could not be loaded later.

/// The relocation sections of a livepatch module, and the object that is patched.
pub(crate) trait Sections {
    /// A section.
    type Section: Copy;
    /// The reasons for which a section cannot be written.
    type Error;

    /// All sections, those for other objects included.
    fn all(&self) -> impl Iterator<Item = Self::Section>;
    /// Whether the section is for the object.
    fn is_meant(&self, section: Self::Section) -> Result<bool, Self::Error>;
    /// Finds the symbols of a section. The function writes no relocation.
    fn resolve(&self, section: Self::Section) -> Result<(), Self::Error>;
    /// Writes the relocations of a section from the first to the last, up to one that cannot be
    /// written.
    fn write(&self, section: Self::Section) -> Result<(), Self::Error>;
    /// Clears the relocations of a section from the first to the last, up to one that is not
    /// written.
    fn clear(&self, section: Self::Section);
}

/// Writes the relocations for the object, or none of them.
pub(crate) fn write_all<S: Sections>(sections: &S) -> Result<(), S::Error> {
    for (before, section) in sections.all().enumerate() {
        let meant = sections.is_meant(section);
        if !meant.inspect_err(|_| clear_first(sections, before))? {
            continue;
        }
        // The section itself is not begun yet, and an architecture would complain of clearing it.
        sections
            .resolve(section)
            .inspect_err(|_| clear_first(sections, before))?;
        // Clearing stops where writing has stopped, so that a section that is written in part is
        // cleared in the same part.
        sections
            .write(section)
            .inspect_err(|_| clear_first(sections, before.saturating_add(1)))?;
    }
    Ok(())
}

/// Clears the relocations that [`write_all`] has written. The object goes away, or is refused.
pub(crate) fn clear_all<S: Sections>(sections: &S) {
    clear_first(sections, usize::MAX);
}

fn clear_first<S: Sections>(sections: &S, count: usize) {
    for section in sections.all().take(count) {
        // The names of these sections were good when the sections were written.
        if matches!(sections.is_meant(section), Ok(true)) {
            sections.clear(section);
        }
    }
}
