// SPDX-License-Identifier: GPL-2.0

//! The section `.modinfo` of a module's file, which says what the module is.
//!
//! modinfo(8) reads it as well, but may be missing, and does not tell a file that is no module from
//! one that it cannot read. A module that is compressed is left to modinfo.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The size of the header of a file, and of that of a section, in ELF for 64 bits. Every
/// architecture with live patching has 64 bits.
const FILE_HEADER: usize = 64;
const SECTION_HEADER: usize = 64;

/// The limits for what is read into memory. No module has a reason for more.
const MOST_SECTIONS: u64 = 1 << 20;
const LONGEST: u64 = 64 << 20;

/// The kind of a file.
#[derive(Debug)]
pub enum Content {
    Module(ModInfo),
    Compressed,
    Other,
}

/// The fields of `.modinfo`: `name=value`, each with a zero behind it.
#[derive(Debug, Default)]
pub struct ModInfo(Vec<u8>);

impl ModInfo {
    /// Returns the first value of a field.
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        let fields = self.0.split(|&b| b == 0);
        fields
            .filter_map(|field| field.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
            .next()
    }
}

/// Finds out what a file is.
pub fn read(file: &File) -> io::Result<Content> {
    const COMPRESSED: [&[u8]; 3] = [b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"];

    let mut start = [0; 6];
    let length = file.read_at(&mut start, 0)?;
    if COMPRESSED
        .iter()
        .any(|magic| start[..length].starts_with(magic))
    {
        return Ok(Content::Compressed);
    }
    match modinfo(file) {
        Ok(Some(info)) => Ok(Content::Module(info)),
        Ok(None) => Ok(Content::Other),
        // The file is shorter than its headers say, or no file can be that long.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput
            ) =>
        {
            Ok(Content::Other)
        }
        Err(error) => Err(error),
    }
}

/// A file's header or a section's, in the file's order of bytes.
struct Header<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Header<'_> {
    fn number(&self, at: usize, length: usize) -> u64 {
        let bytes = &self.bytes[at..at + length];
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match self.big_endian {
            true => bytes.iter().fold(0, add),
            false => bytes.iter().rev().fold(0, add),
        }
    }
}

struct Section {
    name: u64,
    offset: u64,
    size: u64,
    link: u64,
}

fn modinfo(file: &File) -> io::Result<Option<ModInfo>> {
    const IDENT_64_BITS: u8 = 2;
    const IDENT_BIG_ENDIAN: u8 = 2;
    const TYPE_RELOCATABLE: u64 = 1;
    const IN_FIRST_SECTION: u64 = 0xffff;

    let mut bytes = [0; FILE_HEADER];
    file.read_exact_at(&mut bytes, 0)?;
    let big_endian = bytes[5] == IDENT_BIG_ENDIAN;
    let header = Header {
        bytes: &bytes,
        big_endian,
    };
    if !bytes.starts_with(b"\x7fELF")
        || bytes[4] != IDENT_64_BITS
        || header.number(16, 2) != TYPE_RELOCATABLE
        || header.number(58, 2) != SECTION_HEADER as u64
    {
        return Ok(None);
    }
    let table = header.number(40, 8);
    let section = |index: u64| {
        let mut bytes = [0; SECTION_HEADER];
        let at = index.checked_mul(SECTION_HEADER as u64);
        let at = at.and_then(|at| at.checked_add(table));
        file.read_exact_at(&mut bytes, at.ok_or(io::ErrorKind::UnexpectedEof)?)?;
        let header = Header {
            bytes: &bytes,
            big_endian,
        };
        io::Result::Ok(Section {
            name: header.number(0, 4),
            offset: header.number(24, 8),
            size: header.number(32, 8),
            link: header.number(40, 4),
        })
    };
    // Numbers that are too large for the file's header are in the first section's.
    let (count, names) = match (header.number(60, 2), header.number(62, 2)) {
        (0, names) => (section(0)?.size, names),
        numbers => numbers,
    };
    let names = match names {
        IN_FIRST_SECTION => section(0)?.link,
        index => index,
    };
    if count > MOST_SECTIONS {
        return Ok(None);
    }
    let names = content(file, &section(names)?)?;
    for index in 0..count {
        let section = section(index)?;
        let name = usize::try_from(section.name).unwrap_or(usize::MAX);
        if names
            .get(name..)
            .is_some_and(|n| n.starts_with(b".modinfo\0"))
        {
            return Ok(Some(ModInfo(content(file, &section)?)));
        }
    }
    Ok(None)
}

fn content(file: &File, section: &Section) -> io::Result<Vec<u8>> {
    let length = Some(section.size).filter(|&size| size <= LONGEST);
    let mut content = vec![0; length.ok_or(io::ErrorKind::UnexpectedEof)? as usize];
    file.read_exact_at(&mut content, section.offset)?;
    Ok(content)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::tests::Scratch;

    /// A file with nothing but the sections that are read.
    pub fn module(fields: &[&str]) -> Vec<u8> {
        module_for(fields, false)
    }

    fn module_for(fields: &[&str], big_endian: bool) -> Vec<u8> {
        const NAMES: &[u8] = b"\0.modinfo\0.shstrtab\0";

        let mut file = vec![0; FILE_HEADER];
        let put = |file: &mut Vec<u8>, at: usize, length: usize, number: u64| {
            let bytes = number.to_le_bytes();
            let mut bytes = bytes[..length].to_vec();
            if big_endian {
                bytes.reverse();
            }
            file[at..at + length].copy_from_slice(&bytes);
        };
        let info: Vec<u8> = fields
            .iter()
            .flat_map(|f| [f.as_bytes(), b"\0"].concat())
            .collect();
        let (info_at, names_at) = (FILE_HEADER, FILE_HEADER + info.len());
        file.extend(&info);
        file.extend(NAMES);
        let table = file.len();
        file.resize(table + 3 * SECTION_HEADER, 0);

        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[5] += u8::from(big_endian);
        for (at, length, number) in [
            (16, 2, 1),
            (40, 8, table),
            (58, 2, 64),
            (60, 2, 3),
            (62, 2, 2),
        ] {
            put(&mut file, at, length, number as u64);
        }
        for (index, name, at, size) in [(1, 1, info_at, info.len()), (2, 10, names_at, NAMES.len())]
        {
            let header = table + index * SECTION_HEADER;
            put(&mut file, header, 4, name);
            put(&mut file, header + 24, 8, at as u64);
            put(&mut file, header + 32, 8, size as u64);
        }
        file
    }

    fn read_bytes(bytes: &[u8]) -> Content {
        let scratch = Scratch::new();
        let path = scratch.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        read(&File::open(path).unwrap()).unwrap()
    }

    #[test]
    fn fields() {
        for big_endian in [false, true] {
            let file = module_for(&["livepatch=Y", "name=x", "alias=a", "alias=b"], big_endian);
            let Content::Module(info) = read_bytes(&file) else {
                panic!("not a module");
            };
            assert_eq!(info.first("livepatch"), Some(&b"Y"[..]));
            assert_eq!(info.first("live"), None);
            assert_eq!(info.first("alias"), Some(&b"a"[..]));
        }
    }

    #[test]
    fn other_files() {
        assert!(matches!(read_bytes(b""), Content::Other));
        assert!(matches!(read_bytes(b"root:x:0:0\n"), Content::Other));
        for magic in [&b"\x1f\x8b\x08"[..], b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"] {
            assert!(matches!(read_bytes(magic), Content::Compressed));
        }
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(matches!(read_bytes(&program[..4096]), Content::Other));
        // A module that is cut, at any place, or has a byte that makes no sense.
        let whole = module(&["livepatch=Y"]);
        for end in 0..whole.len() {
            assert!(matches!(read_bytes(&whole[..end]), Content::Other), "{end}");
        }
        for at in 0..whole.len() {
            let mut file = whole.clone();
            file[at] = 0xff;
            read_bytes(&file);
        }
    }
}
