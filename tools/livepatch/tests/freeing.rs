// SPDX-License-Identifier: GPL-2.0

//! Waiting for the module of a disabled patch to become free.

use std::fs;
use std::time::Duration;

use super::schema::assert_valid;
use super::waiting::{output, patience, with_context, Meanwhile};
use super::{klpctl_in, Scratch};
use crate::command::Command;
use crate::commands::wait::{deadline, until_free};
use crate::exit::Exit;
use crate::options::Options;

const HELD: &str = "test_klp_sleep_patch";
const REFCNT: &str = "sys/module/test_klp_sleep_patch/refcnt";

#[test]
fn until_the_module_is_free() {
    let line = "test_klp_sleep_patch: disabled, waiting for its module, which is held\n";
    assert_eq!(while_it_is_held(&Options::default()), line);
    let json = Options {
        command: Command::Unload,
        json: true,
        ..Options::default()
    };
    let out = while_it_is_held(&json);
    assert!(out.contains("\"event\":\"held\""), "{out}");
    assert_eq!(assert_valid(&out), 1);
}

/// Returns the output while a module is held, which then becomes free.
fn while_it_is_held(options: &Options) -> String {
    let tree = Scratch::tree("held");
    // After a second klpctl reports that it waits for the module.
    let mut out = Meanwhile::new(|| {
        // At once, as the kernel does: a file that is being written may be empty.
        let new = tree.path().join("refcnt");
        fs::write(&new, "0\n").unwrap();
        fs::rename(new, tree.path().join(REFCNT)).unwrap();
    });
    with_context(&tree, options, &mut out, |context| {
        until_free(context, &HELD.into(), deadline(patience()))
    })
    .unwrap();
    out.text()
}

#[test]
fn for_a_module_that_is_free_or_gone() {
    let free = |tree: &Scratch, module: &str| {
        output(tree, &Options::default(), |context| {
            until_free(context, &module.into(), deadline(Duration::ZERO))
        })
    };
    for (tree, module) in [
        ("held-and-free", "test_klp_livepatch"),
        ("none", "test_klp_livepatch"),
    ] {
        let (out, result) = free(&Scratch::tree(tree), module);
        assert!(result.is_ok());
        assert_eq!(out, "");
    }
    // One that is being removed.
    let tree = Scratch::tree("held");
    fs::write(tree.path().join(REFCNT), "-1\n").unwrap();
    assert!(free(&tree, HELD).1.is_ok());
}

#[test]
fn for_a_module_in_vain() {
    let tree = Scratch::tree("held");
    let timeout = Duration::from_millis(300);
    let (out, result) = output(&tree, &Options::default(), |context| {
        until_free(context, &HELD.into(), deadline(timeout))
    });
    let failure = result.unwrap_err();
    assert_eq!(failure.exit, Exit::Error);
    assert_eq!(
        failure.message,
        "module test_klp_sleep_patch is still held (1 reference)"
    );
    let why = klpctl_in(&tree, &["why", HELD]).out;
    let line = "The module has not become free in time.\n";
    assert_eq!(out, format!("{line}{why}"));
    assert!(why.contains("\ncat (210), user process"), "{why}");

    let json = Options {
        command: Command::Unload,
        json: true,
        ..Options::default()
    };
    let (out, result) = output(&tree, &json, |context| {
        until_free(context, &HELD.into(), deadline(timeout))
    });
    assert!(result.is_err());
    assert_eq!(out.lines().count(), 1, "{out}");
    assert!(out.contains("\"event\":\"timeout\""), "{out}");
    assert!(out.contains("\"comm\":\"cat\""), "{out}");
    assert_valid(&out);
}
