// SPDX-License-Identifier: GPL-2.0

//! The names of Rust functions, from the symbols that rustc makes of them.
//!
//! rustc mangles names as RFC 2603 describes ("v0"). The names here are for people: generic
//! arguments are `<..>`, hashes of crates are left out, and lifetimes and constants do not appear.

/// The deepest nesting. A symbol may refer back to itself.
const DEEPEST: usize = 64;
/// The most parts of a symbol, counted as often as it refers to them.
const MOST_STEPS: usize = 10_000;
/// The longest name. Short symbols can stand for long ones.
const LONGEST: usize = 4096;

/// Returns the name of a Rust function, or `None` for another symbol. A suffix of the compiler,
/// such as `.cold`, stays.
pub fn demangle(symbol: &[u8]) -> Option<String> {
    let inner = symbol.strip_prefix(b"_R")?;
    // A digit is the version of an encoding that does not exist yet.
    if !inner.is_ascii() || inner.first()?.is_ascii_digit() {
        return None;
    }
    let end = inner.iter().position(|&b| b == b'.');
    let (inner, suffix) = inner.split_at(end.unwrap_or(inner.len()));
    let mut parser = Parser {
        bytes: inner,
        at: 0,
        depth: 0,
        steps: 0,
        out: String::new(),
    };
    parser.path()?;
    let suffix = std::str::from_utf8(suffix).ok()?;
    Some(parser.out + suffix)
}

/// Returns the last part of a Rust function's name, or the symbol itself.
pub fn last_part(symbol: &[u8]) -> Vec<u8> {
    let name = demangle(symbol);
    let last = name.as_deref().and_then(|name| name.rsplit("::").next());
    last.map_or_else(|| symbol.to_vec(), |part| part.as_bytes().to_vec())
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    steps: usize,
    out: String,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn takes(&mut self, wanted: u8) -> bool {
        let there = self.bytes.get(self.at) == Some(&wanted);
        self.at += usize::from(there);
        there
    }

    /// Prints a text, unless the name gets too long.
    fn put(&mut self, text: &str) -> Option<()> {
        self.out.push_str(text);
        (self.out.len() <= LONGEST).then_some(())
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.depth += 1;
        self.steps += 1;
        let ends = self.depth <= DEEPEST && self.steps <= MOST_STEPS;
        let result = ends.then(|| parse(self)).flatten();
        self.depth -= 1;
        result
    }

    /// Parses something that is not printed.
    fn skip(&mut self, parse: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        let length = self.out.len();
        let result = parse(self);
        self.out.truncate(length);
        result
    }

    fn path(&mut self) -> Option<()> {
        self.nested(|p| match p.next()? {
            b'C' => {
                p.disambiguator()?;
                let name = p.identifier()?;
                p.put(&name)
            }
            // impl: the path of the place of the block, and the type.
            b'M' => {
                p.impl_path()?;
                p.put("<")?;
                p.kind()?;
                p.put(">")
            }
            b'X' => {
                p.impl_path()?;
                p.type_as_trait()
            }
            b'Y' => p.type_as_trait(),
            b'N' => {
                let namespace = p.next()?;
                p.path()?;
                p.disambiguator()?;
                let name = p.identifier()?;
                match (namespace, name.as_str()) {
                    (b'C', _) => p.put("::{closure}"),
                    (b'S', _) => p.put("::{shim}"),
                    (_, "") => Some(()),
                    (_, name) => p.put(&format!("::{name}")),
                }
            }
            b'I' => {
                p.path()?;
                p.skip(|p| {
                    while !p.takes(b'E') {
                        p.argument()?;
                    }
                    Some(())
                })?;
                p.put("<..>")
            }
            b'B' => p.back(Self::path),
            _ => None,
        })
    }

    fn impl_path(&mut self) -> Option<()> {
        self.disambiguator()?;
        self.skip(Self::path)
    }

    fn type_as_trait(&mut self) -> Option<()> {
        self.put("<")?;
        self.kind()?;
        self.put(" as ")?;
        self.path()?;
        self.put(">")
    }

    fn argument(&mut self) -> Option<()> {
        if self.takes(b'L') {
            self.number_62()?;
            Some(())
        } else if self.takes(b'K') {
            self.constant()
        } else {
            self.kind()
        }
    }

    fn constant(&mut self) -> Option<()> {
        self.nested(|p| {
            if p.takes(b'p') {
                return Some(());
            }
            if p.takes(b'B') {
                return p.back(Self::constant);
            }
            p.kind()?;
            p.takes(b'n');
            while !p.takes(b'_') {
                p.next().filter(u8::is_ascii_hexdigit)?;
            }
            Some(())
        })
    }

    /// A type.
    fn kind(&mut self) -> Option<()> {
        self.nested(|p| {
            let tag = *p.bytes.get(p.at)?;
            if let Some(name) = basic(tag) {
                p.at += 1;
                return p.put(name);
            }
            if matches!(tag, b'C' | b'M' | b'X' | b'Y' | b'N' | b'I') {
                return p.path();
            }
            p.at += 1;
            match tag {
                b'A' => {
                    p.put("[")?;
                    p.kind()?;
                    p.skip(Self::constant)?;
                    p.put("; _]")
                }
                b'S' => {
                    p.put("[")?;
                    p.kind()?;
                    p.put("]")
                }
                b'R' | b'Q' => {
                    if p.takes(b'L') {
                        p.number_62()?;
                    }
                    p.put(if tag == b'R' { "&" } else { "&mut " })?;
                    p.kind()
                }
                b'P' | b'O' => {
                    p.put(if tag == b'P' { "*const " } else { "*mut " })?;
                    p.kind()
                }
                b'T' => {
                    p.skip(|p| {
                        while !p.takes(b'E') {
                            p.kind()?;
                        }
                        Some(())
                    })?;
                    p.put("(..)")
                }
                b'F' => {
                    p.skip(Self::function)?;
                    p.put("fn(..)")
                }
                b'D' => {
                    p.put("dyn ")?;
                    p.traits()
                }
                b'B' => p.back(Self::kind),
                _ => None,
            }
        })
    }

    fn function(&mut self) -> Option<()> {
        self.binder()?;
        self.takes(b'U');
        if self.takes(b'K') && !self.takes(b'C') {
            self.identifier()?;
        }
        while !self.takes(b'E') {
            self.kind()?;
        }
        self.kind()
    }

    fn traits(&mut self) -> Option<()> {
        self.binder()?;
        let mut first = true;
        while !self.takes(b'E') {
            if !std::mem::take(&mut first) {
                self.put(" + ")?;
            }
            self.path()?;
            // The types that the trait has as members.
            while self.takes(b'p') {
                self.identifier()?;
                self.skip(Self::kind)?;
            }
        }
        self.takes(b'L').then_some(())?;
        self.number_62().map(drop)
    }

    fn binder(&mut self) -> Option<()> {
        if self.takes(b'G') {
            self.number_62()?;
        }
        Some(())
    }

    fn disambiguator(&mut self) -> Option<()> {
        if self.takes(b's') {
            self.number_62()?;
        }
        Some(())
    }

    /// Parses at an earlier place.
    fn back(&mut self, parse: impl FnOnce(&mut Self) -> Option<()>) -> Option<()> {
        let from = self.at - 1;
        let to = self.number_62().filter(|&to| to < from)?;
        let after = std::mem::replace(&mut self.at, to);
        let result = parse(self);
        self.at = after;
        result
    }

    /// A number to the base of 62, with `_` behind it. Nothing before that is 0, `0` is 1.
    fn number_62(&mut self) -> Option<usize> {
        if self.takes(b'_') {
            return Some(0);
        }
        let mut number: usize = 0;
        loop {
            let digit = match self.next()? {
                b'_' => return number.checked_add(1),
                byte @ b'0'..=b'9' => byte - b'0',
                byte @ b'a'..=b'z' => byte - b'a' + 10,
                byte @ b'A'..=b'Z' => byte - b'A' + 36,
                _ => return None,
            };
            number = number.checked_mul(62)?.checked_add(digit.into())?;
        }
    }

    /// A name with its length before it, and `_` in between if it begins with a digit or `_`.
    fn identifier(&mut self) -> Option<String> {
        // Letters of other scripts are in Punycode, which stays.
        self.takes(b'u');
        let mut length: usize = 0;
        let start = self.at;
        while let Some(digit) = self.bytes.get(self.at).filter(|b| b.is_ascii_digit()) {
            length = length.checked_mul(10)?.checked_add((digit - b'0').into())?;
            self.at += 1;
            if length == 0 {
                break;
            }
        }
        if self.at == start {
            return None;
        }
        self.takes(b'_');
        let name = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        std::str::from_utf8(name).ok().map(str::to_owned)
    }
}

fn basic(tag: u8) -> Option<&'static str> {
    Some(match tag {
        b'a' => "i8",
        b'b' => "bool",
        b'c' => "char",
        b'd' => "f64",
        b'e' => "str",
        b'f' => "f32",
        b'h' => "u8",
        b'i' => "isize",
        b'j' => "usize",
        b'l' => "i32",
        b'm' => "u32",
        b'n' => "i128",
        b'o' => "u128",
        b'p' => "_",
        b's' => "i16",
        b't' => "u16",
        b'u' => "()",
        b'v' => "...",
        b'x' => "i64",
        b'y' => "u64",
        b'z' => "!",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (symbol, name) in [
            (
                "_RNvCs3Q0pVfYcJ1a_12my_livepatch17cmdline_proc_show",
                "my_livepatch::cmdline_proc_show",
            ),
            ("_RNvC6_123foo3bar", "123foo::bar"),
            ("_RNCNvCs_3foo3bar0", "foo::bar::{closure}"),
            ("_RNvMs_Cs4_3fooNtB4_3Bar3baz", "<foo::Bar>::baz"),
            (
                "_RNvXCs4_3fooNtB2_3BarNtNtC4core5clone5Clone5clone",
                "<foo::Bar as core::clone::Clone>::clone",
            ),
            ("_RINvCs4_3foo3barlNtB2_3BarE", "foo::bar<..>"),
            ("_RINvC3foo3barRShKj7b_E.cold", "foo::bar<..>.cold"),
            ("_RNvMC3fooSh3bar", "<[u8]>::bar"),
        ] {
            assert_eq!(
                demangle(symbol.as_bytes()).as_deref(),
                Some(name),
                "{symbol}"
            );
        }
        assert_eq!(last_part(b"_RNvC3foo3bar.cold"), b"bar.cold");
        assert_eq!(last_part(b"f.cold"), b"f.cold");
    }

    #[test]
    fn other_symbols() {
        for symbol in [
            "",
            "_R",
            "_RN",
            "_R1NvC3foo3bar",
            "f",
            "_RNvC3foo9bar",
            "_RB_",
            "_RNvB_3foo",
            "_RC\u{e9}",
            "_RNvC99999999999999999999999foo3bar",
            "_RYB0_B0_",
            "_RYNtB_3fooB_",
        ] {
            assert_eq!(demangle(symbol.as_bytes()), None, "{symbol}");
        }
        // A symbol of nested back references ends, too.
        // Each argument refers to the one before, twice: T<place><place>E.
        let mut bomb = "_RINvC3foo3barTuuE".to_owned();
        for place in [
            "c", "h", "o", "v", "C", "J", "Q", "X", "12", "19", "1g", "1n", "1u", "1B",
        ] {
            bomb.push_str(&format!("TB{place}_B{place}_B{place}_B{place}_E"));
        }
        assert!(demangle(format!("{bomb}E").as_bytes()).is_none_or(|name| name == "foo::bar<..>"));
        let nested = format!("_RNv{}", "N".repeat(4000));
        assert_eq!(demangle(nested.as_bytes()), None);
    }
}
