// SPDX-License-Identifier: GPL-2.0

//! Compares the C core of live patching with the rules in Rust, in the same random histories.
//!
//! The crate compiles the C core from the kernel tree unchanged, against headers that give it a
//! machine of one thread (`include/machine.h`, `csrc/`). It compiles the rules unchanged, with the
//! machine of their KUnit tests, and `messages.c`, which prints the rules' messages. After each
//! operation it compares
//!
//! - the result of the operation;
//! - the patches with their objects, the func stacks, and the functions in ftrace;
//! - the state of each task, its pending flag, how often it was woken up or signaled, and the
//!   version of each function that it reaches;
//! - the log, debug messages and callbacks included, line by line;
//! - the patches that were freed;
//! - whether another pass is arranged, and whether tasks try to switch in `__schedule()`;
//! - the states that callbacks find, and the shadow variables with their values, constructors and
//!   destructors.
//!
//! At the end of each history all patches are disabled. Then the module of each patch has been put
//! once, and no memory and no kobject of the C core is left.
//!
//! Of the rest of the core in Rust, `state.rs` and `shadow.rs` are compiled unchanged as well. The
//! table of shadow variables is not the kernel's: that one makes its heads with `kvmalloc()`, frees
//! variables after RCU's readers, and grows in a work item that an interrupt queues. A map is in
//! its place (`src/edge/`). KUnit and the selftests test the kernel's table.
//!
//! `Documentation/livepatch/rust-core-differences.rst` lists the points in which the cores are meant
//! to differ. `src/meant.rs` has the names of those that histories could show. The rules do a pass
//! once a second here, and disturb no running task, as with
//! `CONFIG_LIVEPATCH_RUST_RETRY_EACH_SECOND`.
//!
//! Allocations and other calls of the kernel fail on both cores. The cores do not make the same
//! calls, so one core can fail where the other does not. Then the crate checks the error, and that
//! the core has changed nothing. The core tries again. The log of an operation that fails is not
//! compared.
//!
//! A disabled patch is not enabled again below a patch that changes the same functions, because of
//! the difference `end-of-func-stack`.
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
mod edge;
#[cfg(all(test, core_in_c))]
mod history;
#[cfg(all(test, core_in_c))]
mod lines;
#[cfg(all(test, core_in_c))]
mod meant;
#[cfg(all(test, core_in_c))]
mod pair;
#[cfg(all(test, core_in_c))]
mod picture;
#[cfg(all(test, core_in_c))]
#[allow(dead_code)]
#[path = "../../../../../kernel/livepatch/shadow.rs"]
mod shadow;
#[cfg(all(test, core_in_c))]
#[path = "../../../../../kernel/livepatch/state.rs"]
mod state;
#[cfg(all(test, core_in_c))]
#[path = "../../histories/src/tally.rs"]
mod tally;

#[cfg(test)]
mod tests {
    #[cfg(not(core_in_c))]
    const NO_CORE: &str = "there is no core in C: set KLP_TREE to a kernel tree that has \
                           kernel/livepatch/core.c";

    // Tests that are ignored run for a deep test, which must not pass without the core in C.
    #[cfg(not(core_in_c))]
    #[test]
    #[ignore = "there is no core in C: set KLP_TREE to a kernel tree"]
    fn both_cores_live_the_same() {
        panic!("{NO_CORE}");
    }

    #[cfg(not(core_in_c))]
    #[test]
    fn the_tree_has_the_core_in_c() {
        assert!(std::env::var_os("KLP_TREE").is_none(), "{NO_CORE}");
    }

    /// This number of histories takes less than a minute on one CPU.
    #[cfg(core_in_c)]
    const CASES: u32 = 20_000;

    #[cfg(core_in_c)]
    #[test]
    fn both_cores_live_the_same() {
        use crate::{
            history::histories,
            meant::LEFT_OUT,
            pair::{
                Pair,
                NEEDED, //
            },
            tally::Tally, //
        };
        use proptest::test_runner::{
            Config,
            TestCaseError,
            TestRunner, //
        };
        use std::cell::{
            Cell,
            RefCell, //
        };

        let mut config = Config {
            failure_persistence: None,
            max_shrink_iters: 20_000,
            ..Config::default()
        };
        if std::env::var_os("PROPTEST_CASES").is_none() {
            config.cases = CASES;
        }
        let cases = config.cases;
        let total = RefCell::new(Tally::default());
        let spoiled = Cell::new(false);
        let result = TestRunner::new(config).run(&histories(), |history| {
            if spoiled.get() {
                // The history that has failed cannot be made shorter.
                return Ok(());
            }
            let tally = Pair::new().live(&history, &spoiled);
            let tally = tally.map_err(TestCaseError::fail)?;
            total.borrow_mut().add(&tally);
            Ok(())
        });
        if let Err(error) = result {
            panic!("{error}");
        }
        println!("{cases} histories, in which: {:#?}", total.borrow());
        // The histories must contain all that the tally needs, or they prove little.
        if cases >= CASES {
            let needed = [NEEDED.as_slice(), &LEFT_OUT].concat();
            assert_eq!(total.borrow().missing(&needed), [""; 0]);
        }
    }
}
