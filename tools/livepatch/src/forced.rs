// SPDX-License-Identifier: GPL-2.0

//! Patches that klpctl itself has forced.
//!
//! Sysfs does not show that a transition was forced, and the kernel log forgets it. So `force`
//! keeps a record in `/run/klpctl`. The record has the number of the inode of the patch's
//! directory, which is another one if the patch is unloaded and loaded again.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::identity;
use crate::name::Name;
use crate::root::Root;
use crate::sysfs;
use crate::whole;

/// The content of the record in a report, where the inodes are not those of the machine.
pub const REPORTED: &[u8] = b"forced\n";

/// Returns the file with the record.
pub fn record_of(patch: &Name) -> PathBuf {
    identity::further_record_of(patch, "forced")
}

fn inode(root: &Root, patch: &Name) -> io::Result<Vec<u8>> {
    let folder = fs::metadata(root.path(sysfs::folder_of(patch)))?;
    Ok(format!("{}\n", folder.ino()).into_bytes())
}

/// Keeps that a patch was applied by force.
pub fn keep(root: &Root, patch: &Name) -> io::Result<()> {
    let content = inode(root, patch)?;
    whole::create_folder(&root.path(identity::RECORDS))?;
    whole::write(&root.path(record_of(patch)), &content)
}

/// Whether klpctl has forced the patch that is loaded now.
pub fn is_kept(root: &Root, patch: &Name) -> bool {
    let Ok(record) = root.read(record_of(patch)) else {
        return false;
    };
    let reported = !root.is_live() && record == REPORTED;
    reported || inode(root, patch).is_ok_and(|inode| inode == record)
}

/// Removes the record of a patch that is unloaded.
pub fn forget(root: &Root, patch: &Name) {
    // Most patches were not forced, and have none.
    let _ = fs::remove_file(root.path(record_of(patch)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Scratch;

    #[test]
    fn a_record_is_for_one_load() {
        let scratch = Scratch::new();
        let root = Root::captured(scratch.path());
        let patch = Name::from("p");
        let folder = scratch.path().join("sys/kernel/livepatch/p");
        assert!(keep(&root, &patch).is_err(), "there is no such patch");
        fs::create_dir_all(&folder).unwrap();
        assert!(!is_kept(&root, &patch));
        keep(&root, &patch).unwrap();
        assert!(is_kept(&root, &patch));

        // The other directory is there at the same time, so its inode is another one.
        fs::rename(&folder, scratch.path().join("old")).unwrap();
        fs::create_dir(&folder).unwrap();
        assert!(!is_kept(&root, &patch));
        keep(&root, &patch).unwrap();
        forget(&root, &patch);
        assert!(!is_kept(&root, &patch));
        fs::write(root.path(record_of(&patch)), REPORTED).unwrap();
        assert!(is_kept(&root, &patch));
    }
}
