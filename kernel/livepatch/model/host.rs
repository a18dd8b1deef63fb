// SPDX-License-Identifier: GPL-2.0-or-later

//! The interface between the rules and the machine that they run on.
//!
//! [`TaskHost`] has everything that a task needs to switch itself, without `klp_mutex`.
//! [`PatchHost`] has the patches with their objects and funcs, [`ModuleHost`] the modules that come
//! and go under them, and [`Host`] the transition between them. The rules hold `klp_mutex` whenever
//! they use one of these three. [`TextHost`] serves the last part of a patch's life, in which only
//! its module is left. In the kernel, the scheduler, the unwinder, ftrace and sysfs are behind
//! these traits. In user space, a simulated machine implements them.

use super::{
    func::{
        Change,
        FuncState, //
    },
    Blocker,
    Callback,
    Event,
    Expectation,
    Outcome,
    Refusal,
    TaskState, //
};

/// The operations that switch a task.
pub(crate) trait TaskHost {
    /// A task, idle tasks included. It lives as long as `'a`: the visit or call it is passed to.
    type Task<'a>: Copy;
    /// The name of a func in messages.
    type Name: Copy + Send;

    /// The state that tasks switch to.
    fn target(&self) -> TaskState;
    /// The task that calls.
    fn current(&self) -> Self::Task<'_>;
    /// The set of functions that `task` uses.
    fn state(&self, task: Self::Task<'_>) -> TaskState;
    /// Sets the state that [`TaskHost::state`] returns, in one store.
    fn set_state(&self, task: Self::Task<'_>, state: TaskState);
    /// Whether `task` still has to switch; `TIF_PATCH_PENDING`.
    fn pending(&self, task: Self::Task<'_>) -> bool;
    /// Sets or clears the flag that [`TaskHost::pending`] returns. Implies no ordering.
    fn set_pending(&self, task: Self::Task<'_>, pending: bool);
    /// Clears the flag that [`TaskHost::pending`] returns, and returns its old value. A full
    /// barrier if the flag was set.
    fn test_and_clear_pending(&self, task: Self::Task<'_>) -> bool;

    /// Whether the stack of a task that does not run can be unwound reliably.
    fn have_reliable_stack(&self) -> bool;
    /// Runs `body` while `task` keeps its place: the task is the caller itself, or the host keeps
    /// it from starting to run. Fails if the host cannot do that.
    fn with_task_still(
        &self,
        task: Self::Task<'_>,
        body: impl FnOnce() -> Result<(), Blocker<Self::Name>>,
    ) -> Result<(), Blocker<Self::Name>>;
    /// Whether `task` is on a CPU other than the caller's own.
    fn runs_elsewhere(&self, task: Self::Task<'_>) -> bool;
    /// Looks for functions that are about to change on the stack of `task`, inside
    /// [`TaskHost::with_task_still`].
    fn check_stack(&self, task: Self::Task<'_>) -> Result<(), Blocker<Self::Name>>;
    /// Reports that `task` has switched, or the reason for which a pass could not switch it. Must
    /// not sleep. A switch may be reported inside [`TaskHost::with_task_still`].
    fn report(&self, task: Self::Task<'_>, outcome: Outcome<Self::Name>);
    /// Calls `body` on the CPU of `task`, in place of the task that runs there, and returns its
    /// result. `None` if that CPU must not be disturbed, or is offline. `task` may have gone to
    /// another CPU by then. Sleeps.
    fn in_place_of<R: Send>(
        &self,
        task: Self::Task<'_>,
        body: fn(&Self, Self::Task<'_>) -> R,
    ) -> Option<R>;
    /// `smp_rmb()`.
    fn read_barrier(&self);

    /// Adds to the number of tasks that are known not to have switched, and returns the sum; one
    /// read-modify-write, a full barrier.
    fn add_stragglers(&self, more: i32) -> i32;
    /// Sets that number.
    fn set_stragglers(&self, count: i32);
    /// Arranges for [`super::enable::try_complete`] to be called at once. Can be called in every
    /// context in which a task switches itself.
    fn hurry(&self);
    /// Whether passes look at the tasks once each second, and at no other time.
    fn retries_each_second(&self) -> bool;
}

/// The patches, their objects and funcs, and the func stacks.
///
/// Queries change nothing. They do not sleep, except for [`PatchHost::functions`], which needs
/// memory. All other operations may sleep, except for [`PatchHost::expect`].
pub(crate) trait PatchHost {
    /// A patch that has been passed in.
    type Patch: Copy + PartialEq;
    /// An object of a patch: vmlinux or a module.
    type Object: Copy;
    /// A func of an object.
    type Func: Copy;
    /// A set of functions of an object.
    type Functions;
    /// The func stack of one function of the kernel.
    type Stack: Copy;
    /// The functions that are to enter ftrace together.
    type Batch: Default;
    /// The errors of the host.
    type Error: Copy + From<Refusal>;

    /// The patches that are enabled or in transition, in the order of their loading.
    fn patches(&self) -> impl Iterator<Item = Self::Patch>;
    /// Puts a patch at the end of [`PatchHost::patches`].
    fn add_patch(&self, patch: Self::Patch);
    /// The patch in transition.
    fn transition_patch(&self) -> Option<Self::Patch>;
    /// Sets the patch that [`PatchHost::transition_patch`] returns.
    fn set_transition_patch(&self, patch: Option<Self::Patch>);
    /// Whether the patch replaces all others.
    fn replaces(&self, patch: Self::Patch) -> bool;
    /// Whether the patch is enabled: a logical statement, not yet true of every task.
    fn enabled(&self, patch: Self::Patch) -> bool;
    /// Sets the value that [`PatchHost::enabled`] returns.
    fn set_enabled(&self, patch: Self::Patch, enabled: bool);
    /// Notes that a forced transition may leave tasks inside the patch's functions.
    fn set_forced(&self, patch: Self::Patch);
    /// Makes the patch visible to the administrator.
    fn publish_patch(&self, patch: Self::Patch) -> Result<(), Self::Error>;
    /// Takes the patch off [`PatchHost::patches`], if it is there, and drops the references to its
    /// objects and funcs, which are on no stack.
    fn release_patch(&self, patch: Self::Patch);
    /// Makes a released patch depart later, without `klp_mutex`: [`super::text`] ends its life.
    fn free_later(&self, patch: Self::Patch);

    /// The objects of a patch, loaded or not.
    fn objects(&self, patch: Self::Patch) -> impl Iterator<Item = Self::Object>;
    /// Whether two objects of different patches are the same.
    fn same_object(&self, one: Self::Object, other: Self::Object) -> bool;
    /// Adds an object for nops to a patch. It is the same object as `like`, which belongs to
    /// another patch.
    fn add_nop_object(
        &self,
        patch: Self::Patch,
        like: Self::Object,
    ) -> Result<Self::Object, Self::Error>;
    /// Whether the object holds only nops, and is released together with them.
    fn is_nop_object(&self, object: Self::Object) -> bool;
    /// Whether the object is vmlinux, or a module that is loaded.
    fn loaded(&self, object: Self::Object) -> bool;
    /// Whether the object's funcs are on the func stacks.
    fn patched(&self, object: Self::Object) -> bool;
    /// Sets the value that [`PatchHost::patched`] returns.
    fn set_patched(&self, object: Self::Object, patched: bool);
    /// Finds out whether the object is loaded, and makes it visible to the administrator.
    fn publish_object(&self, patch: Self::Patch, object: Self::Object) -> Result<(), Self::Error>;
    /// Finds the functions of a loaded object, and writes the relocations that wait for it. If this
    /// fails, none of the relocations stays written.
    fn resolve(&self, patch: Self::Patch, object: Self::Object) -> Result<(), Self::Error>;
    /// Runs a callback, if the patch has it. Only [`Callback::PrePatch`] may fail.
    fn call(&self, object: Self::Object, callback: Callback) -> Result<(), Self::Error>;
    /// Whether [`Callback::PostUnpatch`] has yet to run, because [`Callback::PrePatch`] has
    /// succeeded.
    fn owes_post_unpatch(&self, object: Self::Object) -> bool;
    /// Sets the value that [`PatchHost::owes_post_unpatch`] returns.
    fn set_owes_post_unpatch(&self, object: Self::Object, owes: bool);

    /// The funcs of an object.
    fn funcs(&self, object: Self::Object) -> impl Iterator<Item = Self::Func>;
    /// The functions that an object's funcs change now.
    fn functions(&self, object: Self::Object) -> Result<Self::Functions, Self::Error>;
    /// Whether `functions` has the function that `func` changes. `func` belongs to the same object
    /// in another patch.
    fn among(&self, functions: &Self::Functions, func: Self::Func) -> bool;
    /// Adds a nop to an object, for the function that a func of another patch changes.
    fn add_nop(&self, object: Self::Object, like: Self::Func) -> Result<(), Self::Error>;
    /// Releases the nops of a patch, and the objects that hold only nops.
    fn release_nops(&self, patch: Self::Patch);
    /// Whether the func stands for the original function.
    fn is_nop(&self, func: Self::Func) -> bool;
    /// Checks the func, and makes it visible to the administrator.
    fn publish_func(&self, object: Self::Object, func: Self::Func) -> Result<(), Self::Error>;
    /// The func's two booleans.
    fn func_state(&self, func: Self::Func) -> FuncState;
    /// Makes [`Change::Begin`] or [`Change::End`] if [`FuncState::after`] allows it, and returns
    /// whether it does.
    fn change(&self, func: Self::Func, change: Change) -> bool;

    /// Returns the stack of the function that a resolved func changes, and notes the function in
    /// `batch` if it is not in ftrace yet.
    fn stack(&self, func: Self::Func, batch: &mut Self::Batch) -> Result<Self::Stack, Self::Error>;
    /// All func stacks.
    fn stacks(&self) -> impl Iterator<Item = Self::Stack>;
    /// The stack of the function that a func changes, if the function has one.
    fn stack_of(&self, func: Self::Func) -> Option<Self::Stack>;
    /// The func on top of a stack.
    fn top(&self, stack: Self::Stack) -> Option<Self::Func>;
    /// Sets the func that all calls of the function go to, for every task, in one store. With
    /// `None` the handler decides about each call. The func is on top of the stack, and is not a
    /// nop.
    fn set_settled(&self, stack: Self::Stack, func: Option<Self::Func>);
    /// Makes ftrace follow [`PatchHost::set_settled`]: a function jumps to the func that is set, if
    /// it can jump, and calls the handler if none is set. When this returns, every CPU does so.
    ///
    /// Needs no memory. It only fails if ftrace has shut itself down.
    fn follow_settled(&self) -> Result<(), Self::Error>;
    /// Puts a func on top of a stack if [`FuncState::after`] allows `change`, and returns whether
    /// it does. From then on the handler sees the func.
    fn push(&self, func: Self::Func, change: Change, stack: Self::Stack) -> bool;
    /// Takes a func off its stack if [`FuncState::after`] allows `change`, and returns whether it
    /// does. Handlers may use the func until [`PatchHost::reclaim`] returns.
    fn pop(&self, func: Self::Func, change: Change) -> bool;
    /// Makes ftrace call the handler for the functions of a batch, in one update.
    fn enter_ftrace(&self, batch: Self::Batch) -> Result<(), Self::Error>;
    /// Makes ftrace stop calling the handler for all functions that have an empty stack. Those that
    /// have entered together leave in one update. If there were any, waits until every task that
    /// was ready to run has gone to sleep or to user space.
    fn leave_ftrace(&self);
    /// Publishes the index in which tasks look for the code that `patch`, which is in transition or
    /// about to be, changes now: the functions of its patched objects, and the funcs below its own
    /// on their stacks.
    fn publish_index(&self, patch: Self::Patch) -> Result<(), Self::Error>;
    /// Withdraws the index: no task has to look for functions any more.
    fn withdraw_index(&self);
    /// Waits until every CPU has left the sections with preemption disabled that it was in, also
    /// where RCU is not watching. Handlers that began before are done when this returns, and so are
    /// tasks that had begun to switch.
    fn synchronize(&self);
    /// Calls [`PatchHost::synchronize`], and frees the memory that only such handlers and tasks can
    /// still have used: stacks that have left ftrace, and indexes that were withdrawn or replaced.
    fn reclaim(&self);

    /// Reports an event.
    fn tell(&self, event: Event<Self::Patch, Self::Object, Self::Error>);
    /// Warns, the first time, that an expectation does not hold.
    fn expect(&self, what: Expectation, holds: bool);
}

/// The modules that come and go under enabled patches.
pub(crate) trait ModuleHost: PatchHost {
    /// A module that comes or goes.
    type Module: Copy;

    /// Whether an object is this module.
    fn is_module(&self, object: Self::Object, module: Self::Module) -> bool;
    /// Sets whether new patches find the module.
    fn set_patchable(&self, module: Self::Module, patchable: bool);
    /// Attaches a module to its object, which is loaded from now on.
    fn attach(&self, object: Self::Object, module: Self::Module);
    /// Clears the relocations that [`PatchHost::resolve`] has written.
    fn clear_relocations(&self, patch: Self::Patch, object: Self::Object);
    /// Detaches the module from its object, which is not loaded any more, and forgets the addresses
    /// of its functions.
    fn detach(&self, object: Self::Object);
}

/// The machine that a transition runs on.
pub(crate) trait Host: PatchHost {
    /// How tasks are switched.
    type Tasks: TaskHost;

    /// How tasks are switched.
    fn tasks(&self) -> &Self::Tasks;
    /// Sets the state that [`TaskHost::target`] returns, in one store.
    fn set_target(&self, target: TaskState);
    /// Starts [`Host::elapsed`], [`Host::passes`] and [`Host::nudges`] from 0, because the
    /// transition starts or turns round.
    fn restart_clock(&self);
    /// Milliseconds since [`Host::restart_clock`].
    fn elapsed(&self) -> u64;
    /// The number of passes since [`Host::restart_clock`].
    fn passes(&self) -> u64;
    /// Sets the number that [`Host::passes`] returns.
    fn set_passes(&self, passes: u64);
    /// The number of intervals of 15 seconds between [`Host::restart_clock`] and the last time that
    /// tasks were nudged.
    fn nudges(&self) -> u64;
    /// Sets the number that [`Host::nudges`] returns.
    fn set_nudges(&self, nudges: u64);

    /// Visits every thread of every process. Meanwhile no task is created, and none leaves the task
    /// list, because forks and exits have to wait. One that has left it before can end, but not
    /// while it is visited. So visits are short, and do not check stacks.
    fn for_each_task(&self, visit: impl FnMut(TaskOf<'_, Self>));
    /// Visits the same threads, but lets tasks be created and end meanwhile. Some of these are
    /// missed, and some that are visited are dead. A thread that stays is visited in this scan or
    /// in a later one.
    fn scan_tasks(&self, visit: impl FnMut(TaskOf<'_, Self>));
    /// Visits the idle task of every possible CPU, and passes whether that CPU is online.
    ///
    /// CPUs come and go meanwhile, except inside [`Host::with_cpus_fixed`].
    fn for_each_idle_task(&self, visit: impl FnMut(TaskOf<'_, Self>, bool));
    /// Runs `body` while no CPU goes online or offline.
    fn with_cpus_fixed(&self, body: impl FnOnce());
    /// Makes an idle task pass through its loop, where it switches.
    fn wake_idle(&self, task: TaskOf<'_, Self>);
    /// Has a task that runs in user space enter the kernel, and leave it, where it switches.
    fn kick(&self, task: TaskOf<'_, Self>);
    /// Wakes up a task that sleeps interruptibly, so that it comes to a place where it can switch:
    /// a kernel thread by a wake-up, any other task by a signal that is not delivered.
    fn nudge(&self, task: TaskOf<'_, Self>);
    /// Lets `__schedule()` try to switch the calling task, or stops that.
    fn set_sched_switching(&self, on: bool);
    /// Arranges for [`super::enable::try_complete`] to be called again after about `delay`
    /// milliseconds.
    fn retry_after(&self, delay: u64);
    /// `smp_wmb()`.
    fn write_barrier(&self);
}

/// The tasks that may be in the text of a departing patch. Such a patch has been released, but its
/// module has not.
///
/// There is one caller at a time, which does not hold `klp_mutex`.
pub(crate) trait TextHost {
    /// A departing patch.
    type Patch: Copy + Send;
    /// How tasks are kept still.
    type Tasks: TaskHost;

    /// How tasks are kept still.
    fn tasks(&self) -> &Self::Tasks;

    /// How many patches depart.
    fn count_departing(&self) -> usize;
    /// The first of them.
    fn first_departing(&self) -> Option<Self::Patch>;
    /// Takes one out.
    fn remove_departing(&self, patch: Self::Patch);
    /// Puts one behind the others.
    fn add_departing(&self, patch: Self::Patch);
    /// Drops the reference to the patch's module, which can be unloaded then, together with the
    /// patch.
    fn put_module(&self, patch: Self::Patch);
    /// Whether [`PatchHost::set_forced`] was called for the patch.
    fn forced(&self, patch: Self::Patch) -> bool;

    /// Waits until every task that was ready to run has gone to sleep or to user space of its own
    /// accord.
    fn wait_for_runnable_tasks(&self);
    /// Visits every task that can run, except for idle tasks, as [`Host::for_each_task`] does.
    fn for_each_task(&self, visit: impl FnMut(<Self::Tasks as TaskHost>::Task<'_>));
    /// The same as [`Host::scan_tasks`].
    fn scan_tasks(&self, visit: impl FnMut(<Self::Tasks as TaskHost>::Task<'_>));
    /// Visits the idle task of every CPU that is online. No CPU comes or goes meanwhile. Visits may
    /// take long.
    fn for_each_idle_task(&self, visit: impl FnMut(<Self::Tasks as TaskHost>::Task<'_>));
    /// The same as [`TaskHost::in_place_of`], with a patch.
    fn in_place_of<R: Send>(
        &self,
        patch: Self::Patch,
        task: <Self::Tasks as TaskHost>::Task<'_>,
        body: fn(&Self, Self::Patch, <Self::Tasks as TaskHost>::Task<'_>) -> R,
    ) -> Option<R>;

    /// Whether the last look was for this patch, and [`Self::end_look`] was not called since.
    fn is_sought(&self, patch: Self::Patch) -> bool;
    /// Begins a look for a patch: from now on no task counts as seen outside. A new task counts as
    /// its parent does.
    fn begin_look(&self, patch: Self::Patch);
    /// Notes that nothing is sought any more.
    fn end_look(&self);
    /// Whether the task, or a parent before it forked, has been seen outside.
    fn seen_outside(&self, task: <Self::Tasks as TaskHost>::Task<'_>) -> bool;
    /// Notes that the task has been seen outside.
    fn set_seen_outside(&self, task: <Self::Tasks as TaskHost>::Task<'_>);
    /// Whether the task, which runs elsewhere, can come back from user space to the patch's text.
    /// `None` if it is not known to have been in user space just now. It may enter the kernel at
    /// any time. The caller is inside [`TaskHost::with_task_still`].
    fn returns_from_user_space(
        &self,
        patch: Self::Patch,
        task: <Self::Tasks as TaskHost>::Task<'_>,
    ) -> Option<bool>;
    /// Whether the task is in the patch's text, or its stack leads there. The caller is inside
    /// [`TaskHost::with_task_still`], and the task does not run elsewhere.
    fn is_in_text(&self, patch: Self::Patch, task: <Self::Tasks as TaskHost>::Task<'_>) -> bool;
    /// Whether the task is a kernel thread that was created to run a new function of the patch,
    /// whether it has begun to run that or not.
    fn is_made_for(&self, patch: Self::Patch, task: <Self::Tasks as TaskHost>::Task<'_>) -> bool;
}

/// A task of a host.
pub(super) type TaskOf<'a, H> = <<H as Host>::Tasks as TaskHost>::Task<'a>;
