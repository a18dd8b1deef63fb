// SPDX-License-Identifier: GPL-2.0

//! A good livepatch module, and the places in it that mutations need.
//!
//! The module has a variable `patch`, a `struct klp_patch`, of one object with one function. Its
//! tables end with an empty entry each, so that their sizes give those of the structures, which
//! differ between kernels. Upstream's selftests and samples in C have this form.

use crate::elf::{get, Elf, Relocation};

pub const POINTER: u64 = 8;

/// The members of `struct klp_patch`.
pub const PATCH_MODULE: u64 = 0;
pub const PATCH_OBJECTS: u64 = 8;
pub const PATCH_STATES: u64 = 16;
pub const PATCH_REPLACE: u64 = 24;

const X86_64: u16 = 62;

#[derive(Clone, Debug)]
pub struct Base {
    pub elf: Elf,
    /// The name that the module has once it is loaded.
    pub name: Vec<u8>,
    /// The place of `patch`: a section, and the offset in it.
    pub patch: (usize, u64),
    pub object_size: usize,
    pub func_size: usize,
    /// The relocation that points to the replacement, a function that can take any place in the
    /// tables.
    pub replacement: Relocation,
    /// The kind of a relocation that writes a pointer.
    pub pointer: u32,
    /// The kinds of relocations that every symbol of the kernel fits, with their sizes.
    pub kinds: Vec<(u32, u64)>,
}

impl Base {
    /// Takes a module's file apart.
    ///
    /// # Errors
    ///
    /// The reason for which it cannot be used.
    pub fn parse(file: &[u8]) -> Result<Self, &'static str> {
        let elf = Elf::parse(file).ok_or("is no module of 64 bits, little-endian, with symbols")?;
        let name = module_name(&elf).ok_or("does not tell its name")?;
        let variable = |place: (usize, u64)| {
            let mut symbols = elf.symbols();
            let symbol = symbols.find(|s| {
                (s.section.into(), s.value) == place && s.size != 0 && is_variable(s.info)
            });
            symbol.map(|s| without_redzone(&elf, place, s.size) as usize)
        };
        let patch = elf
            .symbols()
            .find(|s| elf.symbol_name(s) == b"patch" && is_variable(s.info))
            .ok_or("has no variable \"patch\"")?;
        let patch = (usize::from(patch.section), patch.value);

        const TABLES: &str = "has no tables of one object and one function";
        let follow = |(section, offset): (usize, u64), member| {
            let relocation = elf.relocation_at(section, offset + member)?;
            Some((elf.target(&relocation)?, relocation))
        };
        let (objects, pointer) = follow(patch, PATCH_OBJECTS).ok_or(TABLES)?;
        let (funcs, _) = follow(objects, POINTER).ok_or(TABLES)?;
        let (_, replacement) = follow(funcs, POINTER).ok_or(TABLES)?;
        let half = |size: Option<usize>| {
            size.filter(|size| size % 16 == 0 && (64..4096).contains(size))
                .map(|size| size / 2)
                .ok_or(TABLES)
        };
        let (object_size, func_size) = (half(variable(objects))?, half(variable(funcs))?);
        let kinds = match elf.machine() {
            // 64, PC32, PLT32, 32S, PC64, NONE
            X86_64 => vec![(1, 8), (2, 4), (4, 4), (11, 4), (24, 8), (0, 8)],
            _ => vec![(pointer.kind, 8)],
        };
        Ok(Self {
            name,
            patch,
            object_size,
            func_size,
            replacement,
            pointer: pointer.kind,
            kinds,
            elf,
        })
    }
}

/// The size of a variable. With KASAN, clang adds to the size of the symbol, and describes the
/// variable: a pointer to it, its size, and the size of the symbol.
fn without_redzone(elf: &Elf, place: (usize, u64), of_symbol: u64) -> u64 {
    let described = |section: usize, relocation: &Relocation| {
        if elf.target(relocation) != Some(place) {
            return None;
        }
        let data = &elf.sections[section].data;
        let at = usize::try_from(relocation.offset + POINTER).ok()?;
        let (size, whole) = (get(data, at, 8)?, get(data, at + 8, 8)?);
        (whole == of_symbol && size < whole).then_some(size)
    };
    let sections = 0..elf.sections.len();
    let mut sizes = sections.flat_map(|section| {
        let relocations = elf.all_relocations_of(section);
        relocations.filter_map(move |relocation| described(section, &relocation))
    });
    sizes.next().unwrap_or(of_symbol)
}

fn is_variable(info: u8) -> bool {
    const OBJECT: u8 = 1;

    info & 0xf == OBJECT
}

/// The name in `.modinfo`.
pub fn module_name(elf: &Elf) -> Option<Vec<u8>> {
    let info = &elf.sections[elf.find(b".modinfo")?].data;
    let mut fields = info.split(|&b| b == 0);
    fields.find_map(|field| Some(field.strip_prefix(b"name=")?.to_vec()))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::elf::{put, Section, ALLOC, EXEC, PROGBITS, STRTAB, SYMTAB, WRITE};

    const OBJECT_SIZE: u64 = 96;
    const FUNC_SIZE: u64 = 80;

    fn section(kind: u32, flags: u64, data: Vec<u8>) -> Section {
        Section {
            kind,
            flags,
            align: 8,
            data,
            ..Section::default()
        }
    }

    /// The file of a livepatch that no compiler has made.
    pub fn module() -> Vec<u8> {
        let mut header = vec![0; 64];
        header[..6].copy_from_slice(b"\x7fELF\x02\x01");
        header[16] = 1;
        header[18] = X86_64 as u8;
        header[58] = 64;
        let mut elf = Elf::empty(header.try_into().unwrap());
        elf.sections = vec![
            Section::default(),
            section(STRTAB, 0, vec![0]),
            section(STRTAB, 0, vec![0]),
            Section {
                link: 2,
                ..section(SYMTAB, 0, vec![0; 24])
            },
        ];
        (elf.names, elf.symtab) = (1, 3);
        for (i, name) in [(1, ".shstrtab"), (2, ".strtab"), (3, ".symtab")] {
            elf.set_section_name(i, name.as_bytes());
        }
        let info = b"livepatch=Y\0name=a_patch\0vermagic=7.3.4 SMP\0license=GPL\0";
        elf.add_section(b".modinfo", section(PROGBITS, ALLOC, info.to_vec()));
        let mut this = vec![0; 1024];
        this[24..31].copy_from_slice(b"a_patch");
        let this = section(PROGBITS, ALLOC | WRITE, this);
        let this = elf.add_section(b".gnu.linkonce.this_module", this);
        let text = elf.add_section(b".text", section(PROGBITS, ALLOC | EXEC, vec![0x90; 64]));
        let data = elf.add_section(b".data", section(PROGBITS, ALLOC | WRITE, vec![0; 512]));

        let objects = 64;
        let funcs = objects + 2 * OBJECT_SIZE;
        for (name, value, size) in [
            ("patch", 0, 64),
            ("objs", objects, 2 * OBJECT_SIZE),
            ("funcs", funcs, 2 * FUNC_SIZE),
        ] {
            let index = elf.add_symbol(name.as_bytes(), 1, data as u16);
            let mut symbol = elf.symbol(index).unwrap();
            (symbol.value, symbol.size) = (value, size);
            elf.set_symbol(index, &symbol);
        }
        let of_data = elf.add_symbol(b"", 3, data as u16) as u32;
        let of_text = elf.add_symbol(b"replacement", 2, text as u16) as u32;
        let of_this = elf.add_symbol(b"__this_module", 0x11, this as u16) as u32;
        elf.add_symbol(b"klp_enable_patch", 0x10, 0);
        for (offset, symbol, addend) in [
            (PATCH_MODULE, of_this, 0),
            (PATCH_OBJECTS, of_data, objects),
            (objects + POINTER, of_data, funcs),
            (funcs + POINTER, of_text, 0),
        ] {
            let relocation = Relocation {
                offset,
                kind: 1,
                symbol,
                addend: addend as i64,
            };
            elf.relocate(data, relocation);
        }
        elf.write()
    }

    #[test]
    fn the_places_of_a_module() {
        let base = Base::parse(&module()).unwrap();
        assert_eq!(base.name, b"a_patch");
        assert_eq!(base.object_size as u64, OBJECT_SIZE);
        assert_eq!(base.func_size as u64, FUNC_SIZE);
        assert_eq!(base.patch.1, 0);
        let name = base.elf.symbol(base.replacement.symbol as usize).unwrap();
        assert_eq!(base.elf.symbol_name(&name), b"replacement");
    }

    #[test]
    fn kasan_adds_to_variables() {
        let mut elf = Elf::parse(&module()).unwrap();
        let index = elf.symbols().position(|s| elf.symbol_name(&s) == b"funcs");
        let mut symbol = elf.symbol(index.unwrap()).unwrap();
        let data = usize::from(symbol.section);
        let start = symbol.value;
        symbol.size += 96;
        elf.set_symbol(index.unwrap(), &symbol);
        let wrong = Base::parse(&elf.write()).unwrap().func_size as u64;
        assert_eq!(wrong, FUNC_SIZE + 48);

        let of_data = elf.symbols().position(|s| s.info == 3).unwrap();
        elf.relocate(
            data,
            Relocation {
                offset: 480,
                kind: 1,
                symbol: of_data as u32,
                addend: start as i64,
            },
        );
        put(&mut elf.sections[data].data, 488, 8, 2 * FUNC_SIZE);
        put(&mut elf.sections[data].data, 496, 8, symbol.size);
        let base = Base::parse(&elf.write()).unwrap();
        assert_eq!(base.func_size as u64, FUNC_SIZE);
    }

    #[test]
    fn other_files() {
        assert!(Base::parse(b"text").is_err());
        let mut elf = Elf::parse(&module()).unwrap();
        let patch = elf.symbols().position(|s| elf.symbol_name(&s) == b"patch");
        elf.set_symbol_name(patch.unwrap(), b"other");
        let error = Base::parse(&elf.write()).unwrap_err();
        assert!(error.contains("patch"), "{error}");
    }
}
