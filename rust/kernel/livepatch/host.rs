// SPDX-License-Identifier: GPL-2.0-or-later

//! Rust edge: everything this core asks of the rest of the kernel.
//!
//! Safe wrappers around C functions, one thought each. Those named `klp_*` are in the C edge
//! (`kernel/livepatch/rust.h`), the others are the kernel's own.

use core::{
    ffi::CStr,
    ops::{
        ControlFlow,
        Deref, //
    },
    ptr,
    slice, //
};

use super::{
    abi::{
        Module,
        Patch, //
    },
    index::FuncName,
    model::TaskState, //
};
use crate::{
    bindings,
    error::to_result,
    ffi::{
        c_char,
        c_int,
        c_ulong,
        c_void, //
    },
    fmt,
    interop::list::clist_create,
    prelude::*,
    print,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        lock::{
            mutex::MutexBackend,
            Guard,
            Lock, //
        },
        rcu, //
    },
    task::Task, //
};

/// Proof that `klp_mutex` is held.
///
/// # Invariants
///
/// The mutex is held while a value is borrowed.
pub(crate) struct Locked(());

/// `klp_mutex`, held until this is dropped.
pub(crate) struct LockedGuard {
    locked: Locked,
    _guard: Guard<'static, (), MutexBackend>,
}

impl Deref for LockedGuard {
    type Target = Locked;

    fn deref(&self) -> &Locked {
        &self.locked
    }
}

/// Takes `klp_mutex`. Sleeps.
pub(crate) fn lock() -> LockedGuard {
    // SAFETY: The mutex is statically initialized, and lives for ever.
    let mutex = unsafe { Lock::<(), MutexBackend>::from_raw(&raw mut bindings::klp_mutex) };
    // INVARIANT: `_guard` holds the mutex as long as `locked` can be borrowed.
    LockedGuard {
        _guard: mutex.lock(),
        locked: Locked(()),
    }
}

impl Locked {
    /// The proof, for code that runs inside a section that holds the mutex without having been
    /// passed the proof: callbacks, and the checks that a task makes of its own stack while a
    /// transition keeps everything in place.
    ///
    /// # Safety
    ///
    /// What the caller goes on to use is kept from changing as the mutex would.
    pub(crate) unsafe fn assume<'a>() -> &'a Self {
        // INVARIANT: By the safety requirement.
        &Locked(())
    }
}

/// The patches that are enabled or in transition, in the order of their loading.
pub(crate) fn patches<'a>(_: &'a Locked) -> impl Iterator<Item = &'a Patch> {
    // SAFETY: The list is statically initialized, and holds patches that `add_patch()` has put
    // there; `Locked` keeps others from changing it.
    unsafe {
        clist_create!(
            &raw mut bindings::klp_patches,
            Patch,
            bindings::klp_patch,
            list
        )
    }
    .iter()
}

/// Puts an initialized patch at the end of [`patches`].
pub(crate) fn add_patch(patch: &Patch, _: &Locked) {
    // SAFETY: The patch's node was initialized, and `Locked` excludes others.
    unsafe {
        bindings::list_add_tail(
            &raw mut (*patch.as_ptr()).list,
            &raw mut bindings::klp_patches,
        )
    };
}

/// Takes a patch off [`patches`], if it is there.
pub(crate) fn remove_patch(patch: &Patch, _: &Locked) {
    // SAFETY: The patch's node was initialized, and `Locked` excludes others. A node that is on no
    // list points to itself.
    unsafe {
        let node = &raw mut (*patch.as_ptr()).list;
        if (*node).next != node {
            bindings::klp_list_del(node);
            bindings::INIT_LIST_HEAD(node);
        }
    }
}

fn transition_patch_word() -> &'static Atomic<*mut bindings::klp_patch> {
    // SAFETY: The variable lives for ever, and is only used through this function.
    unsafe { Atomic::from_ptr(&raw mut bindings::klp_transition_patch) }
}

/// Whether `patch` is the one in transition. Without [`Locked`], a snapshot.
pub(crate) fn in_transition(patch: &Patch) -> bool {
    transition_patch_word().load(Relaxed) == patch.as_ptr()
}

/// The patch in transition.
pub(crate) fn transition_patch(_: &Locked) -> Option<&Patch> {
    // SAFETY: A patch in transition lives: it is only freed after the transition is over.
    unsafe { Patch::from_raw(transition_patch_word().load(Relaxed)) }
}

/// Sets what [`transition_patch`] returns.
pub(crate) fn set_transition_patch(patch: Option<&Patch>, _: &Locked) {
    transition_patch_word().store(patch.map_or(ptr::null_mut(), Patch::as_ptr), Relaxed);
}

/// Whether `/sys/kernel/livepatch` is there.
pub(crate) fn sysfs_ready() -> bool {
    // SAFETY: No requirements.
    unsafe { bindings::klp_sysfs_ready() }
}

/// Takes a reference to a module, unless it is on its way out.
pub(crate) fn get_module(module: &Module) -> bool {
    // SAFETY: The module lives.
    unsafe { bindings::klp_module_get(module.as_ptr()) }
}

/// Drops a reference that [`get_module`] took. The module may be gone afterwards.
pub(crate) fn put_module(module: &Module) {
    // SAFETY: The module lives until here.
    unsafe { bindings::klp_module_put(module.as_ptr()) };
}

/// Calls `found` with the module called `name` if that can be patched, see [`Module::patchable`].
pub(crate) fn with_patchable_module(name: &CStr, locked: &Locked, found: impl FnOnce(&Module)) {
    let _rcu = rcu::read_lock();
    // SAFETY: `name` is a string, and this is an RCU read side critical section.
    let module = unsafe { bindings::find_module(name.as_ptr().cast()) };
    if module.is_null() {
        return;
    }
    // SAFETY: RCU keeps the module during the call. No reference is taken, so as not to keep it
    // from being unloaded: `klp_module_going()` clears what `found` stores, before the module
    // goes, and `Locked` keeps that out.
    let module = unsafe { Module::from_raw(module) };
    if module.patchable(locked) {
        found(module);
    }
}

/// Calls `visit` with the address of each symbol called `name` in `object`, in the order of
/// kallsyms, until it breaks. Sleeps.
pub(crate) fn each_symbol(
    object: Option<&CStr>,
    name: &CStr,
    mut visit: impl FnMut(usize) -> ControlFlow<()>,
) {
    struct Search<'a, F> {
        name: &'a CStr,
        visit: &'a mut F,
    }

    unsafe extern "C" fn matching<F: FnMut(usize) -> ControlFlow<()>>(
        search: *mut c_void,
        address: c_ulong,
    ) -> c_int {
        // SAFETY: `search` is passed through from below, where it is a `Search<F>`.
        let search = unsafe { &mut *search.cast::<Search<'_, F>>() };
        (search.visit)(address).is_break().into()
    }

    unsafe extern "C" fn any<F: FnMut(usize) -> ControlFlow<()>>(
        search: *mut c_void,
        name: *const c_char,
        address: c_ulong,
    ) -> c_int {
        // SAFETY: `search` is passed through from below, where it is a `Search<F>`; `name` is a
        // symbol's name.
        let (wanted, name) = unsafe {
            (
                (*search.cast::<Search<'_, F>>()).name,
                CStr::from_ptr(name.cast()),
            )
        };
        if name != wanted {
            return 0;
        }
        // SAFETY: As above.
        unsafe { matching::<F>(search, address) }
    }

    fn callbacks<F: FnMut(usize) -> ControlFlow<()>>(
        _: &F,
    ) -> (
        unsafe extern "C" fn(*mut c_void, c_ulong) -> c_int,
        unsafe extern "C" fn(*mut c_void, *const c_char, c_ulong) -> c_int,
    ) {
        (matching::<F>, any::<F>)
    }

    let (matching, any) = callbacks(&visit);
    let mut search = Search {
        name,
        visit: &mut visit,
    };
    let search = (&raw mut search).cast();
    // SAFETY: The strings are strings, and the callbacks get what they expect, while it lives.
    unsafe {
        match object {
            Some(object) => bindings::module_kallsyms_on_each_symbol(
                object.as_ptr().cast(),
                Some(any),
                search,
            ),
            None => bindings::kallsyms_on_each_match_symbol(
                Some(matching),
                name.as_ptr().cast(),
                search,
            ),
        }
    };
}

/// The size of the function at `address`, if kallsyms knows it. 0 is for "unknown".
pub(crate) fn symbol_size(address: usize) -> Option<usize> {
    let mut size = 0;
    // SAFETY: `size` is written to; the offset is not asked for.
    let found = unsafe {
        bindings::kallsyms_lookup_size_offset(address, &mut size, ptr::null_mut())
    };
    (found != 0).then_some(size)
}

/// Where ftrace patches the function at `address`, if it can.
pub(crate) fn ftrace_location(address: usize) -> Option<usize> {
    // SAFETY: No requirements.
    let location = unsafe { bindings::ftrace_location(address) };
    (location != 0).then_some(location)
}

/// Adds the functions at these ftrace locations to those that call the handler, or removes them.
/// If it fails, nothing has changed.
pub(crate) fn set_ftrace_filter(locations: &mut [usize], remove: bool) -> Result {
    let count = u32::try_from(locations.len()).map_err(|_| EINVAL)?;
    // SAFETY: The array has `count` elements; `usize` is C's `unsigned long`.
    to_result(unsafe {
        bindings::klp_ftrace_set_filter(locations.as_mut_ptr(), count, remove)
    })
}

/// Whether ftrace calls the handler for the functions in the filter.
pub(crate) fn ftrace_registered() -> bool {
    // SAFETY: No requirements.
    unsafe { bindings::klp_ftrace_registered() }
}

/// Starts calling the handler for the functions in the filter.
pub(crate) fn register_ftrace() -> Result {
    // SAFETY: No requirements.
    to_result(unsafe { bindings::klp_ftrace_register() })
}

/// Stops calling the handler, and waits until none runs.
pub(crate) fn unregister_ftrace() -> Result {
    // SAFETY: No requirements.
    to_result(unsafe { bindings::klp_ftrace_unregister() })
}

/// A task; lives during the visit or call it was passed to.
#[derive(Clone, Copy)]
pub(crate) struct TaskRef(*mut bindings::task_struct);

impl TaskRef {
    /// The task at `ptr`.
    ///
    /// # Safety
    ///
    /// `ptr` points to a task that lives as long as the value and its copies are used.
    pub(crate) unsafe fn from_raw(ptr: *mut bindings::task_struct) -> Self {
        Self(ptr)
    }

    /// The calling task.
    pub(crate) fn current() -> Self {
        Self(Task::current_raw())
    }

    fn state_word(self) -> *mut c_int {
        // SAFETY: The task lives.
        unsafe { &raw mut (*self.0).patch_state }
    }

    /// `patch_state`, which the task itself, the task that checks it while it is still, and the
    /// ftrace handler use without a common lock.
    #[inline(always)]
    pub(crate) fn state(self) -> TaskState {
        // SAFETY: The task lives.
        TaskState::from_raw(unsafe { self.state_word().read_volatile() })
    }

    /// Sets what [`TaskRef::state`] reads.
    pub(crate) fn set_state(self, state: TaskState) {
        // SAFETY: The task lives.
        unsafe { self.state_word().write_volatile(state as c_int) };
    }

    /// Whether `TIF_PATCH_PENDING` is set.
    pub(crate) fn pending(self) -> bool {
        // SAFETY: The task lives.
        unsafe { bindings::klp_task_pending(self.0) }
    }

    /// Sets or clears `TIF_PATCH_PENDING`.
    pub(crate) fn set_pending(self, pending: bool) {
        // SAFETY: The task lives.
        unsafe { bindings::klp_task_set_pending(self.0, pending) };
    }

    /// Clears `TIF_PATCH_PENDING`; a full barrier if it was set.
    pub(crate) fn test_and_clear_pending(self) -> bool {
        // SAFETY: The task lives.
        unsafe { bindings::klp_task_test_and_clear_pending(self.0) }
    }

    /// Whether a CPU runs the task, and the caller is not it.
    pub(crate) fn runs_elsewhere(self) -> bool {
        // SAFETY: The task lives.
        self.0 != Self::current().0 && unsafe { bindings::task_curr(self.0) } != 0
    }

    /// Calls `body` with the task kept still, which is to say that it is the caller, or its
    /// runqueue or `pi_lock` is held. Returns what `body` returns, or the scheduler's error.
    pub(crate) fn with_still<F: FnOnce() -> c_int>(self, body: F) -> c_int {
        unsafe extern "C" fn call<F: FnOnce() -> c_int>(
            _: *mut bindings::task_struct,
            body: *mut c_void,
        ) -> c_int {
            // SAFETY: `body` is passed through from below, where it is an `Option<F>`.
            let body = unsafe { &mut *body.cast::<Option<F>>() };
            body.take().map_or(bindings::EINVAL.cast_signed(), |body| body())
        }

        if self.0 == Self::current().0 {
            return body();
        }
        let mut body = Some(body);
        // SAFETY: The task lives, and `call` gets what it expects, once.
        unsafe { bindings::task_call_func(self.0, Some(call::<F>), (&raw mut body).cast()) }
    }

    /// The return addresses on the task's stack, or an error if it cannot be told for sure.
    ///
    /// Preemption is disabled, and the task is still. The slice is this CPU's buffer: `body` must
    /// not come here again.
    pub(crate) fn with_stack<R>(self, body: impl FnOnce(&[usize]) -> R) -> Result<R> {
        let mut entries = ptr::null_mut();
        // SAFETY: The task lives.
        let count = unsafe { bindings::klp_task_stack(self.0, &mut entries) };
        to_result(count)?;
        // SAFETY: That many entries of the buffer, which lives for ever, have been written, and
        // the callers of this keep preemption disabled. `usize` is C's `unsigned long`.
        Ok(body(unsafe {
            slice::from_raw_parts(entries.cast(), count as usize)
        }))
    }

    /// Makes the idle task pass through its loop.
    pub(crate) fn wake_idle(self) {
        // SAFETY: The task lives.
        unsafe { bindings::klp_task_wake_idle(self.0) };
    }

    /// Wakes the task: a kernel thread by a wake-up, any other by a signal that is not delivered.
    pub(crate) fn nudge(self) {
        // SAFETY: The task lives.
        unsafe { bindings::klp_task_nudge(self.0) };
    }

    /// Tells the log, at debug level, why the task did not switch. `func` goes with `EADDRINUSE`.
    /// Preemption is disabled.
    pub(crate) fn report(self, err: c_int, func: Option<FuncName>) {
        let func = func.map_or(ptr::null(), FuncName::as_ptr);
        // SAFETY: The task lives, and `func` is null or a string: the index that it comes from
        // stays while preemption is disabled.
        unsafe { bindings::klp_try_switch_task(self.0, err, func) };
    }
}

/// Visits every thread of every process, under `tasklist_lock`.
pub(crate) fn for_each_task<F: FnMut(TaskRef)>(mut visit: F) {
    unsafe extern "C" fn call<F: FnMut(TaskRef)>(
        task: *mut bindings::task_struct,
        visit: *mut c_void,
    ) {
        // SAFETY: `visit` is passed through from below, where it is an `F`.
        let visit = unsafe { &mut *visit.cast::<F>() };
        visit(TaskRef(task));
    }

    // SAFETY: `call` gets what it expects.
    unsafe { bindings::klp_for_each_task(Some(call::<F>), (&raw mut visit).cast()) };
}

/// Visits the idle task of every possible CPU, with whether the CPU is online.
pub(crate) fn for_each_idle_task<F: FnMut(TaskRef, bool)>(mut visit: F) {
    unsafe extern "C" fn call<F: FnMut(TaskRef, bool)>(
        task: *mut bindings::task_struct,
        online: bool,
        visit: *mut c_void,
    ) {
        // SAFETY: `visit` is passed through from below, where it is an `F`.
        let visit = unsafe { &mut *visit.cast::<F>() };
        visit(TaskRef(task), online);
    }

    // SAFETY: `call` gets what it expects.
    unsafe { bindings::klp_for_each_idle_task(Some(call::<F>), (&raw mut visit).cast()) };
}

/// Runs `body` while no CPU goes online or offline. Sleeps.
pub(crate) fn with_cpus_fixed(body: impl FnOnce()) {
    // SAFETY: Process context, and unlocked below.
    unsafe { bindings::cpus_read_lock() };
    body();
    // SAFETY: Locked above.
    unsafe { bindings::cpus_read_unlock() };
}

/// Whether the architecture can tell the stack of a task for sure.
pub(crate) fn reliable_stack_available() -> bool {
    // SAFETY: No requirements.
    unsafe { bindings::klp_reliable_stack_available() }
}

/// Lets `__schedule()` try to switch the calling task, or stops that. Sleeps.
pub(crate) fn set_sched_switching(on: bool) {
    // SAFETY: No requirements.
    unsafe { bindings::klp_set_sched_switching(on) };
}

/// Calls `transition::work()` in about that many seconds.
pub(crate) fn retry_transition(seconds: u32) {
    // SAFETY: No requirements.
    unsafe { bindings::klp_retry_transition(seconds) };
}

/// Waits until every CPU has left the sections without preemption that it was in, even where RCU
/// is not watching. Sleeps.
pub(crate) fn synchronize() {
    // SAFETY: Process context.
    unsafe { bindings::klp_synchronize_transition() };
}

/// Calls `core::free_finish()` with the patch, from a work item.
pub(crate) fn queue_free(patch: &Patch) {
    // SAFETY: The work was initialized with the patch, which lives until it has run.
    unsafe { bindings::klp_queue_free_work(patch.as_ptr()) };
}

/// Tells the log, at debug level, how far the transition of the patch called `name` is.
pub(crate) fn debug_transition(event: bindings::klp_debug_event, name: &CStr, patching: bool) {
    // SAFETY: `name` is a string.
    unsafe { bindings::klp_debug_transition(event, name.as_ptr().cast(), patching) };
}

/// Prints to the log, with the prefix that live patching has always had.
///
/// The `pr_*!` macros of the `kernel` crate would print `rust_kernel`.
pub(crate) fn print(level: &'static [u8; print::format_strings::LENGTH], args: fmt::Arguments<'_>) {
    // SAFETY: The macros below pass one of the format strings, and the prefix ends with a nul.
    unsafe { print::call_printk(level, b"livepatch\0", args) };
}

/// Prints at level "err".
macro_rules! klp_err {
    ($($arg:tt)*) => {
        $crate::livepatch::host::print(
            &$crate::print::format_strings::ERR,
            $crate::prelude::fmt!($($arg)*),
        )
    };
}
pub(crate) use klp_err;

/// Prints at level "warning".
macro_rules! klp_warn {
    ($($arg:tt)*) => {
        $crate::livepatch::host::print(
            &$crate::print::format_strings::WARNING,
            $crate::prelude::fmt!($($arg)*),
        )
    };
}
pub(crate) use klp_warn;

/// Prints at level "notice".
macro_rules! klp_notice {
    ($($arg:tt)*) => {
        $crate::livepatch::host::print(
            &$crate::print::format_strings::NOTICE,
            $crate::prelude::fmt!($($arg)*),
        )
    };
}
pub(crate) use klp_notice;

/// Warns with a backtrace, the first time that the condition is true; evaluates to the condition.
macro_rules! warn_on_once {
    ($condition:expr) => {{
        static WARNED: $crate::sync::atomic::Atomic<i32> = $crate::sync::atomic::Atomic::new(0);
        let condition: bool = $condition;
        if condition && WARNED.xchg(1, $crate::sync::atomic::Relaxed) == 0 {
            $crate::warn_on!(true);
        }
        condition
    }};
}
pub(crate) use warn_on_once;
