// SPDX-License-Identifier: GPL-2.0

//! The rules of live patching, driven through thousands of random histories.
//!
//! This crate has no copy of the rules: it compiles the files in `kernel/livepatch/model/`
//! unchanged, with the simulated machine of their KUnit tests. It states the promises of live
//! patching without knowing the implementation, and compares the machine with them after every
//! step.
//!
//! | file | content |
//! |---|---|
//! | `operation` | the operations, and a generator of random histories |
//! | `promise` | the promises about tasks: which version of a function each task calls, and when |
//! | `journal` | the promises about callbacks and the log |
//! | `world` | the machine and the promise: does each operation on both, and compares them |
//! | `shrink` | makes a failing history shorter |
//! | `picture` | the state that a refused operation must leave unchanged |
//! | `tally` | counts what happens, so that a test can tell that it does |
//!
//! `PROPTEST_CASES=n` sets the number of histories.

// Only the kernel needs some of the items.
#[allow(dead_code)]
#[path = "../../../../../kernel/livepatch/model/mod.rs"]
mod model;
// The engine's crate runs the KUnit tests that use this machine.
#[cfg(test)]
#[allow(dead_code)]
#[path = "../../../../../kernel/livepatch/tests/machine/mod.rs"]
mod machine;

#[cfg(test)]
mod journal;
#[cfg(test)]
mod operation;
#[cfg(test)]
mod picture;
#[cfg(test)]
mod promise;
#[cfg(test)]
mod shrink;
#[cfg(test)]
mod tally;
#[cfg(test)]
mod world;

#[cfg(test)]
mod tests {
    use crate::{
        operation::{
            histories,
            History, //
        },
        shrink,
        tally::Tally,
        world::{
            World,
            NEEDED, //
        },
    };
    use proptest::test_runner::{
        Config,
        TestCaseError,
        TestError,
        TestRunner, //
    };
    use std::{
        cell::RefCell,
        env,
        panic, //
    };

    /// This number of histories takes less than a minute on one CPU.
    const CASES: u32 = 20_000;

    fn config() -> Config {
        let mut config = Config {
            failure_persistence: None,
            max_shrink_iters: 50_000,
            ..Config::default()
        };
        if env::var_os("PROPTEST_CASES").is_none() {
            config.cases = CASES;
        }
        config
    }

    fn live(history: &History) -> Result<Tally, String> {
        let mut world = World::new();
        for (number, operation) in history.0.iter().enumerate() {
            world
                .step(operation)
                .map_err(|error| format!("operation {number}, {operation:?}: {error}"))?;
        }
        world
            .undo_everything()
            .map_err(|error| format!("in the end: {error}"))?;
        Ok(world.tally)
    }

    /// Runs a history, and turns a panic into a failure.
    fn run(history: &History) -> Result<Tally, String> {
        panic::catch_unwind(|| live(history)).unwrap_or_else(|cause| {
            let text = cause.downcast_ref::<String>().cloned();
            let text = text.or_else(|| cause.downcast_ref::<&str>().map(|text| text.to_string()));
            Err(format!("panicked: {}", text.unwrap_or_default()))
        })
    }

    #[test]
    fn random_histories_keep_the_promise() {
        let config = config();
        let cases = config.cases;
        let total = RefCell::new(Tally::default());
        let result = TestRunner::new(config).run(&histories(), |history| {
            let tally = run(&history).map_err(TestCaseError::fail)?;
            total.borrow_mut().add(&tally);
            Ok(())
        });
        match result {
            Ok(()) => {}
            Err(TestError::Fail(_, history)) => {
                let shortest = shrink::shorten(history, |history| run(history).is_err());
                let error = run(&shortest).err().unwrap_or_default();
                panic!("{error}\nhistory:{shortest:?}");
            }
            Err(error) => panic!("{error}"),
        }
        println!("{cases} histories, in which: {:#?}", total.borrow());
        // The histories must contain all that the tally needs, or they prove little.
        if cases >= 1000 {
            assert_eq!(total.borrow().missing(&NEEDED), [""; 0]);
        }
    }
}
