// SPDX-License-Identifier: GPL-2.0

//! `load`, where a patch is loaded already.

use std::fs;

use super::boot::{load_a, machine};
use super::Scratch;
use crate::command::Command;
use crate::exit::Exit;
use crate::options::Options;

/// Has the kernel show a patch with these values of its files.
fn show(tree: &Scratch, patch: &str, enabled: &str, transition: &str) {
    let folder = tree.path().join("sys/kernel/livepatch").join(patch);
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(tree.path().join("sys/module").join(patch)).unwrap();
    fs::write(folder.join("enabled"), format!("{enabled}\n")).unwrap();
    fs::write(folder.join("transition"), format!("{transition}\n")).unwrap();
}

#[test]
fn a_patch_of_unknown_state() {
    let tree = machine(&[&["name=a"]]);
    show(&tree, "a", "?", "0");
    for replace in [false, true] {
        let options = Options {
            command: Command::Load,
            replace,
            ..Options::default()
        };
        let failure = load_a(&tree, &options).unwrap_err();
        assert_eq!(failure.exit, Exit::Error);
        assert_eq!(
            failure.message,
            "the state of a cannot be read; see klpctl status"
        );
    }
}
