// SPDX-License-Identifier: GPL-2.0

//! Files that a reader sees whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::name::Name;

/// Writes a file so that it has the old content or the new one, also after a crash.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let base = path.file_name().unwrap_or_default().as_bytes();
    let temporary = Name::from(&[b".", base, b".new"].concat()[..]);
    let temporary = folder.join(temporary.as_os_str());

    let mut file = File::create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}
