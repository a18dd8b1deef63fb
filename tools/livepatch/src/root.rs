// SPDX-License-Identifier: GPL-2.0

//! The place of `/sys`, `/proc` and `/dev`: the running system's, or that of a captured tree.
//!
//! A file may vanish at any time, because a task exits or a patch is removed. Callers treat that as
//! an answer, so [`ReadError`] has a variant for it.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::bounded::Reads;

/// The limit for files that are read whole. None of them has a reason to be longer.
const LONGEST: u64 = 4 << 20;

const ESRCH: i32 = 3;
const ENODEV: i32 = 19;

#[derive(Debug)]
pub enum ReadError {
    /// The file does not exist, or no longer.
    Gone,
    /// The file exists, but klpctl may not read it.
    Denied,
    Other(io::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::NotFound | io::ErrorKind::NotADirectory, _) => Self::Gone,
            // Procfs and sysfs return these if the task or the kobject goes after the open().
            (_, Some(ESRCH | ENODEV)) => Self::Gone,
            (io::ErrorKind::PermissionDenied, _) => Self::Denied,
            _ => Self::Other(error),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("not there"),
            Self::Denied => f.write_str("permission denied"),
            Self::Other(error) => error.fmt(f),
        }
    }
}

pub type Result<T> = std::result::Result<T, ReadError>;

#[derive(Clone, Debug)]
pub struct Root {
    dir: PathBuf,
    live: bool,
    reads: Arc<Reads>,
}

impl Root {
    /// Returns the root of the running system.
    pub fn live() -> Self {
        Self::new(Path::new("/"), true)
    }

    /// Returns the root of a tree that was captured elsewhere.
    pub fn captured(dir: &Path) -> Self {
        Self::new(dir, false)
    }

    /// Returns a tree that commands change as if it was the running system.
    #[cfg(test)]
    pub fn live_in(dir: &Path) -> Self {
        Self::new(dir, true)
    }

    fn new(dir: &Path, live: bool) -> Self {
        Self {
            dir: dir.to_path_buf(),
            live,
            reads: Arc::default(),
        }
    }

    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Returns the reads of this root and its clones that have not ended.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// Whether klpctl may read everything: it runs as root, on the system that it looks at.
    pub fn is_privileged(&self) -> bool {
        // Real, effective, saved and filesystem IDs.
        let uid = |status: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
            line.split_ascii_whitespace().nth(1).map(|uid| uid == "0")
        };
        let status = || fs::read_to_string("/proc/self/status").ok();
        self.live && status().and_then(|status| uid(&status)).unwrap_or(false)
    }

    /// Returns the place of an absolute `path` in this tree.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.dir.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Opens a file without waiting. A captured tree may have a FIFO or the like in the file's
    /// place.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<File> {
        let path = self.path(path);
        #[cfg(test)]
        tests::note(&path)?;
        Ok(open_without_waiting(&path)?)
    }

    pub fn read(&self, path: impl AsRef<Path>) -> Result<Vec<u8>> {
        // Most files fit, and take one read.
        let mut content = Vec::with_capacity(4096);
        let file = self.open(path)?;
        file.take(LONGEST).read_to_end(&mut content)?;
        Ok(content)
    }

    /// Reads a file that may be longer than those in sysfs and procfs.
    pub fn read_long(&self, path: impl AsRef<Path>) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        self.open(path)?
            .take(16 * LONGEST)
            .read_to_end(&mut content)?;
        Ok(content)
    }

    /// Reads the start of a file in one read, for small files that many tasks have.
    pub fn read_start<'a>(&self, path: impl AsRef<Path>, buffer: &'a mut [u8]) -> Result<&'a [u8]> {
        let length = self.open(path)?.read(buffer)?;
        Ok(&buffer[..length])
    }

    /// Reads a file that contains one number.
    pub fn read_number<T: std::str::FromStr>(&self, path: impl AsRef<Path>) -> Option<T> {
        let content = self.read(path).ok()?;
        std::str::from_utf8(&content).ok()?.trim().parse().ok()
    }

    /// Reads a file that contains 0 or 1.
    pub fn read_flag(&self, path: impl AsRef<Path>) -> Option<bool> {
        match self.read_number::<u8>(path)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// Opens the kernel log. On a live system it is the device, which returns one record for each
    /// read.
    pub fn open_log(&self) -> Result<File> {
        self.open("/dev/kmsg")
    }

    /// Returns the names of the directories in a directory, sorted.
    pub fn folders(&self, path: impl AsRef<Path>) -> Result<Vec<OsString>> {
        let path = self.path(path);
        #[cfg(test)]
        tests::note(&path)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                names.push(entry.file_name());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Returns the names in a directory that are decimal numbers, as IDs of tasks are, in no order.
    pub fn numbers(&self, path: impl AsRef<Path>) -> Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(self.path(path))? {
            // A task that exits during the walk does not end it.
            let Ok(entry) = entry else { continue };
            if let Some(number) = entry.file_name().to_str().and_then(|n| n.parse().ok()) {
                numbers.push(number);
            }
        }
        Ok(numbers)
    }

    /// Whether there is no such file. One that may not be looked at is not gone.
    pub fn is_gone(&self, path: impl AsRef<Path>) -> bool {
        let path = self.path(path);
        #[cfg(test)]
        if tests::note(&path).is_err() {
            return false;
        }
        fs::metadata(path).is_err_and(|error| matches!(error.into(), ReadError::Gone))
    }

    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).exists()
    }

    pub fn modified(&self, path: impl AsRef<Path>) -> Option<SystemTime> {
        fs::metadata(self.path(path)).ok()?.modified().ok()
    }

    /// Returns the number of links of a directory. In procfs it is 2 and one for each directory in
    /// it.
    pub fn links(&self, path: impl AsRef<Path>) -> Result<u64> {
        Ok(fs::metadata(self.path(path))?.nlink())
    }
}

/// Reads a file that a caller may write anew, so that a part of it is not enough.
pub fn read_whole(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let read = open_without_waiting(path)?
        .take(LONGEST)
        .read_to_end(&mut content)?;
    match read as u64 {
        LONGEST => Err(too_long()),
        _ => Ok(content),
    }
}

pub fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the file is too long")
}

/// Opens a file for reading, without waiting for a writer if it is a FIFO.
pub fn open_without_waiting(path: &Path) -> io::Result<File> {
    // The value is the same on every architecture with live patching.
    const O_NONBLOCK: i32 = 0o4000;

    OpenOptions::new()
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open(path)
}

/// A record of the opened files, so that tests can count them, files that cannot be read, since
/// root can read every file, and files that block their readers.
#[cfg(test)]
pub mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::thread;
    use std::time::Duration;

    static OPENED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

    static DENIED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

    static BLOCKED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

    pub fn note(path: &Path) -> io::Result<()> {
        OPENED.lock().unwrap().push(path.to_path_buf());
        while is_blocked(path) {
            thread::sleep(Duration::from_millis(1));
        }
        let denied = DENIED.lock().unwrap();
        match denied.iter().any(|denied| path.starts_with(denied)) {
            true => Err(io::ErrorKind::PermissionDenied.into()),
            false => Ok(()),
        }
    }

    /// Makes a directory and all in it unreadable.
    pub fn deny(folder: &Path) {
        DENIED.lock().unwrap().push(folder.to_path_buf());
    }

    /// Makes the reader of a file sleep until [`unblock`].
    pub fn block(file: &Path) {
        BLOCKED.lock().unwrap().push(file.to_path_buf());
    }

    /// Ends all reads in a directory that [`block`] keeps.
    pub fn unblock(folder: &Path) {
        let mut blocked = BLOCKED.lock().unwrap();
        blocked.retain(|file| !file.starts_with(folder));
    }

    fn is_blocked(path: &Path) -> bool {
        BLOCKED.lock().unwrap().iter().any(|file| file == path)
    }

    /// Returns the files in this directory that were opened since the last call.
    pub fn opened(folder: &Path) -> Vec<PathBuf> {
        let mut opened = OPENED.lock().unwrap();
        let (ours, others) = opened.drain(..).partition(|path| path.starts_with(folder));
        *opened = others;
        ours
    }
}
