// SPDX-License-Identifier: GPL-2.0

//! The machine and the promise: each operation is done on both.

use crate::{
    journal::{
        Journal,
        Said, //
    },
    machine::{
        Machine,
        Module,
        Patch,
        Task,
        CPUS,
        MODULES,
        TASKS, //
    },
    model::enable,
    operation::{
        Operation,
        Who,
        THREADS, //
    },
    picture::Picture,
    promise::{
        home,
        Doing,
        Installed,
        Passed,
        Promise, //
    },
    tally::Tally, //
};

mod check;
mod needed;
mod orders;
mod sites;
mod tasks;
mod texts;

pub(crate) use self::needed::NEEDED;
use self::tasks::task;

/// The machine, and the promises that it has to keep.
pub(crate) struct World {
    machine: Machine,
    promise: Promise,
    journal: Journal,
    /// Children that are not yet on the task list, and their parents.
    children: Vec<(Task, Who)>,
    unwilling: Option<usize>,
    /// The time since the transition was started or reversed.
    seconds: u64,
    /// How many intervals of 15 seconds had passed when tasks were last woken.
    rounds: u64,
    /// The machine's count of waiting tasks is exact: a pass has counted them after the last
    /// operation that makes the count wrong, such as a fork, an exit or a reversal.
    counted: bool,
    pub(crate) tally: Tally,
}

type Checked<T = ()> = Result<T, String>;

fn ensure(ok: bool, what: impl FnOnce() -> String) -> Checked {
    if ok {
        Ok(())
    } else {
        Err(what())
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            machine: Machine::new(THREADS),
            promise: Promise::new(),
            journal: Journal::new(),
            children: Vec::new(),
            unwilling: None,
            seconds: 0,
            rounds: 0,
            counted: false,
            tally: Tally::default(),
        }
    }

    fn picture(&self) -> Picture {
        Picture::new(&self.machine, |function| {
            self.promise.present[home(function)]
        })
    }

    /// Does one operation on the machine and on the promise, and compares them.
    pub(crate) fn step(&mut self, operation: &Operation) -> Checked {
        use Operation::*;
        match *operation {
            Enable {
                patch,
                replaces,
                ref functions,
                ref others,
                fails,
            } => {
                let homes = functions.iter().map(|&f| home(f));
                self.enable(
                    Installed {
                        patch,
                        replaces,
                        enabled: true,
                        functions: functions.clone(),
                        modules: homes.chain(others.iter().copied()).collect(),
                    },
                    fails,
                )?;
            }
            Want {
                patch,
                enabled,
                fails,
            } => self.want(patch, enabled, fails)?,
            Reverse => {
                if let Some(t) = self.promise.transition {
                    self.want(t.patch, !t.patching, None)?;
                }
            }
            Force { patch } => self.force(patch)?,
            Coming { module, fails } => self.coming(module, fails)?,
            Going { module, fails } => self.going(module, fails)?,
            Unwilling { module } => {
                self.unwilling = module;
                self.machine.unwilling.set(module.map(Module));
            }
            Pass { leaving, attaches } => self.pass(leaving.map(Who::Thread), attaches)?,
            Seconds(seconds) => {
                self.seconds += seconds;
                self.machine.elapsed.set(self.seconds * 1000);
            }
            Call { who, function } => self.call(who, function),
            Arrive {
                who,
                changed,
                jumps,
            } => self.arrive(who, changed, jumps),
            Jump { who, changed } => self.jump(who, changed),
            Linger {
                who,
                changed,
                doing,
                exits,
            } => self.linger(who, changed, doing, exits)?,
            Crowd {
                ref threads,
                function,
            } => {
                for thread in threads.clone() {
                    self.call(Who::Thread(thread), function);
                }
            }
            Return { who } => self.act(who, |task| {
                task.frames.pop();
            }),
            Run { who } => self.act(who, |task| task.doing = Doing::Runs),
            Blur { who } => self.act(who, |task| task.doing = Doing::SleepsBlurred),
            Sleep { who } => self.act(who, |task| task.doing = Doing::Sleeps),
            Schedule { who } => self.schedule(who),
            Leave { who } => self.leave(who),
            LeaveAll => {
                let tasks = self.promise.tasks.iter();
                let inside = tasks
                    .filter(|(_, task)| !task.frames.is_empty() || task.doing != Doing::Sleeps);
                let inside: Vec<Who> = inside.map(|(&who, _)| who).collect();
                inside.into_iter().for_each(|who| self.leave(who));
            }
            Fork { parent } => {
                self.copy(Who::Thread(parent));
                self.attach(true);
            }
            Copy { parent } => self.copy(Who::Thread(parent)),
            Attach => self.attach(false),
            Exit { thread } => {
                if self.acts(Who::Thread(thread)) {
                    self.machine.exit(Task::Thread(thread));
                    self.promise.tasks.remove(&Who::Thread(thread));
                    self.counted = false;
                }
            }
            BeginExit { thread } => self.begin_exit(Who::Thread(thread)),
            EndExit { thread } => self.end_exit(Who::Thread(thread)),
            LetGo => self.let_go()?,
            Trace { function, comes } => self.trace(function, comes),
            Miss { after } => self.machine.follow_fails_after.set(Some(after)),
            Die => self.die(),
            // The last online CPU stays online.
            Online { cpu, online } if !online && self.promise.is_last_cpu(cpu) => {}
            Online { cpu, online } => {
                self.act(Who::Idle(cpu), |task| {
                    task.frames.clear();
                    task.doing = Doing::Sleeps;
                });
                self.machine.set_online(cpu, online);
                self.promise.online[cpu] = online;
                self.counted = false;
            }
        }
        self.check()
    }

    fn start(&mut self, patch: usize, patching: bool) -> Passed {
        self.promise.start(patch, patching);
        self.restart();
        self.counted = true;
        self.promise.pass(None, None)
    }

    fn restart(&mut self) {
        self.seconds = 0;
        self.rounds = 0;
    }

    fn pass(&mut self, leaving: Option<Who>, attaches: bool) -> Checked {
        let Some(t) = self.promise.transition else {
            return Ok(());
        };
        let forked = if attaches {
            self.take_child(true)
        } else {
            None
        };
        let attaching = forked.map(|(child, parent)| (task(child), task(parent)));
        self.machine.attaching.set(attaching);
        let leaving = leaving.filter(|&who| self.lives(who));
        let nudges = |m: &Machine| -> Vec<u64> {
            (0..TASKS).map(|n| m.nudges_of(Task::Thread(n))).collect()
        };
        let before = nudges(&self.machine);
        self.machine.retry.set(None);
        self.machine.hurried.set(false);
        self.machine.leaving.set(leaving.map(task));
        enable::try_complete(&self.machine, Patch(t.patch));
        let passed = self.promise.pass(leaving, forked);
        if let Some((child, _)) = forked {
            self.attached(child);
            self.tally.note("forked during a pass");
        }
        if let Some(who) = leaving {
            self.put(who);
        }
        self.counted = true;

        let said = self.journal.read(&self.machine)?;
        let wakes = !passed.left.is_empty() && self.seconds / 15 > self.rounds;
        for (thread, (before, after)) in before.iter().zip(nudges(&self.machine)).enumerate() {
            let who = Who::Thread(thread);
            let listed = self.promise.tasks.contains_key(&who);
            let expected = u64::from(wakes && listed && self.promise.has_to_switch(who));
            ensure(after - before == expected, || {
                format!("{who:?} was woken {} times, not {expected}", after - before)
            })?;
        }
        let first = wakes && self.rounds == 0;
        if wakes {
            self.rounds = self.seconds / 15;
        }
        if passed.left.is_empty() {
            self.tally.note("finished by a pass");
        }
        self.said(&said, |expected| {
            expected.signaling = usize::from(first);
            passed.say(expected);
        })?;
        self.free(&passed);
        Ok(())
    }

    fn free(&mut self, passed: &Passed) {
        self.promise.depart(&passed.freed);
        (0..CPUS).for_each(|cpu| self.put(Who::Idle(cpu)));
        for &patch in &passed.freed {
            self.journal.forget(patch);
        }
        if !passed.freed.is_empty() && self.promise.installed.iter().any(|i| i.replaces) {
            self.tally.note("others replaced");
        }
    }

    /// All tasks leave, all patches are disabled and all modules unloaded. The machine must then
    /// equal a new one.
    pub(crate) fn undo_everything(&mut self) -> Checked {
        self.step(&Operation::Unwilling { module: None })?;
        self.machine.follow_fails_after.set(None);
        self.step(&Operation::LeaveAll)?;
        self.step(&Operation::Pass {
            leaving: None,
            attaches: false,
        })?;
        ensure(self.promise.transition.is_none(), || {
            "every task has left the kernel, and the transition is not over".into()
        })?;
        let patches: Vec<usize> = self.promise.installed.iter().map(|i| i.patch).collect();
        for patch in patches {
            self.want(patch, false, None)?;
            self.check()?;
        }
        for module in 1..MODULES {
            self.going(module, None)?;
            self.check()?;
        }
        self.step(&Operation::LetGo)?;
        ensure(self.promise.departing.is_empty(), || {
            "no task is in a patch, and a module is held".into()
        })?;
        if self.is_ftrace_dead() {
            // Functions that jump stay so, because ftrace cannot change them any more.
            return Ok(());
        }
        let new = Picture::new(&Machine::new(THREADS), |_| true).settled();
        new.difference(&self.picture().settled())
            .map_or(Ok(()), Err)
    }

    fn said(&self, said: &Said, expect: impl FnOnce(&mut Said)) -> Checked {
        let mut expected = Said::default();
        expect(&mut expected);
        ensure(*said == expected, || {
            format!("said {said:?}, not {expected:?}")
        })
    }

    fn unchanged(&self, before: &Picture) -> Checked {
        before
            .difference(&self.picture())
            .map_or(Ok(()), |difference| {
                Err(format!("it failed, but {difference}"))
            })
    }
}

impl Passed {
    fn say(&self, said: &mut Said) {
        said.complete = usize::from(self.left.is_empty());
        said.freed.clone_from(&self.freed);
    }
}
