// SPDX-License-Identifier: GPL-2.0-or-later

//! The tracepoints.
//!
//! `include/trace/events/livepatch.h` describes them. A tracepoint without users is an instruction
//! that does nothing. The ftrace handler has no tracepoints.

#![allow(
    clippy::macro_metavars_in_unsafe,
    reason = "`declare_trace!` puts only the names of arguments into its unsafe block"
)]

use crate::{
    edge::{
        abi::{
            FuncName,
            Patch, //
        },
        tasks::TaskRef, //
    },
    model::{
        Blocker,
        Tally,
        TaskState,
        Way, //
    }, //
};
use core::ptr;
use kernel::{
    bindings,
    ffi::{
        c_char,
        c_int, //
    },
    jump_label::static_branch_unlikely,
    tracepoint::declare_trace, //
};

declare_trace! {
    /// # Safety
    ///
    /// `patch` points to a patch that lives, and so does its module.
    unsafe fn klp_patch_enable(patch: *const bindings::klp_patch);

    /// # Safety
    ///
    /// As [`klp_patch_enable`].
    unsafe fn klp_patch_disable(patch: *const bindings::klp_patch);

    /// # Safety
    ///
    /// As [`klp_patch_enable`], both.
    unsafe fn klp_patch_replace(patch: *const bindings::klp_patch, by: *const bindings::klp_patch);

    /// # Safety
    ///
    /// `task` points to a task that lives.
    unsafe fn klp_task_switched(
        task: *const bindings::task_struct,
        target: c_int,
        way: bindings::klp_switch_way,
    );

    /// # Safety
    ///
    /// `task` points to a task that lives, and `func` is null or a string.
    unsafe fn klp_task_blocked(
        task: *const bindings::task_struct,
        target: c_int,
        reason: bindings::klp_block_reason,
        func: *const c_char,
        err: c_int,
    );
}

/// A patch becomes enabled.
pub(crate) fn enabled(patch: &Patch) {
    // SAFETY: The pointer is to a patch that lives, by the invariants of `Patch`.
    unsafe { klp_patch_enable(patch.as_ptr()) };
}

/// A patch becomes disabled.
pub(crate) fn disabled(patch: &Patch) {
    // SAFETY: The pointer is to a patch that lives, by the invariants of `Patch`.
    unsafe { klp_patch_disable(patch.as_ptr()) };
}

/// A patch becomes disabled because the patch `by` has replaced it.
pub(crate) fn replaced(patch: &Patch, by: &Patch) {
    // SAFETY: Both pointers are to patches that live, by the invariants of `Patch`.
    unsafe { klp_patch_replace(patch.as_ptr(), by.as_ptr()) };
}

/// A task has switched to `state`.
pub(crate) fn switched(task: TaskRef<'_>, state: TaskState, way: Way) {
    let way = match way {
        Way::StackCheck => bindings::klp_switch_way_KLP_WAY_STACK_CHECK,
        Way::Schedule => bindings::klp_switch_way_KLP_WAY_SCHEDULE,
        Way::KernelExit => bindings::klp_switch_way_KLP_WAY_KERNEL_EXIT,
        Way::IdleLoop => bindings::klp_switch_way_KLP_WAY_IDLE_LOOP,
        Way::Offline => bindings::klp_switch_way_KLP_WAY_OFFLINE,
        Way::Fork => bindings::klp_switch_way_KLP_WAY_FORK,
        Way::Forced => bindings::klp_switch_way_KLP_WAY_FORCED,
    };
    // SAFETY: The pointer is to a task that lives, by the invariants of `TaskRef`.
    unsafe { klp_task_switched(task.as_ptr(), state as c_int, way) };
}

/// A task cannot switch to `target`.
pub(crate) fn blocked(task: TaskRef<'_>, target: TaskState, why: Blocker<FuncName>) {
    let reason = match why {
        Blocker::Running => bindings::klp_block_reason_KLP_REASON_RUNNING,
        Blocker::UnreliableStack => bindings::klp_block_reason_KLP_REASON_UNRELIABLE_STACK,
        Blocker::SleepsOn(_) => bindings::klp_block_reason_KLP_REASON_FUNCTION,
        Blocker::NoReliableStack => bindings::klp_block_reason_KLP_REASON_NO_RELIABLE_STACKS,
        Blocker::Other(_) => bindings::klp_block_reason_KLP_REASON_ERROR,
    };
    let (func, err) = match why {
        Blocker::SleepsOn(name) => (name.as_ptr(), 0),
        Blocker::Other(err) => (ptr::null(), err),
        _ => (ptr::null(), 0),
    };
    // SAFETY: The pointer is to a task that lives, by the invariants of `TaskRef`. `func` is null
    // or a string by those of `FuncName`.
    unsafe { klp_task_blocked(task.as_ptr(), target as c_int, reason, func, err) };
}

/// The tracepoints of transitions, which all have the same arguments.
///
/// `declare_trace!` does not serve here, because tasks are only counted for a tracepoint that is in
/// use.
macro_rules! transition_tracepoints {
    ($($(#[$doc:meta])* $name:ident: $tracepoint:ident, $call:ident;)*) => {
        $(
            $(#[$doc])*
            ///
            /// `facts` counts the tasks, and returns the milliseconds since the transition started.
            pub(crate) fn $name(
                patch: &Patch,
                target: TaskState,
                facts: impl FnOnce() -> (Tally, u64),
            ) {
                // SAFETY: `key` is a static key in a static tracepoint.
                if unsafe {
                    static_branch_unlikely!(bindings::$tracepoint, bindings::tracepoint, key)
                } {
                    let (Tally { waiting, tasks }, elapsed) = facts();
                    let (patch, target) = (patch.as_ptr(), target as c_int);
                    // SAFETY: `patch` points to a patch that lives, by the invariants of `Patch`.
                    unsafe { bindings::$call(patch, target, waiting, tasks, elapsed) };
                }
            }
        )*
    };
}

transition_tracepoints! {
    /// Tasks are about to be asked to switch.
    transition_start: __tracepoint_klp_transition_start, rust_do_trace_klp_transition_start;
    /// The target of a transition is about to change.
    transition_reverse: __tracepoint_klp_transition_reverse, rust_do_trace_klp_transition_reverse;
    /// All tasks are about to be switched by force.
    transition_force: __tracepoint_klp_transition_force, rust_do_trace_klp_transition_force;
    /// All tasks have switched.
    transition_complete:
        __tracepoint_klp_transition_complete, rust_do_trace_klp_transition_complete;
}
