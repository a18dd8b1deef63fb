// SPDX-License-Identifier: GPL-2.0

//! The tests, if there is no core in C.

const NO_CORE: &str = "there is no core in C: set KLP_TREE to a kernel tree that has \
                       kernel/livepatch/core.c";

// Tests that are ignored run for a deep test, which must not pass without the core in C.
#[test]
#[ignore = "there is no core in C: set KLP_TREE to a kernel tree"]
fn both_cores_live_the_same() {
    panic!("{NO_CORE}");
}

#[test]
fn the_tree_has_the_core_in_c() {
    assert!(std::env::var_os("KLP_TREE").is_none(), "{NO_CORE}");
}
