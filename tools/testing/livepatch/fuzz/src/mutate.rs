// SPDX-License-Identifier: GPL-2.0

//! The mutations. Each changes one thing of a [`Draft`], and describes it.
//!
//! Root may load any code, so the loader and the core trust many parts of a module. The fuzzer does
//! not change these parts, because a crash would be no mistake of the kernel. It changes:
//!
//! - the header of the file, and its length;
//! - the headers of the symbol table and of its strings, the first byte of the strings, and the
//!   header of the first section;
//! - all members of the headers of sections with relocations that the core writes, and the mark of
//!   such sections on any other section;
//! - names, sections and values of the symbols that the core resolves;
//! - these relocations: order, number, kinds, addends, symbols that exist, and places in the
//!   section that they are for, also places that are written already;
//! - `.modinfo`, and the name of the module;
//! - the tables of a livepatch: null pointers, names, positions, numbers of entries, `replace`, and
//!   states.
//!
//! It does not make these mutations, after which both cores overwrite memory or run garbage:
//!
//! - relocations of the module's own code and data, unless the loader refuses their kind;
//! - relocations outside of their section, and symbols outside of the table: the loader checks
//!   neither;
//! - names of sections that make the loader take garbage for its own tables, such as `__ksymtab`;
//! - alignments that are no powers of two, which make sections overlap;
//! - pointers to code or tables that are none, texts without an end, tables without an end, and the
//!   members of the structures that belong to the core;
//! - functions that run while the fuzzer does.
//!
//! A few mutations are [`Scope::Beyond`]: the kernel refuses them, but also warns, or it trusts a
//! part of the file that it could check in a few instructions. The fuzzer makes them only with
//! `--beyond`.

mod sections;
mod symbols;
mod tables;

use crate::draft::Draft;
use crate::random::Random;

/// Which mutations to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those after which the kernel must return a clean error.
    Clean,
    /// Others as well.
    Beyond,
}

/// Makes a mutation and returns its description, or `None` if the draft has no place for it.
type Mutation = fn(&mut Draft, &mut Random) -> Option<String>;

/// The fate of modules with a mutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The loader or the core refuses all of them.
    Refused,
    /// The kernel loads some of them.
    Loads,
    /// Either.
    Open,
}

use Fate::{Loads, Open, Refused};

const CLEAN: [(&str, Mutation, Fate); 32] = [
    ("file header", sections::file_header, Loads),
    ("file length", sections::length, Refused),
    ("section name", sections::name, Loads),
    ("section name's place", sections::name_place, Refused),
    ("section flags", sections::flags, Loads),
    ("section mark", sections::mark, Loads),
    ("section type", sections::kind, Loads),
    ("section info", sections::info, Loads),
    ("section link", sections::link, Loads),
    ("section size", sections::size, Loads),
    ("section place", sections::place, Refused),
    ("section address", sections::address, Loads),
    ("section alignment", sections::alignment, Loads),
    ("section entries", sections::entry_size, Loads),
    ("section twice", sections::twice, Loads),
    ("symbol table", sections::symbol_table, Refused),
    ("modinfo", sections::modinfo, Loads),
    ("module name", sections::module_name, Loads),
    ("symbol name", symbols::name, Loads),
    ("symbol name's place", symbols::name_place, Loads),
    ("symbol section", symbols::section, Loads),
    ("symbol value", symbols::value, Loads),
    ("relocation kind", symbols::kind, Loads),
    ("relocation place", symbols::place, Loads),
    ("relocation symbol", symbols::symbol, Loads),
    ("relocation addend", symbols::addend, Loads),
    ("relocation order", symbols::order, Loads),
    ("other relocation's kind", symbols::other_kind, Refused),
    ("object", tables::object, Loads),
    ("function", tables::function, Loads),
    ("null", tables::null, Loads),
    ("states", tables::states, Loads),
];

const BEYOND: [(&str, Mutation, Fate); 4] = [
    ("section info of a module's", sections::info_of_target, Open),
    ("section without memory", sections::no_memory, Open),
    ("object without a name", tables::no_name, Open),
    ("twice the same name", tables::same_name, Open),
];

/// The titles of the mutations in a scope, and the fate of modules with them.
pub fn titles(scope: Scope) -> impl Iterator<Item = (&'static str, Fate)> {
    let beyond = match scope {
        Scope::Clean => &[][..],
        Scope::Beyond => &BEYOND,
    };
    CLEAN
        .iter()
        .chain(beyond)
        .map(|&(title, _, fate)| (title, fate))
}

/// A mutation that was made.
pub struct Done {
    pub title: &'static str,
    pub text: String,
}

/// Makes a few mutations, mostly one.
pub fn mutate(draft: &mut Draft, scope: Scope, random: &mut Random) -> Vec<Done> {
    let count = match random.below(20) {
        0 => 0,
        1..=3 => 2,
        4 => 3,
        _ => 1,
    };
    let mut done = Vec::new();
    // The draft may have no place for some of them.
    for _ in 0..100 {
        if done.len() == count {
            break;
        }
        let &(title, mutation, _) = match scope {
            Scope::Beyond if random.one_in(4) => random.pick(&BEYOND),
            _ => random.pick(&CLEAN),
        };
        if let Some(text) = mutation(draft, random) {
            done.push(Done { title, text });
        }
    }
    done
}

/// Names of all sorts, for objects, functions and symbols. None is the name of a function that may
/// run, and none ends up as a path to another directory.
fn odd_name(random: &mut Random) -> Vec<u8> {
    const NAMES: [&[u8]; 22] = [
        b"test_klp_no_such_name",
        b"jiffies",
        b"linux_banner",
        b"init_task",
        b"vmlinux2",
        b"a/b",
        b"/",
        b"//",
        b".x",
        b"...",
        b"a,b",
        b",",
        b",1",
        b" ",
        b"\n",
        b"a\nb",
        b"%s%n%p",
        b"\x01\x7f",
        b"\xff\xfe",
        b"\xc3\xa9\xe4\xb8\xad",
        b".klp.sym.vmlinux.x,0",
        b"[x]",
    ];
    /// Around the longest names of objects and of symbols, and the size of a page.
    const LENGTHS: [usize; 11] = [54, 55, 56, 57, 255, 256, 510, 511, 512, 4096, 70_000];

    match random.one_in(3) {
        true => vec![*random.pick(b"xX_.\xff"); *random.pick(&LENGTHS)],
        false => random.pick(&NAMES).to_vec(),
    }
}

/// Shows bytes in a line of the log.
pub fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 60;

    let text = bytes[..bytes.len().min(MOST)].escape_ascii();
    match bytes.len() {
        0..=MOST => format!("\"{text}\""),
        length => format!("\"{text}\"... of {length} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tests::module;
    use crate::base::Base;
    use crate::draft::ROOM;
    use crate::elf::{Elf, RELOCATION};

    fn draft(case: u64) -> (Draft, Random) {
        let base = Base::parse(&module()).unwrap();
        let mut random = Random::new(1, case);
        (Draft::new(&base, &mut random), random)
    }

    fn each_mutation() -> impl Iterator<Item = (&'static str, Mutation)> {
        let all = CLEAN.iter().chain(&BEYOND);
        all.map(|&(title, mutation, _)| (title, mutation))
    }

    #[test]
    fn each_mutation_finds_its_place_and_changes_the_file() {
        for (title, mutation) in each_mutation() {
            let mut made = 0;
            let mut changed = 0;
            for case in 0..100 {
                let (mut mutated, mut random) = draft(case);
                let before = mutated.clone().finish();
                if let Some(text) = mutation(&mut mutated, &mut random) {
                    made += 1;
                    changed += u32::from(mutated.finish() != before);
                    assert!(!text.contains('\n') && text.len() < 400, "{title}: {text}");
                }
            }
            assert!(made >= 10, "{title}: {made}");
            // A few numbers are those that were there.
            assert!(changed * 2 >= made, "{title}: {changed} of {made}");
        }
    }

    /// A mutation of a header may make the file something that is no ELF file, and all others must
    /// not: the kernel would refuse it before it looks at the rest.
    #[test]
    fn the_file_stays_one() {
        let breaks = ["file header", "file length", "symbol table"];
        // The loader refuses the file for a size, a place or a type that makes no sense.
        let raw = [
            "section size",
            "section place",
            "section type",
            "section address",
        ];
        for (title, mutation) in each_mutation() {
            if breaks.contains(&title) || raw.contains(&title) {
                continue;
            }
            for case in 0..100 {
                let (mut mutated, mut random) = draft(case);
                if let Some(text) = mutation(&mut mutated, &mut random) {
                    let elf = Elf::parse(&mutated.finish());
                    assert!(elf.is_some(), "{title}: {text}");
                }
            }
        }
    }

    /// The parts that the loader and the core trust stay valid in every case.
    #[test]
    fn relocations_stay_in_bounds() {
        for case in 0..1000 {
            let (mut mutated, mut random) = draft(case);
            mutate(&mut mutated, Scope::Clean, &mut random);
            let (late, count) = (mutated.late.clone(), mutated.elf.symbol_count());
            for late in late {
                let length = mutated.elf.sections[late.section].data.len();
                for i in 0..length / RELOCATION {
                    let relocation = mutated.elf.relocation(late.section, i).unwrap();
                    assert!(relocation.offset + 8 <= ROOM, "{case}: {relocation:?}");
                    assert!((relocation.symbol as usize) < count, "{case}");
                }
            }
        }
    }

    #[test]
    fn all_sorts_of_names() {
        let mut random = Random::new(3, 0);
        for _ in 0..1000 {
            let name = odd_name(&mut random);
            assert!(!name.contains(&0) && name != b"." && name != b"..");
        }
        assert_eq!(shown(b"a\n\xff"), "\"a\\n\\xff\"");
        assert!(shown(&[b'x'; 5000]).ends_with("... of 5000 bytes"));
    }
}
