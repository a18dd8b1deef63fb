// SPDX-License-Identifier: GPL-2.0

//! A patch that was loaded when the machine crashed is held back, and others are not.

use std::fs;
use std::thread;

use super::boot::{load_all, machine, running};
use super::store::{set_boot, set_release};
use super::{klpctl_in, Scratch};
use crate::elf::tests::module;
use crate::exit::Exit;
use crate::modfile::ModuleFile;
use crate::name::Name;
use crate::root::Root;
use crate::store::Store;

/// Boots the tree's machine with this version of the kernel.
fn boot(tree: &Scratch, id: &str, kernel: &str) {
    set_boot(tree, id);
    set_release(tree, kernel);
}

fn install_for(tree: &Scratch, kernel: &str) {
    let file = tree.path().join("made.ko");
    fs::write(&file, module(&["livepatch=Y", "name=fix"])).unwrap();
    let module = ModuleFile::read(&file).unwrap();
    let root = Root::captured(tree.path());
    Store::new(&root).install(&kernel.into(), &module).unwrap();
}

/// A machine that has crashed on 7.3.4 with the patch `fix` loaded.
fn crashed_machine() -> Scratch {
    let tree = machine(&[&["name=fix"]]);
    let root = Root::captured(tree.path());
    let store = Store::new(&root);
    store.begin().unwrap();
    store.mark(&"fix".into()).unwrap();
    tree
}

fn loads(tree: &Scratch) -> bool {
    let answer = load_all(tree);
    let held_back = answer
        .out
        .contains("fix is not loaded: it was loaded when the machine crashed");
    assert_eq!(held_back, answer.exit == Exit::Error, "{}", answer.out);
    assert_eq!(!held_back, answer.out.contains("insmod"), "{}", answer.out);
    !held_back
}

#[test]
fn a_new_file_for_a_new_kernel() {
    let tree = crashed_machine();
    boot(&tree, "2", "7.3.5");
    install_for(&tree, "7.3.5");
    assert!(loads(&tree));
    boot(&tree, "3", "7.3.4");
    assert!(!loads(&tree), "nobody has allowed the file that crashed");
    install_for(&tree, "7.3.4");
    assert!(loads(&tree));
}

#[test]
fn the_file_of_another_kernel() {
    let tree = crashed_machine();
    install_for(&tree, "7.3.5");
    boot(&tree, "2", "7.3.5");
    assert!(loads(&tree));
    let answer = klpctl_in(&tree, &["installed"]);
    for row in ["7.3.4   fix    crashed  ", "7.3.5   fix    not loaded  "] {
        assert!(answer.out.contains(row), "{}", answer.out);
    }
    let answer = klpctl_in(&tree, &["allow", "fix", "--dry-run"]);
    assert_eq!(answer.exit, Exit::Nothing);
    let text = "fix was not loaded in a crash of 7.3.5; see klpctl installed";
    assert!(answer.err.contains(text), "{}", answer.err);
    let allow = ["allow", "fix", "--kernel", "7.3.4", "--dry-run"];
    assert_eq!(klpctl_in(&tree, &allow).out, "would allow fix of 7.3.4\n");
}

/// Earlier versions of klpctl wrote no kernel: such a note is for every kernel.
#[test]
fn a_note_without_a_kernel() {
    let tree = machine(&[&["name=fix"]]);
    install_for(&tree, "7.3.5");
    let crashed = tree.path().join("var/lib/klpctl/crashed");
    fs::write(&crashed, "fix\n").unwrap();
    boot(&tree, "2", "7.3.4");
    assert!(!loads(&tree));
    boot(&tree, "3", "7.3.5");
    assert!(!loads(&tree));

    let root = Root::captured(tree.path());
    let store = Store::new(&root);
    assert!(store.allow(&"7.3.5".into(), &"fix".into()).unwrap());
    assert_eq!(fs::read_to_string(&crashed).unwrap(), "7.3.4 fix\n");
    assert!(loads(&tree));
    boot(&tree, "4", "7.3.4");
    assert!(!loads(&tree));
}

/// Without these files klpctl does not know which patches crash the machine. A write in their place
/// would make that final.
#[test]
fn notes_that_cannot_be_read() {
    for file in ["crashed", "running"] {
        let tree = crashed_machine();
        let store = tree.path().join("var/lib/klpctl");
        let _ = fs::remove_file(store.join(file));
        fs::create_dir(store.join(file)).unwrap();
        set_boot(&tree, "2");
        let path = format!("/var/lib/klpctl/{file}: ");
        let unknown = "; so it is not known which patches were loaded in a crash\n";
        let answer = load_all(&tree);
        assert_eq!((answer.out.as_str(), answer.exit), ("", Exit::Error));
        assert!(answer.err.contains("nothing is loaded: "), "{}", answer.err);
        assert!(answer.err.contains(&path), "{}", answer.err);
        let answer = klpctl_in(&tree, &["installed"]);
        assert_eq!((answer.out.as_str(), answer.exit), ("", Exit::Error));
        assert!(answer.err.ends_with(unknown), "{}", answer.err);
        let answer = klpctl_in(&tree, &["status", "--nagios"]);
        assert!(answer.out.starts_with("LIVEPATCH UNKNOWN - "));

        let root = Root::captured(tree.path());
        let fix = Name::from("fix");
        assert!(Store::new(&root).begin().is_err());
        assert!(Store::new(&root).mark(&fix).is_err());
        assert!(Store::new(&root).allow(&"7.3.4".into(), &fix).is_err());
        assert!(store.join(file).is_dir());
        let made = ModuleFile::read(&store.join("7.3.4/fix.ko")).unwrap();
        assert!(Store::new(&root).install(&"7.3.5".into(), &made).is_err());
        assert!(!store.join("7.3.5").exists());
    }
}

/// A file `order` that cannot be read is not written anew, either.
#[test]
fn an_order_that_cannot_be_read() {
    let tree = machine(&[&["name=fix"]]);
    let order = tree.path().join("var/lib/klpctl/7.3.4/order");
    fs::remove_file(&order).unwrap();
    fs::create_dir(&order).unwrap();
    let answer = load_all(&tree);
    assert_eq!((answer.out.as_str(), answer.exit), ("", Exit::Error));
    assert!(answer.err.contains("/7.3.4/order: "), "{}", answer.err);
}

/// Commands at the same time do not lose the notes of each other.
#[test]
fn notes_by_several_at_once() {
    const COMMANDS: usize = 4;
    const NOTES: usize = 5;

    let tree = machine(&[]);
    let root = Root::captured(tree.path());
    Store::new(&root).begin().unwrap();
    thread::scope(|scope| {
        for command in 0..COMMANDS {
            let root = &root;
            scope.spawn(move || {
                for note in 0..NOTES {
                    let name = format!("p{command}_{note}");
                    let name = Name::from(name.as_bytes());
                    Store::new(root).mark(&name).unwrap();
                }
            });
        }
    });
    let noted = running(&tree);
    assert_eq!(noted.lines().count(), 1 + COMMANDS * NOTES, "{noted}");
}
