// SPDX-License-Identifier: GPL-2.0

//! Which patch is it: its version, its build, and the time since when it is applied.

use std::fs;

use super::{klpctl_in, Answer, Scratch};
use crate::elf::tests::{build, note};
use crate::exit::Exit;

/// The tree of two patches, of which the first has a version and a record.
fn versions() -> Scratch {
    let tree = Scratch::tree("stacked");
    let folder = tree.path().join("sys/module/test_klp_livepatch");
    fs::create_dir_all(folder.join("notes")).unwrap();
    fs::write(folder.join("version"), "1.2\n").unwrap();
    fs::write(folder.join("srcversion"), "0123ABCD\n").unwrap();
    fs::write(folder.join("notes/.note.gnu.build-id"), note(&[0x17; 20])).unwrap();
    fs::create_dir_all(tree.path().join("run/klpctl")).unwrap();
    let record = "srcversion 0123ABCD\ndescription Closes a hole\nsigner Our key\n\
                  fixes CVE-2026-1\nfixes CVE-2026-2\n";
    fs::write(tree.path().join("run/klpctl/test_klp_livepatch"), record).unwrap();
    tree
}

#[test]
fn of_one_patch() {
    let tree = versions();
    let answer = klpctl_in(&tree, &["status", "test_klp_livepatch"]);
    let text =
        "version: 1.2\nsrcversion: 0123ABCD\nbuild ID: 1717171717171717171717171717171717171717\n\
                signer: Our key\ndescription: Closes a hole\nfixes: CVE-2026-1, CVE-2026-2\n";
    assert!(answer.out.ends_with(text), "{}", answer.out);
    let answer = klpctl_in(&tree, &["status", "--json"]);
    for text in [
        "\"srcversion\": \"0123ABCD\"",
        "\"srcversion\": null",
        "\"CVE-2026-2\"\n      ]",
        "\"fixes\": null",
        "\"signer\": \"Our key\"",
    ] {
        assert!(answer.out.contains(text), "{text}: {}", answer.out);
    }
}

#[test]
fn since_when_it_is_applied() {
    let tree = versions();
    let answer = klpctl_in(&tree, &["status", "test_klp_livepatch"]);
    // The transition was complete 29.6 s before the look.
    assert!(
        answer.out.contains("2026-11-23T09:59:30Z (29 s)"),
        "{}",
        answer.out
    );
}

fn load(tree: &Scratch, fields: &[&str], id: u8, options: &[&str]) -> (Answer, String) {
    let file = tree.path().join("x.ko");
    let info = [
        &["livepatch=Y", "name=test_klp_livepatch", "vermagic=7.3.4 "],
        fields,
    ]
    .concat();
    fs::write(&file, build(&info, &[id; 20])).unwrap();
    let file = file.to_str().unwrap().to_owned();
    let arguments = [&["load", "--dry-run", &file], options].concat();
    (klpctl_in(tree, &arguments), file)
}

#[test]
fn another_build_is_refused() {
    let tree = versions();
    let (answer, _) = load(&tree, &["srcversion=0123ABCD"], 0x17, &[]);
    assert_eq!(answer.exit, Exit::Done, "{}", answer.err);
    assert!(answer.out.contains("is loaded already"), "{}", answer.out);

    for (source, words) in [
        (
            "srcversion=4567ABCD",
            ["is loaded, srcversion 0123ABCD", "is srcversion 4567ABCD"],
        ),
        // The same source was compiled again.
        (
            "srcversion=0123ABCD",
            [
                "is loaded, build ID 171717171717",
                "is build ID 181818181818",
            ],
        ),
    ] {
        let (answer, file) = load(&tree, &[source], 0x18, &[]);
        assert_eq!(answer.exit, Exit::Error);
        let replace = format!("klpctl load --replace {file}");
        for word in words.into_iter().chain([replace.as_str()]) {
            assert!(answer.err.contains(word), "{word}: {}", answer.err);
        }
    }
}

#[test]
fn another_build_replaces() {
    let tree = versions();
    let (answer, file) = load(&tree, &[], 0x18, &["--replace"]);
    assert_eq!(answer.exit, Exit::Done, "{}", answer.err);
    assert_eq!(
        answer.out,
        format!(
            "test_klp_livepatch, build ID 171717171717, is unloaded first for build ID \
             181818181818; until that is applied, tasks run the original functions\n\
             would run: echo 0 > /sys/kernel/livepatch/test_klp_livepatch/enabled\n\
             would run: rmmod test_klp_livepatch\n\
             would run: insmod {file}\n"
        )
    );
}

/// With `--replace` the loaded build is replaced, or the command fails.
#[test]
fn a_build_that_is_not_known_replaces() {
    let tree = Scratch::tree("stacked");
    let (answer, file) = load(&tree, &[], 0x17, &["--replace"]);
    assert_eq!(answer.exit, Exit::Done, "{}", answer.err);
    assert_eq!(
        answer.out,
        format!(
            "test_klp_livepatch, an unknown build, is unloaded first for build ID 171717171717; \
             until that is applied, tasks run the original functions\n\
             would run: echo 0 > /sys/kernel/livepatch/test_klp_livepatch/enabled\n\
             would run: rmmod test_klp_livepatch\n\
             would run: insmod {file}\n"
        )
    );
    let (answer, _) = load(&tree, &[], 0x17, &[]);
    assert_eq!(answer.exit, Exit::Done, "{}", answer.err);
    let text = "is loaded already: applied; it is not known whether it is this build\n";
    assert!(answer.out.ends_with(text), "{}", answer.out);
    let check = klpctl_in(&tree, &["check", &file]);
    let text = "note: a patch test_klp_livepatch is loaded already; it is not known whether it is \
                this build\n";
    assert!(check.out.contains(text), "{}", check.out);

    // The same build stays.
    let (answer, _) = load(&versions(), &[], 0x17, &["--replace"]);
    assert_eq!(
        answer.out,
        "test_klp_livepatch is loaded already: applied\n"
    );
}
