// SPDX-License-Identifier: GPL-2.0-or-later

//! Rust edge: everything this core asks of the rest of the kernel.
//!
//! Safe wrappers around C functions, one thought each. Those named `klp_*` are in the C edge
//! (`kernel/livepatch/rust.h`), the others are the kernel's own.

mod ftrace;
mod tasks;

pub(crate) use self::{
    ftrace::{
        ftrace_location,
        leave_ftrace_later,
        Ops,
        Refusal, //
    },
    tasks::{
        for_each_idle_task,
        for_each_task,
        on_each_cpu,
        TaskRef, //
    }, //
};

use core::{
    ffi::CStr,
    ops::{
        ControlFlow,
        Deref, //
    },
    ptr, //
};

use super::abi::{
    Module,
    Patch, //
};
use crate::{
    bindings,
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
    }, //
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
    /// passed the proof: callbacks.
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

/// Puts a patch that is not among [`patches`] any more at the end of the departing ones: their
/// modules wait to be let go.
pub(crate) fn add_departing(patch: &Patch, _: &Locked) {
    // SAFETY: The patch's node is on no list, and `Locked` excludes others.
    unsafe {
        bindings::list_add_tail(
            &raw mut (*patch.as_ptr()).list,
            &raw mut bindings::klp_departing_patches,
        )
    };
}

/// The patches that [`add_departing`] has put there, in that order.
fn departing(_: &Locked) -> impl Iterator<Item = &'static Patch> {
    // SAFETY: The list is statically initialized, and holds patches that `add_departing()` has put
    // there; `Locked` keeps others from changing it. Their modules stay until `put_module()`.
    unsafe {
        clist_create!(
            &raw mut bindings::klp_departing_patches,
            Patch,
            bindings::klp_patch,
            list
        )
    }
    .iter()
}

/// Takes the first of the departing patches. There is one caller at a time.
///
/// From now on the caller alone keeps the patch's module.
pub(crate) fn take_departing(locked: &Locked) -> Option<&'static Patch> {
    let patch = departing(locked).next()?;
    remove_patch(patch, locked);
    Some(patch)
}

/// How many patches depart.
pub(crate) fn count_departing(locked: &Locked) -> usize {
    departing(locked).count()
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
    let module = unsafe { bindings::find_module(name.as_char_ptr()) };
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

/// Calls `visit` with the address of each symbol of vmlinux called `name`, in the order of
/// kallsyms, until it breaks. Sleeps.
pub(crate) fn each_vmlinux_symbol<F>(name: &CStr, mut visit: F)
where
    F: FnMut(usize) -> ControlFlow<()>,
{
    /// # Safety
    ///
    /// `visit` points to an `F`.
    unsafe extern "C" fn call<F: FnMut(usize) -> ControlFlow<()>>(
        visit: *mut c_void,
        address: c_ulong,
    ) -> c_int {
        // SAFETY: By the safety requirement.
        let visit = unsafe { &mut *visit.cast::<F>() };
        visit(address).is_break().into()
    }

    let visit = (&raw mut visit).cast();
    // SAFETY: `name` is a string, and `call` gets what it expects.
    unsafe { bindings::kallsyms_on_each_match_symbol(Some(call::<F>), name.as_char_ptr(), visit) };
}

/// Calls `visit` with the name and the address of each symbol of the module called `module`, in
/// the order of kallsyms, until it breaks. Sleeps.
pub(crate) fn each_module_symbol<F>(module: &CStr, mut visit: F)
where
    F: FnMut(&CStr, usize) -> ControlFlow<()>,
{
    /// # Safety
    ///
    /// `visit` points to an `F`, and `name` to a string.
    unsafe extern "C" fn call<F: FnMut(&CStr, usize) -> ControlFlow<()>>(
        visit: *mut c_void,
        name: *const c_char,
        address: c_ulong,
    ) -> c_int {
        // SAFETY: By the safety requirement.
        let (visit, name) = unsafe { (&mut *visit.cast::<F>(), CStr::from_char_ptr(name)) };
        visit(name, address).is_break().into()
    }

    let visit = (&raw mut visit).cast();
    // SAFETY: `module` is a string, and `call` gets what it expects.
    unsafe {
        bindings::module_kallsyms_on_each_symbol(module.as_char_ptr(), Some(call::<F>), visit)
    };
}

/// Whether a symbol marks a place for tools, and is no function or object.
pub(crate) fn is_mapping_symbol(name: &CStr) -> bool {
    // SAFETY: `name` is a string.
    unsafe { bindings::klp_is_mapping_symbol(name.as_char_ptr()) }
}

/// Whether a function that kallsyms knows begins at `address`.
pub(crate) fn is_function(address: usize) -> bool {
    let (mut size, mut offset) = (0, 0);
    // SAFETY: Both are written to.
    let found = unsafe { bindings::kallsyms_lookup_size_offset(address, &mut size, &mut offset) };
    found != 0 && offset == 0
}

/// The size of the function at `address`, if kallsyms knows it. 0 is for "unknown".
pub(crate) fn symbol_size(address: usize) -> Option<usize> {
    let mut size = 0;
    // SAFETY: `size` is written to; the offset is not asked for.
    let found =
        unsafe { bindings::kallsyms_lookup_size_offset(address, &mut size, ptr::null_mut()) };
    (found != 0).then_some(size)
}

/// Runs `body` while no CPU goes online or offline. Sleeps.
pub(crate) fn with_cpus_fixed(body: impl FnOnce()) {
    // SAFETY: Process context, and unlocked below.
    unsafe { bindings::klp_cpus_read_lock() };
    body();
    // SAFETY: Locked above.
    unsafe { bindings::klp_cpus_read_unlock() };
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

/// Calls `transition::work()` in about that many milliseconds, if that is not arranged already.
pub(crate) fn retry_transition(delay: u64) {
    let delay = u32::try_from(delay).unwrap_or(u32::MAX);
    // SAFETY: No requirements.
    unsafe { bindings::klp_retry_transition(delay) };
}

/// Calls `transition::work()` at once. In any context.
pub(crate) fn hurry_transition() {
    // SAFETY: No requirements.
    unsafe { bindings::klp_hurry_transition() };
}

/// The time, in milliseconds, by a clock that is never set.
pub(crate) fn now() -> u64 {
    // SAFETY: No requirements.
    let now = unsafe { bindings::ktime_get() };
    u64::try_from(now).unwrap_or(0) / 1_000_000
}

/// Waits until every CPU has left the sections without preemption that it was in, even where RCU
/// is not watching. Sleeps.
pub(crate) fn synchronize() {
    // SAFETY: Process context.
    unsafe { bindings::klp_synchronize_transition() };
}

/// Waits until every task that was ready to run has gone to sleep or to user space of its own
/// accord: RCU tasks. Sleeps.
pub(crate) fn wait_for_runnable_tasks() {
    // SAFETY: Process context.
    unsafe { bindings::klp_synchronize_runnable_tasks() };
}

/// Calls `text::work()` in about that many milliseconds, and at no other time.
pub(crate) fn let_go_later(delay: u32) {
    // SAFETY: No requirements.
    unsafe { bindings::klp_let_go_later(delay) };
}

/// Calls `core::free_finish()` with the patch, from a work item.
pub(crate) fn queue_free(patch: &Patch) {
    // SAFETY: The work was initialized with the patch, which lives until it has run.
    unsafe { bindings::klp_queue_free_work(patch.as_ptr()) };
}

/// Tells the log, at debug level, how far the transition of the patch called `name` is.
pub(crate) fn debug_transition(event: bindings::klp_debug_event, name: &CStr, patching: bool) {
    // SAFETY: `name` is a string.
    unsafe { bindings::klp_debug_transition(event, name.as_char_ptr(), patching) };
}

/// Prints to the log, with the prefix that live patching has always had.
///
/// The `pr_*!` macros of the `kernel` crate would print `rust_kernel`.
pub(crate) fn print(level: &'static [u8; print::format_strings::LENGTH], args: fmt::Arguments<'_>) {
    // SAFETY: The macros below pass one of the format strings, and the prefix ends with a nul.
    unsafe { print::call_printk(level, b"livepatch\0", args) };
}

/// A string for messages, as it is.
///
/// `CStr` itself shows what is not printable ASCII escaped, which `%s` does not do. What is not
/// UTF-8 has to stay escaped: Rust's formatting takes no other bytes.
pub(crate) struct Text<'a>(pub(crate) &'a CStr);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.to_bytes().utf8_chunks() {
            f.write_str(chunk.valid())?;
            for byte in chunk.invalid() {
                f.write_fmt(fmt!("\\x{byte:02x}"))?;
            }
        }
        Ok(())
    }
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

/// Warns with a backtrace if the condition is true; evaluates to the condition.
///
/// As [`crate::warn_on`], for code that denies `unsafe`.
macro_rules! warn_on {
    ($condition:expr) => {{
        let condition: bool = $condition;
        #[allow(unsafe_code, reason = "the kernel's macro has none that is unsound")]
        let _ = $crate::warn_on!(condition);
        condition
    }};
}
pub(crate) use warn_on;

/// Warns with a backtrace, the first time that the condition is true; evaluates to the condition.
macro_rules! warn_on_once {
    ($condition:expr) => {{
        static WARNED: $crate::sync::atomic::Atomic<i32> = $crate::sync::atomic::Atomic::new(0);
        let condition: bool = $condition;
        if condition && WARNED.xchg(1, $crate::sync::atomic::Relaxed) == 0 {
            $crate::livepatch::host::warn_on!(true);
        }
        condition
    }};
}
pub(crate) use warn_on_once;
