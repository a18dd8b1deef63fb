// SPDX-License-Identifier: GPL-2.0-or-later

//! Which function a call of a patched function reaches.
//!
//! Everything here runs in the ftrace handler, on any CPU, in any context, while funcs are pushed
//! and removed: it takes no lock and calls nothing that can be traced.

use super::TaskState;

/// One func stack and the calling task, as the ftrace handler sees them.
///
/// Every method is one load that may race with a store of the side that holds `klp_mutex`.
pub(crate) trait Stack {
    /// A func on the stack.
    type Func: Copy;

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

/// The func whose code the call must run, or `None` for the original function.
#[inline(always)]
pub(crate) fn redirect<S: Stack>(stack: &S) -> Option<S::Func> {
    // Empty between the removal of the last func and the end of the ftrace update, and only after
    // every task has gone back to the original function.
    let top = stack.top()?;

    // Orders the load of the top before the load of its `transition`: a func that is seen on the
    // stack is seen to be in transition. Pairs with the write barrier in `enable::begin()`.
    // On the way down, where funcs are on the stack already, what orders is the task's own switch:
    // see `transition::update()` and the write barrier in `transition::start()`.
    stack.read_barrier();

    let func = if stack.in_transition(top) {
        // Orders the load of `transition` before the loads of the task's state and of the target: a
        // task is never seen idle by a func in transition. Pairs with the write barrier in
        // `transition::init()`.
        stack.read_barrier();

        let state = match stack.task_state() {
            // Only a task in its last `__schedule()` is idle: it has been in no transition, and
            // goes on with the functions from before this one.
            TaskState::Idle => stack.target_of_idle().opposite(),
            state => state,
        };
        match state {
            TaskState::Unpatched => stack.below(top)?,
            TaskState::Patched | TaskState::Idle => top,
        }
    } else {
        top
    };

    // Jumping to the original function would come back here for ever: let it run instead.
    if stack.is_nop(func) {
        None
    } else {
        Some(func)
    }
}
