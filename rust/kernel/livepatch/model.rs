// SPDX-License-Identifier: GPL-2.0-or-later

//! The rules of live patching, apart from any machine that runs them.
//!
//! This is the code that decides: which state a func may go to, which function a redirected call
//! reaches, which task may switch, when a transition is complete. It depends on [`core`] alone. It
//! knows no kernel type, allocates nothing and has no `unsafe`; what it needs of the machine it
//! asks of the [`Host`]. The same files are compiled into the kernel, into KUnit under UML, and
//! into user-space tests.
//!
//! | file | decides |
//! |---|---|
//! | [`func`] | the two booleans of a func and their eight legal edges |
//! | [`redirect`] | which function the ftrace handler jumps to |
//! | [`stack`] | whether a stack holds a function that is about to change |
//! | [`transition`] | how the tasks move from one set of functions to the other |
//! | [`names`] | what the names of livepatch sections and symbols mean |

#![deny(unsafe_code)]

pub(crate) mod func;
pub(crate) mod names;
pub(crate) mod redirect;
pub(crate) mod stack;
pub(crate) mod transition;

/// Which set of functions a task uses; `task_struct::patch_state`.
///
/// C: `KLP_TRANSITION_*` in `include/linux/livepatch.h`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub(crate) enum TaskState {
    /// No transition is in progress; the question does not arise.
    Idle = -1,
    /// The functions from before the patch.
    Unpatched = 0,
    /// The patch's functions.
    Patched = 1,
}

impl TaskState {
    /// The state that a transition to `self` starts from.
    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::Idle => Self::Idle,
            Self::Unpatched => Self::Patched,
            Self::Patched => Self::Unpatched,
        }
    }

    /// The state that the integer `raw` in a task or in `klp_target_state` stands for.
    pub(crate) fn from_raw(raw: i32) -> Self {
        match raw {
            0 => Self::Unpatched,
            1 => Self::Patched,
            _ => Self::Idle,
        }
    }
}

/// Why a task could not switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Blocker<N> {
    /// The architecture has no reliable stack traces: only kernel exit and the idle loop switch.
    NoReliableStack,
    /// It runs on another CPU, so its stack cannot be looked at.
    Running,
    /// Its stack could not be walked to the end.
    UnreliableStack,
    /// A function that is about to change is on its stack; its name.
    SleepsOn(N),
    /// The host could not tell; its error code, negative.
    Other(i32),
}

/// What a transition says of itself, in the order in which it happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    /// Task and func states are being prepared. Debug level.
    Initializing,
    /// Tasks may switch from now on.
    Starting,
    /// The direction changes. Debug level.
    Reversing,
    /// It ends before any task could switch. Debug level.
    Canceling,
    /// All tasks have switched. Debug level.
    Completing,
    /// The transition is over.
    Complete,
    /// Tasks that have not switched for a long time are being woken.
    Signaling,
    /// The administrator ends it without regard to what the tasks are doing.
    Forcing,
}

/// What switching a task takes: all that a task needs to switch itself, without `klp_mutex`.
///
/// In the kernel this is the scheduler's and the stack unwinder's business; in user space it is a
/// simulated machine.
pub(crate) trait TaskHost {
    /// A task, idle tasks included. It lives as long as the visit or call it is passed to.
    type Task: Copy;
    /// What names a func in messages.
    type Name: Copy;

    /// The state that tasks switch to.
    fn target(&self) -> TaskState;
    /// The task that calls.
    fn current(&self) -> Self::Task;
    /// The set of functions that `task` uses.
    fn state(&self, task: Self::Task) -> TaskState;
    /// Sets what [`TaskHost::state`] reads, as one store.
    fn set_state(&self, task: Self::Task, state: TaskState);
    /// Whether `task` still has to switch; `TIF_PATCH_PENDING`.
    fn pending(&self, task: Self::Task) -> bool;
    /// Sets or clears what [`TaskHost::pending`] reads. Implies no ordering.
    fn set_pending(&self, task: Self::Task, pending: bool);
    /// Clears what [`TaskHost::pending`] reads and returns what it was; a full barrier if it was
    /// set.
    fn test_and_clear_pending(&self, task: Self::Task) -> bool;

    /// Whether the stack of a task that does not run can be told for sure.
    fn have_reliable_stack(&self) -> bool;
    /// Runs `body` while `task` keeps its place: it is the caller itself, or it is kept from
    /// starting to run. Fails if the host cannot arrange that.
    fn with_task_still(
        &self,
        task: Self::Task,
        body: impl FnOnce() -> Result<(), Blocker<Self::Name>>,
    ) -> Result<(), Blocker<Self::Name>>;
    /// Whether `task` is on a CPU other than the caller's own.
    fn runs_elsewhere(&self, task: Self::Task) -> bool;
    /// Looks for functions that are about to change on the stack of `task`, inside
    /// [`TaskHost::with_task_still`].
    fn check_stack(&self, task: Self::Task) -> Result<(), Blocker<Self::Name>>;
    /// Tells the log, at debug level, why `task` did not switch. Must not sleep.
    fn report_blocker(&self, task: Self::Task, why: Blocker<Self::Name>);
    /// `smp_rmb()`.
    fn read_barrier(&self);
}

/// The machine that a transition runs on, and the patch that is in transition.
///
/// Everything here is used with `klp_mutex` held.
pub(crate) trait Host {
    /// How tasks are switched.
    type Tasks: TaskHost;

    /// How tasks are switched.
    fn tasks(&self) -> &Self::Tasks;
    /// Sets what [`TaskHost::target`] reads, as one store.
    fn set_target(&self, target: TaskState);
    /// Passes over the task list since the transition started or was reversed.
    fn attempts(&self) -> u32;
    /// Sets what [`Host::attempts`] returns.
    fn set_attempts(&self, attempts: u32);

    /// Visits every thread of every process; tasks are neither created nor freed meanwhile.
    fn for_each_task(&self, visit: impl FnMut(TaskOf<Self>));
    /// Visits the idle task of every possible CPU, with whether that CPU is online.
    ///
    /// CPUs come and go meanwhile, except inside [`Host::with_cpus_fixed`].
    fn for_each_idle_task(&self, visit: impl FnMut(TaskOf<Self>, bool));
    /// Runs `body` while no CPU goes online or offline.
    fn with_cpus_fixed(&self, body: impl FnOnce());
    /// Makes an idle task pass through its loop, where it switches.
    fn wake_idle(&self, task: TaskOf<Self>);
    /// Wakes a task that sleeps interruptibly, so that it passes through a switching point: a
    /// kernel thread by a wake-up, any other by a signal that is not delivered.
    fn nudge(&self, task: TaskOf<Self>);
    /// Lets `__schedule()` try to switch the calling task, or stops that.
    fn set_sched_switching(&self, on: bool);
    /// Arranges for [`transition::try_complete`] to be called again.
    fn retry_later(&self);

    /// `smp_wmb()`.
    fn write_barrier(&self);
    /// Waits until every CPU has left the sections without preemption that it was in, where RCU is
    /// not watching included: handlers and switching tasks that began before are done after it.
    fn synchronize(&self);

    /// Whether the patch replaces all others.
    fn replaces(&self) -> bool;
    /// The logical statement: is the patch enabled?
    fn enabled(&self) -> bool;
    /// Sets what [`Host::enabled`] returns.
    fn set_enabled(&self, enabled: bool);
    /// Every func of the patch begins its transition.
    fn begin_funcs(&self);
    /// Every func of the patch ends its transition.
    fn end_funcs(&self);
    /// Takes all funcs of the patch off the func stacks.
    fn unpatch(&self);
    /// Takes the funcs of the patches that are being replaced off the func stacks, and the nops
    /// that stood in for them.
    fn unpatch_replaced(&self);
    /// Runs the callbacks that follow a transition to `target`.
    fn post_callbacks(&self, target: TaskState);
    /// Marks the patches that this transition removes: they may still be in use when it is over.
    fn mark_forced(&self, target: TaskState);
    /// No patch is in transition from now on. Unless it was canceled, frees what the transition
    /// has made useless, later: the patch itself if it is disabled, those it replaced otherwise.
    fn finish(&self, outcome: Outcome);

    /// Tells the log.
    fn say(&self, event: Event);
    /// Tells the log, once, that something is wrong that cannot be; `ok` is what should hold.
    fn expect(&self, ok: bool);
}

/// A task of a host.
pub(crate) type TaskOf<H> = <<H as Host>::Tasks as TaskHost>::Task;

/// How a transition ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Before it started; whoever started it cleans up.
    Canceled,
    /// All tasks switched.
    Completed,
}
