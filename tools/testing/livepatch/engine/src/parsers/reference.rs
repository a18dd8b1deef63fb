// SPDX-License-Identifier: GPL-2.0

//! The kernel's `sscanf()`, for the formats that livepatch uses.

/// A piece of a format.
#[derive(Clone, Copy)]
pub(super) enum Item {
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
pub(super) enum Conversion<'a> {
    Text(&'a [u8]),
    Number(u64),
}

/// The conversions that succeed, up to the first item that does not fit the input.
pub(super) fn scan<'a>(input: &'a [u8], format: &[Item]) -> Vec<Conversion<'a>> {
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
