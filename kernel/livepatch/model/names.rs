// SPDX-License-Identifier: GPL-2.0-or-later

//! Parsers for the names of a livepatch module's ELF sections and symbols.
//!
//! Both parsers are total: they return for all sequences of bytes. They accept the names that the
//! `sscanf()` formats of the C core accept: see `Documentation/livepatch/module-elf-format.rst`.

/// Longest name of an object, in bytes. `MODULE_NAME_LEN` has room for it on every architecture.
pub(crate) const OBJECT_MAX: usize = 55;
/// Longest name of a symbol, in bytes: `KSYM_NAME_LEN - 1`.
pub(crate) const SYMBOL_MAX: usize = 511;

/// A symbol to be resolved when the livepatch is applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Symbol<'a> {
    /// The object that has it: `vmlinux` or a module.
    pub(crate) object: &'a [u8],
    /// Its name.
    pub(crate) name: &'a [u8],
    /// The position among the symbols of that name, from 1; 0 if there must be only one.
    pub(crate) position: usize,
}

/// Splits `text` before the first `end`, after `max` bytes, or at its own end, whichever comes
/// first. `None` if the first part is empty.
fn until(text: &[u8], end: u8, max: usize) -> Option<(&[u8], &[u8])> {
    let len = text.iter().take(max).take_while(|&&b| b != end).count();
    if len == 0 {
        return None;
    }
    text.split_at_checked(len)
}

/// Whether `sscanf()` skips the byte before a number: the kernel's `isspace()` for Latin-1.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r' | 0xa0)
}

/// The object that the relocations of the section called `name` are for:
/// `.klp.rela.OBJECT.SECTION`.
///
/// If the name of the object is longer than [`OBJECT_MAX`] bytes, only that many are returned.
pub(crate) fn section_object(name: &[u8]) -> Option<&[u8]> {
    let rest = name.strip_prefix(b".klp.rela.")?;
    until(rest, b'.', OBJECT_MAX).map(|(object, _)| object)
}

/// The symbol that the name `.klp.sym.OBJECT.SYMBOL,POSITION` refers to.
///
/// As in `sscanf()`, bytes after the number are ignored, and a number that is too large becomes the
/// largest number.
pub(crate) fn symbol(name: &[u8]) -> Option<Symbol<'_>> {
    let rest = name.strip_prefix(b".klp.sym.")?;
    let (object, rest) = until(rest, b'.', OBJECT_MAX)?;
    let (name, rest) = until(rest.strip_prefix(b".")?, b',', SYMBOL_MAX)?;
    let number = rest.strip_prefix(b",")?.iter();
    let digits = number
        .skip_while(|&&b| is_space(b))
        .take_while(|b| b.is_ascii_digit());
    let mut position = None;
    for digit in digits {
        let digit = usize::from(digit.wrapping_sub(b'0'));
        let before = position.unwrap_or(0usize);
        position = Some(before.saturating_mul(10).saturating_add(digit));
    }
    Some(Symbol {
        object,
        name,
        position: position?,
    })
}
