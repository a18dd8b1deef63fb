// SPDX-License-Identifier: GPL-2.0

//! Where `/sys`, `/proc` and `/dev` are: the running machine's, or those of a captured tree.
//!
//! What is read here may vanish at any time: a task exits, a patch is removed. That is an answer
//! like any other, so it has a name of its own among the errors.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Nothing that is read whole has a good reason to be longer.
const LONGEST: u64 = 4 << 20;

const ESRCH: i32 = 3;
const ENODEV: i32 = 19;

#[derive(Debug)]
pub enum ReadError {
    /// It is not there, or not any more.
    Gone,
    /// It is there, but not for us.
    Denied,
    Other(io::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match (error.kind(), error.raw_os_error()) {
            (io::ErrorKind::NotFound | io::ErrorKind::NotADirectory, _) => Self::Gone,
            // What procfs and sysfs say when the task or the kobject went after the open().
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
}

impl Root {
    /// The running machine.
    pub fn live() -> Self {
        Self {
            dir: PathBuf::from("/"),
            live: true,
        }
    }

    /// A tree captured elsewhere.
    pub fn captured(dir: &Path) -> Self {
        Self {
            dir: dir.to_path_buf(),
            live: false,
        }
    }

    pub fn is_live(&self) -> bool {
        self.live
    }

    /// The path of an absolute `path` in this tree.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.dir.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Opens a file. What is there need not be a file: a FIFO or the like in a captured tree must
    /// not hold us up.
    fn open(&self, path: impl AsRef<Path>) -> Result<File> {
        let path = self.path(path);
        #[cfg(test)]
        tests::note(&path);
        Ok(open_without_waiting(&path)?)
    }

    pub fn read(&self, path: impl AsRef<Path>) -> Result<Vec<u8>> {
        // Most files fit, and are read at once.
        let mut content = Vec::with_capacity(4096);
        let file = self.open(path)?;
        file.take(LONGEST).read_to_end(&mut content)?;
        Ok(content)
    }

    /// The beginning of a file, in one read: what takes few bytes for each of many tasks.
    pub fn read_start<'a>(&self, path: impl AsRef<Path>, buffer: &'a mut [u8]) -> Result<&'a [u8]> {
        let length = self.open(path)?.read(buffer)?;
        Ok(&buffer[..length])
    }

    /// A file that holds one number.
    pub fn read_number<T: std::str::FromStr>(&self, path: impl AsRef<Path>) -> Option<T> {
        let content = self.read(path).ok()?;
        std::str::from_utf8(&content).ok()?.trim().parse().ok()
    }

    /// A file that holds 0 or 1.
    pub fn read_flag(&self, path: impl AsRef<Path>) -> Option<bool> {
        match self.read_number::<u8>(path)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// The kernel log for reading record by record; on a live machine the device.
    pub fn open_log(&self) -> Result<File> {
        self.open("/dev/kmsg")
    }

    /// The names of the folders in a folder, sorted.
    pub fn folders(&self, path: impl AsRef<Path>) -> Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path(path))? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                names.push(entry.file_name());
            }
        }
        names.sort();
        Ok(names)
    }

    /// The names in a folder that are decimal numbers, as IDs of tasks are, in no order.
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

    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).exists()
    }

    pub fn modified(&self, path: impl AsRef<Path>) -> Option<SystemTime> {
        fs::metadata(self.path(path)).ok()?.modified().ok()
    }

    /// The number of links of a folder, which procfs makes 2 and one for each folder in it.
    pub fn links(&self, path: impl AsRef<Path>) -> Result<u64> {
        Ok(fs::metadata(self.path(path))?.nlink())
    }
}

/// Opens a file for reading that may be no file.
pub fn open_without_waiting(path: &Path) -> io::Result<File> {
    // The same on every architecture that has live patching.
    const O_NONBLOCK: i32 = 0o4000;

    OpenOptions::new()
        .read(true)
        .custom_flags(O_NONBLOCK)
        .open(path)
}

/// Which files were opened, so that tests can count.
#[cfg(test)]
pub mod tests {
    use super::*;
    use std::sync::Mutex;

    static OPENED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

    pub fn note(path: &Path) {
        OPENED.lock().unwrap().push(path.to_path_buf());
    }

    /// Those in this folder, since the last time that this was asked.
    pub fn opened(folder: &Path) -> Vec<PathBuf> {
        let mut opened = OPENED.lock().unwrap();
        let (ours, others) = opened.drain(..).partition(|path| path.starts_with(folder));
        *opened = others;
        ours
    }
}
