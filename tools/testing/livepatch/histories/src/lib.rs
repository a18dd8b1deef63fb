// SPDX-License-Identifier: GPL-2.0

//! The rules of live patching, driven through thousands of random histories.
//!
//! The rules are not here: `kernel/livepatch/model/` is compiled as it
//! is, with the simulated machine of their KUnit tests. What is here says what live patching
//! promises, without knowing how it is done, and compares after every step.
//!
//! | file | is |
//! |---|---|
//! | `operation` | what can happen, and how histories of it are made up |
//! | `promise` | what live patching promises: who reaches which version of a function, and when |
//! | `journal` | what it promises of callbacks and of the log |
//! | `world` | the machine and the promise side by side: does one thing to both, and compares |
//! | `shrink` | makes a failing history readable |
//! | `picture` | everything that a refused operation must leave as it was |
//!
//! `PROPTEST_CASES=n` sets the number of histories.

// Some of it only the kernel needs.
#[allow(dead_code)]
#[path = "../../../../../kernel/livepatch/model/mod.rs"]
mod model;
// The tests on this machine are run with the engine's.
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
mod world;

#[cfg(test)]
mod tests {
    use crate::{
        operation::{
            histories,
            History, //
        },
        shrink,
        world::{
            Tally,
            World, //
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

    /// As many as take less than a minute on one CPU.
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

    /// Lives through a history; a panic is a failure like any other.
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
        // Histories in which nothing happens would prove nothing.
        if cases >= 1000 {
            assert_eq!(total.borrow().missing(), [""; 0]);
        }
    }
}
