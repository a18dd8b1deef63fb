// SPDX-License-Identifier: GPL-2.0

//! The store of the installed patches, and its notes of crashes.

use std::fs;

use super::Scratch;
use crate::elf::tests::module;
use crate::modfile::ModuleFile;
use crate::name::Name;
use crate::root::Root;
use crate::store::Store;

fn kernel() -> Name {
    "7.3.4".into()
}

/// Returns the names of the patches that the last boot has crashed with.
fn begin(store: &Store<'_>) -> Vec<Name> {
    let notes = store.begin().unwrap().into_iter();
    notes.map(|note| note.patch).collect()
}

pub fn set_boot(scratch: &Scratch, id: &str) {
    let folder = scratch.path().join("proc/sys/kernel/random");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("boot_id"), format!("{id}\n")).unwrap();
    watch(scratch, true);
}

/// Sets the version of the running kernel.
pub fn set_release(scratch: &Scratch, release: &str) {
    let file = scratch.path().join("proc/sys/kernel/osrelease");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, format!("{release}\n")).unwrap();
}

/// Starts the unit, or stops it.
pub fn watch(scratch: &Scratch, on: bool) {
    let file = scratch.path().join("run/klpctl.watched");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    match on {
        true => fs::write(file, "").unwrap(),
        false => fs::remove_file(file).unwrap(),
    }
}

pub fn install(store: &Store<'_>, fields: &[&str]) {
    install_for(store, "7.3.4", fields);
}

pub fn install_for(store: &Store<'_>, kernel: &str, fields: &[&str]) {
    let file = store.root.path("/made.ko");
    let fields = [&["livepatch=Y"], fields].concat();
    fs::write(&file, module(&fields)).unwrap();
    let module = ModuleFile::read(&file).unwrap();
    store.install(&kernel.into(), &module).unwrap();
}

fn names(store: &Store<'_>) -> Vec<String> {
    let installed = store.installed(&"7.3.4".into()).unwrap();
    installed
        .iter()
        .map(|patch| patch.name.to_string())
        .collect()
}

#[test]
fn the_order_of_installation() {
    let scratch = Scratch::new();
    let root = Root::captured(scratch.path());
    let store = Store::new(&root);
    assert!(names(&store).is_empty());
    for name in ["name=b", "name=c", "name=a", "name=b"] {
        install(&store, &[name]);
    }
    assert_eq!(names(&store), ["b", "c", "a"]);
    assert_eq!(store.kernels().unwrap(), ["7.3.4".into()]);
    assert!(store.uninstall(&"7.3.4".into(), &"c".into()).unwrap());
    assert!(!store.uninstall(&"7.3.4".into(), &"c".into()).unwrap());
    assert_eq!(names(&store), ["b", "a"]);
    for name in ["a", "b"] {
        assert!(store.uninstall(&"7.3.4".into(), &name.into()).unwrap());
    }
    assert!(store.kernels().unwrap().is_empty());
}

#[test]
fn a_boot_that_crashes() {
    let scratch = Scratch::new();
    let root = Root::captured(scratch.path());
    let store = Store::new(&root);
    let running = scratch.path().join("var/lib/klpctl/running");
    let (a, b): (Name, Name) = ("a".into(), "b".into());

    // Without the unit nothing is watched.
    set_boot(&scratch, "1");
    watch(&scratch, false);
    store.begin().unwrap();
    store.mark(&a).unwrap();
    assert!(!running.exists());
    // With it, load --all has not to come first.
    watch(&scratch, true);
    store.mark(&a).unwrap();
    store.mark(&b).unwrap();
    store.unmark(&b).unwrap();
    assert!(store.begin().unwrap().is_empty(), "it is the same boot");
    assert!(store.crashed(&kernel()).unwrap().is_empty());

    // Loaded patches alone are blamed, and stay so.
    set_boot(&scratch, "2");
    assert_eq!(store.crashed(&kernel()).unwrap(), [a.clone()].into());
    assert_eq!(begin(&store), std::slice::from_ref(&a));
    store.mark(&b).unwrap();
    set_boot(&scratch, "3");
    assert_eq!(begin(&store), std::slice::from_ref(&b));
    assert_eq!(
        store.crashed(&kernel()).unwrap(),
        [a.clone(), b.clone()].into()
    );

    // The machine is shut down, as the unit has it.
    store.mark(&"c".into()).unwrap();
    fs::remove_file(&running).unwrap();
    set_boot(&scratch, "4");
    assert!(store.begin().unwrap().is_empty());
    assert_eq!(store.crashed(&kernel()).unwrap().len(), 2);

    // A patch that is loaded by hand before load --all has not crashed the boot before.
    set_boot(&scratch, "5");
    store.mark(&"c".into()).unwrap();
    assert_eq!(store.crashed(&kernel()).unwrap().len(), 2);

    assert!(store.allow(&kernel(), &a).unwrap());
    assert!(!store.allow(&kernel(), &a).unwrap());
    assert_eq!(store.crashed(&kernel()).unwrap(), [b.clone()].into());
    install(&store, &["name=b"]);
    assert!(store.crashed(&kernel()).unwrap().is_empty());
}

/// In a boot after a crash, without the unit, an orderly shutdown must not look like another
/// crash.
#[test]
fn a_crash_is_remembered_without_the_unit() {
    let scratch = Scratch::new();
    let root = Root::captured(scratch.path());
    let store = Store::new(&root);
    set_boot(&scratch, "1");
    store.mark(&"a".into()).unwrap();
    store.mark(&"b".into()).unwrap();
    set_boot(&scratch, "2");
    watch(&scratch, false);
    assert!(store.allow(&kernel(), &"a".into()).unwrap());
    store.mark(&"a".into()).unwrap();
    assert!(!scratch.path().join("var/lib/klpctl/running").exists());
    set_boot(&scratch, "3");
    assert!(store.begin().unwrap().is_empty());
    assert_eq!(store.crashed(&kernel()).unwrap(), ["b".into()].into());
}

/// Two commands may load one patch at once: the kernel refuses the second one.
#[test]
fn a_patch_that_another_command_has_loaded_stays_noted() {
    let scratch = Scratch::new();
    let root = Root::captured(scratch.path());
    let store = Store::new(&root);
    set_boot(&scratch, "1");
    store.mark(&"a".into()).unwrap();
    let folder = scratch.path().join("sys/kernel/livepatch/a");
    fs::create_dir_all(&folder).unwrap();
    store.unmark(&"a".into()).unwrap();
    fs::remove_dir(&folder).unwrap();
    set_boot(&scratch, "2");
    assert_eq!(store.crashed(&kernel()).unwrap(), ["a".into()].into());
}

#[test]
fn one_is_allowed_before_anything_else() {
    let scratch = Scratch::new();
    let root = Root::captured(scratch.path());
    let store = Store::new(&root);
    set_boot(&scratch, "1");
    store.begin().unwrap();
    store.mark(&"a".into()).unwrap();
    store.mark(&"b".into()).unwrap();
    set_boot(&scratch, "2");
    assert!(store.allow(&kernel(), &"a".into()).unwrap());
    store.begin().unwrap();
    assert_eq!(store.crashed(&kernel()).unwrap(), ["b".into()].into());
}

/// An administrator may have copied a module by hand, so that there is no file `order`.
#[test]
fn a_module_without_an_order() {
    let scratch = Scratch::new();
    let root = Root::captured(scratch.path());
    let store = Store::new(&root);
    install(&store, &["name=a"]);
    let folder = scratch.path().join("var/lib/klpctl/7.3.4");
    fs::remove_file(folder.join("order")).unwrap();
    assert!(store.uninstall(&"7.3.4".into(), &"a".into()).unwrap());
    assert!(!folder.exists());
}
