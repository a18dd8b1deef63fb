// SPDX-License-Identifier: GPL-2.0

//! All interleavings of the rules' code, with relaxed memory.

mod barriers;
mod complete;
mod departures;
mod edge;
mod jumps;
mod scenarios;

use crate::machine::{
    faults::{
        Fault,
        Faults, //
    },
    life::Life,
    Machine,
    Size, //
};
use loom::thread::JoinHandle;
use scenarios::Scenario;
use std::{
    any::Any,
    panic::{
        catch_unwind,
        resume_unwind,
        AssertUnwindSafe, //
    },
    sync::{
        atomic::{
            AtomicBool,
            AtomicUsize,
            Ordering, //
        },
        Arc, //
    }, //
};

/// The interleavings that loom explores.
#[derive(Clone, Copy)]
enum Depth {
    /// All interleavings.
    Unbounded,
    /// Those with at most this number of preemptions: switches from a thread that could go on.
    Preemptions(usize),
}

/// The number of histories that loom explored, and the first violation, if any.
struct Explored {
    histories: usize,
    violation: Option<String>,
}

/// Explores the histories of a scenario on a machine of some size, with some faults. Only
/// violations that contain `wanted` count.
fn explore(
    depth: Depth,
    size: Size,
    faults: &[Fault],
    scenario: Scenario,
    wanted: Option<&'static str>,
) -> Explored {
    let mut loom = loom::model::Builder::new();
    loom.max_branches = 100_000;
    loom.preemption_bound = match depth {
        Depth::Unbounded => None,
        Depth::Preemptions(bound) => Some(bound),
    };
    let faults = Arc::new(Faults::new(faults, wanted));
    let histories = Arc::new(AtomicUsize::new(0));
    let result = catch_unwind(AssertUnwindSafe(|| {
        let (faults, histories) = (faults.clone(), histories.clone());
        loom.check(move || {
            histories.fetch_add(1, Ordering::Relaxed);
            let machine = Arc::new(Machine::new(size, &faults));
            scenario(&machine);
            machine.wait_for_interrupts();
            if let Some(violation) = machine.violation() {
                resume_unwind(Box::new(Violation(violation)));
            }
        })
    }));
    faults.expect_hits();
    Explored {
        histories: histories.load(Ordering::Relaxed),
        violation: result.err().map(text),
    }
}

/// Returns whether `body` returns true in all interleavings.
fn explore_plain(body: impl Fn() -> bool + Send + Sync + 'static) -> bool {
    let always = Arc::new(AtomicBool::new(true));
    let result = always.clone();
    loom::model::Builder::new().check(move || {
        if !body() {
            result.store(false, Ordering::Relaxed);
        }
    });
    always.load(Ordering::Relaxed)
}

/// A violation, on its way out of loom.
struct Violation(String);

fn text(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<Violation>() {
        Ok(violation) => violation.0,
        // A panic of loom itself, for example about a deadlock.
        Err(other) => resume_unwind(other),
    }
}

/// Asserts that no history has a violation.
#[track_caller]
fn holds(depth: Depth, size: Size, faults: &[Fault], scenario: Scenario) {
    let explored = explore(depth, size, faults, scenario, None);
    println!("{} histories", explored.histories);
    assert_eq!(explored.violation, None);
    // One history alone would mean that loom had nothing to explore.
    assert!(explored.histories > 1);
}

/// Asserts that with these faults a history has a violation that contains `wanted`.
#[track_caller]
fn breaks(depth: Depth, size: Size, faults: &[Fault], scenario: Scenario, wanted: &'static str) {
    let explored = explore(depth, size, faults, scenario, Some(wanted));
    println!("{} histories: {:?}", explored.histories, explored.violation);
    assert!(explored.violation.is_some(), "nothing {wanted}");
}

/// Starts a thread for a task that is asleep.
fn spawn_asleep(machine: &Arc<Machine>, task: usize, life: fn(&mut Life)) -> JoinHandle<()> {
    let machine = machine.clone();
    loom::thread::spawn(move || life(&mut Life::asleep(&machine, task)))
}

/// Starts a thread for a task, which wakes up, lives and sleeps for good.
fn spawn(machine: &Arc<Machine>, task: usize, life: fn(&mut Life)) -> JoinHandle<()> {
    let machine = machine.clone();
    loom::thread::spawn(move || {
        let mut task = Life::begin(&machine, task);
        life(&mut task);
        task.end();
    })
}
