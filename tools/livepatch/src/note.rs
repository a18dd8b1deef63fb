// SPDX-License-Identifier: GPL-2.0

//! The notes of the store on patches that were loaded when the machine crashed, or may be so.

use crate::name::Name;

/// The note of a patch that was loaded in a boot: a line of `running` or `crashed`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The version of the kernel, or `None` if it is not known. Earlier versions of klpctl did not
    /// write it. Such a note is for every kernel.
    pub kernel: Option<Name>,
    pub patch: Name,
}

impl Note {
    pub fn of(line: &Name) -> Self {
        let bytes = line.as_bytes();
        match bytes.iter().position(|&b| b == b' ') {
            Some(blank) => Self {
                kernel: Some(Name::from(&bytes[..blank])),
                patch: Name::from(&bytes[blank + 1..]),
            },
            None => Self {
                kernel: None,
                patch: line.clone(),
            },
        }
    }

    pub fn line(&self) -> Name {
        match &self.kernel {
            Some(kernel) => {
                Name::from(&[kernel.as_bytes(), b" ", self.patch.as_bytes()].concat()[..])
            }
            None => self.patch.clone(),
        }
    }

    pub fn is_for(&self, kernel: &Name) -> bool {
        self.kernel.as_ref().is_none_or(|noted| noted == kernel)
    }
}
