// SPDX-License-Identifier: GPL-2.0

//! Writes to the files of a livepatch in sysfs, and the results that they may have.
//!
//! `Documentation/ABI/testing/sysfs-kernel-livepatch` documents the files.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::kernel;
use crate::mutate::shown;
use crate::random::Random;

const ENOENT: i32 = 2;
const EACCES: i32 = 13;
const EBUSY: i32 = 16;
const ENODEV: i32 = 19;
const EINVAL: i32 = 22;

/// The errors of a file that goes before the write, or during it.
const GONE: [i32; 2] = [ENOENT, ENODEV];

/// The bytes to write to a file, if any.
pub fn value_for(salt: u64, file: &Path) -> Option<Vec<u8>> {
    const VALUES: [&[u8]; 20] = [
        b"0", b"1", b"0\n", b"1\n", b"y", b"n", b"on", b"off", b"2", b"-1", b"", b"\n", b" 1",
        b"01", b"1 0", b"\0", b"1\0", b"\xff", b"%s", b"enabled",
    ];
    const LENGTHS: [usize; 4] = [4095, 4096, 4097, 70_000];

    let mut random = Random::of(salt, file.as_os_str().as_bytes());
    let random = &mut random;
    random.one_in(2).then(|| match random.one_in(8) {
        true => vec![*random.pick(b"0x\0\xff"); *random.pick(&LENGTHS)],
        false => random.pick(&VALUES).to_vec(),
    })
}

/// The boolean that `kstrtobool()` reads from a value, if any.
fn boolean(value: &[u8]) -> Option<bool> {
    match value {
        [b'1' | b'e' | b'E' | b't' | b'T' | b'y' | b'Y', ..] => Some(true),
        [b'0' | b'd' | b'D' | b'f' | b'F' | b'n' | b'N', ..] => Some(false),
        [b'o' | b'O', b'n' | b'N', ..] => Some(true),
        [b'o' | b'O', b'f' | b'F', ..] => Some(false),
        _ => None,
    }
}

/// A write, with the content of the file `enabled` before it and after it, or `None` if the file
/// was not there.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The path inside the livepatch's directory.
    pub file: &'a Path,
    pub value: &'a [u8],
    pub before: Option<bool>,
    pub after: Option<bool>,
    /// The file is there after the write.
    pub is_there: bool,
    /// The error of the write, or 0 for success.
    pub error: i32,
}

impl Write<'_> {
    /// The errors that the kernel may return, with 0 for success. A write to `force` comes when the
    /// livepatch is in no transition.
    fn expected(&self) -> &'static [i32] {
        match (self.file.to_str(), boolean(self.value)) {
            // The kernel does not pass on a write of no bytes.
            (Some("enabled" | "force"), _) if self.value.is_empty() => &[0],
            (Some("enabled" | "force"), None) => &[EINVAL],
            (Some("force"), Some(false)) => &[0],
            (Some("force"), Some(true)) => &[EINVAL],
            (Some("enabled"), asked) if self.before == asked => &[EINVAL],
            // This reverses a transition, which may be over by now.
            (Some("enabled"), Some(true)) => &[0, EINVAL],
            // Another livepatch may be in transition, or have replaced this one by now.
            (Some("enabled"), Some(false)) => &[0, EBUSY, EINVAL],
            // All other files are read-only.
            _ => &[EACCES],
        }
    }

    /// Checks the result of the write.
    ///
    /// # Errors
    ///
    /// A description of the fault.
    pub fn judge(&self) -> Result<(), String> {
        let described = |what: &str| {
            let (value, before, after) = (shown(self.value), self.before, self.after);
            let file = kernel::escaped(self.file);
            format!("write {value} to {file}: {what}; enabled was {before:?}, and is {after:?}")
        };
        // The livepatch may end at any time.
        let is_gone = GONE.contains(&self.error) && !self.is_there;
        if !is_gone && !self.expected().contains(&self.error) {
            return Err(described(&match self.error {
                0 => "unexpected success".to_owned(),
                error => io::Error::from_raw_os_error(error).to_string(),
            }));
        }
        let is_done = match boolean(self.value) {
            Some(asked) if self.error == 0 && self.file == Path::new("enabled") => {
                self.after == Some(asked) || (!asked && self.after.is_none())
            }
            _ => true,
        };
        match is_done {
            true => Ok(()),
            false => Err(described("accepted without an effect")),
        }
    }
}

/// The line of the log for a write.
pub fn in_words(livepatch: &Path, file: &Path, value: &[u8]) -> String {
    let inside = kernel::escaped(file.strip_prefix(livepatch).unwrap_or(file));
    let livepatch = kernel::last(livepatch);
    format!("write {inside} of {livepatch}: {}", shown(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_and_a_path_make_a_write() {
        let value = |salt, path: &str| value_for(salt, Path::new(path));
        let paths = ["/p/enabled", "/p/force", "/q/enabled"];
        let all: Vec<_> = (0..300).map(|salt| paths.map(|p| value(salt, p))).collect();
        let again = (0..300).map(|salt| paths.map(|p| value(salt, p)));
        assert!(again.eq(all.iter().cloned()));
        for (i, path) in paths.iter().enumerate() {
            let written = all.iter().filter(|values| values[i].is_some()).count();
            assert!((100..200).contains(&written), "{path}: {written}");
        }
        let same = all.iter().filter(|values| values[0] == values[1]).count();
        assert!(same < 150, "{same}");
    }

    #[test]
    fn a_in_words() {
        let livepatch = Path::new("/sys/kernel/livepatch/a b");
        let text = in_words(livepatch, &livepatch.join("x\n/patched"), b"1\n");
        assert_eq!(text, r#"write x\n/patched of a b: "1\n""#);
    }

    #[test]
    fn results_of_writes() {
        let enabled = Some(true);
        let disabled = Some(false);
        let judge = |file, value: &str, before, after, error| {
            let write = Write {
                file: Path::new(file),
                value: value.as_bytes(),
                before,
                after,
                is_there: after.is_some(),
                error,
            };
            write.judge()
        };
        for (file, value, before, after, error) in [
            ("enabled", "0", enabled, disabled, 0),
            ("enabled", "off\n", enabled, None, 0),
            ("enabled", "0", enabled, enabled, EBUSY),
            ("enabled", "1", disabled, enabled, 0),
            ("enabled", "1", disabled, disabled, EINVAL),
            ("enabled", "1", enabled, enabled, EINVAL),
            ("enabled", "0", None, None, ENOENT),
            ("enabled", "2", enabled, None, ENODEV),
            ("enabled", "2", enabled, enabled, EINVAL),
            ("enabled", "", enabled, enabled, 0),
            ("force", "n", enabled, enabled, 0),
            ("force", "1", enabled, enabled, EINVAL),
            ("replace", "1", enabled, enabled, EACCES),
            ("vmlinux/patched", "", enabled, enabled, EACCES),
        ] {
            let judged = judge(file, value, before, after, error);
            assert_eq!(judged, Ok(()), "{file} {value}");
        }
        for (file, value, before, after, error) in [
            ("enabled", "2", enabled, disabled, 0),
            ("enabled", "0", enabled, enabled, 0),
            ("enabled", "1", disabled, None, 0),
            ("enabled", "1", enabled, enabled, 0),
            ("enabled", "0", disabled, disabled, 0),
            ("enabled", " 1", enabled, enabled, 0),
            ("enabled", "0", enabled, enabled, ENODEV),
            ("enabled", "0", enabled, enabled, 5),
            ("force", "1", enabled, enabled, 0),
            ("force", "0", enabled, enabled, EINVAL),
            ("transition", "1", enabled, enabled, 0),
        ] {
            let judged = judge(file, value, before, after, error);
            assert!(judged.is_err(), "{file} {value} {error}");
        }
    }
}
