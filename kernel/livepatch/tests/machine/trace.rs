// SPDX-License-Identifier: GPL-2.0-or-later

//! The tracer, which receives the events that the rules report.

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
        // Counting is no pass over the tasks, so no task leaves the kernel after it.
        let leaving = self.leaving.take();
        let tally = tally(self);
        self.leaving.set(leaving);
        self.keep_trace(event, Some(tally));
    }

    /// A task is about to be in `state`. If that is a switch, the rules have to report it, once.
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

    // Tests use the following methods.

    /// Forgets the way in which a new task switched: it is a copy of its parent's.
    #[allow(dead_code, reason = "not every crate with this machine uses it")]
    pub(crate) fn task_is_new(&self, task: Task) {
        self.task(task, |task| task.way = None);
    }

    /// Whether exactly these events of patches and transitions were traced since the last look.
    #[allow(dead_code, reason = "not every crate with this machine uses it")]
    pub(crate) fn was_traced(&self, expected: &[Traced]) -> bool {
        let mut state = self.state.borrow_mut();
        let traces = core::mem::replace(&mut state.traces, [None; TRACES]);
        traces.into_iter().flatten().eq(expected.iter().copied())
    }

    /// How a task switched, the last time.
    #[allow(dead_code, reason = "not every crate with this machine uses it")]
    pub(crate) fn way_of(&self, task: Task) -> Option<Way> {
        self.task(task, |task| task.way)
    }
}
