// SPDX-License-Identifier: GPL-2.0

//! The identity of a loaded patch: its build, and its author's description.
//!
//! The kernel shows a module's version, the checksum of its source and its build's ID. It forgets
//! the description, the signer and the defects that the patch fixes, which only the file has. So
//! `load` keeps these in `/run/klpctl`. The record counts only for the build that it was made of.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::elf;
use crate::modfile::{hex, ModuleFile};
use crate::name::{self, Name};
use crate::root::Root;
use crate::whole;

/// The directory of the records. It is empty after boot, as the kernel is.
pub const RECORDS: &str = "/run/klpctl";

/// A build of a module. All text in this file is escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    /// The checksum of the source, if the kernel was configured for it or the module has a version.
    pub srcversion: Option<String>,
    /// The ID that the linker gave.
    pub id: Option<String>,
}

impl Build {
    /// Whether two modules are of the same build, or `None` if they have nothing to compare.
    pub fn is_same(&self, other: &Self) -> Option<bool> {
        let same = |one: &Option<String>, other: &Option<String>| {
            one.as_ref().zip(other.as_ref()).map(|(a, b)| a == b)
        };
        // The ID tells builds of the same source apart.
        same(&self.id, &other.id).or(same(&self.srcversion, &other.srcversion))
    }

    /// Names the build by the fact that tells it from another one: `srcversion 0123ABCD`, or the
    /// beginning of the ID.
    pub fn text(&self, other: &Self) -> String {
        const SHOWN: usize = 12;

        let both = self.srcversion.as_ref().zip(other.srcversion.as_ref());
        match (both, &self.id, &self.srcversion) {
            (Some((ours, theirs)), ..) if ours != theirs => format!("srcversion {ours}"),
            (_, Some(id), _) => format!("build ID {}", id.get(..SHOWN).unwrap_or(id)),
            (_, None, Some(srcversion)) => format!("srcversion {srcversion}"),
            (_, None, None) => "an unknown build".to_owned(),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Identity {
    pub build: Build,
    pub version: Option<String>,
    pub description: Option<String>,
    /// The identifiers of the defects that the patch fixes, or `None` if its file is not known.
    pub fixes: Option<Vec<String>>,
    /// The name in the signature of the file.
    pub signer: Option<String>,
}

impl Identity {
    /// Reads the identity of a loaded module.
    pub fn read(root: &Root, module: &Name) -> Self {
        let folder = Path::new("/sys/module").join(module.as_os_str());
        let word = |file| {
            let content = root.read(folder.join(file)).ok()?;
            let word = content.trim_ascii();
            (!word.is_empty()).then(|| name::escape(word))
        };
        let note = root.read(folder.join("notes/.note.gnu.build-id"));
        let mut identity = Self {
            build: Build {
                srcversion: word("srcversion"),
                id: note.ok().as_deref().and_then(elf::build_id).map(hex),
            },
            version: word("version"),
            ..Self::default()
        };
        if let Some(record) = Record::read(root, module) {
            if identity.build.is_same(&record.build) == Some(true) {
                identity.description = record.description;
                identity.fixes = Some(record.fixes);
                identity.signer = record.signer;
            }
        }
        identity
    }
}

/// The facts that only a module's file has.
#[derive(Debug, Default, PartialEq, Eq)]
struct Record {
    build: Build,
    description: Option<String>,
    fixes: Vec<String>,
    signer: Option<String>,
}

/// Returns the file with the record of a module.
pub fn record_of(module: &Name) -> PathBuf {
    Path::new(RECORDS).join(module.as_os_str())
}

/// Returns the file with another record of a module. The name of a module has no colon.
pub fn further_record_of(module: &Name, kind: &str) -> PathBuf {
    let file = Name::from(&[module.as_bytes(), b":", kind.as_bytes()].concat()[..]);
    Path::new(RECORDS).join(file.as_os_str())
}

impl Record {
    fn of(file: &ModuleFile) -> Self {
        let signer = file.signature.as_ref().and_then(|s| s.signer.as_ref());
        Self {
            build: file.build.clone(),
            description: file.info.first("description").map(name::escape),
            fixes: file
                .info
                .words("klp_fixes")
                .iter()
                .map(Name::to_string)
                .collect(),
            signer: signer.map(Name::to_string),
        }
    }

    /// Reads lines of `name value`. Text in them is escaped, so it has no end of a line. A captured
    /// tree may break that rule, to reach the terminal.
    fn read(root: &Root, module: &Name) -> Option<Self> {
        let content = root.read(record_of(module)).ok()?;
        let mut record = Self::default();
        for line in String::from_utf8(content).ok()?.lines() {
            let Some((key, value)) = line.split_once(' ') else {
                continue;
            };
            let value = name::escape_again(value);
            match key {
                "srcversion" => record.build.srcversion = Some(value),
                "build-id" => record.build.id = Some(value),
                "description" => record.description = Some(value),
                "fixes" => record.fixes.push(value),
                "signer" => record.signer = Some(value),
                _ => {}
            }
        }
        Some(record)
    }

    fn text(&self) -> String {
        let fixes = self.fixes.iter().map(|fix| ("fixes", Some(fix)));
        let lines = [
            ("srcversion", self.build.srcversion.as_ref()),
            ("build-id", self.build.id.as_ref()),
            ("description", self.description.as_ref()),
            ("signer", self.signer.as_ref()),
        ];
        let lines = lines.into_iter().chain(fixes);
        lines
            .filter_map(|(name, value)| value.map(|value| format!("{name} {value}\n")))
            .collect()
    }
}

/// Keeps the facts of a module's file that has been loaded. Without the record, klpctl knows less
/// of the patch, so a caller may go on after an error.
pub fn keep(root: &Root, file: &ModuleFile) -> io::Result<()> {
    whole::create_folder(&root.path(RECORDS))?;
    let text = Record::of(file).text();
    whole::write(&root.path(record_of(&file.name)), text.as_bytes())
}

/// Removes the record of a module that is unloaded.
pub fn forget(root: &Root, module: &Name) {
    // Most modules were loaded by other tools, and have none.
    let _ = fs::remove_file(root.path(record_of(module)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::tests::{build, note};
    use crate::signature::tests::signed;
    use crate::tests::Scratch;

    fn of(srcversion: Option<&str>, id: Option<&str>) -> Build {
        Build {
            srcversion: srcversion.map(str::to_owned),
            id: id.map(str::to_owned),
        }
    }

    #[test]
    fn builds() {
        let one = of(Some("A"), Some("0123456789abcdef"));
        let again = of(Some("A"), Some("1123456789abcdef"));
        assert_eq!(one.is_same(&one), Some(true));
        assert_eq!(one.is_same(&again), Some(false), "the source is the same");
        assert_eq!(one.is_same(&of(Some("A"), None)), Some(true));
        assert_eq!(one.is_same(&of(Some("B"), None)), Some(false));
        assert_eq!(one.is_same(&of(None, None)), None);
        assert_eq!(of(Some("A"), None).is_same(&of(None, Some("0"))), None);
        assert_eq!(one.text(&again), "build ID 0123456789ab");
        assert_eq!(one.text(&of(Some("B"), None)), "srcversion A");
    }

    #[test]
    fn a_record_is_for_its_build() {
        let scratch = Scratch::new();
        let root = Root::captured(scratch.path());
        let path = scratch.path().join("x.ko");
        let fields = [
            "livepatch=Y",
            "name=x",
            "description=two\nlines",
            "klp_fixes=CVE-2026-1 CVE-2026-2",
        ];
        fs::write(&path, signed(&build(&fields, &[1; 20]), "key")).unwrap();
        keep(&root, &ModuleFile::read(&path).unwrap()).unwrap();

        let notes = scratch.path().join("sys/module/x/notes");
        fs::create_dir_all(&notes).unwrap();
        let identity = |id: u8| {
            fs::write(notes.join(".note.gnu.build-id"), note(&[id; 20])).unwrap();
            Identity::read(&root, &"x".into())
        };
        let known = identity(1);
        assert_eq!(known.description.as_deref(), Some("two\\x0alines"));
        assert_eq!(known.signer.as_deref(), Some("key"));
        assert_eq!(known.fixes.unwrap(), ["CVE-2026-1", "CVE-2026-2"]);
        let other = identity(2);
        assert!(other.description.is_none() && other.fixes.is_none() && other.signer.is_none());

        forget(&root, &"x".into());
        assert!(identity(1).fixes.is_none());
    }
}
