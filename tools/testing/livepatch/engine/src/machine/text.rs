// SPDX-License-Identifier: GPL-2.0

//! The texts of patches, and the work that lets go of their modules: the model's [`TextHost`].

use super::{
    stacks::{
        Stacks,
        Version, //
    },
    tasks::{
        TaskId,
        Tasks, //
    },
    Machine,
    Size, //
};
use crate::model::TextHost;
use loom::sync::atomic::{
    AtomicBool,
    Ordering::Relaxed, //
};
use std::{
    panic::Location,
    sync::{
        atomic,
        Arc, //
    }, //
};

const NOTHING: usize = usize::MAX;

/// The parts of patches that are gone. The flags are on loom's types, so that a task can load them
/// before and after they are set.
pub(crate) struct Texts {
    /// The module's memory is freed.
    freed: Vec<AtomicBool>,
    /// The post-unpatch callback has been called. It takes away something that new functions need.
    taken_away: Vec<AtomicBool>,
    look: atomic::AtomicUsize,
    /// The patch that the look is for, or [`NOTHING`].
    sought: atomic::AtomicUsize,
}

impl Texts {
    pub(super) fn new(size: Size) -> Self {
        let none = || (0..size.patches).map(|_| AtomicBool::new(false)).collect();
        Self {
            freed: none(),
            taken_away: none(),
            look: 0.into(),
            sought: NOTHING.into(),
        }
    }

    pub(super) fn take_away(&self, patch: usize) {
        self.taken_away[patch].store(true, Relaxed);
    }

    pub(crate) fn is_freed(&self, patch: usize) -> bool {
        self.freed[patch].load(Relaxed)
    }
}

impl Machine {
    /// A task runs in the text of a version. Notes a violation if that text is freed.
    pub(super) fn expect_text(&self, task: TaskId, version: Version) {
        let Some(patch) = version.checked_sub(1) else {
            return;
        };
        if self.texts.is_freed(patch) {
            self.note(|| format!("task {task} runs freed text of patch {patch}"));
        }
    }

    /// A task runs in a new function, which needs the preparations of its patch's callbacks. Notes
    /// a violation if the post-unpatch callback has been called.
    pub(super) fn expect_prepared(&self, task: TaskId, version: Version) {
        let Some(patch) = version.checked_sub(1) else {
            return;
        };
        if self.texts.taken_away[patch].load(Relaxed) {
            self.note(|| format!("task {task} comes after the last callback of patch {patch}"));
        }
    }
}

/// The work item that lets go of modules.
pub(crate) struct Work(Tasks);

impl Work {
    pub(super) fn new(machine: &Arc<Machine>) -> Self {
        Self(Tasks {
            machine: machine.clone(),
            current: None,
        })
    }

    fn machine(&self) -> &Machine {
        &self.0.machine
    }

    fn look(&self) -> usize {
        self.machine().texts.look.load(atomic::Ordering::Relaxed)
    }
}

impl TextHost for Work {
    type Patch = usize;
    type Tasks = Tasks;

    fn tasks(&self) -> &Tasks {
        &self.0
    }

    #[track_caller]
    fn count_departing(&self) -> usize {
        if self.machine().faults.allow(Location::caller()) {
            self.machine().books().departing.len()
        } else {
            // The fault: patches that begin to depart during the wait are counted as well.
            self.machine().texts.freed.len()
        }
    }

    fn first_departing(&self) -> Option<usize> {
        self.machine().books().departing.first().copied()
    }

    fn remove_departing(&self, patch: usize) {
        self.machine().books().departing.retain(|&p| p != patch);
    }

    fn add_departing(&self, patch: usize) {
        self.machine().books().departing.push(patch);
    }

    fn put_module(&self, patch: usize) {
        self.machine().texts.freed[patch].store(true, Relaxed);
    }

    fn forced(&self, patch: usize) -> bool {
        self.machine().books().forced[patch]
    }

    #[track_caller]
    fn wait_for_runnable_tasks(&self) {
        if self.machine().faults.allow(Location::caller()) {
            self.machine().wait_for_ready_tasks();
        }
    }

    fn for_each_task(&self, visit: impl FnMut(TaskId)) {
        self.machine().visit_tasks(visit);
    }

    fn scan_tasks(&self, visit: impl FnMut(TaskId)) {
        self.machine().scan_tasks(visit);
    }

    // This machine has no idle tasks.
    fn for_each_idle_task(&self, _: impl FnMut(TaskId)) {}

    fn in_place_of<R: Send>(
        &self,
        patch: usize,
        task: TaskId,
        body: fn(&Self, usize, TaskId) -> R,
    ) -> Option<R> {
        Some(self.machine().on_cpu_of(task, || body(self, patch, task)))
    }

    fn is_sought(&self, patch: usize) -> bool {
        self.machine().texts.sought.load(atomic::Ordering::Relaxed) == patch
    }

    #[track_caller]
    fn begin_look(&self, patch: usize) {
        if self.machine().faults.allow(Location::caller()) {
            let sought = &self.machine().texts.sought;
            sought.store(patch, atomic::Ordering::Relaxed);
            let next = self.look() + 1;
            let look = &self.machine().texts.look;
            look.store(next, atomic::Ordering::Relaxed);
        }
    }

    fn end_look(&self) {
        let sought = &self.machine().texts.sought;
        sought.store(NOTHING, atomic::Ordering::Relaxed);
    }

    fn seen_outside(&self, task: TaskId) -> bool {
        let look = &self.machine().task(task).look;
        look.load(atomic::Ordering::Relaxed) == self.look()
    }

    fn set_seen_outside(&self, task: TaskId) {
        let look = &self.machine().task(task).look;
        look.store(self.look(), atomic::Ordering::Relaxed);
    }

    fn returns_from_user_space(&self, _: usize, _: TaskId) -> Option<bool> {
        // The machine may disturb every CPU.
        None
    }

    #[track_caller]
    fn is_in_text(&self, patch: usize, task: TaskId) -> bool {
        let task = self.machine().task(task);
        // The stack of a running task does not show where the task is.
        self.machine().faults.allow(Location::caller())
            && !task.is_running()
            && task.stack().iter().any(|&a| Stacks::is_text(patch, a))
    }

    fn is_made_for(&self, _: usize, _: TaskId) -> bool {
        // The machine has no kernel threads.
        false
    }
}
