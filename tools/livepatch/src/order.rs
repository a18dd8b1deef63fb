// SPDX-License-Identifier: GPL-2.0

//! The order in which `load --all` loads the installed patches.

use crate::exit::Failure;
use crate::modfile::ModuleFile;
use crate::name::Name;
use crate::store::Installed;

/// An installed patch, and the modules that have to be loaded before it.
pub struct Patch {
    pub installed: Installed,
    pub file: Result<ModuleFile, Failure>,
    pub needs: Vec<Name>,
}

impl Patch {
    fn read(installed: Installed) -> Self {
        let file = ModuleFile::read(&installed.file);
        let needs = file.as_ref().map(|file| {
            let mut needs = file.info.modules("depends");
            needs.extend(file.info.modules("klp_after"));
            needs
        });
        Self {
            installed,
            needs: needs.unwrap_or_default(),
            file,
        }
    }
}

/// Brings the patches into an order in which each comes after those that it needs, and that is the
/// order of installation otherwise. Of patches that need each other, the first stays first.
pub fn in_order(installed: Vec<Installed>) -> Vec<Patch> {
    let mut rest: Vec<Patch> = installed.into_iter().map(Patch::read).collect();
    let mut ordered = Vec::new();
    while !rest.is_empty() {
        let waits = |patch: &Patch| {
            let mut others = rest.iter().map(|other| &other.installed.name);
            others.any(|other| other != &patch.installed.name && patch.needs.contains(other))
        };
        let next = rest.iter().position(|patch| !waits(patch)).unwrap_or(0);
        ordered.push(rest.remove(next));
    }
    ordered
}

/// Returns the names of these patches.
pub fn names(patches: &[Patch]) -> impl Iterator<Item = &Name> {
    patches.iter().map(|patch| &patch.installed.name)
}
