// SPDX-License-Identifier: GPL-2.0-or-later

//! The tasks of the machine, and the transition, as the rules see them.

use super::{
    look::Heard,
    Function,
    Machine,
    Place,
    Presence,
    Task,
    TaskData,
    TASKS, //
};
use crate::model::{
    transition,
    Blocker,
    Host,
    Outcome,
    TaskHost,
    TaskState,
    Way, //
};

impl TaskHost for Machine {
    type Task<'a> = Task;
    type Name = Function;

    fn target(&self) -> TaskState {
        self.state.borrow().target
    }

    fn current(&self) -> Task {
        self.state.borrow().current
    }

    fn state(&self, task: Task) -> TaskState {
        self.state_of(task)
    }

    fn set_state(&self, task: Task, state: TaskState) {
        if state == TaskState::Idle {
            // No handler may find the task idle and a func in transition.
            self.expect_reclaimed();
            self.must_hold(!self.func_in_transition());
        }
        self.note_switch(task, state);
        self.task(task, |task| task.state = state);
    }

    fn pending(&self, task: Task) -> bool {
        self.is_pending(task)
    }

    fn set_pending(&self, task: Task, pending: bool) {
        self.task(task, |task| task.pending = pending);
    }

    fn test_and_clear_pending(&self, task: Task) -> bool {
        self.task(task, |task| core::mem::replace(&mut task.pending, false))
    }

    fn have_reliable_stack(&self) -> bool {
        self.reliable_stacks.get()
    }

    fn with_task_still(
        &self,
        _: Task,
        body: impl FnOnce() -> Result<(), Blocker<Function>>,
    ) -> Result<(), Blocker<Function>> {
        body()
    }

    fn runs_elsewhere(&self, task: Task) -> bool {
        let runs = |task: &TaskData| {
            matches!(
                task.place,
                Place::Running | Place::UserSpace(_) | Place::RunningIn(..)
            )
        };
        task != self.current() && self.task(task, |task| runs(task)) && !self.is_taken_off(task)
    }

    fn check_stack(&self, task: Task) -> Result<(), Blocker<Function>> {
        let stack: &[usize] = &match self.task(task, |task| task.place) {
            // A task on its way to a function has the address of the function's handler on its
            // stack.
            Place::Asleep(address) | Place::Arriving(address) => [address; 2],
            // A task that runs is only looked at while something else has its CPU.
            Place::Nested(outer, inner) | Place::RunningIn(outer, inner) => [outer, inner],
            Place::Running | Place::UserSpace(_) => return Ok(()),
            Place::Unreliable | Place::UnreliableIn(..) => return Err(Blocker::UnreliableStack),
        };
        self.blocker(stack)
            .map_or(Ok(()), |name| Err(Blocker::SleepsOn(name)))
    }

    fn report(&self, task: Task, outcome: Outcome<Function>) {
        match outcome {
            Outcome::Switched(state, way) => self.told_of_switch(task, state, way),
            Outcome::Blocked(why) => {
                self.reports.set(self.reports.get() + 1);
                self.hear(Heard::Blocked(task, why));
            }
        }
    }

    fn in_place_of<R: Send>(&self, task: Task, body: fn(&Self, Task) -> R) -> Option<R> {
        self.with_cpu_taken(task, || body(self, task))
    }

    fn read_barrier(&self) {}

    fn add_stragglers(&self, more: i32) -> i32 {
        self.stragglers.set(self.stragglers.get() + more);
        self.stragglers.get()
    }

    fn set_stragglers(&self, count: i32) {
        self.stragglers.set(count);
    }

    fn hurry(&self) {
        self.hurried.set(true);
    }

    fn retries_each_second(&self) -> bool {
        self.each_second.get()
    }
}

impl Host for Machine {
    type Tasks = Self;

    fn tasks(&self) -> &Self {
        self
    }

    fn set_target(&self, target: TaskState) {
        let mut state = self.state.borrow_mut();
        // The handler takes the state of a thread in its last `__schedule()` for the opposite of
        // the target, which must not turn round meanwhile.
        let ending = |thread: &TaskData| thread.presence == Presence::Ending;
        let turns = state.target != TaskState::Idle && state.target.opposite() == target;
        if turns && state.threads.iter().any(ending) {
            self.warned.set(true);
        }
        state.target = target;
    }

    fn restart_clock(&self) {
        self.elapsed.set(0);
        self.passes.set(0);
        self.rounds_of_nudges.set(0);
    }

    fn elapsed(&self) -> u64 {
        self.elapsed.get()
    }

    fn passes(&self) -> u64 {
        self.passes.get()
    }

    fn set_passes(&self, passes: u64) {
        self.passes.set(passes);
    }

    fn nudges(&self) -> u64 {
        self.rounds_of_nudges.get()
    }

    fn set_nudges(&self, nudges: u64) {
        self.rounds_of_nudges.set(nudges);
    }

    fn for_each_task(&self, mut visit: impl FnMut(Task)) {
        for task in (0..TASKS).map(Task::Thread) {
            if self.is_visited(task) {
                visit(task);
            }
        }
        if let Some(task) = self.leaving.take() {
            transition::update(self, task, Way::KernelExit);
        }
    }

    fn scan_tasks(&self, visit: impl FnMut(Task)) {
        self.scan(visit);
    }

    fn for_each_idle_task(&self, mut visit: impl FnMut(Task, bool)) {
        let online = self.state.borrow().online;
        for (cpu, online) in online.into_iter().enumerate() {
            visit(Task::Idle(cpu), online);
        }
    }

    fn with_cpus_fixed(&self, body: impl FnOnce()) {
        body();
    }

    fn wake_idle(&self, task: Task) {
        self.woken.set(Some(task));
    }

    fn kick(&self, task: Task) {
        self.task(task, |task| task.kicks += 1);
    }

    fn nudge(&self, task: Task) {
        self.task(task, |task| task.nudges += 1);
    }

    fn set_sched_switching(&self, on: bool) {
        self.sched_switching.set(on);
    }

    fn retry_after(&self, delay: u64) {
        self.retry.set(Some(delay));
    }

    fn write_barrier(&self) {}
}
