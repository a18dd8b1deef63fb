// SPDX-License-Identifier: GPL-2.0-or-later

//! The function that a call of a patched function reaches.
//!
//! Everything here runs in the ftrace handler, on any CPU, in any context, while funcs are pushed
//! and removed: it takes no lock and calls nothing that can be traced.

use super::TaskState;

/// One func stack and the calling task, as the ftrace handler sees them.
///
/// Every method is one load, which may race with a store by a holder of `klp_mutex`.
pub(crate) trait Stack: Copy {
    /// A func on the stack.
    type Func: Copy;
    /// A place where a call can go on.
    type Target;

    /// The place where all calls go on, if the stack is settled.
    fn settled(&self) -> Option<Self::Target>;
    /// The place where a call that `func` redirects goes on, if the func has one.
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
    /// Returns the transition's target if the calling task is idle in the middle of a transition.
    /// Warns once, unless no walk over the tasks finds the task any more.
    fn target_of_idle(&self) -> TaskState;
}

/// Returns the place where the call must go on, or `None` for the original function.
#[inline(always)]
pub(crate) fn redirect<S: Stack>(stack: S) -> Option<S::Target> {
    // A task that has switched sees that the stack is not settled any more: its switch orders this
    // load after the store in `settle::handle()`, see `transition::update()` and the write barrier
    // in `transition::start()`. A task that has not switched may see the old target, which is
    // right: its calls go on there until it switches.
    match stack.settled() {
        Some(target) => Some(target),
        None => decide(stack),
    }
}

/// The same for a stack that is not settled. Not inlined, so that a call of a settled function
/// pays nothing for it.
#[inline(never)]
fn decide<S: Stack>(stack: S) -> Option<S::Target> {
    // The stack is empty between the removal of the last func and the end of the ftrace update, and
    // only after every task has gone back to the original function.
    let top = stack.top()?;

    // Orders the load of the top before the load of its `transition`: a func that is seen on the
    // stack is seen to be in transition. Pairs with the write barrier in `enable::begin()`. When
    // unpatching, the funcs are on the stack already, and the task's own switch orders the loads:
    // see `transition::update()` and the write barrier in `transition::start()`.
    stack.read_barrier();

    if !stack.in_transition(top) {
        return target(stack, top);
    }

    // Orders the load of `transition` before the loads of the task's state and of the target. A
    // handler that sees the func in transition finds only a task in its last `__schedule()` in the
    // idle state, and sees the target of this transition then. Pairs with the write barrier in
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
/// Only a task in its last `__schedule()` is idle then. It is in no transition, and goes on with
/// the functions from before this one.
#[cold]
#[inline(never)]
fn decide_for_idle<S: Stack>(stack: S, top: S::Func) -> Option<S::Target> {
    match stack.target_of_idle().opposite() {
        TaskState::Unpatched => target(stack, stack.below(top)?),
        TaskState::Patched | TaskState::Idle => target(stack, top),
    }
}

/// The place where a call that `func` redirects goes on.
#[inline(always)]
fn target<S: Stack>(stack: S, func: S::Func) -> Option<S::Target> {
    // A jump to the original function would come back here for ever. Let the call go on instead.
    if stack.is_nop(func) {
        None
    } else {
        stack.target(func)
    }
}
