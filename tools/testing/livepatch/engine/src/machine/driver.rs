// SPDX-License-Identifier: GPL-2.0

//! What the core does around the rules: the order of its steps, and its barriers.

use super::transition::Transition;
use crate::livepatch::model::{
    transition,
    Host,
    TaskState, //
};

/// `core::enable()` up to the first attempt.
pub(crate) fn start_enabling(patch: &Transition) {
    begin(patch);
    transition::init(patch, TaskState::Patched);
    patch.write_barrier();
    patch.push_funcs();
    transition::start(patch);
    patch.set_enabled(true);
}

/// `core::enable()`.
pub(crate) fn enable(patch: &Transition) {
    start_enabling(patch);
    transition::try_complete(patch);
}

/// What `core::enable()` must not do.
pub(crate) fn start_before_pushing(patch: &Transition) {
    begin(patch);
    transition::init(patch, TaskState::Patched);
    transition::start(patch);
    patch.write_barrier();
    patch.push_funcs();
    patch.set_enabled(true);
    transition::try_complete(patch);
}

/// `core::enable()` where patching an object fails.
pub(crate) fn fail_to_enable(patch: &Transition) {
    begin(patch);
    transition::init(patch, TaskState::Patched);
    patch.write_barrier();
    patch.push_funcs();
    transition::cancel(patch);
}

/// `core::disable()` up to the first attempt.
pub(crate) fn start_disabling(patch: &Transition) {
    begin(patch);
    transition::init(patch, TaskState::Unpatched);
    transition::start(patch);
    patch.set_enabled(false);
}

/// `core::disable()`.
pub(crate) fn disable(patch: &Transition) {
    start_disabling(patch);
    transition::try_complete(patch);
}

/// A patch's file `enabled` is written while the patch is in transition, then the work runs.
pub(crate) fn reverse(patch: &Transition) {
    if patch.under_way() {
        transition::reverse(patch);
        transition::try_complete(patch);
    }
}

/// Makes a patch enabled and settled, before the tasks begin to run.
pub(crate) fn settle(patch: &Transition) {
    enable(patch);
    assert!(!patch.under_way(), "a task that sleeps does not switch");
}

/// The last attempt: every task sleeps outside of all functions, and so all switch.
pub(crate) fn finish(patch: &Transition) {
    let machine = &patch.tasks().machine;
    if patch.under_way() {
        transition::try_complete(patch);
    }
    if patch.under_way() {
        machine.note(|| "the transition does not complete".into());
    }
}

/// The patch is the one in transition from now on.
pub(crate) fn begin(patch: &Transition) {
    let before = patch
        .tasks()
        .machine
        .books()
        .transition
        .replace(patch.patch);
    assert_eq!(before, None, "a patch is in transition");
}
