// SPDX-License-Identifier: GPL-2.0

//! Mutations of the symbols that the core resolves, and of the relocations that it writes.

use super::{odd_name, shown};
use crate::draft::{Draft, ROOM, TARGET};
use crate::elf::{Relocation, ALLOC, EXEC, RELA, RELOCATION};
use crate::random::Random;

/// A kind that no architecture has.
const NO_KIND: u32 = 0x7fff_0000;

fn one(draft: &Draft, random: &mut Random) -> Option<usize> {
    (!draft.symbols.is_empty()).then(|| *random.pick(&draft.symbols))
}

pub fn name(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let symbol = one(draft, random)?;
    let odd = odd_name(random);
    const POSITIONS: [&[u8]; 14] = [
        b"0",
        b"2",
        b"999",
        b"18446744073709551615",
        b"99999999999999999999",
        b"-1",
        b"+1",
        b" 1",
        b"\xa01",
        b"0x1",
        b"1x",
        b"x",
        b"",
        b",1",
    ];
    let position = *random.pick(&POSITIONS);
    let name = match random.below(13) {
        0 => b".klp.sym.".to_vec(),
        1 => b".klp.sym".to_vec(),
        2 => b".klp.sym.vmlinux".to_vec(),
        3 => b".klp.sym.vmlinux.".to_vec(),
        4 => b".klp.sym.vmlinux.,0".to_vec(),
        5 => b".klp.sym..seq_printf,0".to_vec(),
        6 => b".klp.sym.vmlinux.seq_printf".to_vec(),
        7 => b".klp.sym.test_klp_no_such_module.x,0".to_vec(),
        8 => [b".klp.sym.", TARGET, b".", &odd, b",0"].concat(),
        9 => [b".klp.sym.vmlinux.", &odd[..], b",", position].concat(),
        10 => [b".klp.sym.", &odd[..], b".seq_printf,", position].concat(),
        11 => [b".klp.sym.vmlinux.seq_printf,", position].concat(),
        _ => odd,
    };
    draft.elf.set_symbol_name(symbol, &name);
    Some(format!("{symbol} to {}", shown(&name)))
}

/// The place of a name in the table of strings, or behind it.
pub fn name_place(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let index = one(draft, random)?;
    let strings = draft.elf.sections[draft.elf.symtab].link as usize;
    let length = draft.elf.sections[strings].data.len();
    let mut symbol = draft.elf.symbol(index)?;
    symbol.name = match random.one_in(4) {
        true => u32::MAX - random.below(256) as u32,
        false => random.below(length) as u32,
    };
    draft.elf.set_symbol(index, &symbol);
    Some(format!("{index} at {:#x}", symbol.name))
}

pub fn section(draft: &mut Draft, random: &mut Random) -> Option<String> {
    const UNDEFINED: u16 = 0;
    const RESERVED: u16 = 0xff00;
    const ABSOLUTE: u16 = 0xfff1;
    const COMMON: u16 = 0xfff2;

    let index = one(draft, random)?;
    let mut symbol = draft.elf.symbol(index)?;
    symbol.section = *random.pick(&[
        UNDEFINED,
        1,
        draft.rooms[0] as u16,
        draft.elf.sections.len() as u16,
        RESERVED,
        ABSOLUTE,
        COMMON,
        0xff21,
        u16::MAX,
    ]);
    draft.elf.set_symbol(index, &symbol);
    Some(format!("{index} in {:#x}", symbol.section))
}

pub fn value(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let index = one(draft, random)?;
    let mut symbol = draft.elf.symbol(index)?;
    symbol.info = random.next() as u8;
    symbol.other = random.next() as u8;
    symbol.value = random.number();
    symbol.size = random.number();
    draft.elf.set_symbol(index, &symbol);
    let (info, value) = (symbol.info, symbol.value);
    Some(format!("{index} info {info:#x} value {value:#x}"))
}

/// Changes one of the relocations that the core writes.
fn change(
    draft: &mut Draft,
    random: &mut Random,
    change: impl FnOnce(&Draft, &mut Random, &mut Relocation),
) -> Option<String> {
    let sections = draft.late.iter().map(|late| late.section);
    let full: Vec<_> = sections
        .filter(|&i| draft.elf.sections[i].data.len() >= RELOCATION)
        .collect();
    let section = *full.get(random.below(full.len()))?;
    let count = draft.elf.sections[section].data.len() / RELOCATION;
    let index = random.below(count);
    let mut relocation = draft.elf.relocation(section, index)?;
    change(draft, random, &mut relocation);
    draft.elf.sections[section].data[index * RELOCATION..][..RELOCATION]
        .copy_from_slice(&relocation.bytes());
    let name = shown(draft.elf.section_name(section));
    Some(format!("{name} number {index}: {relocation:x?}"))
}

pub fn kind(draft: &mut Draft, random: &mut Random) -> Option<String> {
    change(draft, random, |_, random, relocation| {
        relocation.kind = match random.one_in(3) {
            true => random.number() as u32,
            false => random.below(48) as u32,
        };
    })
}

/// Another place in the room, which may be written already. Eight bytes fit.
pub fn place(draft: &mut Draft, random: &mut Random) -> Option<String> {
    change(draft, random, |_, random, relocation| {
        relocation.offset = match random.one_in(2) {
            true => random.below(40) as u64,
            false => random.below(ROOM as usize - 7) as u64,
        };
    })
}

pub fn symbol(draft: &mut Draft, random: &mut Random) -> Option<String> {
    change(draft, random, |draft, random, relocation| {
        relocation.symbol = match random.one_in(4) {
            true => 0,
            false => random.below(draft.elf.symbol_count()) as u32,
        };
    })
}

pub fn addend(draft: &mut Draft, random: &mut Random) -> Option<String> {
    change(draft, random, |_, random, relocation| {
        relocation.addend = random.number() as i64;
    })
}

/// Relocations in another order, more than once, or very many that write nothing.
pub fn order(draft: &mut Draft, random: &mut Random) -> Option<String> {
    if draft.late.is_empty() {
        return None;
    }
    let section = random.pick(&draft.late).section;
    let data = &mut draft.elf.sections[section].data;
    let mut list: Vec<_> = data.chunks(RELOCATION).map(<[u8]>::to_vec).collect();
    let first = list.first()?.clone();
    let what = match random.below(4) {
        0 => {
            list.reverse();
            list.push(first);
            "reversed, and one twice"
        }
        1 => {
            list.push(first);
            "the first again"
        }
        2 => {
            list = [list.clone(), list].concat();
            "all twice"
        }
        _ => {
            // Kind 0 writes nothing.
            let mut nothing = first;
            nothing[8..12].fill(0);
            list.extend(vec![nothing; random.between(1, 2000)]);
            "many that write nothing"
        }
    };
    *data = list.concat();
    Some(format!("{} {what}", shown(draft.elf.section_name(section))))
}

/// A relocation of the module's own that the loader must refuse. All other changes of these would
/// let garbage run.
pub fn other_kind(draft: &mut Draft, random: &mut Random) -> Option<String> {
    let elf = &draft.elf;
    let is_own = |i: usize| {
        let section = &elf.sections[i];
        let written = elf.sections.get(section.info as usize);
        section.kind == RELA
            && section.data.len() >= RELOCATION
            && written.is_some_and(|s| s.flags & (ALLOC | EXEC) != 0)
            && draft.late.iter().all(|late| late.section != i)
    };
    let own: Vec<_> = (0..elf.sections.len()).filter(|&i| is_own(i)).collect();
    let section = *own.get(random.below(own.len()))?;
    let kind = NO_KIND + random.below(0xffff) as u32;
    draft.elf.sections[section].data[8..12].copy_from_slice(&kind.to_le_bytes());
    Some(format!(
        "{} {kind:#x}",
        shown(draft.elf.section_name(section))
    ))
}
