// SPDX-License-Identifier: GPL-2.0-or-later

//! Who traces what happens.

use super::{
    Machine,
    Task,
    Told, //
};
use crate::model::{
    transition::tally,
    Tally,
    TaskHost,
    TaskState,
    Way, //
};

/// How many traces of patches and transitions are kept.
pub(super) const TRACES: usize = 8;

/// An event that is traced, and the count of tasks that goes with it.
pub(crate) type Traced = (Told, Option<Tally>);

impl Machine {
    pub(super) fn keep_trace(&self, event: Told, tally: Option<Tally>) {
        let mut state = self.state.borrow_mut();
        if let Some(place) = state.traces.iter_mut().find(|place| place.is_none()) {
            *place = Some((event, tally));
        }
    }

    pub(super) fn count_and_trace(&self, event: Told) {
        // To count is not to pass over the tasks.
        let leaving = self.leaving.take();
        let tally = tally(self);
        self.leaving.set(leaving);
        self.keep_trace(event, Some(tally));
    }

    /// A task is about to be in `state`. If that is a switch it has to be told, once.
    pub(super) fn note_switch(&self, task: Task, state: TaskState) {
        let target = self.target();
        let switches = state == target && state != TaskState::Idle && self.state_of(task) != state;
        let forgotten = self.task(task, |task| {
            let forgotten = task.untold;
            task.untold |= switches;
            forgotten
        });
        self.must_hold(!forgotten);
    }

    pub(super) fn told_of_switch(&self, task: Task, state: TaskState, way: Way) {
        let untold = self.task(task, |task| {
            task.way = Some(way);
            core::mem::replace(&mut task.untold, false)
        });
        self.must_hold(untold && self.state_of(task) == state && state == self.target());
    }

    // What tests arrange and look at.

    /// Forgets how the parent of a new task switched, of which it is a copy.
    #[allow(dead_code)]
    pub(crate) fn task_is_new(&self, task: Task) {
        self.task(task, |task| task.way = None);
    }

    /// Whether exactly this was traced of patches and transitions since the last look.
    #[allow(dead_code)]
    pub(crate) fn was_traced(&self, expected: &[Traced]) -> bool {
        let mut state = self.state.borrow_mut();
        let traces = core::mem::replace(&mut state.traces, [None; TRACES]);
        traces.into_iter().flatten().eq(expected.iter().copied())
    }

    /// How a task switched, the last time.
    #[allow(dead_code)]
    pub(crate) fn way_of(&self, task: Task) -> Option<Way> {
        self.task(task, |task| task.way)
    }
}
