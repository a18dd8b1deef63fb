// SPDX-License-Identifier: GPL-2.0

//! The tasks that hold the transition up, each with the reason and the advice.
//!
//! The reason comes from [`evidence`], which judges one task. The kernel is asked for a reason only
//! if the stacks leave a doubt, because its answer takes a second or two.

use std::collections::HashSet;

use crate::advice::{self, Situation};
use crate::evidence::{self, Changes, Evidence, Reason};
use crate::kmsg::Verdict;
use crate::proc::{self, Task, TaskId};
use crate::root::Root;
use crate::system::System;
use crate::trace::{self, Told};

/// A task that holds a transition or a module up.
#[derive(Debug)]
pub struct Blocker {
    pub task: Task,
    pub reason: Reason,
    pub evidence: Evidence,
    /// For each frame of the stack, whether the frame is in the way.
    pub marks: Vec<bool>,
    pub advice: Vec<String>,
}

/// Finds the blockers in sysfs, procfs and the kernel log, the most useful first.
pub fn find(root: &Root, system: &System) -> Vec<Blocker> {
    find_with(root, system, |_| Told::default()).0
}

/// Finds the blockers as [`find`] does, but asks the kernel about tasks without a certain reason.
pub fn find_and_ask(root: &Root, system: &System) -> (Vec<Blocker>, Told) {
    find_with(root, system, |doubtful| {
        if !root.is_live() {
            return trace::kept(root);
        }
        if doubtful.is_empty() {
            return Told::default();
        }
        let waiting = system.progress.as_ref().map_or(0, |p| p.waiting.len());
        trace::listen(doubtful, waiting)
    })
}

fn find_with(
    root: &Root,
    system: &System,
    ask: impl FnOnce(&HashSet<u32>) -> Told,
) -> (Vec<Blocker>, Told) {
    let (Some(changes), Some(progress)) = (Changes::of(system), &system.progress) else {
        return (Vec::new(), Told::default());
    };
    let tasks = proc::tasks(root, &progress.waiting).into_iter();
    let looks: Vec<_> = tasks.map(|task| Look::at(task, system, &changes)).collect();
    let doubtful = looks.iter().filter(|look| look.is_doubtful(&changes));
    let told = ask(&doubtful.map(|look| look.task.id.tid).collect());
    let situation = situation(root, system, &changes, told.listened);
    let mut blockers: Vec<_> = looks
        .into_iter()
        .map(|look| look.into_blocker(&told, &changes, &situation))
        .collect();

    blockers.sort_by_key(order);
    (blockers, told)
}

/// Finds the most useful blocker among the first few tasks that have not switched.
pub fn worst(root: &Root, system: &System) -> Option<Blocker> {
    const ENOUGH: usize = 16;

    let changes = Changes::of(system)?;
    let waiting = &system.progress.as_ref()?.waiting;
    let situation = situation(root, system, &changes, false);
    proc::tasks(root, &waiting[..waiting.len().min(ENOUGH)])
        .into_iter()
        .map(|task| Look::at(task, system, &changes))
        .map(|look| look.into_blocker(&Told::default(), &changes, &situation))
        .min_by_key(order)
}

fn situation(root: &Root, system: &System, changes: &Changes<'_>, asked: bool) -> Situation {
    Situation {
        direction: changes.direction(),
        age: system.moving().and_then(|status| status.age),
        asked,
        privileged: root.is_privileged(),
    }
}

fn order(blocker: &Blocker) -> (u8, bool, TaskId) {
    let task = &blocker.task;
    (blocker.reason.rank(), task.kthread, task.id)
}

/// A task that has not switched, and the evidence that can be read without asking the kernel.
struct Look<'a> {
    task: Task,
    marks: Vec<bool>,
    /// The reason that the stack shows.
    seen: Option<Reason>,
    /// The reason that the kernel has logged.
    logged: Option<&'a Verdict>,
}

impl<'a> Look<'a> {
    fn at(task: Task, system: &'a System, changes: &Changes<'_>) -> Self {
        let id = task.id;
        let frames = task.frames().iter();
        let found: Vec<_> = frames.map(|frame| changes.blocks(frame)).collect();

        Self {
            task,
            marks: found.iter().map(Option::is_some).collect(),
            // A named function helps more than code without a name.
            seen: found.into_iter().flatten().min_by_key(Reason::rank),
            logged: system
                .uptime
                .and_then(|now| system.log.blocked(id.tid, now)),
        }
    }

    fn judge(&self, told: &Told, changes: &Changes<'_>) -> (Reason, Evidence) {
        let verdict = told.verdict(self.task.id.tid).or(self.logged);
        evidence::judge(&self.task, self.seen.as_ref(), verdict, changes)
    }

    /// Whether the reason is a guess unless the kernel is asked.
    fn is_doubtful(&self, changes: &Changes<'_>) -> bool {
        self.judge(&Told::default(), changes).1 == Evidence::Guess
    }

    fn into_blocker(self, told: &Told, changes: &Changes<'_>, situation: &Situation) -> Blocker {
        let (reason, evidence) = self.judge(told, changes);
        let advice = advice::to_switch(&self.task, &reason, situation);

        Blocker {
            task: self.task,
            reason,
            evidence,
            marks: self.marks,
            advice,
        }
    }
}
