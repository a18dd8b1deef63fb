// SPDX-License-Identifier: GPL-2.0

//! The ELF file of a module, taken apart and put together again.
//!
//! The sections keep their indices, and new ones come behind them. String tables grow at their
//! ends, so that no offset changes. The files are of 64 bits and little-endian.

pub const SYMTAB: u32 = 2;
pub const STRTAB: u32 = 3;
pub const RELA: u32 = 4;
pub const NOBITS: u32 = 8;
pub const PROGBITS: u32 = 1;

pub const WRITE: u64 = 1;
pub const ALLOC: u64 = 2;
pub const EXEC: u64 = 4;
/// Marks relocations that live patching writes.
pub const RELA_LIVEPATCH: u64 = 0x0010_0000;
/// Stands for the section of a symbol that live patching resolves.
pub const SHN_LIVEPATCH: u16 = 0xff20;

const FILE_HEADER: usize = 64;
const SECTION_HEADER: usize = 64;
const SYMBOL: usize = 24;
pub const RELOCATION: usize = 24;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The place of its name in the table of section names.
    pub name: u32,
    pub kind: u32,
    pub flags: u64,
    pub address: u64,
    pub link: u32,
    pub info: u32,
    pub align: u64,
    pub entry_size: u64,
    /// The content, or zeros for a section that has none in the file.
    pub data: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    pub name: u32,
    pub info: u8,
    pub other: u8,
    pub section: u16,
    pub value: u64,
    pub size: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    pub offset: u64,
    pub kind: u32,
    pub symbol: u32,
    pub addend: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    header: [u8; FILE_HEADER],
    pub sections: Vec<Section>,
    /// The index of the section that has the names of sections.
    pub names: usize,
    /// The index of the symbol table.
    pub symtab: usize,
}

/// A number of `length` bytes.
pub fn get(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    Some(bytes.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)))
}

/// Writes a number of `length` bytes to a place that is there.
pub fn put(bytes: &mut [u8], at: usize, length: usize, number: u64) {
    bytes[at..at + length].copy_from_slice(&number.to_le_bytes()[..length]);
}

impl Elf {
    /// A file without sections.
    #[cfg(test)]
    pub fn empty(header: [u8; FILE_HEADER]) -> Self {
        Self {
            header,
            sections: Vec::new(),
            names: 0,
            symtab: 0,
        }
    }

    /// Returns `None` if the bytes are no such file, or have no symbols.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        const RELOCATABLE: u64 = 1;

        let header: [u8; FILE_HEADER] = bytes.get(..FILE_HEADER)?.try_into().ok()?;
        let number = |at, length| get(&header, at, length);
        if !header.starts_with(b"\x7fELF\x02\x01") || number(16, 2)? != RELOCATABLE {
            return None;
        }
        let table = usize::try_from(number(40, 8)?).ok()?;
        let sections: Option<Vec<_>> = (0..number(60, 2)? as usize)
            .map(|i| Section::parse(bytes, table.checked_add(i * SECTION_HEADER)?))
            .collect();
        let sections = sections?;
        let names = number(62, 2)? as usize;
        let symtab = sections.iter().position(|s| s.kind == SYMTAB)?;
        let strings = sections.get(sections[symtab].link as usize)?;
        (sections.get(names)?.kind == STRTAB && strings.kind == STRTAB).then_some(())?;
        Some(Self {
            header,
            sections,
            names,
            symtab,
        })
    }

    /// The file. The table of section headers is at its end.
    pub fn write(&self) -> Vec<u8> {
        let mut file = self.header.to_vec();
        let mut table = Vec::new();
        for section in &self.sections {
            file.resize(file.len().next_multiple_of(16), 0);
            table.extend(section.header(file.len() as u64));
            if section.kind != NOBITS {
                file.extend(&section.data);
            }
        }
        file.resize(file.len().next_multiple_of(16), 0);
        let start = file.len() as u64;
        put(&mut file, 40, 8, start);
        put(&mut file, 60, 2, self.sections.len() as u64);
        put(&mut file, 62, 2, self.names as u64);
        file.extend(table);
        file
    }

    /// The architecture that the file is for.
    pub fn machine(&self) -> u16 {
        u16::from_le_bytes([self.header[18], self.header[19]])
    }

    fn string(&self, table: usize, at: u32) -> &[u8] {
        let rest = self.sections[table].data.get(at as usize..);
        let mut parts = rest.unwrap_or_default().split(|&b| b == 0);
        parts.next().unwrap_or_default()
    }

    fn add_string(&mut self, table: usize, text: &[u8]) -> u32 {
        let data = &mut self.sections[table].data;
        let at = data.len() as u32;
        data.extend(text);
        data.push(0);
        at
    }

    pub fn section_name(&self, index: usize) -> &[u8] {
        self.string(self.names, self.sections[index].name)
    }

    pub fn set_section_name(&mut self, index: usize, name: &[u8]) {
        self.sections[index].name = self.add_string(self.names, name);
    }

    pub fn find(&self, name: &[u8]) -> Option<usize> {
        (0..self.sections.len()).find(|&i| self.section_name(i) == name)
    }

    /// Returns the index of the new section.
    pub fn add_section(&mut self, name: &[u8], section: Section) -> usize {
        self.sections.push(section);
        let index = self.sections.len() - 1;
        self.set_section_name(index, name);
        index
    }

    fn strings(&self) -> usize {
        self.sections[self.symtab].link as usize
    }

    pub fn symbol_count(&self) -> usize {
        self.sections[self.symtab].data.len() / SYMBOL
    }

    pub fn symbol(&self, index: usize) -> Option<Symbol> {
        let data = &self.sections[self.symtab].data;
        let number = |at, length| get(data, index.checked_mul(SYMBOL)? + at, length);
        Some(Symbol {
            name: number(0, 4)? as u32,
            info: number(4, 1)? as u8,
            other: number(5, 1)? as u8,
            section: number(6, 2)? as u16,
            value: number(8, 8)?,
            size: number(16, 8)?,
        })
    }

    pub fn symbols(&self) -> impl Iterator<Item = Symbol> + '_ {
        (0..self.symbol_count()).filter_map(|i| self.symbol(i))
    }

    pub fn symbol_name(&self, symbol: &Symbol) -> &[u8] {
        self.string(self.strings(), symbol.name)
    }

    pub fn set_symbol(&mut self, index: usize, symbol: &Symbol) {
        let data = &mut self.sections[self.symtab].data;
        let at = index * SYMBOL;
        for (offset, length, number) in [
            (0, 4, u64::from(symbol.name)),
            (4, 1, u64::from(symbol.info)),
            (5, 1, u64::from(symbol.other)),
            (6, 2, u64::from(symbol.section)),
            (8, 8, symbol.value),
            (16, 8, symbol.size),
        ] {
            put(data, at + offset, length, number);
        }
    }

    pub fn set_symbol_name(&mut self, index: usize, name: &[u8]) {
        let at = self.add_string(self.strings(), name);
        put(
            &mut self.sections[self.symtab].data,
            index * SYMBOL,
            4,
            at.into(),
        );
    }

    /// Returns the index of the new symbol.
    pub fn add_symbol(&mut self, name: &[u8], info: u8, section: u16) -> usize {
        let symbol = Symbol {
            name: self.add_string(self.strings(), name),
            info,
            other: 0,
            section,
            value: 0,
            size: 0,
        };
        let index = self.symbol_count();
        self.sections[self.symtab].data.extend([0; SYMBOL]);
        self.set_symbol(index, &symbol);
        index
    }

    /// The section with the relocations of a section.
    pub fn relocations_of(&self, section: usize) -> Option<usize> {
        let mut sections = self.sections.iter();
        sections.position(|s| s.kind == RELA && s.info as usize == section)
    }

    pub fn relocation(&self, section: usize, index: usize) -> Option<Relocation> {
        Relocation::parse(&self.sections[section].data, index * RELOCATION)
    }

    pub fn all_relocations_of(&self, section: usize) -> impl Iterator<Item = Relocation> + '_ {
        let data = self.relocations_of(section).map(|i| &self.sections[i].data);
        let entries = data.into_iter().flat_map(|data| data.chunks(RELOCATION));
        entries.filter_map(|entry| Relocation::parse(entry, 0))
    }

    /// Finds the relocation of a place: the section that has it, and its index there.
    fn find_relocation(&self, section: usize, offset: u64) -> Option<(usize, usize)> {
        let relocations = self.relocations_of(section)?;
        let count = self.sections[relocations].data.len() / RELOCATION;
        let at = |i| {
            self.relocation(relocations, i)
                .is_some_and(|r| r.offset == offset)
        };
        (0..count).find(|&i| at(i)).map(|i| (relocations, i))
    }

    pub fn relocation_at(&self, section: usize, offset: u64) -> Option<Relocation> {
        let (relocations, index) = self.find_relocation(section, offset)?;
        self.relocation(relocations, index)
    }

    /// The place that a relocation refers to: a section, and the offset in it.
    pub fn target(&self, relocation: &Relocation) -> Option<(usize, u64)> {
        let symbol = self.symbol(relocation.symbol as usize)?;
        let offset = symbol.value.wrapping_add(relocation.addend as u64);
        Some((symbol.section.into(), offset))
    }

    /// Replaces the relocation of a place, or adds one.
    pub fn relocate(&mut self, section: usize, relocation: Relocation) {
        let found = self.find_relocation(section, relocation.offset);
        let relocations = match found {
            Some((relocations, _)) => relocations,
            None => self.relocations_of(section).unwrap_or_else(|| {
                let name = [b".rela", self.section_name(section)].concat();
                let (link, info) = (self.symtab as u32, section as u32);
                self.add_section(&name, Section::relocations(link, info, 0))
            }),
        };
        let data = &mut self.sections[relocations].data;
        match found {
            Some((_, i)) => {
                data[i * RELOCATION..][..RELOCATION].copy_from_slice(&relocation.bytes())
            }
            None => data.extend(relocation.bytes()),
        }
    }
}

impl Section {
    fn parse(file: &[u8], at: usize) -> Option<Self> {
        let number = |offset, length| get(file, at.checked_add(offset)?, length);
        let kind = number(4, 4)? as u32;
        let (offset, size) = (number(24, 8)?, number(32, 8)?);
        let data = match kind {
            NOBITS => vec![0; usize::try_from(size).ok().filter(|&s| s < 1 << 28)?],
            _ => {
                let start = usize::try_from(offset).ok()?;
                let end = start.checked_add(usize::try_from(size).ok()?)?;
                file.get(start..end)?.to_vec()
            }
        };
        Some(Self {
            name: number(0, 4)? as u32,
            kind,
            flags: number(8, 8)?,
            address: number(16, 8)?,
            link: number(40, 4)? as u32,
            info: number(44, 4)? as u32,
            align: number(48, 8)?,
            entry_size: number(56, 8)?,
            data,
        })
    }

    fn header(&self, offset: u64) -> [u8; SECTION_HEADER] {
        let mut header = [0; SECTION_HEADER];
        for (at, length, number) in [
            (0, 4, self.name.into()),
            (4, 4, self.kind.into()),
            (8, 8, self.flags),
            (16, 8, self.address),
            (24, 8, offset),
            (32, 8, self.data.len() as u64),
            (40, 4, self.link.into()),
            (44, 4, self.info.into()),
            (48, 8, self.align),
            (56, 8, self.entry_size),
        ] {
            put(&mut header, at, length, number);
        }
        header
    }

    /// A section of relocations, which is empty.
    pub fn relocations(symtab: u32, of: u32, flags: u64) -> Self {
        Self {
            kind: RELA,
            flags,
            link: symtab,
            info: of,
            align: 8,
            entry_size: RELOCATION as u64,
            ..Self::default()
        }
    }
}

impl Relocation {
    fn parse(bytes: &[u8], at: usize) -> Option<Self> {
        Some(Self {
            offset: get(bytes, at, 8)?,
            kind: get(bytes, at + 8, 4)? as u32,
            symbol: get(bytes, at + 12, 4)? as u32,
            addend: get(bytes, at + 16, 8)? as i64,
        })
    }

    pub fn bytes(&self) -> [u8; RELOCATION] {
        let mut bytes = [0; RELOCATION];
        put(&mut bytes, 0, 8, self.offset);
        put(&mut bytes, 8, 4, self.kind.into());
        put(&mut bytes, 12, 4, self.symbol.into());
        put(&mut bytes, 16, 8, self.addend as u64);
        bytes
    }
}

/// A number in a written file, which a mutation changes: the header of the file, or of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub section: Option<usize>,
    pub offset: usize,
    pub length: usize,
}

/// The place of the section headers in a file.
pub fn section_headers(file: &[u8]) -> usize {
    get(file, 40, 8).unwrap_or(0) as usize
}

impl Field {
    /// `table` is the true place of the section headers, which mutated headers may not give.
    pub fn write(self, file: &mut [u8], table: usize, number: u64) {
        let start = self
            .section
            .map_or(0, |section| table + section * SECTION_HEADER);
        put(file, start + self.offset, self.length, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tests::module;

    #[test]
    fn a_file_comes_out_as_it_went_in() {
        let elf = Elf::parse(&module()).unwrap();
        let again = Elf::parse(&elf.write()).unwrap();
        assert_eq!(elf.sections, again.sections);
        assert_eq!(elf.write(), again.write());
        assert!(Elf::parse(b"").is_none());
        assert!(Elf::parse(&module()[..200]).is_none());
    }

    #[test]
    fn what_is_added_is_found() {
        let mut elf = Elf::parse(&module()).unwrap();
        let count = elf.symbol_count();
        let section = elf.add_section(b".new", Section::default());
        let symbol = elf.add_symbol(b"new", 0x10, SHN_LIVEPATCH);
        let relocation = Relocation {
            offset: 0,
            kind: 1,
            symbol: symbol as u32,
            addend: -1,
        };
        elf.relocate(section, relocation);
        let elf = Elf::parse(&elf.write()).unwrap();
        assert_eq!(elf.find(b".new"), Some(section));
        assert_eq!(elf.symbol_count(), count + 1);
        let found = elf.symbol(symbol).unwrap();
        assert_eq!(elf.symbol_name(&found), b"new");
        assert_eq!(elf.relocation_at(section, 0), Some(relocation));
    }

    #[test]
    fn a_header_is_found_after_the_file_lost_its_place() {
        let elf = Elf::parse(&module()).unwrap();
        let mut file = elf.write();
        let table = section_headers(&file);
        let field = |section, offset| Field {
            section,
            offset,
            length: 8,
        };
        field(None, 40).write(&mut file, table, u64::MAX);
        field(Some(1), 24).write(&mut file, table, 7);
        assert_eq!(get(&file, 40, 8), Some(u64::MAX));
        assert_eq!(get(&file, table + SECTION_HEADER + 24, 8), Some(7));
    }
}
