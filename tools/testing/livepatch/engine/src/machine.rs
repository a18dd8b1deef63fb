// SPDX-License-Identifier: GPL-2.0

//! A simulated machine for the rules to run on, made of loom's atomics and locks.
//!
//! State that several threads access at the same time is on loom's types. Loom explores the orders
//! of these accesses, and the stored values that a relaxed load can return. Most other state
//! belongs to the one thread that holds `klp_mutex`. That state is on ordinary types: loom does not
//! see them, and so has less to explore. So is the state of a task that one of loom's locks
//! protects.
//!
//! | of the kernel | here |
//! |---|---|
//! | `READ_ONCE()`, `WRITE_ONCE()` | relaxed load and store |
//! | `set_bit()`, `clear_bit()` | relaxed read-modify-write: neither orders anything |
//! | `smp_wmb()` | `fence(Release)` |
//! | `smp_rmb()` | `fence(Acquire)` |
//! | `test_and_clear_bit()` | if a relaxed load finds it set: read-modify-write, `AcqRel` |
//! | `atomic_add_return()` | read-modify-write, `AcqRel` |
//! | `list_add_rcu()` | release store of the head |
//! | `preempt_disable()` | a lock for each CPU, which `PatchHost::synchronize()` takes one by one |
//! | `pi_lock`, `rq->lock` | a lock for each task, held while it starts or stops to run |
//! | `tasklist_lock` | a lock |
//! | `synchronize_rcu_tasks()` | a lock for each task, held while it is ready to run |
//! | text poking | each CPU's own call sites: see [`sites`] |
//! | `stop_one_cpu()` | a lock for each CPU, held by a task while it is there |
//!
//! The models are not stronger than the real thing, so that no missing order is hidden:
//!
//! - A release fence orders earlier loads and stores before later stores, `smp_wmb()` only stores;
//!   an acquire fence orders earlier loads before later loads and stores, `smp_rmb()` only before
//!   loads. The difference is loads before stores, and that loom never reorders anyway.
//! - A full barrier also orders earlier stores before later loads. The bit operation and the
//!   addition of this machine do not. The exploration shows that the rules do not need that order.
//! - `klp_synchronize_transition()`, which waits for a work item on each CPU, waits for the section
//!   without preemption that each CPU is in. The later sections of a CPU see the stores that
//!   precede the call. A lock for each CPU gives the same two orders, and none between the
//!   accesses inside a section.
//! - Loom does not order a load before a load from an address that depends on it.
//!   `Documentation/livepatch/rust-core-barriers.rst` describes the consequences.
//!
//! A violation is noted and the history goes on; it fails the exploration when its history ends.

pub(crate) mod driver;
pub(crate) mod faults;
pub(crate) mod life;
pub(crate) mod sites;
pub(crate) mod stacks;
pub(crate) mod tasks;
pub(crate) mod text;
pub(crate) mod transition;

use crate::model::TaskState;
use faults::Faults;
use loom::sync::{
    atomic::{
        AtomicBool,
        AtomicI32, //
    },
    Mutex, //
};
use sites::Sites;
use stacks::Stacks;
use std::sync::{
    self,
    atomic,
    Arc, //
};
use tasks::{
    Task,
    TaskId, //
};
use text::Texts;

const NO_INDEX: usize = usize::MAX;

/// How large a machine is.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    /// Tasks on the task list.
    pub(crate) tasks: usize,
    /// Tasks that can be forked.
    pub(crate) unborn: usize,
    /// CPUs, each with an idle task. The last CPU is offline.
    pub(crate) idle: usize,
    /// Functions that patches change, each patch all of them.
    pub(crate) functions: usize,
    /// Patches; none is enabled.
    pub(crate) patches: usize,
    /// Func stacks settle. Otherwise the handler decides about all calls, and there is less to
    /// explore.
    pub(crate) settles: bool,
    /// Functions with settled func stacks jump past the handler.
    pub(crate) jumps: bool,
    /// Passes count from 2, so that even the first pass preempts a running task to look at it.
    pub(crate) insists: bool,
}

/// Two tasks, two functions, two patches.
pub(crate) const SMALL: Size = Size {
    tasks: 2,
    unborn: 0,
    idle: 0,
    functions: 2,
    patches: 2,
    settles: false,
    jumps: false,
    insists: false,
};

/// The state of the holder of `klp_mutex`, and a few flags that tasks set or read.
#[derive(Default)]
pub(crate) struct Books {
    /// The patch in transition.
    pub(crate) transition: Option<usize>,
    /// Patches that are installed, in order.
    pub(crate) installed: Vec<usize>,
    /// Objects that are patched; each patch has one.
    pub(crate) patched: Vec<bool>,
    /// How many passes there were.
    pub(crate) passes: u64,
    insists: bool,
    /// A task or the transition has asked for another pass at once.
    pub(crate) hurried: bool,
    /// There is no memory for an index.
    pub(crate) no_index: bool,
    /// The patch is given up before any task may switch to it.
    pub(crate) given_up: bool,
    pub(crate) enabled: Vec<bool>,
    pub(crate) replaces: bool,
    /// Released patches with modules that are still loaded, in order.
    pub(crate) departing: Vec<usize>,
    pub(crate) forced: Vec<bool>,
    /// A task has begun to exit. Before that, walks do not visit the list of exiting tasks.
    pub(crate) exits: bool,
    /// Functions leave ftrace when their last func goes. Otherwise another user keeps them there.
    pub(crate) leaves_ftrace: bool,
    pub(crate) no_reliable_stacks: bool,
}

/// The machine.
pub(crate) struct Machine {
    target: AtomicI32,
    sched_switching: AtomicBool,
    /// The number of tasks that a pass found not to have switched, less those that have switched
    /// since. A thread that sees a task subtracted must also see the new state of that task.
    stragglers: AtomicI32,
    /// The patch with the changing code that is in the index, or [`NO_INDEX`]. The type is not
    /// loom's, because `interleavings::edge` explores the publication of an index separately.
    index: atomic::AtomicUsize,
    tasks: Vec<Task>,
    /// `tasklist_lock`, and the tasks on the list.
    list: Mutex<Vec<TaskId>>,
    /// The tasks that have left that list and are not dead.
    exiting: Mutex<Vec<TaskId>>,
    /// The idle tasks, with whether their CPU is online.
    pub(crate) idle: Vec<(TaskId, bool)>,
    pub(crate) stacks: Stacks,
    pub(crate) sites: Sites,
    pub(crate) texts: Texts,
    books: sync::Mutex<Books>,
    pub(crate) faults: Arc<Faults>,
    violation: sync::Mutex<Option<String>>,
}

impl Machine {
    /// A machine on which nothing is patched and every task sleeps.
    pub(crate) fn new(size: Size, faults: &Arc<Faults>) -> Self {
        let idle_begin = size.tasks + size.unborn;
        let idle = idle_begin..idle_begin + size.idle;
        Self {
            target: AtomicI32::new(TaskState::Idle as i32),
            sched_switching: AtomicBool::new(false),
            stragglers: AtomicI32::new(0),
            index: atomic::AtomicUsize::new(NO_INDEX),
            tasks: (0..idle.end).map(|_| Task::new()).collect(),
            list: Mutex::new((0..size.tasks).collect()),
            exiting: Mutex::default(),
            idle: idle.clone().map(|cpu| (cpu, cpu + 1 != idle.end)).collect(),
            stacks: Stacks::new(size),
            sites: Sites::new(size, idle.end),
            texts: Texts::new(size),
            books: sync::Mutex::new(Books {
                enabled: vec![false; size.patches],
                patched: vec![false; size.patches],
                forced: vec![false; size.patches],
                insists: size.insists,
                ..Books::default()
            }),
            faults: faults.clone(),
            violation: sync::Mutex::new(None),
        }
    }

    /// Locks the state that only the holder of `klp_mutex` uses.
    pub(crate) fn books(&self) -> sync::MutexGuard<'_, Books> {
        self.books.lock().unwrap()
    }

    /// The patch with the changing code that tasks look for on their stacks.
    fn index(&self) -> Option<usize> {
        Some(self.index.load(atomic::Ordering::SeqCst)).filter(|&patch| patch != NO_INDEX)
    }

    fn set_index(&self, patch: Option<usize>) {
        self.index
            .store(patch.unwrap_or(NO_INDEX), atomic::Ordering::SeqCst);
    }

    /// Notes a violation. The machine keeps the first one that contains the wanted text.
    pub(crate) fn note(&self, violation: impl FnOnce() -> String) {
        let text = violation();
        if self
            .faults
            .wanted
            .is_none_or(|wanted| text.contains(wanted))
        {
            self.violation.lock().unwrap().get_or_insert(text);
        }
    }

    /// The first violation that was noted, if any.
    pub(crate) fn violation(&self) -> Option<String> {
        self.violation.lock().unwrap().clone()
    }
}
