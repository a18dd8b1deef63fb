// SPDX-License-Identifier: GPL-2.0

//! The states of installed patches, in `installed` and for monitoring.

use std::fs;

use super::boot::machine;
use super::{klpctl_in, Scratch};

/// Has the kernel show an applied patch of this `srcversion`.
fn applied(tree: &Scratch, patch: &str, srcversion: &str) {
    let folder = tree.path().join("sys/kernel/livepatch").join(patch);
    let module = tree.path().join("sys/module").join(patch);
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(&module).unwrap();
    fs::write(folder.join("enabled"), "1\n").unwrap();
    fs::write(folder.join("transition"), "0\n").unwrap();
    fs::write(module.join("srcversion"), format!("{srcversion}\n")).unwrap();
}

fn metric(tree: &Scratch, state: &str) -> String {
    let text = klpctl_in(tree, &["metrics"]).out;
    let start = format!("klp_installed_patches{{state=\"{state}\"}} ");
    let mut values = text.lines().filter_map(|line| line.strip_prefix(&start));
    values.next().unwrap_or("none").to_owned()
}

#[test]
fn another_build_is_loaded() {
    for (loaded, state) in [("B", "another build"), ("A", "loaded")] {
        let tree = machine(&[&["name=a", "srcversion=A"]]);
        applied(&tree, "a", loaded);
        let answer = klpctl_in(&tree, &["installed"]);
        let row = format!("7.3.4   a      {state}  ");
        assert!(answer.out.contains(&row), "{}", answer.out);
        for other in ["another build", "loaded", "not loaded", "crashed"] {
            let count = if other == state { "1" } else { "0" };
            assert_eq!(metric(&tree, other), count, "{state}: {other}");
        }
    }
}

/// The directory of an old kernel has a patch of the same name as one that has crashed.
#[test]
fn metrics_are_of_the_running_kernel() {
    let tree = machine(&[]);
    let old = tree.path().join("var/lib/klpctl/7.2.1");
    fs::create_dir_all(&old).unwrap();
    fs::write(old.join("a.ko"), "").unwrap();
    fs::write(tree.path().join("var/lib/klpctl/crashed"), "a\n").unwrap();
    let answer = klpctl_in(&tree, &["installed"]);
    assert!(
        answer.out.contains("7.2.1   a      crashed  "),
        "{}",
        answer.out
    );
    assert_eq!(metric(&tree, "crashed"), "0");
}
