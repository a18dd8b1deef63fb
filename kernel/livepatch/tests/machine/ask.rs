// SPDX-License-Identifier: GPL-2.0-or-later

//! The operations that tests perform on the machine, and the values that they read from it.

use super::{
    Entry,
    Function,
    Machine,
    Module,
    Object,
    Patch,
    Place,
    Presence,
    Task,
    LOG,
    TASKS, //
};
use crate::model::{
    enable::try_complete,
    transition,
    TaskState, //
};

impl Machine {
    /// Puts a task somewhere.
    pub(crate) fn put(&self, task: Task, place: Place) {
        self.task(task, |task| task.place = place);
    }

    pub(crate) fn state_of(&self, task: Task) -> TaskState {
        self.task(task, |task| task.state)
    }

    pub(crate) fn is_pending(&self, task: Task) -> bool {
        self.task(task, |task| task.pending)
    }

    /// How often a task was sent through the kernel's exit.
    pub(crate) fn kicks_of(&self, task: Task) -> u64 {
        self.task(task, |task| task.kicks)
    }

    /// How often a task was woken or signaled.
    pub(crate) fn nudges_of(&self, task: Task) -> u64 {
        self.task(task, |task| task.nudges)
    }

    /// The time comes for another pass over the tasks; false if none was arranged.
    pub(crate) fn try_again(&self, patch: Patch) -> bool {
        let Some(delay) = self.retry.take() else {
            return false;
        };
        self.elapsed.set(self.elapsed.get() + delay);
        try_complete(self, patch);
        true
    }

    pub(crate) fn set_current(&self, task: Task) {
        self.state.borrow_mut().current = task;
    }

    pub(crate) fn set_online(&self, cpu: usize, online: bool) {
        self.state.borrow_mut().online[cpu] = online;
    }

    /// Makes another thread, with a copy of its parent's thread info.
    pub(crate) fn copy_thread(&self, parent: Task) -> Task {
        let copy = self.task(parent, |task| *task);
        let threads = &mut self.state.borrow_mut().threads;
        let free = threads.iter().position(|t| t.presence == Presence::None);
        let child = free.unwrap_or(TASKS);
        threads[child] = copy;
        Task::Thread(child)
    }

    /// Creates a kernel thread that will run a function, as a copy of another thread, and puts it
    /// on the task list.
    pub(crate) fn create_thread(&self, parent: Task, function: usize) -> Task {
        let thread = self.copy_thread(parent);
        self.task(thread, |task| task.function = Some(function));
        self.set_listed(thread, true);
        thread
    }

    /// Takes a thread off the task list, or puts it there again.
    pub(crate) fn set_listed(&self, task: Task, listed: bool) {
        self.task(task, |task| {
            task.presence = if listed {
                Presence::Listed
            } else {
                Presence::Unlisted
            };
        });
    }

    /// Completes a fork: the copy of a thread joins the task list, and begins to run.
    pub(crate) fn attach(&self, child: Task, parent: Task) {
        let current = self.state.borrow().current;
        self.set_current(parent);
        transition::fork(self, child);
        self.set_current(current);
        self.set_listed(child, true);
    }

    /// A thread leaves the task list, and goes on.
    pub(crate) fn begin_exit(&self, task: Task) {
        self.task(task, |task| task.presence = Presence::Exiting);
    }

    /// It leaves the list of exiting tasks as well, and keeps preemption disabled from then on.
    pub(crate) fn end_exit(&self, task: Task) {
        self.task(task, |task| task.presence = Presence::Ending);
    }

    /// Whether there is no such thread.
    pub(crate) fn is_dead(&self, task: Task) -> bool {
        self.task(task, |task| task.presence == Presence::None)
    }

    pub(crate) fn is_forced(&self, patch: Patch) -> bool {
        self.patch(patch, |patch| patch.forced)
    }

    /// Whether the administrator sees the patch.
    pub(crate) fn is_published(&self, patch: Patch) -> bool {
        self.patch(patch, |patch| patch.published)
    }

    /// How many objects and funcs a patch has, nops included.
    pub(crate) fn extent(&self, patch: Patch) -> (usize, usize) {
        self.patch(patch, |patch| {
            let objects = &patch.objects[..patch.count];
            (patch.count, objects.iter().map(|o| o.count).sum())
        })
    }

    /// Whether ftrace calls the handler for a function.
    pub(crate) fn is_traced(&self, function: Function) -> bool {
        self.state.borrow().stacks[function.0].traced
    }

    /// The patch that every call of a function reaches, if the function is settled.
    pub(crate) fn settled(&self, function: Function) -> Option<Patch> {
        let stack = self.state.borrow().stacks[function.0];
        stack.settled.map(|func| func.0 .0)
    }

    /// Whether a module has come and has not gone.
    pub(crate) fn is_patchable(&self, module: Module) -> bool {
        self.state.borrow().patchable[module.0]
    }

    /// Whether the patch's relocations for an object are written.
    pub(crate) fn is_relocated(&self, object: Object) -> bool {
        self.object(object, |object| object.relocated)
    }

    /// The events since the last look, or none if there were too many to keep.
    pub(crate) fn log(&self) -> impl Iterator<Item = Entry> {
        let mut state = self.state.borrow_mut();
        let kept = core::mem::replace(&mut state.logged, 0) <= LOG;
        let log = core::mem::replace(&mut state.log, [None; LOG]);
        log.into_iter().flatten().filter(move |_| kept)
    }

    /// Whether exactly these events have happened since the last look.
    pub(crate) fn happened(&self, expected: &[Entry]) -> bool {
        let kept = self.state.borrow().logged <= LOG;
        self.log().eq(expected.iter().copied()) && kept
    }
}
