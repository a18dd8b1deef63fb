// SPDX-License-Identifier: GPL-2.0

//! The parsers of section and symbol names, compared with a plain reference.

mod reference;

use crate::model::names;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::Config, //
};

fn check(name: &[u8]) {
    let expected = reference::section_object(name);
    assert_eq!(names::section_object(name), expected, "section {name:?}");

    let expected = reference::symbol(name);
    let symbol = names::symbol(name).map(|symbol| (symbol.object, symbol.name, symbol.position));
    assert_eq!(symbol, expected, "symbol {name:?}");
}

/// A generator of pseudorandom numbers, the same ones in each run: Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A byte of a name: names end at the first zero.
    fn byte(&mut self) -> u8 {
        if self.below(2) == 0 {
            *self.pick(b".,.,klp sym 0123456789 \t\x0b\xa0+-x")
        } else {
            self.below(255) as u8 + 1
        }
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    /// A part of a name: seldom empty, often about as long as it may be.
    fn part(&mut self, longest: usize, end: u8) -> Vec<u8> {
        let len = match self.below(8) {
            0 => 0,
            1 => longest - 1,
            2 => longest,
            3 => longest + 1,
            4 => self.below(longest * 2),
            _ => 1 + self.below(8),
        };
        let plain = self.below(4) != 0;
        let mut part = self.bytes(len);
        if plain {
            part.iter_mut()
                .filter(|b| **b == end)
                .for_each(|b| *b = b'_');
        }
        part
    }

    fn number(&mut self) -> Vec<u8> {
        let mut number = Vec::new();
        if self.below(4) == 0 {
            number.extend((0..1 + self.below(3)).map(|_| *self.pick(b" \t\n\x0b\x0c\r\xa0")));
        }
        match self.below(8) {
            0 => number.push(*self.pick(b"+-x\x08\x0e\x1f!")),
            1 => number.extend(*self.pick(&[b"0x10", b"0010", b"08,1"])),
            2 => number.extend((u64::MAX - self.below(3) as u64).to_string().bytes()),
            3 => number.extend(
                (u128::from(u64::MAX) + self.below(30) as u128)
                    .to_string()
                    .bytes(),
            ),
            _ => {}
        }
        let digits = if self.below(2) == 0 {
            1
        } else {
            self.below(26)
        };
        number.extend((0..digits).map(|_| *self.pick(b"0123456789")));
        number
    }

    /// A section or symbol name, with up to three random edits.
    fn name(&mut self) -> Vec<u8> {
        let mut name = match self.below(3) {
            0 => {
                let object = self.part(55, b'.');
                [b".klp.rela.", &object[..], b".text"].concat()
            }
            _ => {
                let (object, symbol) = (self.part(55, b'.'), self.part(511, b','));
                let number = self.number();
                [b".klp.sym.", &object[..], b".", &symbol, b",", &number].concat()
            }
        };
        for _ in 0..self.below(4) {
            let at = self.below(name.len() + 1);
            match self.below(4) {
                0 => name.insert(at, self.byte()),
                1 => name.truncate(at),
                2 if at < name.len() => name[at] = self.byte(),
                3 if at < name.len() => drop(name.remove(at)),
                _ => {}
            }
        }
        name
    }
}

#[test]
fn a_million_names_agree_with_the_reference() {
    let mut random = Random(0x6b6c_7072);
    let (mut sections, mut symbols, mut refused) = (0, 0, 0);
    for round in 0..1_200_000 {
        let name = if round % 6 == 0 {
            let len = random.below(80);
            random.bytes(len)
        } else {
            random.name()
        };
        check(&name);
        match (names::section_object(&name), names::symbol(&name)) {
            (Some(_), _) => sections += 1,
            (_, Some(_)) => symbols += 1,
            _ => refused += 1,
        }
    }
    println!("{sections} sections, {symbols} symbols, {refused} refused");
    // Names that both refuse at the first byte would test nothing.
    assert!(sections > 100_000 && symbols > 100_000 && refused > 100_000);
}

proptest! {
    #![proptest_config(Config {
        cases: 20_000,
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn any_bytes_agree_with_the_reference(name in vec(1u8.., 0..64)) {
        check(&name);
    }

    #[test]
    fn any_section_agrees_with_the_reference(rest in vec(1u8.., 0..64)) {
        check(&[b".klp.rela.", &rest[..]].concat());
    }

    #[test]
    fn any_symbol_agrees_with_the_reference(
        object in "[a-z_.]{0,60}",
        symbol in "[a-z_.,]{0,8}|[a-z_]{505,515}",
        number in "[ \t\x0b+-]{0,2}[0-9]{0,22}[x,]{0,1}",
    ) {
        check(format!(".klp.sym.{object}.{symbol},{number}").as_bytes());
    }
}
