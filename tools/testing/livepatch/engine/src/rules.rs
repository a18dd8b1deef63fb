// SPDX-License-Identifier: GPL-2.0

//! A transition step by step: one thread, one history.

mod phases;
mod switching;

use crate::{
    livepatch::model::{
        transition,
        Host,
        TaskHost,
        TaskState::{
            self,
            Idle,
            Patched,
            Unpatched, //
        }, //
    },
    machine::{
        driver,
        faults::Faults,
        stacks::Stacks,
        tasks::{
            TaskId,
            Tasks, //
        },
        transition::Transition,
        Machine,
        Size,
        SMALL, //
    }, //
};
use std::sync::Arc;

/// Two tasks, and three CPUs, the last of which is offline.
const WITH_IDLE: Size = Size { idle: 3, ..SMALL };
const ALL: [TaskId; 5] = [0, 1, ONLINE, 3, OFFLINE];
const ONLINE: TaskId = 2;
const OFFLINE: TaskId = 4;

/// A machine, and a patch on it.
struct Test {
    machine: Arc<Machine>,
    patch: Transition,
}

impl Test {
    fn state(&self, task: TaskId) -> TaskState {
        self.machine.final_state(task).0
    }

    fn pending(&self, task: TaskId) -> bool {
        self.machine.final_state(task).1
    }

    fn states(&self) -> [TaskState; 5] {
        ALL.map(|task| self.state(task))
    }

    fn all_pending(&self) -> [bool; 5] {
        ALL.map(|task| self.pending(task))
    }

    /// A task, as itself.
    fn as_task(&self, task: TaskId) -> Tasks {
        Tasks {
            machine: self.machine.clone(),
            current: Some(task),
        }
    }

    fn run(&self, task: TaskId, running: bool) {
        self.machine.task(task).set_running(running);
    }

    /// The task is, or is not, inside a version of function 1.
    fn put_inside(&self, task: TaskId, version: Option<usize>) {
        let mut stack = self.machine.task(task).stack();
        stack.clear();
        stack.extend(version.map(|version| Stacks::code(1, version).start + 4));
    }

    /// What was done since the last look.
    fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.machine.books().log)
    }

    fn logged(&self, line: &str) -> usize {
        self.log().iter().filter(|found| *found == line).count()
    }

    fn switch(&self, task: TaskId) {
        transition::update(&self.as_task(task), task);
    }
}

/// Runs `body` on a machine with patch 0.
fn on_machine(body: impl Fn(&Test) + Send + Sync + 'static) {
    let mut loom = loom::model::Builder::new();
    loom.max_branches = 100_000;
    loom.check(move || {
        let machine = Arc::new(Machine::new(WITH_IDLE, &Arc::new(Faults::default())));
        let patch = Transition::new(&machine, 0);
        body(&Test { machine, patch });
    });
}

/// A test of what the rules expect.
fn test(body: fn(&Test)) {
    on_machine(move |test| {
        body(test);
        assert_eq!(test.machine.violation(), None);
    });
}

/// A test of what they do not.
fn wrong(body: impl Fn(&Test) + Send + Sync + 'static) {
    on_machine(move |test| {
        body(test);
        let violation = test.machine.violation().unwrap_or_default();
        assert!(violation.contains("expectation"), "{violation}");
    });
}
