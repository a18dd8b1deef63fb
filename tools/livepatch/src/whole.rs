// SPDX-License-Identifier: GPL-2.0

//! Files that a reader sees whole, and their directories.
//!
//! Every user may read them, and their owner alone may write, whatever the umask is. The state of
//! live patching is no secret, and monitoring systems do not run as root.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process;

use crate::name::Name;

const FOLDER_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o644;

/// Writes a file so that it has the old content or the new one, also after a crash.
///
/// A device, a FIFO or a link is not replaced, and others may own the directory: whatever stands
/// there under the name of the temporary file is not written to.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let base = path.file_name().unwrap_or_default().as_bytes();
    // Another process may write the same file at this time.
    let end = format!(".{}.new", process::id());
    let temporary = Name::from(&[b".", base, end.as_bytes()].concat()[..]);
    let temporary = folder.join(temporary.as_os_str());

    if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::other("it is no regular file, and stays"));
    }
    // A process of the same number may have left one.
    let _ = fs::remove_file(&temporary);
    if let Err(error) = create(&temporary, content).and_then(|()| fs::rename(&temporary, path)) {
        // The error of the write matters more.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    File::open(folder)?.sync_all()
}

/// Creates a directory, and those above it that are not there, with modes that do not depend on
/// the umask. One that is there keeps its mode.
pub fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        create_folder(above)?;
    }
    match DirBuilder::new().mode(FOLDER_MODE).create(path) {
        // Another command has been faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(FOLDER_MODE)),
    }
}

fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    // Until it is whole, no other user sees it.
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::tests::Scratch;

    /// Two processes that write a file at once do not share a temporary file.
    #[test]
    fn a_temporary_file_of_its_own() {
        let scratch = Scratch::new();
        let path = scratch.path().join("x");
        // This is in the way of a writer that uses a fixed name.
        fs::create_dir(scratch.path().join(".x.new")).unwrap();
        write(&path, b"text").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"text");
        // A directory cannot be replaced, and no temporary file stays.
        assert!(write(&scratch.path().join(".x.new"), b"text").is_err());
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_others_have_put_there_stays() {
        let scratch = Scratch::new();
        let path = |name: &str| scratch.path().join(name);
        fs::write(path("victim"), b"precious").unwrap();

        // A link in place of the file, as that of /dev/stdout.
        symlink(path("victim"), path("link")).unwrap();
        assert!(write(&path("link"), b"text").is_err());
        assert!(fs::symlink_metadata(path("link")).unwrap().is_symlink());
        let socket = UnixListener::bind(path("socket")).unwrap();
        assert!(write(&path("socket"), b"text").is_err());
        drop(socket);

        // A link under the name of the temporary file.
        let temporary = format!(".x.{}.new", process::id());
        symlink(path("victim"), path(&temporary)).unwrap();
        write(&path("x"), b"text").unwrap();
        assert_eq!(fs::read(path("victim")).unwrap(), b"precious");
        assert!(fs::symlink_metadata(path("x")).unwrap().is_file());
        // One that cannot be removed is not written to.
        fs::create_dir(path(&temporary)).unwrap();
        assert!(write(&path("x"), b"other").is_err());
        assert_eq!(fs::read(path("x")).unwrap(), b"text");
    }
}
