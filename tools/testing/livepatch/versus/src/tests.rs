// SPDX-License-Identifier: GPL-2.0

//! The tests, if there is a core in C.

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
use std::{
    cell::{
        Cell,
        RefCell, //
    },
    env,
    io::{
        self,
        Write, //
    },
};

/// This number of histories takes less than a minute on one CPU.
const CASES: u32 = 20_000;

/// Compares the cores in so many random histories, unless `PROPTEST_CASES` has another number.
fn compare(cases: u32) {
    let mut config = Config {
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
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
    println!("{:#?}", total.borrow());
    // The histories must contain all that the tally needs, or they prove little.
    if cases >= CASES {
        let needed = [NEEDED.as_slice(), &LEFT_OUT].concat();
        assert_eq!(total.borrow().missing(&needed), [""; 0]);
    }
    // This is for the caller of the test program, which does not show what a test prints.
    let told = writeln!(io::stdout(), "\n{cases} histories compared");
    assert!(told.is_ok());
}

#[test]
fn both_cores_live_the_same() {
    compare(CASES);
}

// A million histories, for two CPUs. The two tests have different seeds, as each run has. 20,000
// histories take 7 seconds of a CPU.

#[test]
#[ignore = "it takes minutes"]
fn both_cores_live_the_same_half_a_million_times() {
    compare(500_000);
}

#[test]
#[ignore = "it takes minutes"]
fn both_cores_live_the_same_for_another_half_million() {
    compare(500_000);
}
