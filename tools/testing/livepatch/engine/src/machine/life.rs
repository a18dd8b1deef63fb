// SPDX-License-Identifier: GPL-2.0

//! The life of a task: it calls functions, sleeps, leaves the kernel, forks.
//!
//! From one of its switching points to the next, a task must call either only old functions or only
//! new ones.

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
use crate::model::{
    transition,
    Way, //
};
use loom::{
    sync::atomic::Ordering::Relaxed,
    thread::JoinHandle, //
};
use std::sync::Arc;

/// A task, seen from the code that it runs.
pub(crate) struct Life {
    tasks: Tasks,
    me: TaskId,
    /// The version of the functions called since the last switching point.
    seen: Option<Version>,
    /// The versions of the functions that the task is in, the innermost last.
    inside: Vec<Version>,
}

impl Life {
    /// The task wakes up.
    pub(crate) fn begin(machine: &Arc<Machine>, me: TaskId) -> Self {
        machine.task(me).set_running(true);
        Self::asleep(machine, me)
    }

    /// The task sleeps until it calls [`Self::ready`].
    pub(crate) fn asleep(machine: &Arc<Machine>, me: TaskId) -> Self {
        let tasks = Tasks {
            machine: machine.clone(),
            current: Some(me),
        };
        Self {
            tasks,
            me,
            seen: None,
            inside: Vec::new(),
        }
    }

    /// Calls a function.
    pub(crate) fn call(&mut self, function: usize) -> Version {
        let jumped = self.tasks.jump(function, |_| ());
        let now = jumped.unwrap_or_else(|| self.tasks.handler(function));
        self.expect_version(function, now);
        now
    }

    fn expect_version(&mut self, function: usize, now: Version) {
        self.expect_not_given_up(now);
        let before = *self.seen.get_or_insert(now);
        if before != now {
            let me = self.me;
            self.tasks.machine.note(|| {
                format!("task {me} mixes functions: version {before}, then {now} of {function}")
            });
        }
    }

    /// Nobody may call a patch that is given up before the first task has switched.
    fn expect_not_given_up(&self, version: Version) {
        let machine = &self.tasks.machine;
        if version != 0 && machine.books().given_up {
            let me = self.me;
            machine.note(|| format!("task {me} calls version {version}, which is given up"));
        }
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

    /// The task is ready to run during `body`, in which it can be preempted. Before and after, it
    /// sleeps.
    pub(crate) fn ready(&mut self, body: impl FnOnce(&mut Self)) {
        let machine = self.tasks.machine.clone();
        let _ready = machine.task(self.me).ready();
        body(self);
    }

    /// The task is on its CPU during `body`. Before and after, it sleeps or is preempted.
    pub(crate) fn on_cpu(&mut self, body: impl FnOnce(&mut Self)) {
        let machine = self.tasks.machine.clone();
        let task = machine.task(self.me);
        let _cpu = task.cpu();
        task.set_running(true);
        body(self);
        task.set_running(false);
    }

    /// The task wakes up, does `body`, and sleeps.
    pub(crate) fn run(&mut self, body: impl FnOnce(&mut Self)) {
        self.ready(|task| task.on_cpu(body));
    }

    /// Calls a function, up to where the handler has chosen a version, or where the call site has
    /// jumped to one.
    pub(crate) fn enter_handler(&mut self, function: usize) {
        let jumped = self.tasks.jump(function, |version| {
            self.tasks.machine.expect_text(self.me, version);
            self.stack_push(Stacks::code(function, version).start);
        });
        let version = jumped.unwrap_or_else(|| {
            let version = self.tasks.handler(function);
            self.stack_push(Stacks::handler(function));
            version
        });
        self.expect_version(function, version);
        self.inside.push(version);
    }

    /// Goes on from [`Self::enter_handler`] into the function.
    pub(crate) fn enter_function(&mut self, function: usize) {
        if let Some(&version) = self.inside.last() {
            self.expect_text();
            if self.tasks.machine.books().leaves_ftrace {
                self.tasks.machine.expect_prepared(self.me, version);
            }
            self.stack_replace(Stacks::code(function, version).start + 8);
        }
    }

    /// Jumps from a patch's function to another function of the patch, which replaces none. A task
    /// in an original function stays there.
    pub(crate) fn jump(&mut self) {
        if let Some(&version) = self.inside.last().filter(|&&version| version != 0) {
            self.expect_text();
            self.stack_replace(Stacks::helper(version));
        }
    }

    /// Runs the rest of the function that it is in, and returns.
    pub(crate) fn go_back(&mut self) {
        self.expect_text();
        self.inside.pop();
        self.tasks.machine.task(self.me).stack().pop();
    }

    fn stack_push(&self, address: usize) {
        self.tasks.machine.task(self.me).stack().push(address);
    }

    fn stack_replace(&self, address: usize) {
        let mut stack = self.tasks.machine.task(self.me).stack();
        stack.pop();
        stack.push(address);
    }

    fn expect_text(&self) {
        for &version in &self.inside {
            self.tasks.machine.expect_text(self.me, version);
        }
    }

    /// Moves from the task list to the list of exiting tasks.
    pub(crate) fn begin_exit(&mut self) {
        self.tasks.machine.begin_exit(self.me);
    }

    /// Leaves the list of exiting tasks, and calls a function once more. Waits for runnable tasks
    /// do not cover this task any more.
    pub(crate) fn end_exit(&mut self, function: usize) {
        self.end_exit_and(|| (), function);
    }

    /// The same, with something else before the call.
    pub(crate) fn end_exit_and(&mut self, then: impl FnOnce(), function: usize) {
        let machine = self.tasks.machine.clone();
        let section = machine.preemption_disabled(self.me);
        machine.end_exit(self.me);
        then();
        let version = if let Some(version) = self.tasks.jump(function, |_| ()) {
            version
        } else if machine.faults.preemptible_ends {
            drop(section);
            self.tasks.handler(function)
        } else {
            self.tasks.handler_in_section(function)
        };
        machine.expect_text(self.me, version);
        self.expect_not_given_up(version);
    }

    /// Leaves the kernel, with no function on the stack, and enters it again.
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

    /// Allows another version from here on, unless the task is inside a function that changes. The
    /// task may have switched outside of such functions, and must not have switched inside.
    fn passed_a_switching_point(&mut self) {
        if self.tasks.machine.task(self.me).stack().is_empty() {
            self.seen = None;
        }
    }

    /// Runs the task in a thread of its own.
    pub(crate) fn spawn(mut self, life: fn(&mut Self)) -> JoinHandle<()> {
        loom::thread::spawn(move || {
            life(&mut self);
            self.end();
        })
    }

    /// Forks, and returns the child, which is on its way out of the fork.
    pub(crate) fn fork(&mut self, child: TaskId) -> Self {
        self.tasks.copy_to(child);
        // The parent allocates memory here: it may sleep, and a pass may switch it.
        self.sleep();
        let machine = self.tasks.machine.clone();
        let task = machine.task(self.me);
        task.set_running(!machine.faults.preemptible_forks);
        machine.add_task(child, || transition::fork(&self.tasks, child));
        task.set_running(true);
        Self::begin(&machine, child)
    }

    /// Sleeps for good.
    pub(crate) fn end(self) {
        self.tasks.machine.task(self.me).set_running(false);
    }
}
