// SPDX-License-Identifier: GPL-2.0

//! The sections of a module's file.
//!
//! The parser takes any bytes: a file that makes no sense is no module. It understands ELF for 64
//! bits, which every architecture with live patching has.

/// The size of the header of a file, and of that of a section.
const FILE_HEADER: usize = 64;
const SECTION_HEADER: usize = 64;

/// The limit for the number of sections. A module has one for each function at most.
const MOST_SECTIONS: u64 = 1 << 20;

const TYPE_NOBITS: u64 = 8;

/// The file of a module, and its sections.
#[derive(Debug)]
pub struct Elf {
    bytes: Vec<u8>,
    big_endian: bool,
    sections: Vec<Section>,
}

#[derive(Clone, Debug)]
pub struct Section {
    name: usize,
    pub kind: u64,
    pub flags: u64,
    offset: u64,
    size: u64,
    /// The indices of other sections, for some kinds.
    pub link: u64,
    pub info: u64,
}

impl Elf {
    /// Returns `None` if the bytes are not the file of a module.
    pub fn parse(bytes: Vec<u8>) -> Option<Self> {
        const IDENT_64_BITS: u8 = 2;
        const IDENT_BIG_ENDIAN: u8 = 2;
        const TYPE_RELOCATABLE: u64 = 1;
        const IN_FIRST_SECTION: u64 = 0xffff;

        if !bytes.starts_with(b"\x7fELF") || bytes.get(4) != Some(&IDENT_64_BITS) {
            return None;
        }
        let mut elf = Self {
            big_endian: bytes.get(5) == Some(&IDENT_BIG_ENDIAN),
            bytes,
            sections: Vec::new(),
        };
        let header = elf.bytes.get(..FILE_HEADER)?;
        let number = |at, length| elf.number(header, at, length);
        if number(16, 2)? != TYPE_RELOCATABLE || number(58, 2)? != SECTION_HEADER as u64 {
            return None;
        }
        let table = number(40, 8)?;
        // Numbers that are too large for the file's header are in the first section's.
        let (count, names) = match (number(60, 2)?, number(62, 2)?) {
            (0, names) => (elf.read_header(table, 0)?.size, names),
            numbers => numbers,
        };
        let names = match names {
            IN_FIRST_SECTION => elf.read_header(table, 0)?.link,
            index => index,
        };
        if count > MOST_SECTIONS {
            return None;
        }
        let sections: Option<Vec<_>> = (0..count).map(|i| elf.read_header(table, i)).collect();
        elf.sections = sections?;
        // The names of sections are looked up in this one.
        let names = elf.sections.get(usize::try_from(names).ok()?)?.offset;
        for section in &mut elf.sections {
            section.name = section.name.checked_add(usize::try_from(names).ok()?)?;
        }
        Some(elf)
    }

    fn read_header(&self, table: u64, index: u64) -> Option<Section> {
        let at = index.checked_mul(SECTION_HEADER as u64)?;
        let at = usize::try_from(at.checked_add(table)?).ok()?;
        let header = self.bytes.get(at..at.checked_add(SECTION_HEADER)?)?;
        let number = |at, length| self.number(header, at, length);

        Some(Section {
            name: usize::try_from(number(0, 4)?).ok()?,
            kind: number(4, 4)?,
            flags: number(8, 8)?,
            offset: number(24, 8)?,
            size: number(32, 8)?,
            link: number(40, 4)?,
            info: number(44, 4)?,
        })
    }

    /// Reads a number in the file's order of bytes.
    pub fn number(&self, bytes: &[u8], at: usize, length: usize) -> Option<u64> {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(match self.big_endian {
            true => bytes.iter().fold(0, add),
            false => bytes.iter().rev().fold(0, add),
        })
    }

    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The number of the architecture.
    pub fn machine(&self) -> Option<u64> {
        self.number(&self.bytes, 18, 2)
    }

    pub fn name(&self, section: &Section) -> &[u8] {
        text_at(&self.bytes, section.name)
    }

    /// Returns the content of a section, or nothing if it has none in the file.
    pub fn content(&self, section: &Section) -> &[u8] {
        let range = || {
            let start = usize::try_from(section.offset).ok()?;
            let end = start.checked_add(usize::try_from(section.size).ok()?)?;
            self.bytes.get(start..end)
        };
        match section.kind {
            TYPE_NOBITS => &[],
            _ => range().unwrap_or_default(),
        }
    }

    pub fn find(&self, name: &str) -> Option<&[u8]> {
        let mut sections = self.sections.iter();
        let section = sections.find(|section| self.name(section) == name.as_bytes())?;
        Some(self.content(section))
    }

    /// Returns the build's ID from its note.
    pub fn build_id(&self) -> Option<&[u8]> {
        build_id(self.find(".note.gnu.build-id")?)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Returns the bytes from a place up to the next zero.
pub fn text_at(bytes: &[u8], at: usize) -> &[u8] {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.split(|&b| b == 0).next().unwrap_or_default()
}

/// Returns the ID in a note: the lengths of the owner's name and of the ID, a type, the name, the
/// ID. The lengths are in the byte order of this machine. More notes, or padding, may follow.
pub fn build_id(note: &[u8]) -> Option<&[u8]> {
    const OWNER: &[u8] = b"GNU\0";
    const SHORTEST: usize = 8;
    const LONGEST: usize = 64;

    let length = u32::from_ne_bytes(note.get(4..8)?.try_into().ok()?);
    let id = note.get(12..)?.strip_prefix(OWNER)?;
    let id = id.get(..usize::try_from(length).ok()?)?;
    (SHORTEST..=LONGEST).contains(&id.len()).then_some(id)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The parts that a test puts into a module's file.
    pub struct Part<'a> {
        pub name: &'a str,
        pub kind: u64,
        pub flags: u64,
        pub content: Vec<u8>,
        pub link: u64,
        pub info: u64,
    }

    /// A file with nothing but the section `.modinfo`.
    pub fn module(fields: &[&str]) -> Vec<u8> {
        file_of(&[info(fields)], false)
    }

    /// The same with a build's ID.
    pub fn build(fields: &[&str], id: &[u8]) -> Vec<u8> {
        file_of(&[info(fields), part(".note.gnu.build-id", note(id))], false)
    }

    /// The note that has a build's ID.
    pub fn note(id: &[u8]) -> Vec<u8> {
        [
            &[4, 0, 0, 0, id.len() as u8, 0, 0, 0, 3, 0, 0, 0],
            &b"GNU\0"[..],
            id,
        ]
        .concat()
    }

    pub fn part(name: &str, content: Vec<u8>) -> Part<'_> {
        Part {
            name,
            kind: 1,
            flags: 0,
            content,
            link: 0,
            info: 0,
        }
    }

    pub fn info<'a>(fields: &[&str]) -> Part<'a> {
        let fields = fields.iter().map(|f| [f.as_bytes(), b"\0"].concat());
        part(".modinfo", fields.flatten().collect())
    }

    /// Makes a file of these sections, which have the indices 1, 2, ...
    pub fn file_of(parts: &[Part<'_>], big_endian: bool) -> Vec<u8> {
        let mut file = vec![0; FILE_HEADER];
        let mut names = vec![0];
        let mut headers = vec![0; SECTION_HEADER];
        let put = |bytes: &mut [u8], at: usize, length: usize, number: u64| {
            let mut number = number.to_le_bytes()[..length].to_vec();
            if big_endian {
                number.reverse();
            }
            bytes[at..at + length].copy_from_slice(&number);
        };
        let last = part(".shstrtab", Vec::new());
        for part in parts.iter().chain([&last]) {
            let name = names.len();
            names.extend(part.name.as_bytes());
            names.push(0);
            let content = match part.name {
                ".shstrtab" => names.clone(),
                _ => part.content.clone(),
            };
            let mut header = [0; SECTION_HEADER];
            for (at, length, number) in [
                (0, 4, name as u64),
                (4, 4, part.kind),
                (8, 8, part.flags),
                (24, 8, file.len() as u64),
                (32, 8, content.len() as u64),
                (40, 4, part.link),
                (44, 4, part.info),
            ] {
                put(&mut header, at, length, number);
            }
            headers.extend(header);
            file.extend(content);
        }
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[5] += u8::from(big_endian);
        let count = parts.len() as u64 + 2;
        let table = file.len() as u64;
        for (at, length, number) in [
            (16, 2, 1),
            (40, 8, table),
            (58, 2, 64),
            (60, 2, count),
            (62, 2, count - 1),
        ] {
            put(&mut file, at, length, number);
        }
        file.extend(headers);
        file
    }

    #[test]
    fn sections_have_names_and_content() {
        for big_endian in [false, true] {
            let file = file_of(&[info(&["name=x"]), part(".text", vec![1, 2])], big_endian);
            let elf = Elf::parse(file).unwrap();
            assert_eq!(elf.find(".modinfo"), Some(&b"name=x\0"[..]));
            assert_eq!(elf.find(".text"), Some(&[1, 2][..]));
            assert_eq!(elf.find(".mod"), None);
            assert_eq!(elf.build_id(), None);
        }
        let id = [7; 20];
        let elf = Elf::parse(build(&[], &id)).unwrap();
        assert_eq!(elf.build_id(), Some(&id[..]));
        // The bytes behind the ID are not a part of it, and an ID that is cut is none.
        let note = elf.find(".note.gnu.build-id").unwrap();
        let longer = [note, b"\0\n"].concat();
        assert_eq!(super::build_id(&longer), Some(&id[..]));
        assert_eq!(super::build_id(&note[..note.len() - 1]), None);
    }

    #[test]
    fn other_files() {
        let parse = |bytes: &[u8]| Elf::parse(bytes.to_vec());
        assert!(parse(b"").is_none());
        assert!(parse(b"root:x:0:0\n").is_none());
        // A module that is cut, at any place, or has a byte that makes no sense.
        let whole = build(&["livepatch=Y"], &[1; 20]);
        let mut program = whole.clone();
        program[16] = 2;
        assert!(parse(&program).is_none());
        for end in 0..whole.len() {
            assert!(parse(&whole[..end]).is_none(), "{end}");
        }
        for at in 0..whole.len() {
            let mut file = whole.clone();
            file[at] = 0xff;
            if let Some(elf) = Elf::parse(file) {
                elf.find(".modinfo");
                elf.build_id();
            }
        }
    }
}
