// SPDX-License-Identifier: GPL-2.0

//! Whether an installed file can be loaded at boot without an administrator.
//!
//! A module has all rights of the kernel. So the file must be root's, and root alone may change it
//! or put another one in its place. Earlier versions of klpctl left the modes to the umask.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::name;

/// The bits of the mode that let other users than the owner write.
const OTHERS: u32 = 0o022;

/// Returns the reason not to load an installed file, or `None` if there is none. An administrator
/// may have put a link in its place, or in that of a directory.
pub fn reason_against(file: &Path) -> Option<String> {
    let real = fs::canonicalize(file);
    // The store, the directory for the kernel, and the file.
    let named = file.ancestors().take(3);
    let linked = real.iter().flat_map(|real| real.ancestors().take(2));
    named.chain(linked).find_map(reason)
}

fn reason(path: &Path) -> Option<String> {
    let shown = name::escape(path.as_os_str().as_bytes());
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => return Some(format!("{shown}: {error}")),
    };
    // Root runs klpctl, but for a tree that was captured.
    let ours = fs::metadata("/proc/self").map_or(0, |own| own.uid());
    if metadata.uid() != 0 && metadata.uid() != ours {
        return Some(format!(
            "{shown} belongs to the user {}, and not to root",
            metadata.uid()
        ));
    }
    (metadata.mode() & OTHERS != 0)
        .then(|| format!("users other than root may write to {shown}; to end that: chmod go-w"))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{chown, symlink, PermissionsExt};
    use std::path::PathBuf;

    use super::*;
    use crate::tests::Scratch;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    /// A file of this user in a directory in a store.
    fn store(scratch: &Scratch) -> PathBuf {
        let folder = scratch.path().join("store/7.3.4");
        let file = folder.join("a.ko");
        fs::create_dir_all(&folder).unwrap();
        fs::write(&file, "").unwrap();
        chmod(&file, 0o644);
        for folder in [folder.as_path(), folder.parent().unwrap()] {
            chmod(folder, 0o755);
        }
        file
    }

    #[test]
    fn the_file_and_its_directories() {
        let scratch = Scratch::new();
        let file = store(&scratch);
        assert_eq!(reason_against(&file), None);
        for path in file.ancestors().take(3) {
            let mode = fs::metadata(path).unwrap().mode();
            for others in [0o020, 0o002] {
                chmod(path, mode | others);
                let reason = reason_against(&file).unwrap();
                let text = format!("may write to {};", path.display());
                assert!(reason.contains(&text), "{reason}");
            }
            chmod(path, mode);
        }
        assert!(reason_against(&file.with_extension("gone")).is_some());

        // Root alone can give a file away.
        if chown(&file, Some(12345), None).is_ok() {
            let reason = reason_against(&file).unwrap();
            assert!(reason.contains("belongs to the user 12345"), "{reason}");
        }
    }

    #[test]
    fn a_link() {
        let scratch = Scratch::new();
        let file = store(&scratch);
        let elsewhere = scratch.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        chmod(&elsewhere, 0o755);
        fs::rename(&file, elsewhere.join("a.ko")).unwrap();
        symlink(elsewhere.join("a.ko"), &file).unwrap();
        assert_eq!(reason_against(&file), None);
        chmod(&elsewhere, 0o777);
        let reason = reason_against(&file).unwrap();
        assert!(reason.contains("/elsewhere;"), "{reason}");
    }
}
