// SPDX-License-Identifier: GPL-2.0

//! The functions that a livepatch's file changes.
//!
//! They are in arrays of `struct klp_func`, or of `struct klp_func_ext` if klp-build has made the
//! file. Both begin with `old_name`, `new_func` and `old_sympos`. Two pointers are relocations, the
//! first to a text, the second to code. `struct klp_object` has the name of the object and then a
//! pointer to such an array. The sizes of the structures differ between kernels, so this file
//! derives them from the distance of the functions.

use std::collections::{BTreeMap, BTreeSet};

use crate::elf::{text_at, Elf, Section};
use crate::name::Name;
use crate::sysfs::VMLINUX;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub object: Name,
    pub function: Name,
    /// The position among the symbols of that name, from 1, or 0 if there must be one alone.
    pub sympos: u64,
    /// Code of the livepatch takes the address of the new function, and can give it to the kernel.
    /// Not known on all architectures, and `false` then.
    pub is_passed_on: bool,
}

/// A place in the file: the index of a section, and the offset in it.
type Place = (u64, u64);

const POINTER: u64 = 8;

/// The size of a symbol.
const SYMBOL: usize = 24;

/// Returns the functions in the order of the file, or none if it has no such arrays.
pub fn of(elf: &Elf) -> Vec<Changed> {
    let pointers = pointers(elf);
    let passed_on = passed_on(elf);
    let text = |place: &Place| {
        let &(section, offset) = pointers.get(place)?;
        let section = section_at(elf, section)?;
        let text = text_at(elf.content(section), usize::try_from(offset).ok()?);
        (!is_code(section) && is_symbol(text)).then(|| Name::from(text))
    };
    let follows = |&(section, offset): &Place| Some((section, offset.checked_add(POINTER)?));
    let functions: BTreeMap<Place, Name> = pointers
        .keys()
        .filter_map(|place| {
            let &(section, _) = pointers.get(&follows(place)?)?;
            is_code(section_at(elf, section)?).then_some(())?;
            Some((*place, text(place)?))
        })
        .collect();

    let mut changed = Vec::new();
    for (&(section, offset), start) in &pointers {
        if !functions.contains_key(start) {
            continue;
        }
        // Callbacks come next. KASAN, too, has structures with a pointer to each array, but then
        // with its length.
        let next = follows(&(section, offset));
        if !next.is_some_and(|place| pointers.contains_key(&place) || is_null(elf, &place)) {
            continue;
        }
        let name = offset.checked_sub(POINTER).map(|offset| (section, offset));
        let object = match name.filter(|place| pointers.contains_key(place)) {
            Some(place) => text(&place),
            None => Some(VMLINUX.into()),
        };
        let Some(object) = object else { continue };
        let end = end_of(elf, start).unwrap_or(u64::MAX);
        let array = functions
            .range(*start..)
            .take_while(|(place, _)| place.0 == start.0 && place.1 < end);
        let array: Vec<_> = array.collect();
        let distance = array
            .windows(2)
            .next()
            .map(|pair| pair[1].0 .1 - pair[0].0 .1);
        for (i, (place, function)) in array.iter().enumerate() {
            // Behind the array there may be another one.
            let expected = distance.unwrap_or(0).checked_mul(i as u64);
            let begins = pointers.values().any(|p| p == *place);
            let there = expected.and_then(|distance| distance.checked_add(start.1));
            if there != Some(place.1) || (i > 0 && begins) {
                break;
            }
            changed.push(Changed {
                object: object.clone(),
                function: (*function).clone(),
                sympos: sympos(elf, place).unwrap_or(0),
                is_passed_on: follows(place)
                    .and_then(|place| pointers.get(&place))
                    .is_some_and(|new| passed_on.contains(new)),
            });
        }
    }
    changed
}

/// Returns the end of the variable that a place is in, if the file has its symbol.
fn end_of(elf: &Elf, &(section, offset): &Place) -> Option<u64> {
    const KIND_SYMBOLS: u64 = 2;

    let tables = elf.sections().iter().filter(|s| s.kind == KIND_SYMBOLS);
    let mut symbols = tables.flat_map(|table| elf.content(table).chunks_exact(SYMBOL));
    symbols.find_map(|symbol| {
        let value = elf.number(symbol, 8, 8)?;
        let end = value.checked_add(elf.number(symbol, 16, 8)?)?;
        let there = elf.number(symbol, 6, 2)? == section && (value..end).contains(&offset);
        there.then_some(end)
    })
}

fn is_null(elf: &Elf, &(section, offset): &Place) -> bool {
    let content = section_at(elf, section).map(|section| elf.content(section));
    let at = usize::try_from(offset).unwrap_or(usize::MAX);
    content.is_some_and(|content| elf.number(content, at, 8) == Some(0))
}

fn sympos(elf: &Elf, &(section, offset): &Place) -> Option<u64> {
    let content = elf.content(section_at(elf, section)?);
    let at = usize::try_from(offset.checked_add(2 * POINTER)?).ok()?;
    elf.number(content, at, 8)
}

fn section_at(elf: &Elf, index: u64) -> Option<&Section> {
    elf.sections().get(usize::try_from(index).ok()?)
}

fn is_code(section: &Section) -> bool {
    const EXECUTABLE: u64 = 4;

    section.flags & EXECUTABLE != 0
}

fn is_symbol(text: &[u8]) -> bool {
    let good = |b: &u8| b.is_ascii_alphanumeric() || b"_.$-".contains(b);
    !text.is_empty() && text.iter().all(good)
}

/// A relocation: the place that has it, its type, and the place that it refers to.
struct Relocation {
    place: Place,
    kind: u64,
    target: Place,
}

/// Returns the relocations of the sections that `wanted` accepts.
fn relocations(elf: &Elf, wanted: impl Fn(&Section) -> bool) -> Vec<Relocation> {
    const KIND_RELA: u64 = 4;
    const RELA: usize = 24;

    let mut relocations = Vec::new();
    let is_wanted =
        |s: &&Section| s.kind == KIND_RELA && section_at(elf, s.info).is_some_and(&wanted);
    for section in elf.sections().iter().filter(is_wanted) {
        let Some(symbols) = section_at(elf, section.link) else {
            continue;
        };
        let symbols = elf.content(symbols);
        let relas = elf.content(section).chunks_exact(RELA);
        relocations.extend(relas.filter_map(|rela| {
            let offset = elf.number(rela, 0, 8)?;
            let info = elf.number(rela, 8, 8)?;
            // The symbol's index is the upper half of the number.
            let symbol = usize::try_from(info >> 32).ok()?;
            let symbol = symbols.get(symbol.checked_mul(SYMBOL)?..)?;
            let value = elf.number(symbol, 8, 8)?;
            let target = elf.number(symbol, 6, 2)?;
            Some(Relocation {
                place: (section.info, offset),
                kind: info & u64::from(u32::MAX),
                target: (target, value.wrapping_add(elf.number(rela, 16, 8)?)),
            })
        }));
    }
    relocations
}

/// Returns the places with relocations to another place in the file.
fn pointers(elf: &Elf) -> BTreeMap<Place, Place> {
    const ALLOCATED: u64 = 2;

    // Debug information and code point to the same places, but are no structures.
    let is_data = |s: &Section| s.flags & ALLOCATED != 0 && !is_code(s);
    let relocations = relocations(elf, is_data).into_iter();
    relocations.map(|r| (r.place, r.target)).collect()
}

/// Returns the places whose address code takes, other than to call or to jump there. The code that
/// runs once, when the module is loaded, does not count: it fills the structures.
fn passed_on(elf: &Elf) -> BTreeSet<Place> {
    const X86_64: u64 = 62;
    const X86_64_PC32: u64 = 2;
    const X86_64_PLT32: u64 = 4;
    const AARCH64: u64 = 183;
    const AARCH64_JUMP26: u64 = 282;
    const AARCH64_CALL26: u64 = 283;

    let calls = match elf.machine() {
        Some(X86_64) => [X86_64_PLT32].as_slice(),
        Some(AARCH64) => &[AARCH64_JUMP26, AARCH64_CALL26],
        // There, a call may have the type of any other use.
        _ => return BTreeSet::new(),
    };
    let stays = |s: &Section| is_code(s) && !elf.name(s).starts_with(b".init");
    let relocations = relocations(elf, stays).into_iter();
    relocations
        .filter(|r| !calls.contains(&r.kind))
        .map(|r| {
            let (section, offset) = r.target;
            // That one is relative to the end of its four bytes.
            let ahead = match (elf.machine(), r.kind) {
                (Some(X86_64), X86_64_PC32) => 4,
                _ => 0,
            };
            (section, offset.wrapping_add(ahead))
        })
        .collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::elf::tests::{file_of, info, part, Part};

    /// The size of a function and of an object in the files made here. Real ones are larger.
    const FUNCTION: u64 = 40;
    const OBJECT: u64 = 32;

    /// Makes the file of a livepatch that changes these functions: object, function, sympos.
    pub fn patch(fields: &[&str], functions: &[(&str, &str, u64)]) -> Vec<u8> {
        patch_with(fields, functions, ".text", &[])
    }

    /// The same with these relocations of its code: the type, and the offset in the code to which
    /// it refers. The code is in the section `code`.
    fn patch_with(
        fields: &[&str],
        functions: &[(&str, &str, u64)],
        code: &'static str,
        uses: &[(u64, u64)],
    ) -> Vec<u8> {
        let uses = uses.iter();
        let uses = uses.flat_map(|(kind, to)| [0, 2 << 32 | kind, *to]);
        let uses: Vec<u8> = uses.flat_map(u64::to_le_bytes).collect();
        let fields = [&["livepatch=Y"], fields].concat();
        let (text, data, strings, symbols, debug) = (2, 3, 4, 5, 8);
        let mut names = vec![b'?'];
        let mut relas = Vec::new();
        let mut rela = |offset: u64, section: u64, addend: u64| {
            for number in [offset, section << 32 | 1, addend] {
                relas.extend(number.to_le_bytes());
            }
        };
        let mut name = |text: &str| {
            let at = names.len() as u64;
            names.extend(text.as_bytes());
            names.push(0);
            at
        };
        let mut objects: Vec<&str> = functions.iter().map(|f| f.0).collect();
        objects.dedup();
        let mut content = vec![0; 64];
        let mut arrays = Vec::new();
        for object in objects {
            let at = content.len() as u64;
            if object != "vmlinux" {
                rela(at, strings, name(object));
            }
            rela(at + 8, data, at + OBJECT);
            let start = at + OBJECT;
            content.resize((at + OBJECT) as usize, 0);
            for (_, function, sympos) in functions.iter().filter(|f| f.0 == object) {
                let at = content.len() as u64;
                rela(at, strings, name(function));
                rela(at + 8, text, at);
                content.extend([0; 16]);
                content.extend(sympos.to_le_bytes());
                content.resize((at + FUNCTION) as usize, 0);
            }
            content.extend([0; FUNCTION as usize]);
            arrays.push((start, content.len() as u64 - start));
        }
        // As KASAN describes an array: a pointer to it, and its length.
        if let Some((start, _)) = arrays.first() {
            rela(content.len() as u64, data, *start);
            content.extend([[0; 8], 40u64.to_le_bytes(), [0; 8]].concat());
        }
        // Another structure that begins as a function does, and is in no array.
        let at = content.len() as u64;
        rela(at, strings, name("no_function"));
        rela(at + 8, text, 0);
        content.extend([0; 32]);
        // The symbols are those of the sections, at their indices.
        let mut table = Vec::new();
        for index in 0..6u8 {
            let mut symbol = [0; 24];
            symbol[6] = index;
            table.extend(symbol);
        }
        for (start, size) in arrays {
            table.extend([0, 0, 0, 0, 1, 0, data as u8, 0]);
            table.extend(start.to_le_bytes());
            table.extend(size.to_le_bytes());
        }
        let with = |part: Part<'static>, kind, link, info| Part {
            kind,
            link,
            info,
            ..part
        };
        let code = Part {
            flags: 4,
            ..part(code, vec![0; 4096])
        };
        let parts = [
            info(&fields),
            code,
            Part {
                flags: 3,
                ..part(".data", content)
            },
            part(".rodata.str1.1", names),
            with(part(".symtab", table), 2, 0, 0),
            with(part(".rela.data", relas.clone()), 4, symbols, data),
            with(part(".rela.debug_info", relas), 4, symbols, debug),
            part(".debug_info", vec![0; 4096]),
            with(part(".rela.text", uses), 4, symbols, text),
        ];
        file_of(&parts, false)
    }

    fn changed(functions: &[(&str, &str, u64)]) -> Vec<(String, String, u64)> {
        let elf = Elf::parse(patch(&[], functions)).unwrap();
        let changed = of(&elf).into_iter();
        changed
            .map(|c| (c.object.to_string(), c.function.to_string(), c.sympos))
            .collect()
    }

    #[test]
    fn functions_of_several_objects() {
        for functions in [
            &[][..],
            &[("vmlinux", "a", 0)],
            &[
                ("vmlinux", "a", 0),
                ("vmlinux", "b.isra.0", 2),
                ("vmlinux", "c", 0),
            ],
            &[
                ("ext4", "a", 0),
                ("vmlinux", "b", 1),
                ("vmlinux", "c", 0),
                ("xfs", "d", 3),
            ],
        ] {
            let expected: Vec<_> = functions
                .iter()
                .map(|(o, f, n)| (o.to_string(), f.to_string(), *n))
                .collect();
            assert_eq!(changed(functions), expected);
        }
    }

    /// The functions that the code of the architecture passes on, if these are its relocations.
    fn passed_on(machine: u8, code: &'static str, uses: &[(u64, u64)]) -> Vec<String> {
        let functions = [("vmlinux", "a", 0), ("vmlinux", "b", 0)];
        let mut file = patch_with(&[], &functions, code, uses);
        file[18] = machine;
        let changed = of(&Elf::parse(file).unwrap()).into_iter();
        let passed_on = changed.filter(|c| c.is_passed_on);
        passed_on.map(|c| c.function.to_string()).collect()
    }

    #[test]
    fn functions_that_are_passed_on() {
        const NONE: [&str; 0] = [];
        // The new functions, as `patch()` puts them into the code.
        let (a, b) = (96, 136);

        for (machine, uses, expected) in [
            // x86-64: calls; an address, and one relative to the end of the instruction.
            (62, &[(4, a), (4, b)][..], &NONE[..]),
            (62, &[(4, a), (11, b)], &["b"]),
            (62, &[(2, a - 4), (2, b)], &["a"]),
            // arm64: a call and a jump; the two halves of an address.
            (183, &[(283, a), (282, b)], &NONE),
            (183, &[(275, a), (277, a), (283, b)], &["a"]),
            // Another architecture, where it is not known.
            (22, &[(19, a)], &NONE),
        ] {
            assert_eq!(passed_on(machine, ".text", uses), expected);
        }
        assert_eq!(passed_on(62, ".init.text", &[(11, a), (11, b)]), NONE);
    }

    #[test]
    fn files_that_make_no_sense() {
        let whole = patch(&[], &[("vmlinux", "a", 0), ("ext4", "b", 0)]);
        for at in 0..whole.len() {
            let mut file = whole.clone();
            file[at] = 0xff;
            if let Some(elf) = Elf::parse(file) {
                of(&elf);
            }
        }
    }
}
