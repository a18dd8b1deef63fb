// SPDX-License-Identifier: GPL-2.0

//! The core of live patching in C, and the rules in Rust, through the same random histories.
//!
//! The C core is compiled as it is in the kernel tree, against headers that give it a machine of
//! one thread (`include/machine.h`, `csrc/`). The rules are compiled as they are, with the machine
//! of their KUnit tests. After each operation the two are compared: what the operation
//! returns, which patches are there, which is in transition, what each task is asked and where it
//! stands, which version of a function each task reaches, and the callbacks in their order.
//!
//! Where the cores are meant to differ, they are not compared. One such thing is the time at which
//! tasks are looked at: the rules do so once a second here, and disturb none that runs, as with
//! `CONFIG_LIVEPATCH_RUST_RETRY_EACH_SECOND`. The others are modules that are let go, and tasks
//! that have left the task list. Allocations do not fail: the cores make different ones. And no
//! disabled patch is turned round below another, where the core in C reads what is no func.
//!
//! `PROPTEST_CASES=n` sets the number of histories, and `KLP_TREE` names the kernel tree.

#[cfg(all(test, core_in_c))]
#[allow(dead_code, unused_imports)]
#[path = "../../../../../kernel/livepatch/tests/machine/mod.rs"]
mod machine;
#[cfg(core_in_c)]
#[allow(dead_code)]
#[path = "../../../../../kernel/livepatch/model/mod.rs"]
mod model;

#[cfg(all(test, core_in_c))]
mod c;
#[cfg(all(test, core_in_c))]
mod history;
#[cfg(all(test, core_in_c))]
mod pair;

#[cfg(test)]
mod tests {
    #[cfg(not(core_in_c))]
    #[test]
    #[ignore = "there is no core in C: set KLP_TREE to a kernel tree"]
    fn both_cores_live_the_same() {}

    #[cfg(core_in_c)]
    #[test]
    fn both_cores_live_the_same() {
        use crate::{
            history::histories,
            pair::Pair, //
        };
        use proptest::test_runner::{
            Config,
            TestCaseError,
            TestRunner, //
        };

        let mut config = Config {
            failure_persistence: None,
            max_shrink_iters: 20_000,
            ..Config::default()
        };
        if std::env::var_os("PROPTEST_CASES").is_none() {
            config.cases = 20_000;
        }
        let result = TestRunner::new(config).run(&histories(), |history| {
            Pair::new().live(&history).map_err(TestCaseError::fail)
        });
        if let Err(error) = result {
            panic!("{error}");
        }
    }
}
