// SPDX-License-Identifier: GPL-2.0

//! Mutations of headers, of sections, and of the data that the loader reads itself.

use super::{odd_name, shown};
use crate::draft::{Draft, Late, TARGET};
use crate::elf::{
    Field, ALLOC, EXEC, NOBITS, PROGBITS, RELA, RELA_LIVEPATCH, STRTAB, SYMTAB, WRITE,
};
use crate::random::Random;

const NAME: (usize, usize) = (0, 4);
const KIND: (usize, usize) = (4, 4);
const ADDRESS: (usize, usize) = (16, 8);
const PLACE: (usize, usize) = (24, 8);
const SIZE: (usize, usize) = (32, 8);
const LINK: (usize, usize) = (40, 4);
const INFO: (usize, usize) = (44, 4);
const ENTRY_SIZE: (usize, usize) = (56, 8);

/// Larger than any file.
const FAR: u64 = 1 << 40;

/// A section of relocations that the core writes, unless its header is changed already: two
/// changes could make the loader take garbage for relocations.
fn late(draft: &Draft, random: &mut Random) -> Option<Late> {
    let changed = |late: &&Late| {
        let mut fields = draft.fields.iter();
        fields.any(|(field, _)| field.section == Some(late.section))
    };
    let unchanged: Vec<_> = draft.late.iter().filter(|late| !changed(late)).collect();
    unchanged
        .get(random.below(unchanged.len()))
        .copied()
        .cloned()
}

fn of_target(draft: &Draft, random: &mut Random) -> Option<usize> {
    let late = late(draft, random)?;
    late.of_target.then_some(late.section)
}

fn set(draft: &mut Draft, section: Option<usize>, (offset, length): (usize, usize), number: u64) {
    let field = Field {
        section,
        offset,
        length,
    };
    draft.fields.push((field, number));
}

/// Changes a member of the section's header in the finished file.
fn set_in(draft: &mut Draft, section: usize, member: (usize, usize), number: u64) -> String {
    set(draft, Some(section), member, number);
    format!("{} {number:#x}", section_name(draft, section))
}

fn section_name(draft: &Draft, section: usize) -> String {
    shown(draft.elf.section_name(section))
}

pub fn file_header(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let count = draft.elf.sections.len() as u64;
    let names = draft.elf.names as u64;
    let strings = u64::from(draft.elf.sections[draft.elf.symtab].link);
    // A smaller number of sections must leave out the table of their names, so that the file is
    // refused: without its relocations, garbage would run.
    let places = [0, FAR, u64::MAX];
    let counts = [0, 1, names, count + 1, 0xffff];
    let indices = [0, strings, count, 0xff20, 0xffff];
    let members: [(_, _, _, &[u64]); 9] = [
        ("magic", 0, 4, &[0, 0x464c_457e]),
        ("class", 4, 1, &[0, 1, 3, 0xff]),
        ("type", 16, 2, &[0, 2, 3, 4, 0xffff]),
        ("machine", 18, 2, &[0, 3, 8, 0xffff]),
        ("sections' place", 40, 8, &places),
        ("flags", 48, 4, &[1, 0xffff_ffff]),
        ("section headers' size", 58, 2, &[0, 63, 65, 0xffff]),
        ("sections", 60, 2, &counts),
        ("names", 62, 2, &indices),
    ];
    let (what, at, length, numbers) = *random.pick(&members);
    let number = *random.pick(numbers);
    set(draft, None, (at, length), number);
    Some(format!("{what} {number:#x}"))
}

pub fn length(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let part = random.below(1024);
    draft.cut = Some(part);
    Some(format!("{part} of 1024 parts"))
}

/// Whether a name is left for a section. The loader shows sections in sysfs, which shows a stack
/// if two have one name.
fn is_free(draft: &Draft, name: &[u8]) -> bool {
    !name.is_empty() && draft.elf.find(name).is_none()
}

/// Other names for sections of relocations, also those that are hard to parse.
pub fn name(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let Late { section, of_target } = late(draft, random)?;
    let odd = odd_name(random);
    let name = match random.below(12) {
        0 => b".klp.rela.".to_vec(),
        1 => b".klp.rela".to_vec(),
        2 => b".klp.rela..".to_vec(),
        3 => b".klp.rela.vmlinux".to_vec(),
        4 => b".klp.rela.vmlinux.".to_vec(),
        5 => b".klp.rela.test_klp_no_such_module..text".to_vec(),
        6 => [b".klp.rela.", &odd[..], b".text"].concat(),
        7 => [b".klp.rela.vmlinux.", &odd[..]].concat(),
        // One for the kernel proper must not become one that waits for the module.
        8 if of_target => [b".klp.rela.", TARGET].concat(),
        9 => b".klp.arch.vmlinux..text".to_vec(),
        10 => b".klp.relavmlinux..text".to_vec(),
        _ => [b".fuzz.", &odd[..]].concat(),
    };
    if !is_free(draft, &name) {
        return None;
    }
    let before = section_name(draft, section);
    draft.elf.set_section_name(section, &name);
    Some(format!("{before} to {}", shown(&name)))
}

pub fn name_place(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let section = late(draft, random)?.section;
    let name = draft.elf.section_name(section).to_vec();
    if random.one_in(3) {
        let number = 0xffff_ff00 + random.below(256) as u64;
        return Some(set_in(draft, section, NAME, number));
    }
    // A part of the name. The loader knows none of these.
    let skipped = random.between(1, name.len());
    if !is_free(draft, &name[skipped..]) {
        return None;
    }
    draft.elf.sections[section].name += skipped as u32;
    Some(format!("{} to {}", shown(&name), shown(&name[skipped..])))
}

pub fn flags(draft: &mut Draft, random: &mut Random) -> Option<String> {
    /// Marks data that is read-only after init, and those that have no meaning for modules.
    const OTHERS: [u64; 8] = [
        0x0020_0000,
        0x10,
        0x20,
        0x80,
        0x200,
        0x400,
        0x800,
        0x8000_0000,
    ];

    let late = late(draft, random)?;
    let flag = match random.below(4) {
        0 => RELA_LIVEPATCH,
        1 => WRITE,
        2 => EXEC,
        _ => *random.pick(&OTHERS),
    };
    let flags = &mut draft.elf.sections[late.section].flags;
    *flags ^= flag;
    // The module's own text is never both.
    if random.one_in(4) {
        *flags |= WRITE | EXEC;
    }
    let flags = *flags;
    Some(format!("{} {flags:#x}", section_name(draft, late.section)))
}

/// Marks a section that has no such relocations, and a name that says so.
pub fn mark(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let section = random.between(1, draft.elf.sections.len() - 1);
    if draft.late.iter().any(|late| late.section == section) {
        return None;
    }
    draft.elf.sections[section].flags |= RELA_LIVEPATCH;
    Some(section_name(draft, section))
}

pub fn kind(draft: &mut Draft, random: &mut Random) -> Option<String> {
    const REL: u32 = 9;
    const NOTE: u32 = 7;
    const KINDS: [u32; 9] = [
        0,
        PROGBITS,
        SYMTAB,
        STRTAB,
        NOTE,
        NOBITS,
        REL,
        0x6fff_ffff,
        u32::MAX,
    ];

    let section = late(draft, random)?.section;
    let kind = *random.pick(&KINDS);
    Some(set_in(draft, section, KIND, kind.into()))
}

/// The section that relocations are for. Another one must have room, too.
pub fn info(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let late = late(draft, random)?;
    let count = draft.elf.sections.len() as u64;
    let number = match late.of_target {
        true => *random.pick(&draft.rooms) as u64,
        // The loader skips a section that is for none, or for one that has no memory.
        false => *random.pick(&[
            0,
            draft.rooms[0] as u64,
            draft.rooms[1] as u64,
            draft.elf.names as u64,
            count + 100,
            0x7fff_ffff,
            0xffff_ffff,
        ]),
    };
    Some(set_in(draft, late.section, INFO, number))
}

/// The same for a section that waits for its module: the core trusts this member then.
pub fn info_of_target(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let section = of_target(draft, random)?;
    let count = draft.elf.sections.len() as u64;
    let numbers = [0, draft.elf.names as u64, count, 0xffff_ffff];
    let number = *random.pick(&numbers);
    Some(set_in(draft, section, INFO, number))
}

/// A section for the kernel proper without memory of its own is read from the file. One that waits
/// for its module is read later, when the file is gone: the core trusts the flag.
pub fn no_memory(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let section = late(draft, random)?.section;
    draft.elf.sections[section].flags &= !ALLOC;
    Some(section_name(draft, section))
}

pub fn link(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let section = late(draft, random)?.section;
    let number = random.number() & 0xffff_ffff;
    Some(set_in(draft, section, LINK, number))
}

/// Less than there is, or more than any file has. Anything between would be garbage.
pub fn size(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let section = late(draft, random)?.section;
    let size = draft.elf.sections[section].data.len();
    let number = match random.one_in(3) {
        true => *random.pick(&[FAR, i64::MAX as u64, u64::MAX]),
        false => random.below(size) as u64,
    };
    Some(set_in(draft, section, SIZE, number))
}

pub fn place(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let section = late(draft, random)?.section;
    let number = *random.pick(&[FAR, i64::MAX as u64, u64::MAX]);
    Some(set_in(draft, section, PLACE, number))
}

/// The loader sets the address itself, but wants it to be 0 in the first section.
pub fn address(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let section = match random.one_in(3) {
        true => 0,
        false => late(draft, random)?.section,
    };
    let member = match section {
        0 => *random.pick(&[KIND, ADDRESS, SIZE]),
        _ => ADDRESS,
    };
    let number = random.number() | 1;
    Some(set_in(draft, section, member, number))
}

pub fn alignment(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let section = late(draft, random)?.section;
    let align = *random.pick(&[0, 1, 16, 64, 4096]);
    draft.elf.sections[section].align = align;
    Some(format!("{} {align}", section_name(draft, section)))
}

pub fn entry_size(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let section = late(draft, random)?.section;
    let number = random.number();
    Some(set_in(draft, section, ENTRY_SIZE, number))
}

/// The same relocations once more: their places are written already.
pub fn twice(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let late = late(draft, random)?;
    let object = if late.of_target { TARGET } else { b"vmlinux" };
    let name = [b".klp.rela.", object, b".again"].concat();
    if !is_free(draft, &name) {
        return None;
    }
    let copy = draft.elf.sections[late.section].clone();
    let section = draft.elf.add_section(&name, copy);
    let before = section_name(draft, late.section);
    draft.late.push(Late { section, ..late });
    Some(before)
}

/// The symbol table and its strings. The loader refuses all of these.
pub fn symbol_table(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let table = draft.elf.symtab;
    let strings = draft.elf.sections[table].link as usize;
    let count = draft.elf.sections.len() as u64;
    match random.below(6) {
        0 => {
            let number = *random.pick(&[0, table as u64, count, 0xffff_ffff]);
            Some(set_in(draft, table, LINK, number))
        }
        1 => Some(set_in(draft, table, KIND, u64::from(PROGBITS))),
        2 => Some(set_in(draft, strings, KIND, u64::from(RELA))),
        3 => Some(set_in(draft, strings, SIZE, *random.pick(&[0, FAR]))),
        4 => {
            // The finished file has more strings after these, and always ends with a zero.
            let data = &draft.elf.sections[strings].data;
            let size = data.iter().rposition(|&b| b != 0)? + 1;
            Some(set_in(draft, strings, SIZE, size as u64))
        }
        _ => {
            draft.elf.sections[strings].data[0] = b'x';
            Some("string table with x at 0".to_owned())
        }
    }
}

/// Fields that the loader and the core read. Without a license, the kernel would switch lockdep
/// off for the rest of the run.
pub fn modinfo(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let section = draft.elf.find(b".modinfo")?;
    let data = &mut draft.elf.sections[section].data;
    let mut fields: Vec<Vec<u8>> = data.split(|&b| b == 0).map(<[u8]>::to_vec).collect();
    let replace = |fields: &mut Vec<Vec<u8>>, name: &[u8], by: &[u8]| {
        fields.retain(|field| !field.starts_with(name));
        fields.insert(0, by.to_vec());
    };
    const CHANGES: [(&[u8], &[u8]); 10] = [
        (b"livepatch=", b""),
        (b"livepatch=", b"livepatch="),
        (b"livepatch=", b"livepatch"),
        (b"livepatch=", b"livepatch=N"),
        (b"livepatch=", b"livepatch=Y\0livepatch=N"),
        (b"vermagic=", b"vermagic=1.2.3 SMP mod_unload "),
        (b"vermagic=", b"vermagic="),
        (b"name=", b"name="),
        (b"name=", b""),
        (b"name=", b"name=%s/\xff"),
    ];
    let (name, by) = *random.pick(&CHANGES);
    replace(&mut fields, name, by);
    *data = fields.join(&0);
    data.push(0);
    Some(format!("{} to {}", shown(name), shown(by)))
}

/// The name that the module has once it is loaded. It has an end, and is not empty.
pub fn module_name(draft: &mut Draft, random: &mut Random) -> Option<String> {
    /// The room in `struct module`, with a zero.
    const ROOM: usize = 56;

    let section = draft.elf.find(b".gnu.linkonce.this_module")?;
    let old = [&draft.name[..], b"\0"].concat();
    let data = &mut draft.elf.sections[section].data;
    let at = data.windows(old.len()).position(|window| window == old)?;
    let mut name = match random.below(4) {
        0 => b"vmlinux".to_vec(),
        1 => vec![b'x'; ROOM - 1],
        _ => odd_name(random),
    };
    name.truncate(ROOM - 1);
    let place = data.get_mut(at..at + ROOM)?;
    place.fill(0);
    place[..name.len()].copy_from_slice(&name);
    let text = shown(&name);
    draft.name = name;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{tests::module, Base};
    use crate::elf::{get, section_headers};

    #[test]
    fn the_string_table_may_lose_its_end() {
        let base = Base::parse(&module()).unwrap();
        let strings = base.elf.sections[base.elf.symtab].link as usize;
        let (mut first, mut last) = (0, 0);
        for case in 0..100 {
            let mut random = Random::new(1, case);
            let mut draft = Draft::new(&base, &mut random);
            symbol_table(&mut draft, &mut random).unwrap();
            let file = draft.finish();
            let header = section_headers(&file) + 64 * strings;
            let member = |(offset, length)| get(&file, header + offset, length).unwrap() as usize;
            if let Some(table) = file.get(member(PLACE)..member(PLACE) + member(SIZE)) {
                first += u32::from(table.first().is_some_and(|&b| b != 0));
                last += u32::from(table.last().is_some_and(|&b| b != 0));
            }
        }
        assert!(first > 5 && last > 5, "{first} {last}");
    }
}
