// SPDX-License-Identifier: GPL-2.0

//! Tasks, and the operations that switch them: the model's [`TaskHost`].
//!
//! Each task has a CPU of its own.

use super::{
    stacks::Version,
    Machine, //
};
use crate::model::{
    blocker,
    Blocker,
    Outcome,
    TaskHost,
    TaskState, //
};
use loom::sync::{
    atomic::{
        fence,
        AtomicBool,
        AtomicI32,
        Ordering::{
            AcqRel,
            Acquire,
            Relaxed, //
        }, //
    },
    Mutex,
    MutexGuard, //
};
use std::{
    panic::Location,
    sync::{
        self,
        atomic,
        Arc, //
    }, //
};

pub(crate) type TaskId = usize;

/// A task.
pub(crate) struct Task {
    state: AtomicI32,
    pending: AtomicBool,
    /// The task's `pi_lock` and its runqueue's lock.
    still: Mutex<()>,
    /// Whether the task is on its CPU; written under `still`.
    running: atomic::AtomicBool,
    /// Held while the task's CPU has preemption disabled.
    preemption: Mutex<()>,
    /// Held while the task is ready to run.
    ready: Mutex<()>,
    /// Held while the task is on its CPU, in lives in which it can be preempted.
    cpu: Mutex<()>,
    /// The task has left all lists.
    ended: atomic::AtomicBool,
    /// The number of the last look that found the task outside of a patch's text.
    pub(super) look: atomic::AtomicUsize,
    /// The return addresses on the task's stack. A running task alone accesses them; other threads
    /// access those of a still task, under `still`.
    stack: sync::Mutex<Vec<usize>>,
}

impl Task {
    pub(super) fn new() -> Self {
        Self {
            state: AtomicI32::new(TaskState::Idle as i32),
            pending: AtomicBool::new(false),
            still: Mutex::new(()),
            running: atomic::AtomicBool::new(false),
            preemption: Mutex::new(()),
            ready: Mutex::new(()),
            cpu: Mutex::new(()),
            ended: false.into(),
            look: 0.into(),
            stack: sync::Mutex::default(),
        }
    }

    pub(crate) fn set_running(&self, running: bool) {
        let _still = self.still.lock().unwrap();
        self.running.store(running, atomic::Ordering::Relaxed);
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.load(atomic::Ordering::Relaxed)
    }

    /// The task is ready to run, until the guard is dropped.
    pub(super) fn ready(&self) -> MutexGuard<'_, ()> {
        self.ready.lock().unwrap()
    }

    /// Occupies the task's CPU until the guard is dropped: for the task, or for a stopper thread.
    pub(super) fn cpu(&self) -> MutexGuard<'_, ()> {
        self.cpu.lock().unwrap()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(atomic::Ordering::Relaxed)
    }

    /// The stack. The caller is the task itself, or holds the task still.
    pub(crate) fn stack(&self) -> sync::MutexGuard<'_, Vec<usize>> {
        self.stack.lock().unwrap()
    }
}

impl Machine {
    pub(crate) fn task(&self, task: TaskId) -> &Task {
        &self.tasks[task]
    }

    /// `preempt_disable()` on the CPU of `task`, until the guard is dropped.
    pub(crate) fn preemption_disabled(&self, task: TaskId) -> MutexGuard<'_, ()> {
        self.tasks[task].preemption.lock().unwrap()
    }

    /// Waits until every CPU has passed a point where preemption is enabled.
    pub(super) fn wait_for_cpus(&self) {
        for task in 0..self.tasks.len() {
            drop(self.preemption_disabled(task));
        }
    }

    /// Calls `before` with the list locked, and then adds a new task to the list.
    pub(super) fn add_task(&self, task: TaskId, before: impl FnOnce()) {
        let mut list = self.list.lock().unwrap();
        before();
        list.push(task);
    }

    /// Moves a task from the task list to the list of exiting tasks.
    pub(super) fn begin_exit(&self, task: TaskId) {
        let mut list = self.list.lock().unwrap();
        self.books().exits = true;
        self.exiting.lock().unwrap().push(task);
        list.retain(|&other| other != task);
    }

    /// Takes a task off the list of exiting tasks.
    pub(super) fn end_exit(&self, task: TaskId) {
        let mut exiting = self.exiting.lock().unwrap();
        exiting.retain(|&other| other != task);
        let ended = &self.task(task).ended;
        ended.store(true, atomic::Ordering::Relaxed);
    }

    pub(super) fn visit_tasks(&self, mut visit: impl FnMut(TaskId)) {
        let mut list = self.list.lock().unwrap();
        let tasks = list.clone();
        if self.faults.unlocked_walks {
            drop(list);
            tasks.into_iter().for_each(&mut visit);
            list = self.list.lock().unwrap();
        } else {
            tasks.into_iter().for_each(&mut visit);
        }
        if self.books().exits && !self.faults.forgotten_exits {
            // The lock of this list is not held during the visits: any of these tasks can end.
            let exiting = self.exiting.lock().unwrap().clone();
            exiting.into_iter().for_each(visit);
        }
        drop(list);
    }

    /// Visits tasks without the lock, so that tasks are created and exit meanwhile.
    pub(super) fn scan_tasks(&self, mut visit: impl FnMut(TaskId)) {
        self.listed().into_iter().for_each(&mut visit);
        if self.books().exits && !self.faults.forgotten_exits {
            let exiting = self.exiting.lock().unwrap().clone();
            exiting.into_iter().for_each(visit);
        }
    }

    /// How many tasks are on the list.
    pub(crate) fn task_count(&self) -> usize {
        self.list.lock().unwrap().len()
    }

    /// The tasks on the list.
    pub(crate) fn listed(&self) -> Vec<TaskId> {
        self.list.lock().unwrap().clone()
    }

    /// Waits until every task has gone to sleep, or to user space, by itself: RCU tasks.
    pub(super) fn wait_for_ready_tasks(&self) {
        for task in &self.tasks {
            drop(task.ready());
        }
    }

    /// Runs `body` on the CPU of a task, while that task does not run.
    pub(super) fn on_cpu_of<T>(&self, task: TaskId, body: impl FnOnce() -> T) -> T {
        let _cpu = self.task(task).cpu();
        body()
    }

    /// The state and the pending flag of a task, when no other thread runs.
    pub(crate) fn final_state(&self, task: TaskId) -> (TaskState, bool) {
        let Task { state, pending, .. } = self.task(task);
        (
            TaskState::from_raw(state.load(Relaxed)),
            pending.load(Relaxed),
        )
    }
}

/// The machine, seen from the code that runs on one of its CPUs.
#[derive(Clone)]
pub(crate) struct Tasks {
    pub(crate) machine: Arc<Machine>,
    /// The task that runs there. It is none for the thread that holds `klp_mutex`, which is not on
    /// the task list either.
    pub(crate) current: Option<TaskId>,
}

impl Tasks {
    fn task(&self, task: TaskId) -> &Task {
        self.machine.task(task)
    }

    fn allows(&self, caller: &Location<'_>) -> bool {
        self.machine.faults.allow(caller)
    }

    /// Copies the pending flag and the state to the child, as `dup_task_struct()` does before the
    /// child is on the list.
    pub(super) fn copy_to(&self, child: TaskId) {
        let parent = self.task(self.current());
        let child = self.task(child);
        child.pending.store(parent.pending.load(Relaxed), Relaxed);
        child.state.store(parent.state.load(Relaxed), Relaxed);
    }
}

impl TaskHost for Tasks {
    type Task<'a> = TaskId;
    type Name = Version;

    fn target(&self) -> TaskState {
        TaskState::from_raw(self.machine.target.load(Relaxed))
    }

    fn current(&self) -> TaskId {
        self.current.expect("the thread has no task")
    }

    fn state(&self, task: TaskId) -> TaskState {
        TaskState::from_raw(self.task(task).state.load(Relaxed))
    }

    #[track_caller]
    fn set_state(&self, task: TaskId, state: TaskState) {
        if self.allows(Location::caller()) {
            self.task(task).state.store(state as i32, Relaxed);
        }
    }

    fn pending(&self, task: TaskId) -> bool {
        self.task(task).pending.load(Relaxed)
    }

    #[track_caller]
    fn set_pending(&self, task: TaskId, pending: bool) {
        if self.allows(Location::caller()) {
            self.task(task).pending.swap(pending, Relaxed);
        }
    }

    fn test_and_clear_pending(&self, task: TaskId) -> bool {
        let relaxed = self.machine.faults.relaxed_test_and_clear;
        let order = if relaxed { Relaxed } else { AcqRel };
        self.pending(task) && self.task(task).pending.swap(false, order)
    }

    fn have_reliable_stack(&self) -> bool {
        !self.machine.books().no_reliable_stacks
    }

    fn with_task_still(
        &self,
        task: TaskId,
        body: impl FnOnce() -> Result<(), Blocker<Version>>,
    ) -> Result<(), Blocker<Version>> {
        if self.current == Some(task) {
            return body();
        }
        let _still = self.task(task).still.lock().unwrap();
        body()
    }

    #[track_caller]
    fn runs_elsewhere(&self, task: TaskId) -> bool {
        self.allows(Location::caller())
            && self.current != Some(task)
            && self.task(task).is_running()
    }

    #[track_caller]
    fn check_stack(&self, task: TaskId) -> Result<(), Blocker<Version>> {
        if !self.allows(Location::caller()) {
            return Ok(());
        }
        let patch = self.machine.index();
        let patching = self.target() == TaskState::Patched;
        let index = self.machine.stacks.index(patch, patching);
        let stack = self.task(task).stack();
        let found = blocker::find_blocker(&stack, &index).or_else(|| {
            let handlers = self.machine.stacks.handlers(patch);
            blocker::find_blocker(&stack, &handlers)
        });
        found.map_or(Ok(()), |name| Err(Blocker::SleepsOn(name)))
    }

    fn report(&self, _: TaskId, _: Outcome<Version>) {}

    fn in_place_of<R: Send>(&self, task: TaskId, body: fn(&Self, TaskId) -> R) -> Option<R> {
        Some(self.machine.on_cpu_of(task, || body(self, task)))
    }

    #[track_caller]
    fn read_barrier(&self) {
        if self.allows(Location::caller()) {
            fence(Acquire);
        }
    }

    fn add_stragglers(&self, more: i32) -> i32 {
        self.machine.stragglers.fetch_add(more, AcqRel) + more
    }

    fn set_stragglers(&self, count: i32) {
        self.machine.stragglers.store(count, Relaxed);
    }

    #[track_caller]
    fn hurry(&self) {
        if self.allows(Location::caller()) {
            self.machine.books().hurried = true;
        }
    }

    fn retries_each_second(&self) -> bool {
        false
    }
}
