// SPDX-License-Identifier: GPL-2.0

//! The fuzzer's calls of the kernel: modules, files in sysfs, and the log. All unsafe code is
//! here.

use std::ffi::{c_char, c_int, c_long, CString, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const NONBLOCK: c_int = 0o4000;

#[cfg(target_arch = "x86_64")]
const INIT_MODULE: c_long = 175;
#[cfg(not(target_arch = "x86_64"))]
const INIT_MODULE: c_long = 105;
#[cfg(target_arch = "x86_64")]
const DELETE_MODULE: c_long = 176;
#[cfg(not(target_arch = "x86_64"))]
const DELETE_MODULE: c_long = 106;

extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

fn result(value: c_long) -> io::Result<()> {
    match value {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Loads a module without parameters.
pub fn load(file: &[u8]) -> io::Result<()> {
    let parameters: *const c_char = c"".as_ptr();
    // SAFETY: `file` is valid for reads of its length, and `parameters` is a string that ends with
    // a zero. The kernel reads both during the call, and writes to neither.
    result(unsafe { syscall(INIT_MODULE, file.as_ptr(), file.len(), parameters) })
}

pub fn unload(name: &[u8]) -> io::Result<()> {
    let name = CString::new(name)?;
    // SAFETY: `name` is a string that ends with a zero. The kernel reads it during the call.
    result(unsafe { syscall(DELETE_MODULE, name.as_ptr(), NONBLOCK) })
}

const LIVEPATCHES: &str = "/sys/kernel/livepatch";

/// The livepatches that the kernel has.
pub fn livepatches() -> Vec<PathBuf> {
    folders(Path::new(LIVEPATCHES))
}

/// The directory of the livepatch that a module has.
pub fn livepatch(name: &[u8]) -> PathBuf {
    Path::new(LIVEPATCHES).join(shown_by_sysfs(name))
}

/// The name of a kobject in sysfs.
fn shown_by_sysfs(name: &[u8]) -> OsString {
    let name = name.iter().map(|&b| if b == b'/' { b'!' } else { b });
    OsString::from_vec(name.collect())
}

fn folders(path: &Path) -> Vec<PathBuf> {
    entries(path).into_iter().filter(|p| p.is_dir()).collect()
}

fn entries(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut entries: Vec<_> = entries.map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

/// The files of a livepatch and of its objects.
pub fn files(livepatch: &Path) -> Vec<PathBuf> {
    let folders = [vec![livepatch.to_path_buf()], folders(livepatch)].concat();
    let all = folders.iter().flat_map(|folder| entries(folder));
    all.filter(|path| path.is_file()).collect()
}

/// Whether a module is loaded.
pub fn is_loaded(name: &[u8]) -> bool {
    let folder = Path::new("/sys/module").join(shown_by_sysfs(name));
    folder.join("refcnt").exists()
}

/// Reads a flag of a livepatch, unless it is gone.
pub fn flag(livepatch: &Path, name: &str) -> Option<bool> {
    let content = fs::read(livepatch.join(name)).ok()?;
    Some(content.starts_with(b"1"))
}

/// Writes all at once, as a shell does.
pub fn write(path: &Path, value: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).custom_flags(NONBLOCK).open(path)?;
    file.write(value).map(drop)
}

/// Reads a file of any content, and returns its length.
pub fn read(path: &Path) -> io::Result<usize> {
    Ok(fs::read(path)?.len())
}

/// The last part of a path, for the log.
pub fn last(path: &Path) -> String {
    escaped(Path::new(path.file_name().unwrap_or_default()))
}

/// A path, for the log.
pub fn escaped(path: &Path) -> String {
    path.as_os_str().as_bytes().escape_ascii().to_string()
}

/// The log of the kernel, to write to, and to read its new lines.
pub struct Log {
    file: File,
    out: File,
}

/// The mark of the fuzzer's own lines.
pub const MARK: &str = "klp-fuzz: ";

impl Log {
    pub fn open() -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .custom_flags(NONBLOCK)
            .open("/dev/kmsg")?;
        file.seek(SeekFrom::End(0))?;
        let out = OpenOptions::new().write(true).open("/dev/kmsg")?;
        Ok(Self { file, out })
    }

    /// Writes a line that reaches the console at any level: if the kernel dies, it is there.
    pub fn write(&mut self, text: &str) -> io::Result<()> {
        const LONGEST: usize = 900;

        let text = &text.as_bytes()[..text.len().min(LONGEST)];
        self.out
            .write_all(&[b"<0>", MARK.as_bytes(), text].concat())
    }

    /// Reads new messages, and returns those by which the kernel complains of itself.
    pub fn complaints(&mut self) -> io::Result<Vec<String>> {
        let mut complaints = Vec::new();
        let mut buffer = [0; 8192];
        loop {
            let length = match self.file.read(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // Messages are gone that nothing has read.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    complaints.push("messages of the kernel were lost".to_owned());
                    continue;
                }
                Err(error) => return Err(error),
            };
            complaints.extend(complaint(&buffer[..length]));
        }
        Ok(complaints)
    }
}

/// The text of a record `priority,sequence,time,flags;text`, if the kernel complains in it.
fn complaint(record: &[u8]) -> Option<String> {
    const PATTERNS: [&str; 10] = [
        "BUG:",
        "WARNING:",
        "INFO:",
        "KASAN:",
        "UBSAN:",
        "Oops",
        "Call Trace:",
        "kernel BUG",
        "general protection fault",
        "rcu_sched self-detected stall",
    ];

    let record = String::from_utf8_lossy(record);
    let text = record.split_once(';')?.1.lines().next()?;
    let complains = PATTERNS.iter().any(|pattern| text.contains(pattern));
    (complains && !text.starts_with(MARK)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_odd_names() {
        assert_eq!(
            livepatch(b"/a/"),
            Path::new("/sys/kernel/livepatch").join("!a!")
        );
        assert_eq!(last(Path::new("/sys/a\n")), "a\\n");
    }

    #[test]
    fn complaints_of_the_kernel() {
        let text = |record: &str| complaint(record.as_bytes());
        let found = text("4,7,1,-;BUG: KASAN: slab-use-after-free in f\n SUBSYSTEM=x\n");
        assert_eq!(
            found.as_deref(),
            Some("BUG: KASAN: slab-use-after-free in f")
        );
        assert!(text("4,7,1,-;------------[ cut here ]\n").is_none());
        assert!(text("4,7,1,-;Call Trace:\n").is_some());
        assert!(text("3,7,1,-;livepatch: symbol 'x' not found in symbol table\n").is_none());
        assert!(text("8,7,1,-;klp-fuzz: 1: \"WARNING:\"\n").is_none());
        assert!(text("BUG: no record").is_none());
    }
}
