// SPDX-License-Identifier: GPL-2.0-or-later

//! Which function a call of a patched function reaches.
//!
//! Everything here runs in the ftrace handler, on any CPU, in any context, while funcs are pushed
//! and removed: it takes no lock and calls nothing that can be traced.

use super::TaskState;

/// One func stack and the calling task, as the ftrace handler sees them.
///
/// Every method is one load that may race with a store of the side that holds `klp_mutex`.
pub(crate) trait Stack: Copy {
    /// A func on the stack.
    type Func: Copy;
    /// Where a call can go on.
    type Target;

    /// Where all calls go on, if the stack is settled.
    fn settled(&self) -> Option<Self::Target>;
    /// Where calls go on that a func redirects, unless it has no such place.
    fn target(&self, func: Self::Func) -> Option<Self::Target>;
    /// The func that was pushed last.
    fn top(&self) -> Option<Self::Func>;
    /// The func that was pushed before `func`. Works for a func that has just been removed.
    fn below(&self, func: Self::Func) -> Option<Self::Func>;
    /// The func's `transition`.
    fn in_transition(&self, func: Self::Func) -> bool;
    /// Whether the func stands for the original function.
    fn is_nop(&self, func: Self::Func) -> bool;
    /// The calling task's state.
    fn task_state(&self) -> TaskState;
    /// `smp_rmb()`.
    fn read_barrier(&self);
    /// The calling task is idle in the middle of a transition. Returns the transition's target,
    /// and warns once, unless the task is one that no walk over the tasks finds any more.
    fn target_of_idle(&self) -> TaskState;
}

/// Where the call must go on, or `None` for the original function.
#[inline(always)]
pub(crate) fn redirect<S: Stack>(stack: S) -> Option<S::Target> {
    // A task that has switched sees that the stack is not settled any more: its switch orders this
    // load after the store in `settle::handle()`, see `transition::update()` and the write barrier
    // in `transition::start()`. A task that has not switched may see the old target. That is where
    // its calls go on until it does.
    match stack.settled() {
        Some(target) => Some(target),
        None => decide(stack),
    }
}

/// The same for a stack that is not settled. Not inlined, so that a call of a settled function
/// pays nothing for it.
#[inline(never)]
fn decide<S: Stack>(stack: S) -> Option<S::Target> {
    // Empty between the removal of the last func and the end of the ftrace update, and only after
    // every task has gone back to the original function.
    let top = stack.top()?;

    // Orders the load of the top before the load of its `transition`: a func that is seen on the
    // stack is seen to be in transition. Pairs with the write barrier in `enable::begin()`.
    // On the way down, where funcs are on the stack already, what orders is the task's own switch:
    // see `transition::update()` and the write barrier in `transition::start()`.
    stack.read_barrier();

    if !stack.in_transition(top) {
        return target(stack, top);
    }

    // Orders the load of `transition` before the loads of the task's state and of the target: a
    // task is never seen idle by a func in transition. Pairs with the write barrier in
    // `transition::init()`.
    stack.read_barrier();

    match stack.task_state() {
        TaskState::Unpatched => target(stack, stack.below(top)?),
        TaskState::Patched => target(stack, top),
        TaskState::Idle => decide_for_idle(stack, top),
    }
}

/// The same for a task that is idle while the func on top is in transition.
///
/// Only a task in its last `__schedule()` is: it has been in no transition, and goes on with the
/// functions from before this one.
#[cold]
#[inline(never)]
fn decide_for_idle<S: Stack>(stack: S, top: S::Func) -> Option<S::Target> {
    match stack.target_of_idle().opposite() {
        TaskState::Unpatched => target(stack, stack.below(top)?),
        TaskState::Patched | TaskState::Idle => target(stack, top),
    }
}

/// Where a call goes on that a func redirects.
#[inline(always)]
fn target<S: Stack>(stack: S, func: S::Func) -> Option<S::Target> {
    // Jumping to the original function would come back here for ever: let it run instead.
    if stack.is_nop(func) {
        None
    } else {
        stack.target(func)
    }
}
