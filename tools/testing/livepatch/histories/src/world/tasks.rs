// SPDX-License-Identifier: GPL-2.0

//! What tasks do.

use super::World;
use crate::{
    livepatch::{
        model::{
            stack::Code,
            transition,
            Way, //
        },
        tests::machine::{
            asleep_in,
            asleep_in_call,
            original,
            replacement,
            Function,
            Patch,
            Place,
            Task,
            CPUS,
            ELSEWHERE,
            TASKS, //
        },
    },
    operation::Who,
    promise::{
        self,
        home,
        Doing,
        Frame, //
    },
};

/// The machine's name for a task.
pub(super) fn task(who: Who) -> Task {
    match who {
        Who::Thread(number) => Task::Thread(number),
        Who::Idle(cpu) => Task::Idle(cpu),
    }
}

/// The code that a task is in.
fn code(frame: &Frame) -> Code {
    let function = Function(frame.function);
    match frame.version {
        Some(patch) => replacement(Patch(patch), function),
        None => original(function),
    }
}

impl World {
    /// Whether there is such a task and it can do something. The first thread is the one that runs
    /// the kernel's own work.
    pub(super) fn acts(&self, who: Who) -> bool {
        match who {
            Who::Thread(0) => false,
            Who::Thread(_) => self.promise.tasks.contains_key(&who),
            Who::Idle(cpu) => self.promise.online[cpu],
        }
    }

    pub(super) fn act(&mut self, who: Who, what: impl FnOnce(&mut promise::Task)) {
        if self.acts(who) {
            if let Some(task) = self.promise.tasks.get_mut(&who) {
                what(task);
            }
            self.put(who);
        }
    }

    /// Puts the machine's task where it is.
    pub(super) fn put(&self, who: Who) {
        let Some(it) = self.promise.tasks.get(&who) else {
            return;
        };
        let place = match (it.doing, it.frames.as_slice()) {
            (Doing::Runs, _) => Place::Running,
            (Doing::SleepsBlurred, _) => Place::Unreliable,
            (Doing::Sleeps, []) => ELSEWHERE,
            (Doing::Sleeps, [only]) => asleep_in(code(only)),
            (Doing::Sleeps, [outer, .., inner]) => asleep_in_call(code(outer), code(inner)),
        };
        self.machine.put(task(who), place);
    }

    pub(super) fn call(&mut self, who: Who, function: usize) {
        if !self.acts(who) || !self.promise.present[home(function)] {
            return;
        }
        let version = self.reached(who, function);
        self.act(who, |task| {
            if task.frames.len() < 2 {
                task.frames.push(Frame {
                    function,
                    version,
                    forced: false,
                    side: None,
                });
            }
        });
    }

    pub(super) fn schedule(&mut self, who: Who) {
        if !self.acts(who) || !self.machine.sched_switching.get() {
            return;
        }
        self.act(who, |task| {
            if task.doing == Doing::Runs {
                task.doing = Doing::Sleeps;
            }
        });
        self.machine.set_current(task(who));
        transition::sched_switch(&self.machine);
        self.machine.set_current(Task::Thread(0));
        if self.promise.has_to_switch(who) && !self.promise.holds_up(who) {
            self.tally.note("switched in schedule");
            self.promise.switch(who);
        }
    }

    pub(super) fn leave(&mut self, who: Who) {
        if self.acts(who) {
            self.promise.leave(who);
            self.put(who);
            let way = match who {
                Who::Thread(_) => Way::KernelExit,
                Who::Idle(_) => Way::IdleLoop,
            };
            transition::update(&self.machine, task(who), way);
        }
    }

    pub(super) fn copy(&mut self, parent: Who) {
        let threads = self.promise.tasks.len() - CPUS + self.children.len();
        if self.acts(parent) && threads < TASKS {
            let child = self.machine.copy_thread(task(parent));
            self.machine.set_listed(child, false);
            self.children.push((child, parent));
        }
    }

    pub(super) fn attach(&mut self, newest: bool) {
        if self.children.is_empty() {
            return;
        }
        let place = if newest { self.children.len() - 1 } else { 0 };
        let (child, parent) = self.children.remove(place);
        let (Some(of), Task::Thread(number)) = (self.promise.tasks.get(&parent), child) else {
            self.machine.exit(child);
            return;
        };
        let uses = of.uses;
        self.machine.set_current(task(parent));
        transition::fork(&self.machine, child);
        self.machine.set_current(Task::Thread(0));
        self.machine.set_listed(child, true);
        let who = Who::Thread(number);
        self.promise.tasks.insert(who, promise::Task::new(uses));
        self.put(who);
        self.counted = false;
        if self.promise.transition.is_some() {
            self.tally.note("forked in a transition");
        }
    }
}
