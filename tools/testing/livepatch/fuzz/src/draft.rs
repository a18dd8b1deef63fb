// SPDX-License-Identifier: GPL-2.0

//! A livepatch that is made at random, and is good until a mutation changes it.
//!
//! It is a module that was compiled, with tables of its own, and with sections of relocations that
//! the core writes, which no compiler makes. These relocations write into sections that are added
//! with them, and that nothing uses. The functions that the tables name are only called by readers
//! of some files in `/proc`, and nothing reads these while the fuzzer runs.

use crate::base::{Base, PATCH_MODULE, PATCH_OBJECTS, PATCH_REPLACE, PATCH_STATES, POINTER};
use crate::elf::{
    put, section_headers, Elf, Field, Relocation, Section, ALLOC, EXEC, PROGBITS, RELA_LIVEPATCH,
    SHN_LIVEPATCH, WRITE,
};
use crate::random::Random;

/// The module that livepatches change, too, and its function.
pub const TARGET: &[u8] = b"test_klp_mod_target";
pub const TARGET_FUNCTION: &[u8] = b"test_klp_mod_target_show";

/// Functions of the kernel that the replacement can take the place of.
pub const FUNCTIONS: [&[u8]; 5] = [
    b"cmdline_proc_show",
    b"version_proc_show",
    b"loadavg_proc_show",
    b"uptime_proc_show",
    b"meminfo_proc_show",
];

/// The size of the sections that relocations write to.
pub const ROOM: u64 = 256;

const STATE_SIZE: usize = 24;
const GLOBAL: u8 = 0x10;
const SECTION: u8 = 3;

/// One function in the tables. The empty one is the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Func {
    pub name: Option<Vec<u8>>,
    pub has_new: bool,
    pub position: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// `None` is the kernel proper.
    pub name: Option<Vec<u8>>,
    pub funcs: Option<Vec<Func>>,
    /// The position in the empty entry at the end.
    pub end: u64,
}

/// The tables of a livepatch. An empty entry follows each of them, after any mutation.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    pub has_module: bool,
    /// `None` is a null pointer.
    pub objects: Option<Vec<Object>>,
    pub replace: bool,
    /// IDs and versions.
    pub states: Vec<(u64, u32)>,
}

/// A section of relocations that the core writes.
#[derive(Clone, Debug)]
pub struct Late {
    pub section: usize,
    /// Whether they are for the module, and so wait for it.
    pub of_target: bool,
}

#[derive(Clone, Debug)]
pub struct Draft {
    base: Base,
    pub elf: Elf,
    /// The name that the module has once it is loaded.
    pub name: Vec<u8>,
    pub tables: Tables,
    pub late: Vec<Late>,
    /// The symbols that live patching resolves.
    pub symbols: Vec<usize>,
    /// The sections that the relocations write to.
    pub rooms: Vec<usize>,
    /// The section with the texts of the tables, and that of the tables.
    names: usize,
    table: usize,
    /// Numbers that are written into the finished file.
    pub fields: Vec<(Field, u64)>,
    /// The length to which the finished file is cut, of 1024 parts.
    pub cut: Option<usize>,
}

impl Draft {
    pub fn new(base: &Base, random: &mut Random) -> Self {
        let mut elf = base.elf.clone();
        let section = |flags, size| Section {
            kind: PROGBITS,
            flags,
            align: 32,
            data: vec![0; size],
            ..Section::default()
        };
        let rooms = vec![
            elf.add_section(b".fuzz.data", section(ALLOC | WRITE, ROOM as usize)),
            elf.add_section(b".fuzz.code", section(ALLOC | EXEC, ROOM as usize)),
        ];
        let names = elf.add_section(b".fuzz.names", section(ALLOC, 0));
        let table = elf.add_section(b".fuzz.tables", section(ALLOC | WRITE, 0));
        let (symtab, of) = (elf.symtab as u32, table as u32);
        elf.add_section(b".rela.fuzz.tables", Section::relocations(symtab, of, 0));
        let mut draft = Self {
            base: base.clone(),
            elf,
            name: base.name.clone(),
            tables: Tables::random(random),
            late: Vec::new(),
            symbols: Vec::new(),
            rooms,
            names,
            table,
            fields: Vec::new(),
            cut: None,
        };
        let mut used = vec![0; draft.rooms.len()];
        for of_target in [false, true] {
            for (room, used) in used.iter_mut().enumerate() {
                if random.one_in(2) {
                    draft.add_late(of_target, room, used, random);
                }
            }
        }
        draft
    }

    /// Adds a section of relocations that write to one of the rooms, behind those before.
    fn add_late(&mut self, of_target: bool, room: usize, used: &mut u64, random: &mut Random) {
        const SYMBOLS: [&[u8]; 3] = [b"seq_printf", b"cmdline_proc_show", b"linux_banner"];

        let room = self.rooms[room];
        let object = if of_target { TARGET } else { b"vmlinux" };
        let name = [b".klp.rela.", object, b".", self.elf.section_name(room)].concat();
        let flags = ALLOC | RELA_LIVEPATCH;
        let mut section = Section::relocations(self.elf.symtab as u32, room as u32, flags);
        for _ in 0..random.between(1, 4) {
            let symbol = match of_target {
                true => TARGET_FUNCTION,
                false => random.pick(&SYMBOLS),
            };
            let position = [b'0' + random.below(2) as u8];
            let symbol = [b".klp.sym.", object, b".", symbol, b",", &position[..]].concat();
            let symbol = self.elf.add_symbol(&symbol, GLOBAL, SHN_LIVEPATCH);
            self.symbols.push(symbol);
            let relocation = Relocation {
                offset: *used,
                kind: random.pick(&self.base.kinds).0,
                symbol: symbol as u32,
                addend: random.below(64) as i64,
            };
            *used += POINTER;
            section.data.extend(relocation.bytes());
        }
        let section = self.elf.add_section(&name, section);
        self.late.push(Late { section, of_target });
    }

    /// The file of the module.
    pub fn finish(mut self) -> Vec<u8> {
        self.write_tables();
        let mut file = self.elf.write();
        let table = section_headers(&file);
        for (field, number) in &self.fields {
            field.write(&mut file, table, *number);
        }
        if let Some(part) = self.cut {
            file.truncate(file.len() * part / 1024);
        }
        file
    }

    fn write_tables(&mut self) {
        let mut writer = Writer {
            of_names: self.elf.add_symbol(b"", SECTION, self.names as u16) as u32,
            of_table: self.elf.add_symbol(b"", SECTION, self.table as u16) as u32,
            draft: self,
        };
        writer.write();
    }
}

struct Writer<'a> {
    draft: &'a mut Draft,
    of_names: u32,
    of_table: u32,
}

impl Writer<'_> {
    fn write(&mut self) {
        let tables = self.draft.tables.clone();
        let (section, patch) = self.draft.base.patch;
        let replace = (patch + PATCH_REPLACE) as usize;
        self.draft.elf.sections[section].data[replace] = tables.replace.into();
        if !tables.has_module {
            self.clear(section, patch + PATCH_MODULE);
        }
        match &tables.objects {
            None => self.clear(section, patch + PATCH_OBJECTS),
            Some(objects) => {
                let start = self.objects(objects);
                self.point(section, patch + PATCH_OBJECTS, self.of_table, start);
            }
        }
        if !tables.states.is_empty() {
            let start = self.reserve((tables.states.len() + 1) * STATE_SIZE);
            for (i, (id, version)) in tables.states.iter().enumerate() {
                let at = start as usize + i * STATE_SIZE;
                put(self.data(), at, 8, *id);
                put(self.data(), at + 8, 4, (*version).into());
            }
            self.point(section, patch + PATCH_STATES, self.of_table, start);
        }
    }

    fn objects(&mut self, objects: &[Object]) -> u64 {
        let size = self.draft.base.object_size;
        let table = self.draft.table;
        let start = self.reserve((objects.len() + 1) * size);
        for (i, object) in objects.iter().enumerate() {
            let at = start + (i * size) as u64;
            self.name(at, &object.name);
            if let Some(funcs) = &object.funcs {
                let funcs = self.funcs(funcs, object.end);
                self.point(table, at + POINTER, self.of_table, funcs);
            }
        }
        start
    }

    fn funcs(&mut self, funcs: &[Func], end: u64) -> u64 {
        let size = self.draft.base.func_size;
        let table = self.draft.table;
        let start = self.reserve((funcs.len() + 2) * size);
        for (i, func) in funcs.iter().enumerate() {
            let at = start + (i * size) as u64;
            self.name(at, &func.name);
            if func.has_new {
                let relocation = Relocation {
                    offset: at + POINTER,
                    kind: self.draft.base.pointer,
                    ..self.draft.base.replacement
                };
                self.draft.elf.relocate(table, relocation);
            }
            put(self.data(), (at + 2 * POINTER) as usize, 8, func.position);
        }
        let at = start as usize + funcs.len() * size + 2 * POINTER as usize;
        put(self.data(), at, 8, end);
        start
    }

    /// Makes a pointer to a name, unless there is none.
    fn name(&mut self, at: u64, name: &Option<Vec<u8>>) {
        let Some(name) = name else { return };
        let names = &mut self.draft.elf.sections[self.draft.names].data;
        let start = names.len() as u64;
        names.extend(name);
        names.push(0);
        self.point(self.draft.table, at, self.of_names, start);
    }

    fn data(&mut self) -> &mut [u8] {
        &mut self.draft.elf.sections[self.draft.table].data
    }

    /// Adds zeros to the tables.
    fn reserve(&mut self, size: usize) -> u64 {
        let data = &mut self.draft.elf.sections[self.draft.table].data;
        let start = data.len().next_multiple_of(8);
        data.resize(start + size, 0);
        start as u64
    }

    fn point(&mut self, section: usize, offset: u64, symbol: u32, addend: u64) {
        let relocation = Relocation {
            offset,
            kind: self.draft.base.pointer,
            symbol,
            addend: addend as i64,
        };
        self.draft.elf.relocate(section, relocation);
    }

    /// Leaves a null pointer. Kind 0 writes nothing on every architecture.
    fn clear(&mut self, section: usize, offset: u64) {
        let relocation = Relocation {
            offset,
            kind: 0,
            symbol: 0,
            addend: 0,
        };
        self.draft.elf.relocate(section, relocation);
    }
}

impl Tables {
    fn random(random: &mut Random) -> Self {
        let func = |name: &[u8], random: &mut Random| Func {
            name: Some(name.to_vec()),
            has_new: true,
            position: random.below(2) as u64,
        };
        let mut objects = Vec::new();
        if !random.one_in(4) {
            let first = random.below(FUNCTIONS.len());
            let funcs = FUNCTIONS.iter().cycle().skip(first);
            let funcs = funcs.take(random.between(1, 3));
            objects.push(Object {
                name: None,
                funcs: Some(funcs.map(|name| func(name, random)).collect()),
                end: 0,
            });
        }
        if random.one_in(2) {
            let name: &[u8] = match random.one_in(4) {
                true => b"test_klp_no_such_module",
                false => TARGET,
            };
            objects.push(Object {
                name: Some(name.to_vec()),
                funcs: Some(vec![func(TARGET_FUNCTION, random)]),
                end: 0,
            });
        }
        if random.one_in(2) {
            objects.reverse();
        }
        let states = random.below(3) as u64;
        Self {
            has_module: true,
            objects: Some(objects),
            replace: random.one_in(3),
            states: (1..=states)
                .map(|id| (id, random.below(3) as u32))
                .collect(),
        }
    }
}
