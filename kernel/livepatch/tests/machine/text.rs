// SPDX-License-Identifier: GPL-2.0-or-later

//! The texts of patches, and the tasks that are in them.

use super::{
    code,
    Entry,
    Machine,
    Object,
    Patch,
    Place,
    Presence,
    Task,
    TaskData,
    TASKS, //
};
use crate::model::{
    Host,
    PatchHost,
    TaskHost,
    TextHost, //
};
use core::ops::Range;

/// The latest look at the tasks.
#[derive(Default)]
pub(super) struct Look {
    number: u32,
    /// The patch that it is for.
    sought: Option<Patch>,
}

impl TaskData {
    /// Whether the task can run code in `text`, or come back to it.
    fn is_inside(&self, text: &Range<usize>) -> bool {
        let runs = !matches!(self.presence, Presence::None | Presence::Unlisted);
        let arrives = matches!(self.place, Place::Arriving(address) if text.contains(&address));
        let begins = self
            .function
            .is_some_and(|function| text.contains(&function));
        runs && (arrives || begins || self.place.shows(text))
    }
}

impl TextHost for Machine {
    type Patch = Patch;
    type Tasks = Self;

    fn tasks(&self) -> &Self {
        self
    }

    fn count_departing(&self) -> usize {
        self.state.borrow().departing_count
    }

    fn first_departing(&self) -> Option<Patch> {
        let state = self.state.borrow();
        state.departing[..state.departing_count].first().copied()
    }

    fn remove_departing(&self, patch: Patch) {
        let mut state = self.state.borrow_mut();
        let count = state.departing_count;
        let place = state.departing[..count].iter().position(|&p| p == patch);
        self.must_hold(place.is_some());
        if let Some(place) = place {
            state.departing.copy_within(place + 1..count, place);
            state.departing_count -= 1;
        }
    }

    fn add_departing(&self, patch: Patch) {
        let mut state = self.state.borrow_mut();
        let end = state.departing_count;
        state.departing[end] = patch;
        state.departing_count += 1;
    }

    fn put_module(&self, patch: Patch) {
        let text = code::text(patch);
        let inhabited = {
            let state = self.state.borrow();
            let idle = state.idle.iter().zip(state.online);
            let mut idle = idle.filter_map(|(task, online)| online.then_some(task));
            state.threads.iter().any(|task| task.is_inside(&text))
                || idle.any(|task| task.place.shows(&text))
        };
        self.must_hold(!inhabited);
        self.must_hold(self.patch(patch, |patch| core::mem::replace(&mut patch.held, false)));
        self.record(Entry::Put(patch));
    }

    fn forced(&self, patch: Patch) -> bool {
        self.is_forced(patch)
    }

    fn wait_for_runnable_tasks(&self) {
        self.let_tasks_arrive(|_| true);
        if let Some(happen) = self.during_wait.take() {
            happen(self);
        }
    }

    fn for_each_task(&self, mut visit: impl FnMut(Task)) {
        let tasks = (0..TASKS).map(Task::Thread);
        tasks
            .filter(|&task| self.is_visited(task))
            .for_each(&mut visit);
    }

    fn scan_tasks(&self, visit: impl FnMut(Task)) {
        self.scan(visit);
    }

    fn for_each_idle_task(&self, mut visit: impl FnMut(Task)) {
        Host::for_each_idle_task(self, |task, online| {
            if online {
                visit(task);
            }
        });
    }

    fn in_place_of<R: Send>(
        &self,
        patch: Patch,
        task: Task,
        body: fn(&Self, Patch, Task) -> R,
    ) -> Option<R> {
        self.with_cpu_taken(task, || body(self, patch, task))
    }

    fn is_sought(&self, patch: Patch) -> bool {
        self.state.borrow().look.sought == Some(patch)
    }

    fn begin_look(&self, patch: Patch) {
        let look = &mut self.state.borrow_mut().look;
        look.number += 1;
        look.sought = Some(patch);
    }

    fn end_look(&self) {
        self.state.borrow_mut().look.sought = None;
    }

    fn seen_outside(&self, task: Task) -> bool {
        let look = self.state.borrow().look.number;
        self.task(task, |task| task.look == look)
    }

    fn set_seen_outside(&self, task: Task) {
        let look = self.state.borrow().look.number;
        self.task(task, |task| task.look = look);
    }

    fn returns_from_user_space(&self, patch: Patch, task: Task) -> Option<bool> {
        self.must_hold(self.runs_elsewhere(task));
        let place = self.task(task, |task| task.place);
        matches!(place, Place::UserSpace(_)).then(|| place.shows(&code::text(patch)))
    }

    fn is_in_text(&self, patch: Patch, task: Task) -> bool {
        // The stack of a task that runs says nothing.
        self.must_hold(!self.runs_elsewhere(task));
        self.task(task, |task| task.place.shows(&code::text(patch)))
    }

    fn is_made_for(&self, patch: Patch, task: Task) -> bool {
        let text = code::text(patch);
        self.task(task, |task| {
            task.function
                .is_some_and(|function| text.contains(&function))
        })
    }
}

impl Machine {
    pub(super) fn depart(&self, patch: Patch) {
        self.must_hold(self.is_held(patch));
        self.add_departing(patch);
    }

    /// Whether the CPU that the thread was on runs something else now.
    pub(super) fn is_taken_off(&self, task: Task) -> bool {
        self.state.borrow().taken == Some(task)
    }

    /// Runs `body` on the CPU where a task was, in its place unless it has gone elsewhere. Does not
    /// run it if no CPU may be disturbed.
    pub(super) fn with_cpu_taken<R>(&self, task: Task, body: impl FnOnce() -> R) -> Option<R> {
        if self.undisturbed.get() {
            return None;
        }
        let found = self.evasive.get() != Some(task);
        self.state.borrow_mut().taken = Some(task).filter(|_| found);
        let result = body();
        self.state.borrow_mut().taken = None;
        Some(result)
    }

    /// Visits the threads that there are, without a lock.
    pub(super) fn scan(&self, visit: impl FnMut(Task)) {
        let tasks = (0..TASKS).map(Task::Thread);
        tasks.filter(|&task| self.is_visited(task)).for_each(visit);
        if let Some((child, parent)) = self.attaching.take() {
            self.attach(child, parent);
        }
        if let Some(happen) = self.scanned.take() {
            happen(self);
        }
    }

    /// Lets tasks that are on their way to certain addresses go on, until they sleep there.
    pub(super) fn let_tasks_arrive(&self, awaited: impl Fn(usize) -> bool) {
        for task in &mut self.state.borrow_mut().threads {
            match task.place {
                Place::Arriving(address) if awaited(address) => {
                    task.place = Place::Asleep(address);
                }
                _ => {}
            }
        }
    }

    /// The last callback of an object frees things that its new functions need. So no task may be
    /// on its way to one of them, except for a function that is still in ftrace, where handlers
    /// send tasks.
    pub(super) fn expect_arrived(&self, object: Object) {
        for func in self.funcs(object) {
            let function = self.func(func, |func| func.function);
            let state = self.state.borrow();
            let arrives = |task: &TaskData| {
                let there = |address| code::is_replacement(function, address);
                matches!(task.place, Place::Arriving(address) if there(address))
            };
            let left = !state.stacks[function.0].traced && state.threads.iter().any(arrives);
            drop(state);
            self.must_hold(!left);
        }
    }

    /// Whether the patch's module cannot be unloaded.
    pub(crate) fn is_held(&self, patch: Patch) -> bool {
        self.patch(patch, |patch| patch.held)
    }
}
