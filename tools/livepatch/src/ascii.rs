// SPDX-License-Identifier: GPL-2.0

//! Text for a terminal that does not show UTF-8.

use std::ffi::OsString;
use std::io::{self, Write};

/// Whether the environment is of a locale with UTF-8. `variable` returns the value of one.
pub fn is_utf8(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let names = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
    let mut values = names.filter_map(variable).filter(|value| !value.is_empty());
    let locale = values.next().unwrap_or_default();
    let locale = locale.to_string_lossy().to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// Writes bytes that are not of ASCII as `\xNN`, as names have others.
pub struct Ascii<W: Write>(pub W);

impl<W: Write> Write for Ascii<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.chunk_by(|a, b| a.is_ascii() && b.is_ascii()) {
            match part {
                [byte] if !byte.is_ascii() => write!(self.0, "\\x{byte:02x}")?,
                part => self.0.write_all(part)?,
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locales() {
        let of = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.to_vec();
            is_utf8(|name| {
                let pair = pairs.iter().find(|(n, _)| *n == name);
                pair.map(|(_, value)| value.into())
            })
        };
        assert!(of(&[("LANG", "de_DE.UTF-8")]));
        assert!(of(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!of(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
        assert!(!of(&[]));
    }

    #[test]
    fn bytes_above_ascii() {
        let mut out = Ascii(Vec::new());
        out.write_all("na\u{ef}ve \u{e9}\u{e9} end\n".as_bytes())
            .unwrap();
        assert_eq!(out.0, b"na\\xc3\\xafve \\xc3\\xa9\\xc3\\xa9 end\n");
    }
}
