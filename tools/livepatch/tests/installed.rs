// SPDX-License-Identifier: GPL-2.0

//! The states of installed patches, in `installed` and for monitoring.

use std::fs;

use super::boot::machine;
use super::{klpctl_in, Scratch};

fn metric(tree: &Scratch, state: &str) -> String {
    let text = klpctl_in(tree, &["metrics"]).out;
    let start = format!("klp_installed_patches{{state=\"{state}\"}} ");
    let mut values = text.lines().filter_map(|line| line.strip_prefix(&start));
    values.next().unwrap_or("none").to_owned()
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
