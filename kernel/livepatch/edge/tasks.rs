// SPDX-License-Identifier: GPL-2.0-or-later

//! Tasks: their state, their flag, their stacks, and where they all are.

use crate::{
    edge::{
        abi::FuncName,
        mutex::Locked, //
    },
    model::TaskState, //
};
use core::{
    marker::PhantomData,
    ops::Range,
    ptr,
    slice, //
};
use kernel::{
    bindings,
    error::to_result,
    ffi::{
        c_int,
        c_ulong,
        c_void, //
    },
    prelude::*,
    sync::atomic::{
        atomic_load,
        atomic_store,
        Atomic,
        Relaxed, //
    },
    task::Task, //
};

/// The state that tasks switch to. Writers hold `klp_mutex`. Three readers do not: a task that
/// switches itself loads it after its pending flag, the handler of a task that no transition has
/// found loads it after a func's `transition`, and a task that forks compares it with its own
/// state, for a tracepoint alone.
pub(crate) static TARGET: Atomic<i32> = Atomic::new(TaskState::Idle as i32);

// C code begins the first task with these numbers, and debuggers and tracepoints show them.
const _: () = {
    assert!(TaskState::Idle as i32 == bindings::KLP_TRANSITION_IDLE);
    assert!(TaskState::Unpatched as u32 == bindings::KLP_TRANSITION_UNPATCHED);
    assert!(TaskState::Patched as u32 == bindings::KLP_TRANSITION_PATCHED);
};

/// A task. It lives during the visit or the call that it was passed to.
///
/// # Invariants
///
/// - The pointer is to a task that lives as long as `'a`.
/// - If that is the calling task, `'a` may be any lifetime: the value leaves the task only while
///   the task waits, in [`in_place_of`].
#[derive(Clone, Copy)]
pub(crate) struct TaskRef<'a>(*mut bindings::task_struct, PhantomData<&'a Task>);

impl TaskRef<'_> {
    /// The task at `ptr`.
    ///
    /// # Safety
    ///
    /// `ptr` points to a task that lives as long as the lifetime of the value.
    pub(crate) unsafe fn from_raw(ptr: *mut bindings::task_struct) -> Self {
        // INVARIANT: By the safety requirement.
        Self(ptr, PhantomData)
    }

    /// The calling task.
    pub(crate) fn current() -> Self {
        // INVARIANT: The caller is the task, which lives as long as it runs. With its raw pointer
        // the value is neither `Send` nor `Sync`.
        Self(Task::current_raw(), PhantomData)
    }

    /// Whether the task is the caller.
    pub(crate) fn is_current(self) -> bool {
        self.0 == Self::current().0
    }

    /// The task itself, for C.
    pub(crate) fn as_ptr(self) -> *mut bindings::task_struct {
        self.0
    }

    /// Whether the task is the idle task of a CPU.
    pub(crate) fn is_idle(self) -> bool {
        // SAFETY: The pointer is to a task by the type invariants. The field is stored whole.
        unsafe { atomic_load(&raw mut (*self.0).pid, Relaxed) == 0 }
    }

    /// Whether the task is in the idle loop, as idle tasks are, and threads that inject idle time.
    pub(crate) fn is_in_idle_loop(self) -> bool {
        // SAFETY: The pointer is to a task by the type invariants, which stores its flags whole.
        let flags = unsafe { atomic_load(&raw mut (*self.0).flags, Relaxed) };
        flags & bindings::PF_IDLE != 0
    }

    /// Whether the task has come so far in `do_exit()` that it can be off the task list.
    pub(crate) fn is_exiting(self) -> bool {
        // SAFETY: The pointer is to a task by the type invariants. The field is stored whole.
        unsafe { atomic_load(&raw mut (*self.0).exit_state, Relaxed) != 0 }
    }

    /// The function that a kernel thread was created to run.
    pub(crate) fn thread_function(self) -> Option<usize> {
        // SAFETY: The pointer is to a task by the type invariants. The function returns null for
        // one that is no kernel thread.
        let function = unsafe { bindings::kthread_func(self.0) } as usize;
        (function != 0).then_some(function)
    }

    /// The number of the last look at all tasks that has seen this one outside: see
    /// [`TextHost::begin_look`]. Only the work that lets go of modules uses it.
    ///
    /// [`TextHost::begin_look`]: crate::model::TextHost::begin_look
    pub(crate) fn look(self) -> usize {
        // SAFETY: The pointer is to a task by the type invariants, and one work item alone uses the
        // field.
        unsafe { atomic_load(&raw mut (*self.0).klp_look, Relaxed) }
    }

    /// Sets the number that [`TaskRef::look`] returns.
    pub(crate) fn set_look(self, look: usize) {
        // SAFETY: The pointer is to a task by the type invariants, and one work item alone uses the
        // field.
        unsafe { atomic_store(&raw mut (*self.0).klp_look, look, Relaxed) };
    }

    /// The word `patch_state`.
    #[inline(always)]
    fn state_word(self) -> *mut c_int {
        // SAFETY: The pointer is to a task by the type invariants; nothing is loaded.
        unsafe { &raw mut (*self.0).patch_state }
    }

    /// The state in `patch_state`. The task itself, a task that checks it while it is still, and
    /// the ftrace handler use the word without a common lock. It is loaded as volatile, for the
    /// reason in [`func_stacks`](super::func_stacks).
    #[inline(always)]
    pub(crate) fn state(self) -> TaskState {
        // SAFETY: The word is a field of the task, which lives. It is always stored whole.
        TaskState::from_raw(unsafe { self.state_word().read_volatile() })
    }

    /// Sets the state that [`TaskRef::state`] returns.
    pub(crate) fn set_state(self, state: TaskState) {
        // SAFETY: The word is a field of the task, which lives. It is always loaded whole.
        unsafe { self.state_word().write_volatile(state as c_int) };
    }

    /// Whether `TIF_PATCH_PENDING` is set.
    pub(crate) fn pending(self) -> bool {
        // SAFETY: The pointer is to a task by the type invariants. Its flags are atomic.
        unsafe { bindings::klp_task_pending(self.0) }
    }

    /// Sets or clears `TIF_PATCH_PENDING`.
    pub(crate) fn set_pending(self, pending: bool) {
        // SAFETY: The pointer is to a task by the type invariants. Its flags are atomic.
        unsafe { bindings::klp_task_set_pending(self.0, pending) };
    }

    /// Clears `TIF_PATCH_PENDING`; a full barrier if it was set.
    pub(crate) fn test_and_clear_pending(self) -> bool {
        // SAFETY: The pointer is to a task by the type invariants. Its flags are atomic.
        unsafe { bindings::klp_task_test_and_clear_pending(self.0) }
    }

    /// Whether a CPU runs the task, and the task is not the caller.
    pub(crate) fn runs_elsewhere(self) -> bool {
        // SAFETY: The pointer is to a task by the type invariants. The function compares it with
        // the task that its CPU runs.
        !self.is_current() && unsafe { bindings::task_curr(self.0) } != 0
    }

    /// Whether the task is the caller or waits for a CPU. Any other task sleeps. One that has just
    /// gone to sleep can count as waiting. The caller keeps the task still.
    pub(crate) fn is_runnable(self) -> bool {
        // SAFETY: The pointer is to a task by the type invariants. The field is stored whole. It is
        // a `u8`, for which the kernel crate has no atomic.
        self.is_current() || unsafe { (&raw const (*self.0).on_rq).read_volatile() } != 0
    }

    /// Calls `body` while the task keeps its place: the task is the caller, or its runqueue or
    /// `pi_lock` is held, and preemption is disabled. Returns the result of `body`.
    ///
    /// # Errors
    ///
    /// The scheduler's error, as a negative number.
    pub(crate) fn with_still<R, F: FnOnce() -> R>(self, body: F) -> Result<R, c_int> {
        /// The function to be called, and its result.
        struct Call<R, F> {
            body: Option<F>,
            result: Option<R>,
        }

        /// # Safety
        ///
        /// `call` points to a `Call<R, F>`, to which there is no other reference.
        unsafe extern "C" fn run<R, F: FnOnce() -> R>(
            _: *mut bindings::task_struct,
            call: *mut c_void,
        ) -> c_int {
            // SAFETY: The pointer is valid, and the reference is the only one, by the safety
            // requirement.
            let call = unsafe { &mut *call.cast::<Call<R, F>>() };
            call.result = call.body.take().map(|body| body());
            0
        }

        let mut call = Call {
            body: Some(body),
            result: None,
        };
        // SAFETY: The pointer is to a task by the type invariants. `run` gets `call`, which is not
        // used until the function returns.
        let err =
            unsafe { bindings::klp_call_still(self.0, Some(run::<R, F>), (&raw mut call).cast()) };
        call.result.ok_or(err)
    }

    /// Calls `body` with the return addresses on the task's stack. Fails if the stack is not
    /// reliable.
    ///
    /// # Safety
    ///
    /// The caller has preemption disabled, and keeps the task still, as [`TaskRef::with_still`]
    /// does. The slice is this CPU's buffer: `body` does not call this.
    pub(crate) unsafe fn with_stack<R>(self, body: impl FnOnce(&[usize]) -> R) -> Result<R> {
        let mut entries = ptr::null_mut();
        // SAFETY: The pointer is to a task by the type invariants. The caller keeps it still, and
        // preemption disabled, by the safety requirement. `entries` has room for a pointer.
        let count = unsafe { bindings::klp_task_stack(self.0, &mut entries) };
        to_result(count)?;
        // SAFETY: `entries` points to the buffer of this CPU, which is static, and `count` of its
        // elements have been written. No other task uses it while preemption is disabled, and
        // `body` does not either, by the safety requirement. `usize` is C's `unsigned long`.
        let entries = unsafe { slice::from_raw_parts(entries.cast(), count as usize) };
        Ok(body(entries))
    }

    /// Whether a word on the task's stack or in its registers is an address in `text` that `wanted`
    /// accepts. The word may be left over from a call that is done.
    ///
    /// # Safety
    ///
    /// The caller keeps the task still, and the task does not run.
    pub(crate) unsafe fn points_into<F>(self, text: &Range<usize>, mut wanted: F) -> bool
    where
        F: FnMut(usize) -> bool,
    {
        /// # Safety
        ///
        /// `wanted` points to an `F`.
        unsafe extern "C" fn call<F: FnMut(usize) -> bool>(
            address: c_ulong,
            wanted: *mut c_void,
        ) -> bool {
            // SAFETY: `wanted` points to an `F` by the safety requirement. `points_into()` does not
            // use it meanwhile, and the calls come one after the other.
            let wanted = unsafe { &mut *wanted.cast::<F>() };
            wanted(address)
        }

        let wanted = (&raw mut wanted).cast();
        let (start, size) = (text.start, text.len());
        // SAFETY: The pointer is to a task by the type invariants. The caller keeps it still, by
        // the safety requirement. `call` gets `wanted`, which points to an `F`.
        unsafe { bindings::klp_task_points_into(self.0, start, size, Some(call::<F>), wanted) }
    }

    /// Whether a tracer or a probe keeps return addresses of the task elsewhere than on its stack.
    ///
    /// # Safety
    ///
    /// The caller keeps the task still, and the task does not run.
    pub(crate) unsafe fn hides_returns(self) -> bool {
        // SAFETY: The pointer is to a task by the type invariants. The caller keeps it still, by
        // the safety requirement, so that no tracer changes the fields that the function reads.
        unsafe { bindings::klp_task_hides_returns(self.0) }
    }

    /// Whether the task, which runs elsewhere, can restart a system call by a function in `text`.
    /// `None` if the task is not known to have been in user space during this call: only CPUs of
    /// `nohz_full=` tell that. The caller keeps the task still.
    pub(crate) fn restarts_in(self, text: &Range<usize>) -> Option<bool> {
        let (start, size) = (text.start, text.len());
        // SAFETY: The pointer is to a task by the type invariants. The function reads words of the
        // task and of its CPU, each of them whole.
        match unsafe { bindings::klp_user_task_restarts_in(self.0, start, size) } {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// Makes the idle task pass through its loop.
    pub(crate) fn wake_idle(self) {
        // SAFETY: The pointer is to a task by the type invariants. The function asks for its CPU.
        unsafe { bindings::klp_task_wake_idle(self.0) };
    }

    /// Interrupts the task's CPU if the task runs there, unless that CPU must not be disturbed. A
    /// task in user space then passes through the kernel's exit.
    pub(crate) fn kick(self) {
        // SAFETY: The pointer is to a task by the type invariants. Any CPU may be interrupted.
        unsafe { bindings::klp_task_kick(self.0) };
    }

    /// Wakes the task: a kernel thread by a wake-up, any other by a signal that is not delivered.
    pub(crate) fn nudge(self) {
        // SAFETY: The pointer is to a task by the type invariants. Any task may be woken up.
        unsafe { bindings::klp_task_nudge(self.0) };
    }

    /// Logs, at debug level, the reason for which the task did not switch. `func` goes with
    /// `EADDRINUSE`.
    pub(crate) fn report(self, err: c_int, func: Option<FuncName>) {
        let func = func.map_or(ptr::null(), FuncName::as_ptr);
        // SAFETY: The pointer is to a task by the type invariants. `func` is null or a string by
        // the invariants of `FuncName`.
        unsafe { bindings::klp_try_switch_task(self.0, err, func) };
    }
}

/// Passes a task to a visit, for C.
///
/// # Safety
///
/// `task` points to a task that lives during the call, and `visit` to an `F`, which nothing else
/// uses meanwhile.
unsafe extern "C" fn visit_task<F: FnMut(TaskRef<'_>)>(
    task: *mut bindings::task_struct,
    visit: *mut c_void,
) {
    // SAFETY: `visit` points to an `F` that nothing else uses, by the safety requirement.
    let visit = unsafe { &mut *visit.cast::<F>() };
    // INVARIANT: The task lives during the call, and so during the visit.
    visit(TaskRef(task, PhantomData));
}

/// Visits every thread of every process, under `tasklist_lock`: those on the task list, and those
/// that have left it and can still run. Visits must be short, because no task can fork or exit
/// meanwhile.
pub(crate) fn for_each_task<F: FnMut(TaskRef<'_>)>(mut visit: F) {
    // SAFETY: `visit_task` gets tasks that live during the visit: `tasklist_lock` keeps those on
    // the task list, and `klp_exiting_lock` those that have left it. `visit` is an `F` that nothing
    // else uses.
    unsafe { bindings::klp_visit_tasks(Some(visit_task::<F>), (&raw mut visit).cast()) };
}

/// Visits the same threads without a spinlock. Sleeps, and so may the visits. They must not walk
/// over the tasks themselves: a mutex of such walks may be held.
///
/// Threads come and go meanwhile: some that do are missed, or visited twice, or dead. A thread that
/// changes its number in `execve()` can be missed as well.
pub(crate) fn scan_tasks<F: FnMut(TaskRef<'_>)>(mut visit: F) {
    // SAFETY: `visit_task` gets tasks to which the function has a reference, and `visit`, which is
    // an `F` that nothing else uses. The calls come one after the other.
    unsafe { bindings::klp_scan_tasks(Some(visit_task::<F>), (&raw mut visit).cast()) };
}

/// Visits the idle task of every possible CPU, and passes whether the CPU is online.
pub(crate) fn for_each_idle_task<F: FnMut(TaskRef<'_>, bool)>(mut visit: F) {
    /// # Safety
    ///
    /// `task` points to a task that lives during the call, and `visit` to an `F`.
    unsafe extern "C" fn call<F: FnMut(TaskRef<'_>, bool)>(
        task: *mut bindings::task_struct,
        online: bool,
        visit: *mut c_void,
    ) {
        // SAFETY: `visit` points to an `F` by the safety requirement. `for_each_idle_task()` does
        // not use it meanwhile, and the calls come one after the other.
        let visit = unsafe { &mut *visit.cast::<F>() };
        // INVARIANT: The task lives during the call, and so during the visit.
        visit(TaskRef(task, PhantomData), online);
    }

    // SAFETY: `call` gets tasks, and `visit`, which points to an `F`.
    unsafe { bindings::klp_visit_idle_tasks(Some(call::<F>), (&raw mut visit).cast()) };
}

/// Calls `body` on the CPU of a task, in place of the task that runs there, and returns its result.
/// `None` if that CPU must not be disturbed, or is offline. Sleeps.
pub(crate) fn in_place_of<R: Send, F: FnOnce(TaskRef<'_>) -> R + Send>(
    task: TaskRef<'_>,
    body: F,
) -> Option<R> {
    /// The function to be called, and its result.
    struct Call<'a, R, F> {
        task: TaskRef<'a>,
        body: Option<F>,
        result: Option<R>,
    }

    /// # Safety
    ///
    /// `call` points to a `Call<'_, R, F>`, to which there is no other reference.
    unsafe extern "C" fn run<R: Send, F: FnOnce(TaskRef<'_>) -> R + Send>(call: *mut c_void) {
        // SAFETY: The pointer is valid, and the reference is the only one, by the safety
        // requirement.
        let call = unsafe { &mut *call.cast::<Call<'_, R, F>>() };
        call.result = call.body.take().map(|body| body(call.task));
    }

    let mut call = Call {
        task,
        body: Some(body),
        result: None,
    };
    // SAFETY: The pointer is to a task by the type invariants, which lives until this returns.
    // `run` gets `call`, which is not used until the function returns. The task reference, the body
    // and its result may go to another thread and back: this task waits meanwhile, and so lives
    // even if it is `task`, and the other two are `Send`.
    unsafe { bindings::klp_call_in_place_of(task.0, Some(run::<R, F>), (&raw mut call).cast()) };
    call.result
}

/// Runs `body` while no CPU goes online or offline. Sleeps.
pub(crate) fn with_cpus_fixed(body: impl FnOnce()) {
    // SAFETY: The caller may sleep, and the lock is released below.
    unsafe { bindings::klp_cpus_read_lock() };
    body();
    // SAFETY: The lock was taken above, by this task.
    unsafe { bindings::klp_cpus_read_unlock() };
}

/// Whether the architecture can unwind the stack of a task reliably.
pub(crate) fn reliable_stack_available() -> bool {
    // SAFETY: The function has no preconditions: its result is a constant.
    unsafe { bindings::klp_reliable_stack_available() }
}

/// Lets `__schedule()` try to switch the calling task, or stops that. Sleeps.
pub(crate) fn set_sched_switching(on: bool) {
    // SAFETY: The caller may sleep, as the function does when it changes a static key.
    unsafe { bindings::klp_set_sched_switching(on) };
}

/// Waits until every CPU has left the sections with preemption disabled that it was in, even where
/// RCU is not watching. Sleeps.
pub(crate) fn synchronize(_: &Locked) {
    // SAFETY: The caller may sleep. It holds `klp_mutex`, which protects the work items.
    unsafe { bindings::klp_synchronize_transition() };
}

/// Waits until every task that was ready to run has gone to sleep or to user space of its own
/// accord: RCU tasks. Sleeps.
pub(crate) fn wait_for_runnable_tasks() {
    // SAFETY: The caller may sleep, as the function does.
    unsafe { bindings::klp_synchronize_runnable_tasks() };
}
