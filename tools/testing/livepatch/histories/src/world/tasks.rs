// SPDX-License-Identifier: GPL-2.0

//! The operations of tasks.

use super::World;
use crate::{
    machine::{
        asleep_in,
        asleep_in_call,
        helper,
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
    model::{
        blocker::Code,
        transition,
        Way, //
    },
    operation::Who,
    promise::{
        self,
        home,
        Doing,
        Frame,
        Life, //
    }, //
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
        Some(patch) if frame.jumped => helper(Patch(patch)),
        Some(patch) => replacement(Patch(patch), function),
        None => original(function),
    }
}

impl World {
    /// Whether the task exists and can do operations. The first thread cannot: it runs the kernel's
    /// own work.
    pub(super) fn acts(&self, who: Who) -> bool {
        match who {
            Who::Thread(0) => false,
            Who::Thread(_) => {
                let task = self.promise.tasks.get(&who);
                task.is_some_and(|task| task.life != Life::Ends)
            }
            Who::Idle(cpu) => self.promise.online[cpu],
        }
    }

    pub(super) fn act(&mut self, who: Who, what: impl FnOnce(&mut promise::Task)) {
        if self.acts(who) {
            if let Some(task) = self.promise.tasks.get_mut(&who) {
                if task.doing == Doing::Arrives {
                    task.doing = Doing::Sleeps;
                }
                what(task);
            }
            self.put(who);
        }
    }

    /// Whether the task can do operations and has not begun to exit.
    pub(super) fn lives(&self, who: Who) -> bool {
        self.acts(who) && self.promise.tasks[&who].life == Life::Lives
    }

    /// Puts the machine's task where the promise has it.
    pub(super) fn put(&self, who: Who) {
        let Some(it) = self.promise.tasks.get(&who) else {
            return;
        };
        let address = |frame| code(frame).start + 4;
        let inner = |outer| address(it.frames.last().unwrap_or(outer));
        let place = match (it.doing, it.frames.as_slice()) {
            (Doing::Runs, []) => Place::Running,
            (Doing::Runs, [outer, ..]) => Place::RunningIn(address(outer), inner(outer)),
            (Doing::SleepsBlurred, []) => Place::Unreliable,
            (Doing::SleepsBlurred, [outer, ..]) => {
                Place::UnreliableIn(address(outer), inner(outer))
            }
            (Doing::Sleeps | Doing::Arrives, []) => ELSEWHERE,
            (Doing::Sleeps, [only]) => asleep_in(code(only)),
            (Doing::Sleeps, [outer, .., inner]) => asleep_in_call(code(outer), code(inner)),
            (Doing::Arrives, [outer, ..]) => Place::Arriving(inner(outer)),
        };
        self.machine.put(task(who), place);
    }

    pub(super) fn call(&mut self, who: Who, function: usize) {
        if !self.acts(who) || !self.promise.present[home(function)] {
            return;
        }
        let frame = self.frame(who, function);
        self.act(who, |task| {
            if task.frames.len() < 2 {
                task.frames.push(frame);
            }
        });
        if self.promise.transition.is_some() && self.promise.tasks[&who].life == Life::Exits {
            self.tally
                .note("called by a task that exits, in a transition");
        }
    }

    /// The frame that a call of a function pushes.
    fn frame(&self, who: Who, function: usize) -> Frame {
        Frame {
            function,
            version: self.reached(who, function),
            jumped: false,
            forced: false,
            side: None,
        }
    }

    /// The frame that a thread's call of a changed function pushes. The function is chosen modulo
    /// their number.
    pub(super) fn changed_frame(&self, who: Who, changed: usize, jumps: bool) -> Option<Frame> {
        let traced: Vec<usize> = self.promise.traced().collect();
        let is_thread = matches!(who, Who::Thread(_)) && self.acts(who);
        if !is_thread || traced.is_empty() {
            return None;
        }
        let mut frame = self.frame(who, traced[changed % traced.len()]);
        frame.jumped = jumps && frame.version.is_some();
        Some(frame)
    }

    pub(super) fn arrive(&mut self, who: Who, changed: usize, jumps: bool) {
        if let Some(frame) = self.changed_frame(who, changed, jumps) {
            self.act(who, |task| {
                if task.frames.is_empty() {
                    task.frames.push(frame);
                    task.doing = Doing::Arrives;
                }
            });
        }
    }

    pub(super) fn jump(&mut self, who: Who, changed: usize) {
        if let Some(frame) = self.changed_frame(who, changed, true) {
            self.act(who, |task| {
                if task.frames.len() < 2 {
                    task.frames.push(frame);
                }
            });
        }
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

    pub(super) fn begin_exit(&mut self, who: Who) {
        if self.lives(who) {
            self.machine.begin_exit(task(who));
            self.act(who, |task| task.life = Life::Exits);
        }
    }

    pub(super) fn end_exit(&mut self, who: Who) {
        if self.acts(who) && !self.lives(who) {
            self.machine.end_exit(task(who));
            if self.promise.has_to_switch(who) {
                self.tally.note("ended with tasks in the way");
            }
            self.act(who, |task| {
                task.frames.clear();
                task.doing = Doing::Sleeps;
            });
            if let Some(task) = self.promise.tasks.get_mut(&who) {
                task.life = Life::Ends;
            }
            self.counted = false;
        }
    }

    /// Follows the machine, on which tasks have arrived in functions or have died meanwhile.
    pub(super) fn follow(&mut self) {
        let machine = &self.machine;
        self.promise.tasks.retain(|&who, it| {
            if it.doing == Doing::Arrives && !machine.is_arriving(task(who)) {
                it.doing = Doing::Sleeps;
            }
            it.life != Life::Ends || !machine.is_dead(task(who))
        });
    }

    pub(super) fn leave(&mut self, who: Who) {
        let is_thread = matches!(who, Who::Thread(_));
        if is_thread && self.acts(who) && !self.lives(who) {
            self.end_exit(who);
        } else if self.acts(who) {
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
        if self.lives(parent) && threads < TASKS {
            let child = self.machine.copy_thread(task(parent));
            self.machine.set_listed(child, false);
            self.children.push((child, parent));
        }
    }

    /// Takes a child that is about to get onto the task list, and its parent.
    pub(super) fn take_child(&mut self, newest: bool) -> Option<(Who, Who)> {
        if self.children.is_empty() {
            return None;
        }
        let place = if newest { self.children.len() - 1 } else { 0 };
        let (child, parent) = self.children.remove(place);
        if !self.lives(parent) {
            // A parent that has exited cannot finish a fork, so the child is discarded.
            self.machine.exit(child);
            return None;
        }
        match child {
            Task::Thread(number) => Some((Who::Thread(number), parent)),
            Task::Idle(_) => None,
        }
    }

    pub(super) fn attach(&mut self, newest: bool) {
        let Some((child, parent)) = self.take_child(newest) else {
            return;
        };
        self.machine.attach(task(child), task(parent));
        self.promise.fork(child, parent);
        self.attached(child);
    }

    pub(super) fn attached(&mut self, child: Who) {
        self.put(child);
        self.counted = false;
        if self.promise.transition.is_some() {
            self.tally.note("forked in a transition");
        }
    }
}
