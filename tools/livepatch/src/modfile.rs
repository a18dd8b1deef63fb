// SPDX-License-Identifier: GPL-2.0

//! The file of a livepatch's module, read before the kernel gets it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::action;
use crate::commands::module_name;
use crate::elf::Elf;
use crate::exit::Failure;
use crate::identity::Build;
use crate::modinfo::ModInfo;
use crate::name::{self, Name};
use crate::root::open_without_waiting;
use crate::signature::{self, Signature};

/// The limit for the content that is read into memory, be it a file or the output of a program. No
/// module has a reason for more.
const LONGEST: u64 = 256 << 20;

/// The programs that write a module to standard output, with the bytes that its file begins with.
const COMPRESSIONS: [(&[u8], &str, &str); 3] = [
    (b"\x1f\x8b", "gzip", "gz"),
    (b"\xfd7zXZ\0", "xz", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zst"),
];

/// Returns the name of the module in a file, or `None` if the file's name is that of no module. A
/// copy like `x.ko.bak` is none.
pub fn name_of(file: &[u8]) -> Option<&[u8]> {
    let endings = COMPRESSIONS
        .iter()
        .map(|(.., ending)| format!(".ko.{ending}"));
    let mut endings = endings.chain([".ko".to_owned()]);
    let name = endings.find_map(|ending| file.strip_suffix(ending.as_bytes()))?;
    (!name.is_empty() && !name.starts_with(b".")).then_some(name)
}

#[derive(Debug)]
pub struct ModuleFile {
    pub name: Name,
    pub info: ModInfo,
    pub build: Build,
    pub signature: Option<Signature>,
    /// The file as it is, compressed or not.
    pub bytes: Vec<u8>,
    /// The ending of the file's name: `ko`, `ko.xz`.
    pub ending: String,
    /// The sections, or `None` if the file is compressed and only modinfo(8) can read it.
    pub elf: Option<Elf>,
}

impl ModuleFile {
    /// Reads the file of a livepatch. Any other file is an error that names it.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let (module, is_livepatch) = Self::read_any(file)?;
        if !is_livepatch {
            let shown = name::escape(file.as_os_str().as_bytes());
            return Err(Failure::error(format!("{shown} is not a livepatch")));
        }
        Ok(module)
    }

    /// Reads the file of any module, and returns whether it is a livepatch.
    pub fn read_any(file: &Path) -> Result<(Self, bool), Failure> {
        let shown = name::escape(file.as_os_str().as_bytes());
        let bytes = read(file)
            .map_err(|error| Failure::error(format!("{shown}: {error}")))?
            .ok_or_else(|| Failure::error(format!("{shown} is not a file")))?;
        let compression = COMPRESSIONS.iter().find(|c| bytes.starts_with(c.0));

        let (elf, info) = match compression {
            None => (Elf::parse(bytes.clone()), None),
            Some((_, program, _)) => match action::output(program, file, &["-dc"], LONGEST) {
                Some(plain) if plain.len() as u64 == LONGEST => {
                    return Err(Failure::error(format!(
                        "{shown} has {} MiB or more when it is not compressed",
                        LONGEST >> 20
                    )))
                }
                Some(plain) => (Elf::parse(plain), None),
                None => (None, action::output("modinfo", file, &["-0"], LONGEST)),
            },
        };
        let section = elf.as_ref().and_then(|elf| elf.find(".modinfo"));
        let info = match (section, info) {
            (Some(section), _) => ModInfo::new(section),
            (None, Some(output)) => ModInfo::from_tool(&output),
            (None, None) if compression.is_some() && elf.is_none() => {
                return Err(Failure::error(format!(
                    "{shown} is compressed, and cannot be read: {} and modinfo fail",
                    compression.map_or("", |c| c.1)
                )))
            }
            (None, None) => return Err(Failure::error(format!("{shown} is not a kernel module"))),
        };
        let is_livepatch = info.is_livepatch();
        let signature = match &elf {
            Some(elf) => signature::of(elf.bytes()),
            None => info.first("signer").map(|signer| Signature {
                signer: Some(signer.into()),
            }),
        };
        let module = Self {
            name: info
                .first("name")
                .map_or_else(|| module_name(file.as_os_str()), Name::from),
            build: Build {
                srcversion: info.first("srcversion").map(name::escape),
                id: elf.as_ref().and_then(Elf::build_id).map(hex),
            },
            signature,
            info,
            elf,
            bytes,
            ending: match compression {
                Some((_, _, ending)) => format!("ko.{ending}"),
                None => "ko".to_owned(),
            },
        };
        if !is_word(&module.name) || module.release().is_some_and(|release| !is_word(&release)) {
            return Err(Failure::error(format!(
                "{shown}: its name or vermagic makes no sense"
            )));
        }
        Ok((module, is_livepatch))
    }

    /// Returns the kernel's version that the module is built for.
    pub fn release(&self) -> Option<Name> {
        let magic = self.info.first("vermagic")?;
        magic.split(|&b| b == b' ').next().map(Name::from)
    }
}

/// Returns `None` if the path is that of a directory, a device or the like.
fn read(file: &Path) -> io::Result<Option<Vec<u8>>> {
    let opened: File = open_without_waiting(file)?;
    if !opened.metadata()?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    opened.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Whether a name can be that of a file.
fn is_word(name: &Name) -> bool {
    let good = |b: &u8| b.is_ascii_alphanumeric() || b"_-+.~".contains(b);
    let bytes = name.as_bytes();
    !bytes.starts_with(b".") && !bytes.is_empty() && bytes.iter().all(good)
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elf::tests::{build, module};
    use crate::signature::tests::signed;
    use crate::tests::Scratch;
    use std::process::Command;

    fn read_bytes(bytes: &[u8]) -> Result<ModuleFile, String> {
        let scratch = Scratch::new();
        let path = scratch.path().join("the-file.ko");
        std::fs::write(&path, bytes).unwrap();
        ModuleFile::read(&path).map_err(|failure| failure.message)
    }

    #[test]
    fn all_that_is_known() {
        let fields = [
            "livepatch=Y",
            "name=a",
            "srcversion=01AB",
            "vermagic=7.3.4 SMP",
        ];
        let file = read_bytes(&signed(&build(&fields, &[0xab; 20]), "key")).unwrap();
        assert_eq!(file.name, "a".into());
        assert_eq!(file.build.srcversion.as_deref(), Some("01AB"));
        assert_eq!(file.build.id, Some("ab".repeat(20)));
        assert_eq!(file.signature.unwrap().signer, Some("key".into()));
        let release = file.info.first("vermagic").map(<[u8]>::len);
        assert_eq!(release, Some(9));

        let file = read_bytes(&module(&["livepatch=Y"])).unwrap();
        assert_eq!(file.name, "the_file".into());
        assert_eq!(file.release(), None);
        assert_eq!(file.signature, None);
    }

    #[test]
    fn a_compressed_module() {
        let scratch = Scratch::new();
        let path = scratch.path().join("x.ko");
        std::fs::write(&path, module(&["livepatch=Y", "name=x"])).unwrap();
        for (_, program, ending) in COMPRESSIONS {
            let status = Command::new(program).arg("-k").arg(&path).output();
            if !status.is_ok_and(|output| output.status.success()) {
                continue;
            }
            let file = ModuleFile::read(&scratch.path().join(format!("x.ko.{ending}"))).unwrap();
            assert_eq!(file.name, "x".into());
            assert_eq!(file.ending, format!("ko.{ending}"));
            assert!(file.elf.is_some());
        }
        let error = read_bytes(b"\x1f\x8bnonsense").unwrap_err();
        assert!(error.contains("cannot be read: gzip"), "{error}");
    }

    /// gzip writes the content of each part, one after the other.
    #[test]
    fn a_small_file_of_great_content() {
        let scratch = Scratch::new();
        let path = scratch.path().join("zeros");
        std::fs::write(&path, vec![0; 16 << 20]).unwrap();
        let Ok(output) = Command::new("gzip").arg("-c1").arg(&path).output() else {
            return crate::tests::left_out("a small file of great content: there is no gzip here");
        };
        let error = read_bytes(&output.stdout.repeat(17)).unwrap_err();
        let text = "has 256 MiB or more when it is not compressed";
        assert!(error.contains(text), "{error}");
    }

    #[test]
    fn other_files() {
        let error = read_bytes(b"text").unwrap_err();
        assert!(
            error.ends_with("the-file.ko is not a kernel module"),
            "{error}"
        );
        let error = read_bytes(&module(&["name=x"])).unwrap_err();
        assert!(error.ends_with("is not a livepatch"), "{error}");
        let error = ModuleFile::read(Path::new("/tmp")).unwrap_err();
        assert_eq!(error.message, "/tmp is not a file");
        for wrong in [
            "name=../x",
            "name=a b",
            "vermagic=../../etc x",
            "vermagic=.. x",
        ] {
            let error = read_bytes(&module(&["livepatch=Y", wrong])).unwrap_err();
            assert!(error.contains("makes no sense"), "{error}");
        }
    }
}
