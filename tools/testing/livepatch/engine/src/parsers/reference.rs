// SPDX-License-Identifier: GPL-2.0

//! The names of livepatch sections and symbols, as the C core's formats read them.
//!
//! An interpreter of formats reads them. It is written from the formats in the C core and from
//! `sscanf()` in the kernel's `lib/vsprintf.c`, and shares no code with the model. The tests of the
//! parsers use this file, and so does cargo-fuzz in `tools/livepatch/fuzz`.

/// `.klp.rela.%55[^.]`
const SECTION: &[Item] = &[Item::Literal(b".klp.rela."), Item::Until(b'.', 55)];
/// `.klp.sym.%55[^.].%511[^,],%lu`
const SYMBOL: &[Item] = &[
    Item::Literal(b".klp.sym."),
    Item::Until(b'.', 55),
    Item::Literal(b"."),
    Item::Until(b',', 511),
    Item::Literal(b","),
    Item::Number,
];

/// The object that a section has relocations for.
pub(super) fn section_object(name: &[u8]) -> Option<&[u8]> {
    match scan(name, SECTION)[..] {
        [Conversion::Text(object)] => Some(object),
        _ => None,
    }
}

/// The object that has a symbol, the symbol's name, and its position.
pub(super) fn symbol(name: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    match scan(name, SYMBOL)[..] {
        [Conversion::Text(object), Conversion::Text(name), Conversion::Number(number)] => {
            Some((object, name, number as usize))
        }
        _ => None,
    }
}

/// A piece of a format.
#[derive(Clone, Copy)]
enum Item {
    /// Text that must be there.
    Literal(&'static [u8]),
    /// `%N[^C]`: between 1 and N bytes, none of them C.
    Until(u8, usize),
    /// `%lu`: white space, then decimal digits, without a sign. A number that is too large yields
    /// `ULONG_MAX`.
    Number,
}

/// The result of a conversion.
#[derive(PartialEq, Eq, Debug)]
enum Conversion<'a> {
    Text(&'a [u8]),
    Number(u64),
}

/// The conversions that succeed, up to the first item that does not fit the input.
fn scan<'a>(input: &'a [u8], format: &[Item]) -> Vec<Conversion<'a>> {
    let mut rest = input;
    let mut found = Vec::new();
    for item in format {
        match *item {
            Item::Literal(text) => {
                if !rest.starts_with(text) {
                    break;
                }
                rest = &rest[text.len()..];
            }
            Item::Until(end, longest) => {
                let stop = rest.iter().position(|&b| b == end).unwrap_or(rest.len());
                let (text, after) = rest.split_at(stop.min(longest));
                if text.is_empty() {
                    break;
                }
                found.push(Conversion::Text(text));
                rest = after;
            }
            Item::Number => {
                while let [9..=13 | 32 | 160, after @ ..] = rest {
                    rest = after;
                }
                let mut digits = String::new();
                while let [digit @ b'0'..=b'9', after @ ..] = rest {
                    digits.push(char::from(*digit));
                    rest = after;
                }
                if digits.is_empty() {
                    break;
                }
                // Parsing digits alone fails only if the number is too large.
                found.push(Conversion::Number(digits.parse().unwrap_or(u64::MAX)));
            }
        }
    }
    found
}
