// SPDX-License-Identifier: GPL-2.0

//! The operations on a patch: by its module, by the administrator, by the work item.

use super::{
    text::Work,
    transition::Transition,
    Machine, //
};
use crate::model::{
    enable,
    modules,
    patch::{
        patch_object,
        Circumstance, //
    },
    settle,
    text,
    transition,
    Host,
    PatchHost,
    TaskState, //
};
use std::sync::Arc;

/// Loads the module, which enables the patch.
pub(crate) fn enable(host: &Transition) {
    enable::enable(host, host.patch).expect("nothing fails");
}

/// Loads the module. Enabling fails when the funcs are already on their stacks.
pub(crate) fn fail_to_enable(host: &Transition) {
    let machine = &host.tasks().machine;
    machine.books().no_index = true;
    machine.books().given_up = true;
    enable::enable(host, host.patch).expect_err("there is no memory");
}

/// Does the steps of [`enable`] that precede its first pass over the tasks, except for
/// `settle::handle()`.
pub(crate) fn start_enabling(host: &Transition) {
    host.add_patch(host.patch);
    transition::init(host, host.patch, TaskState::Patched);
    push_funcs(host);
    transition::start(host, host.patch);
    host.set_enabled(host.patch, true);
}

/// Enables the patch in the wrong order: tasks are asked to switch before the funcs are on their
/// stacks.
pub(crate) fn start_before_pushing(host: &Transition) {
    host.add_patch(host.patch);
    transition::init(host, host.patch, TaskState::Patched);
    transition::start(host, host.patch);
    push_funcs(host);
    host.set_enabled(host.patch, true);
    enable::try_complete(host, host.patch);
}

/// Enables another patch of the same functions in the wrong order: the functions still jump when
/// tasks are asked to switch.
pub(crate) fn start_before_handling(host: &Transition) {
    start_enabling(host);
    settle::handle(host, host.patch).expect("nothing fails");
    enable::try_complete(host, host.patch);
}

/// Disables the patch in the wrong order: the functions still jump when tasks are asked to switch.
pub(crate) fn disable_before_handling(host: &Transition) {
    host.publish_index(host.patch).expect("nothing fails");
    transition::init(host, host.patch, TaskState::Unpatched);
    transition::start(host, host.patch);
    settle::handle(host, host.patch).expect("nothing fails");
    host.set_enabled(host.patch, false);
    enable::try_complete(host, host.patch);
}

/// Loads a module that no patch changes. The rules then settle the func stacks, unless a patch is
/// in transition.
pub(crate) fn come(host: &Transition) {
    modules::coming(host, ()).expect("nothing fails");
}

fn push_funcs(host: &Transition) {
    host.write_barrier();
    patch_object(host, host.patch, Circumstance::InTransition).expect("nothing fails");
    host.publish_index(host.patch).expect("nothing fails");
}

/// The administrator disables the patch.
pub(crate) fn disable(host: &Transition) {
    enable::set_enabled(host, host.patch, false).expect("nothing fails");
}

/// The administrator disables the patch, and forces the transition if it does not end at once.
pub(crate) fn disable_by_force(host: &Transition) {
    disable(host);
    if host.under_way() {
        enable::force(host, host.patch).expect("nothing fails");
        enable::try_complete(host, host.patch);
    }
}

/// The work item lets go of the modules of departing patches, and returns whether some are left.
pub(crate) fn let_go(machine: &Arc<Machine>) -> bool {
    text::let_go(&Work::new(machine))
}

/// Does the steps of [`disable`] that precede its first pass over the tasks.
pub(crate) fn start_disabling(host: &Transition) {
    settle::handle(host, host.patch).expect("nothing fails");
    host.publish_index(host.patch).expect("nothing fails");
    transition::init(host, host.patch, TaskState::Unpatched);
    transition::start(host, host.patch);
    host.set_enabled(host.patch, false);
}

/// The administrator reverses the transition of the patch, and then the work item runs.
pub(crate) fn reverse(host: &Transition) {
    if host.under_way() {
        let enabled = host.enabled(host.patch);
        enable::set_enabled(host, host.patch, !enabled).expect("nothing fails");
        enable::try_complete(host, host.patch);
    }
}

/// Enables a patch and completes its transition, before the tasks begin to run.
pub(crate) fn settle(host: &Transition) {
    enable(host);
    assert!(!host.under_way(), "a task that sleeps does not switch");
}

/// Tries for the last time to complete the transition. Every task sleeps outside of all functions,
/// and so all switch.
pub(crate) fn finish(host: &Transition) {
    let machine = &host.tasks().machine;
    if host.under_way() {
        enable::try_complete(host, host.patch);
    }
    if host.under_way() {
        machine.note(|| "the transition does not complete".into());
    }
}
