// SPDX-License-Identifier: GPL-2.0

//! What a task does: calls functions, sleeps, leaves the kernel, forks.
//!
//! From one of its switching points to the next, it must see either the old functions or the new.

use super::{
    stacks::{
        Stacks,
        Version, //
    },
    tasks::{
        TaskId,
        Tasks, //
    },
    Machine, //
};
use crate::livepatch::model::{
    transition,
    Way, //
};
use loom::{
    sync::atomic::Ordering::Relaxed,
    thread::JoinHandle, //
};
use std::sync::Arc;

/// A task that runs, as the code that it runs.
pub(crate) struct Life {
    tasks: Tasks,
    me: TaskId,
    /// The version of the functions called since the last switching point.
    seen: Option<Version>,
}

impl Life {
    /// The task wakes up.
    pub(crate) fn begin(machine: &Arc<Machine>, me: TaskId) -> Self {
        machine.task(me).set_running(true);
        let tasks = Tasks {
            machine: machine.clone(),
            current: Some(me),
        };
        Self {
            tasks,
            me,
            seen: None,
        }
    }

    /// Calls a function.
    pub(crate) fn call(&mut self, function: usize) -> Version {
        let now = self.tasks.handler(function);
        let before = *self.seen.get_or_insert(now);
        if before != now {
            let me = self.me;
            self.tasks.machine.note(|| {
                format!("task {me} mixes functions: version {before}, then {now} of {function}")
            });
        }
        now
    }

    /// Calls a function and does something inside it.
    pub(crate) fn inside(&mut self, function: usize, body: impl FnOnce(&mut Self)) {
        let version = self.call(function);
        let machine = self.tasks.machine.clone();
        let address = Stacks::code(function, version).start + 8;
        machine.task(self.me).stack().push(address);
        body(self);
        machine.task(self.me).stack().pop();
    }

    /// Leaves the kernel, where no function is on the stack, and enters it again.
    pub(crate) fn leave_kernel(&mut self) {
        let _section = self.tasks.machine.preemption_disabled(self.me);
        transition::update(&self.tasks, self.me, Way::KernelExit);
        self.seen = None;
    }

    /// `__schedule()`, without going to sleep.
    pub(crate) fn schedule(&mut self) {
        let machine = &self.tasks.machine;
        let section = machine.preemption_disabled(self.me);
        if machine.sched_switching.load(Relaxed) {
            transition::sched_switch(&self.tasks);
        }
        drop(section);
        self.passed_a_switching_point();
    }

    /// Sleeps, and is woken up.
    pub(crate) fn sleep(&mut self) {
        let task = self.tasks.machine.task(self.me);
        task.set_running(false);
        task.set_running(true);
        self.passed_a_switching_point();
    }

    /// Nobody but the task itself can tell whether it was switched. Inside a function that
    /// changes it must not have been.
    fn passed_a_switching_point(&mut self) {
        if self.tasks.machine.task(self.me).stack().is_empty() {
            self.seen = None;
        }
    }

    /// Lives on in a thread of its own.
    pub(crate) fn spawn(mut self, life: fn(&mut Self)) -> JoinHandle<()> {
        loom::thread::spawn(move || {
            life(&mut self);
            self.end();
        })
    }

    /// Forks: returns the child, where it is on its way out of the fork.
    pub(crate) fn fork(&mut self, child: TaskId) -> Self {
        self.tasks.copy_to(child);
        // There is memory to allocate: the parent may sleep, and be switched.
        self.sleep();
        let machine = self.tasks.machine.clone();
        machine.add_task(child, || transition::fork(&self.tasks, child));
        Self::begin(&machine, child)
    }

    /// Sleeps for good.
    pub(crate) fn end(self) {
        self.tasks.machine.task(self.me).set_running(false);
    }
}
