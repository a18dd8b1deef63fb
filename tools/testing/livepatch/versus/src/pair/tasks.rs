// SPDX-License-Identifier: GPL-2.0

//! The operations of tasks.

use super::{
    home,
    names,
    Checked,
    Doing,
    Frame,
    Pair,
    Tracked, //
};
use crate::{
    history::MOST_THREADS,
    machine::{
        asleep_in,
        asleep_in_call,
        original,
        replacement,
        Function,
        Patch,
        Place,
        Task,
        ELSEWHERE,
        FUNCTIONS, //
    },
    model::{
        blocker::Code,
        transition,
        PatchHost,
        Way, //
    },
};

impl Pair {
    pub(super) fn acts(&self, task: usize) -> bool {
        match task.checked_sub(MOST_THREADS) {
            // The first thread runs the kernel's own work.
            None => task != 0 && self.tasks[task].exists,
            Some(cpu) => self.online[cpu],
        }
    }

    pub(super) fn call(&mut self, task: usize, function: usize) {
        if self.acts(task) && self.present[home(function)] {
            let patch = self.reached(task, function);
            if self.tasks[task].frames.len() < 2 {
                self.tasks[task].frames.push(Frame { function, patch });
            }
            self.put(task);
        }
    }

    /// A task stays in a function of a patch while that is disabled, and perhaps enabled
    /// again.
    pub(super) fn linger(&mut self, task: usize, changed: usize, again: bool) -> Checked {
        let traced = (0..FUNCTIONS).filter(|&it| self.rust.is_traced(Function(it)));
        let traced: Vec<usize> = traced.collect();
        if !self.acts(task) || traced.is_empty() {
            return Ok(());
        }
        let function = traced[changed % traced.len()];
        let Some(patch) = self.reached(task, function) else {
            return Ok(());
        };
        self.call(task, function);
        self.want(patch, false, None)?;
        if again && self.rust.transition_patch() == Some(Patch(patch)) {
            self.want(patch, true, None)?;
        }
        Ok(())
    }

    pub(super) fn exit(&mut self, task: usize) {
        if task < MOST_THREADS && self.acts(task) {
            self.rust.exit(Task::Thread(task));
            self.c.exit(task);
            self.tasks[task].exists = false;
            self.tasks[task].frames.clear();
            self.note_in_transition("exited in a transition");
        }
    }

    /// Brings a CPU online, or takes it offline. The last online CPU stays online.
    pub(super) fn bring(&mut self, cpu: usize, online: bool) {
        if online || self.online.iter().filter(|&&on| on).count() > 1 {
            self.act(MOST_THREADS + cpu, |it| {
                it.frames.clear();
                it.doing = Doing::Sleeps;
            });
            self.rust.set_online(cpu, online);
            self.c.online(cpu, online);
            self.online[cpu] = online;
            if !online {
                self.note_in_transition("a CPU went offline in a transition");
            }
        }
    }

    fn note_in_transition(&mut self, what: &'static str) {
        if self.rust.transition_patch().is_some() {
            self.tally.note(what);
        }
    }

    pub(super) fn reached(&self, task: usize, function: usize) -> Option<usize> {
        if !self.rust.is_traced(Function(function)) {
            return None;
        }
        self.rust
            .reaches(names::of_rules(task), Function(function))
            .map(|patch| patch.0)
    }

    pub(super) fn act(&mut self, task: usize, what: impl FnOnce(&mut Tracked)) {
        if self.acts(task) {
            what(&mut self.tasks[task]);
            self.put(task);
        }
    }

    /// Puts the task where it is on both machines.
    pub(super) fn put(&self, task: usize) {
        let it = &self.tasks[task];
        let code = |frame: &Frame| -> Code {
            let function = Function(frame.function);
            match frame.patch {
                Some(patch) => replacement(Patch(patch), function),
                None => original(function),
            }
        };
        let address = |frame: &Frame| code(frame).start + 4;
        let place = match (it.doing, it.frames.as_slice()) {
            (Doing::Runs, []) => Place::Running,
            (Doing::Runs, [outer, .., inner]) => Place::RunningIn(address(outer), address(inner)),
            (Doing::Runs, [only]) => Place::RunningIn(address(only), address(only)),
            (Doing::SleepsBlurred, _) => Place::Unreliable,
            (Doing::Sleeps, []) => ELSEWHERE,
            (Doing::Sleeps, [only]) => asleep_in(code(only)),
            (Doing::Sleeps, [outer, .., inner]) => asleep_in_call(code(outer), code(inner)),
        };
        let (rust, c) = (names::of_rules(task), names::number_in_c(task));
        self.rust.put(rust, place);
        self.c.clear(c);
        for frame in &it.frames {
            let patch = frame.patch.map_or(-1, |patch| patch as i32);
            self.c.push(c, frame.function, patch);
        }
        self.c
            .set_running(c, it.doing == Doing::Runs, it.doing == Doing::SleepsBlurred);
    }

    pub(super) fn schedule(&mut self, task: usize) {
        if !self.acts(task) || !self.rust.sched_switching.get() {
            return;
        }
        self.act(task, |it| {
            if it.doing == Doing::Runs {
                it.doing = Doing::Sleeps;
            }
        });
        let (rust, c) = (names::of_rules(task), names::number_in_c(task));
        let waits = self.rust.is_pending(rust);
        self.rust.set_current(rust);
        transition::sched_switch(&self.rust);
        self.rust.set_current(Task::Thread(0));
        self.c.schedule(c);
        self.scheduled = true;
        if waits && !self.rust.is_pending(rust) {
            self.tally.note("switched in schedule");
        }
    }

    pub(super) fn leave(&mut self, task: usize) {
        if !self.acts(task) {
            return;
        }
        self.act(task, |it| {
            it.frames.clear();
            it.doing = Doing::Sleeps;
        });
        let (rust, c) = (names::of_rules(task), names::number_in_c(task));
        let way = match rust {
            Task::Thread(_) => Way::KernelExit,
            Task::Idle(_) => Way::IdleLoop,
        };
        if self.rust.is_pending(rust) {
            self.tally.note("switched on the way out of the kernel");
        }
        transition::update(&self.rust, rust, way);
        self.c.leave(c);
    }

    pub(super) fn copy(&mut self, parent: usize) {
        let threads = self.tasks.iter().take(MOST_THREADS).filter(|it| it.exists);
        let full = threads.count() + self.children.len() == MOST_THREADS;
        if parent >= MOST_THREADS || !self.acts(parent) || full {
            return;
        }
        if let Task::Thread(child) = self.rust.copy_thread(Task::Thread(parent)) {
            self.rust.set_listed(Task::Thread(child), false);
            self.c.copy(child, parent);
            self.children.push((child, parent));
        }
    }

    pub(super) fn attach(&mut self, (child, parent): (usize, usize)) {
        if !self.acts(parent) {
            // A parent that has exited cannot finish a fork, so the child is discarded.
            self.rust.exit(Task::Thread(child));
            return;
        }
        self.rust.attach(Task::Thread(child), Task::Thread(parent));
        self.c.attach(child, parent);
        self.tasks[child] = Tracked {
            exists: true,
            frames: Vec::new(),
            doing: Doing::Sleeps,
        };
        self.put(child);
        self.note_in_transition("forked in a transition");
    }
}
