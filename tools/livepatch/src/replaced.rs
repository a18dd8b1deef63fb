// SPDX-License-Identifier: GPL-2.0

//! Patches that another patch has replaced.
//!
//! A patch that replaces the others takes them out of sysfs, where nothing shows that they were
//! there. Only newer kernels show that the patch in effect replaces others. If `load --all` loaded
//! the old patch again, it would take the new one back. So `load` keeps a record in `/run/klpctl`
//! of each patch that was in sysfs before, with the name of the new patch.
//!
//! A record counts as long as the old patch is not in sysfs and the new one is in effect, or is
//! replaced in its turn. So the administrator ends it with `load` of the old patch or `unload` of
//! the new one. No record counts for a patch that replaces no others, if the kernel shows that.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::identity;
use crate::name::Name;
use crate::root::Root;
use crate::sysfs;
use crate::whole;

fn record_of(patch: &Name) -> PathBuf {
    identity::further_record_of(patch, "replaced")
}

/// Returns the patches in sysfs, but for one.
pub fn others(root: &Root, patch: &Name) -> Vec<Name> {
    let folders = root.folders(sysfs::FOLDER).unwrap_or_default();
    let names = folders.iter().map(|folder| folder.as_os_str().into());
    names.filter(|name| name != patch).collect()
}

/// Keeps that a patch was loaded when the kernel had the patches `before`. Its transition may end
/// after the command, so the records are there before that. They do not count as long as the old
/// patches are in sysfs.
pub fn keep(root: &Root, patch: &Name, before: &[Name]) {
    forget(root, patch);
    if replaces(root, patch) == Some(false) {
        return;
    }
    let content = [patch.as_bytes(), b"\n"].concat();
    let _ = whole::create_folder(&root.path(identity::RECORDS));
    for old in before {
        // Without the record, load --all may load the old patch again.
        let _ = whole::write(&root.path(record_of(old)), &content);
    }
}

/// Removes the records of the patches `before` which the new patch has left in sysfs, when its
/// transition is over. Returns those that it has replaced.
pub fn settle(root: &Root, patch: &Name, before: Vec<Name>) -> Vec<Name> {
    let transition = root.read_flag(sysfs::folder_of(patch).join("transition"));
    if transition == Some(true) {
        return Vec::new();
    }
    let (there, gone): (Vec<_>, Vec<_>) = before
        .into_iter()
        .partition(|old| root.exists(sysfs::folder_of(old)));
    for old in there {
        forget(root, &old);
    }
    gone
}

/// Removes the record of a patch that is loaded again, or that the administrator disables.
pub fn forget(root: &Root, patch: &Name) {
    // Most patches were not replaced, and have none.
    let _ = fs::remove_file(root.path(record_of(patch)));
}

/// Returns the patch that is in effect in place of another one, or `None` if there is none. `later`
/// are the installed patches that `load --all` loads after that one.
pub fn successor<'a>(
    root: &Root,
    patch: &Name,
    later: impl IntoIterator<Item = &'a Name>,
) -> Option<Name> {
    if root.exists(sysfs::folder_of(patch)) {
        return None;
    }
    let new = |name: &&Name| is_in_effect(root, name) && replaces(root, name) == Some(true);
    recorded(root, patch).or_else(|| later.into_iter().find(new).cloned())
}

/// Follows the records from a patch to the one in effect.
fn recorded(root: &Root, patch: &Name) -> Option<Name> {
    let mut seen = BTreeSet::new();
    let mut patch = patch.clone();
    while seen.insert(patch.clone()) {
        let record = root.read(record_of(&patch)).ok()?;
        patch = record.trim_ascii().into();
        // An earlier version of klpctl may have kept this record, when its wait timed out.
        if replaces(root, &patch) == Some(false) {
            return None;
        }
        if is_in_effect(root, &patch) {
            return Some(patch);
        }
    }
    None
}

/// Whether a patch replaces the others. Older kernels do not show it.
fn replaces(root: &Root, patch: &Name) -> Option<bool> {
    root.read_flag(sysfs::folder_of(patch).join("replace"))
}

fn is_in_effect(root: &Root, patch: &Name) -> bool {
    !patch.as_bytes().is_empty()
        && root.read_flag(sysfs::folder_of(patch).join("enabled")) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Scratch;

    fn enable(root: &Root, patch: &str) {
        let folder = root.path(sysfs::folder_of(&patch.into()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("enabled"), "1\n").unwrap();
        fs::write(folder.join("transition"), "0\n").unwrap();
    }

    fn remove(root: &Root, patch: &str) {
        fs::remove_dir_all(root.path(sysfs::folder_of(&patch.into()))).unwrap();
    }

    /// Has a patch replace all others.
    fn load(root: &Root, patch: &str) -> Vec<Name> {
        let name = Name::from(patch);
        let before = others(root, &name);
        enable(root, patch);
        keep(root, &name, &before);
        for old in &before {
            remove(root, &old.to_string());
        }
        settle(root, &name, before)
    }

    fn found(root: &Root, patch: &str) -> Option<String> {
        successor(root, &patch.into(), []).map(|name| name.to_string())
    }

    #[test]
    fn a_record_counts_while_the_new_patch_is_in_effect() {
        let scratch = Scratch::new();
        let root = Root::captured(scratch.path());
        assert!(load(&root, "a").is_empty());
        assert_eq!(found(&root, "a"), None);
        assert_eq!(load(&root, "b"), ["a".into()]);
        assert_eq!(found(&root, "a").as_deref(), Some("b"));
        assert_eq!(load(&root, "c"), ["b".into()]);
        assert_eq!(found(&root, "a").as_deref(), Some("c"));
        assert_eq!(found(&root, "b").as_deref(), Some("c"));
        // The older one replaces in its turn.
        load(&root, "a");
        assert_eq!(found(&root, "a"), None);
        assert_eq!(found(&root, "b").as_deref(), Some("a"));
        remove(&root, "a");
        for patch in ["a", "b", "c"] {
            assert_eq!(found(&root, patch), None, "{patch}");
        }
    }

    #[test]
    fn a_patch_that_stays_has_no_record() {
        let scratch = Scratch::new();
        let root = Root::captured(scratch.path());
        enable(&root, "a");
        enable(&root, "b");
        let (a, b): (Name, Name) = ("a".into(), "b".into());
        keep(&root, &b, std::slice::from_ref(&a));
        assert!(settle(&root, &b, vec![a.clone()]).is_empty());
        remove(&root, "a");
        assert_eq!(found(&root, "a"), None);

        // The transition goes on when the command ends.
        enable(&root, "a");
        let transition = root.path(sysfs::folder_of(&b).join("transition"));
        fs::write(&transition, "1\n").unwrap();
        keep(&root, &b, std::slice::from_ref(&a));
        assert!(settle(&root, &b, vec![a]).is_empty());
        assert_eq!(found(&root, "a"), None);
        remove(&root, "a");
        assert_eq!(found(&root, "a").as_deref(), Some("b"));

        // The kernel shows that the new patch does not replace the old one.
        let replace = root.path(sysfs::folder_of(&b).join("replace"));
        fs::write(&replace, "0\n").unwrap();
        assert_eq!(found(&root, "a"), None);
        fs::write(&replace, "1\n").unwrap();
        assert_eq!(found(&root, "a").as_deref(), Some("b"));
    }

    #[test]
    fn a_patch_that_does_not_replace_makes_no_record() {
        let scratch = Scratch::new();
        let root = Root::captured(scratch.path());
        let (a, b): (Name, Name) = ("a".into(), "b".into());
        enable(&root, "b");
        let replace = root.path(sysfs::folder_of(&b).join("replace"));
        for (value, kept) in [("0\n", false), ("1\n", true)] {
            fs::write(&replace, value).unwrap();
            keep(&root, &b, std::slice::from_ref(&a));
            assert_eq!(root.exists(record_of(&a)), kept, "{value}");
        }
    }

    #[test]
    fn records_in_a_circle() {
        let scratch = Scratch::new();
        let root = Root::captured(scratch.path());
        keep(&root, &"a".into(), &["b".into()]);
        fs::write(root.path(record_of(&"a".into())), "b\n").unwrap();
        assert_eq!(found(&root, "a"), None);
    }
}
