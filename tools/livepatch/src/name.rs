// SPDX-License-Identifier: GPL-2.0

//! Names that the kernel reports.
//!
//! A task may give itself any name, and a captured tree may have any name in it, so that a name is
//! bytes. The only way to show one escapes every byte that could change the state of a terminal.

use std::ffi::OsStr;
use std::fmt;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

/// A name as the kernel wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Vec<u8>);

impl Name {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }

    /// Quotes the name, see [`shell`].
    pub fn shell(&self) -> String {
        shell(&self.0)
    }
}

impl From<&[u8]> for Name {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<&OsStr> for Name {
    fn from(text: &OsStr) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

/// Escapes the name. Letters and digits of any script and the printable part of ASCII stay. A
/// backslash is doubled, so that the escaping can be undone. Any other byte is `\xNN`, as in the
/// kernel log.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&escape(&self.0))
    }
}

/// Escapes bytes as [`Name`] does.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());

    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                ' '..='~' => text.push(c),
                _ if c.is_alphanumeric() => text.push(c),
                _ => escape_bytes(c.encode_utf8(&mut [0; 4]).as_bytes(), &mut text),
            }
        }
        escape_bytes(chunk.invalid(), &mut text);
    }
    text
}

/// Escapes text that should be escaped already. Backslashes stay, so text from [`escape`] does not
/// change.
pub fn escape_again(text: &str) -> String {
    escape(text.as_bytes()).replace("\\\\", "\\")
}

fn escape_bytes(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

/// Quotes bytes so that a shell takes them for one word. Bytes that [`escape`] would not show as
/// they are take the form `$'\xNN'`, which bash, zsh and POSIX.1-2024 have.
pub fn shell(bytes: &[u8]) -> String {
    let plain = |&b: &u8| b.is_ascii_alphanumeric() || b"_./=,:@%+-".contains(&b);
    if !bytes.is_empty() && bytes.iter().all(plain) {
        return escape(bytes);
    }
    let shown = escape(bytes);
    // A backslash is doubled, and does not count.
    let escaped = shown.replace("\\\\", "").contains('\\');
    match escaped {
        true => format!("$'{}'", shown.replace('\'', "\\'")),
        false => format!("'{}'", shown.replace("\\\\", "\\").replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_a_shell() {
        for (bytes, word) in [
            (&b"a-b_1.ko"[..], "a-b_1.ko"),
            (b"", "''"),
            (b"with space", "'with space'"),
            (b"it's", "'it'\\''s'"),
            (b"a\\x2db.service", "'a\\x2db.service'"),
            (b"$(x)\n'\\", "$'$(x)\\x0a\\'\\\\'"),
            ("\u{e9}".as_bytes(), "'\u{e9}'"),
        ] {
            assert_eq!(shell(bytes), word);
            // A shell has the last word.
            let command = format!("printf %s {word}");
            let bash = std::process::Command::new("bash")
                .arg("-c")
                .arg(command)
                .output();
            if let Ok(output) = bash {
                assert_eq!(output.stdout, bytes, "{word}");
            }
        }
    }
}
