// SPDX-License-Identifier: GPL-2.0

//! The rules break without one barrier, one wait or one step.
//!
//! Documentation/livepatch/rust-core-barriers.rst has the table of these tests.

use super::*;
use crate::machine::{
    faults::{
        without,
        Fault::{
            ForgottenExits,
            PreemptibleEnds,
            PreemptibleForks,
            RelaxedPublication,
            RelaxedTestAndClear,
            UnlockedWalks, //
        }, //
    },
    SMALL, //
};
use scenarios::*;

const ONE: Size = Size { tasks: 1, ..SMALL };
const PARENT: Size = Size {
    tasks: 1,
    unborn: 1,
    ..SMALL
};

const MIX: &str = "mixes functions";
const IDLE: &str = "is idle and meets a func in transition";
const STUCK: &str = "and is not asked to switch";
const FREED: &str = "which is freed";
const GONE: &str = "runs freed text";
const LATE: &str = "comes after the last callback";
const GIVEN_UP: &str = "which is given up";
const UNSEEN: &str = "no pass is requested";

/// Asserts that a history with one task has the violation.
#[track_caller]
fn one(faults: &[Fault], scenario: Scenario, violation: &'static str) {
    breaks(Depth::Preemptions(3), ONE, faults, scenario, violation);
}

/// Asserts the same as [`one`] for a task that forks.
#[track_caller]
fn parent(faults: &[Fault], scenario: Scenario, violation: &'static str) {
    breaks(Depth::Preemptions(3), PARENT, faults, scenario, violation);
}

const INIT_BARRIER: Fault = without("init", "write_barrier", 0);
const START_BARRIER: Fault = without("start", "write_barrier", 0);
const ENABLE_BARRIER: Fault = without("begin", "write_barrier", 0);
const FIRST_READ_BARRIER: Fault = without("decide", "read_barrier", 0);
const SECOND_READ_BARRIER: Fault = without("decide", "read_barrier", 1);
const SCHED_BARRIER: Fault = without("sched_switch", "read_barrier", 0);

const SETTLING: Size = Size {
    settles: true,
    ..ONE
};

#[test]
fn without_handling_a_task_that_has_switched_uses_a_freed_func() {
    breaks(
        Depth::Preemptions(3),
        SETTLING,
        &[without("unsettle", "set_settled", 0)],
        disable_and_exits,
        FREED,
    );
}

#[test]
fn without_handling_a_task_that_has_switched_mixes_functions() {
    breaks(
        Depth::Preemptions(3),
        SETTLING,
        &[without("unsettle", "set_settled", 0)],
        stack_and_visits,
        MIX,
    );
}

#[test]
fn without_the_barrier_in_start_a_task_switches_before_it_sees_that_a_function_is_handled() {
    breaks(
        Depth::Preemptions(3),
        SETTLING,
        &[START_BARRIER],
        stack_and_visits,
        MIX,
    );
}

#[test]
fn without_the_barrier_in_init_a_handler_meets_an_idle_task() {
    one(&[INIT_BARRIER], disable_and_calls, IDLE);
}

#[test]
fn without_the_barrier_in_start_a_task_switches_before_it_sees_the_new_funcs() {
    one(&[START_BARRIER], enable_and_exits, MIX);
}

#[test]
fn without_the_barrier_in_start_a_task_switches_before_it_sees_funcs_in_transition() {
    one(&[START_BARRIER], disable_and_exits, MIX);
}

#[test]
fn without_the_barrier_in_start_a_task_switches_to_the_old_target() {
    one(&[START_BARRIER], reverse_enable_and_double_exits, STUCK);
    one(&[START_BARRIER], reverse_disable_and_double_exits, STUCK);
}

#[test]
fn without_barriers_in_init_and_start_a_task_switches_to_idle() {
    one(&[INIT_BARRIER, START_BARRIER], disable_and_exits, IDLE);
}

#[test]
fn without_order_before_publication_a_func_is_found_before_its_transition() {
    one(&[ENABLE_BARRIER, RelaxedPublication], enable_and_calls, MIX);
}

#[test]
fn the_barrier_in_enable_and_publication_order_the_same() {
    for fault in [ENABLE_BARRIER, RelaxedPublication] {
        holds(Depth::Unbounded, ONE, &[fault], enable_and_visits);
    }
}

#[test]
fn without_the_first_read_barrier_a_func_is_found_before_its_transition() {
    one(&[FIRST_READ_BARRIER], enable_and_calls, MIX);
}

#[test]
fn without_the_second_read_barrier_a_handler_meets_an_idle_task() {
    one(&[SECOND_READ_BARRIER], disable_and_calls, IDLE);
}

#[test]
fn without_order_in_test_and_clear_a_task_switches_to_idle() {
    one(&[RelaxedTestAndClear], enable_and_exits, IDLE);
}

#[test]
fn without_order_in_test_and_clear_a_task_switches_to_the_old_target() {
    one(
        &[RelaxedTestAndClear],
        reverse_enable_and_double_exits,
        STUCK,
    );
}

#[test]
fn without_order_in_test_and_clear_a_task_switches_before_it_sees_the_new_funcs() {
    one(&[RelaxedTestAndClear], enable_and_exits, MIX);
}

#[test]
fn without_the_barrier_in_sched_switch_a_task_switches_to_idle() {
    one(&[SCHED_BARRIER], disable_and_schedulers, IDLE);
}

#[test]
fn without_the_barrier_in_sched_switch_a_task_switches_before_it_sees_the_new_funcs() {
    one(&[SCHED_BARRIER], enable_and_schedulers, MIX);
}

#[test]
fn without_the_wait_after_unpatching_a_handler_takes_a_removed_func_for_settled() {
    one(&[without("complete", "reclaim", 0)], disable_and_calls, MIX);
}

#[test]
fn without_the_wait_after_unpatching_a_handler_meets_an_idle_task() {
    one(
        &[without("complete", "reclaim", 0)],
        disable_and_calls,
        IDLE,
    );
}

#[test]
fn without_the_wait_after_unpatching_a_handler_uses_freed_memory() {
    one(
        &[without("complete", "reclaim", 0)],
        disable_and_calls,
        FREED,
    );
}

#[test]
fn without_the_wait_after_patching_a_handler_meets_an_idle_task() {
    one(&[without("complete", "reclaim", 1)], enable_and_calls, IDLE);
}

#[test]
fn without_the_wait_after_patching_a_handler_uses_a_replaced_func() {
    one(
        &[without("complete", "reclaim", 1)],
        replace_by_nops_and_exits,
        FREED,
    );
}

#[test]
fn without_the_wait_in_reverse_a_task_switches_to_the_old_target() {
    one(
        &[without("reverse", "synchronize", 0)],
        reverse_enable_and_exits,
        STUCK,
    );
}

#[test]
fn without_the_wait_in_reverse_a_task_switches_after_it_was_taken_for_switched() {
    one(
        &[without("reverse", "synchronize", 0)],
        reverse_enable_and_exits,
        MIX,
    );
}

#[test]
fn without_the_wait_in_reverse_a_task_that_ends_calls_a_patch_that_is_given_up() {
    one(
        &[without("reverse", "synchronize", 0)],
        reverse_during_the_last_call,
        GIVEN_UP,
    );
}

#[test]
fn without_the_wait_in_cancel_a_task_that_ends_calls_a_patch_that_is_given_up() {
    one(
        &[without("cancel", "synchronize", 0)],
        cancel_during_the_last_call,
        GIVEN_UP,
    );
}

#[test]
fn without_clearing_flags_in_reverse_a_flag_is_left() {
    one(
        &[without("reverse", "set_pending", 0)],
        reverse_enable_and_exits,
        "expectation",
    );
}

#[test]
fn without_clearing_flags_in_reverse_a_task_switches_to_the_old_target() {
    one(
        &[without("reverse", "set_pending", 0)],
        reverse_enable_and_exits,
        STUCK,
    );
}

#[test]
fn without_clearing_its_flag_a_switched_task_keeps_it() {
    one(
        &[without("switch", "set_pending", 0)],
        enable_and_calls,
        "expectation",
    );
}

#[test]
fn without_the_parents_flag_a_child_keeps_an_old_one() {
    parent(
        &[without("fork", "set_pending", 0)],
        enable_and_fork,
        "expectation",
    );
}

#[test]
fn without_the_parents_state_a_child_stays_behind() {
    parent(
        &[without("fork", "set_state", 0)],
        enable_and_fork,
        "task 1 ends in (Unpatched",
    );
}

#[test]
fn without_the_parents_state_a_child_is_idle() {
    parent(&[without("fork", "set_state", 0)], enable_and_fork, IDLE);
}

#[test]
fn without_the_count_a_child_of_a_task_that_was_missed_stays_behind() {
    parent(
        &[without("tally", "for_each_task", 0)],
        enable_and_fork,
        "task 1 ends in",
    );
}

#[test]
fn without_the_lock_a_child_of_a_task_that_was_missed_stays_behind() {
    parent(&[UnlockedWalks], enable_and_fork, "task 1 ends in");
}

#[test]
fn with_preemption_in_a_fork_a_child_stays_behind() {
    parent(&[PreemptibleForks], enable_and_fork, STUCK);
}

#[test]
fn without_the_count_a_transition_ends_under_a_task() {
    for scenario in [enable_and_sleepers, disable_and_sleepers] {
        one(&[without("tally", "for_each_task", 0)], scenario, MIX);
    }
}

#[test]
fn without_a_look_at_the_cpu_a_task_that_has_gone_to_another_switches_while_it_runs() {
    breaks(
        Depth::Preemptions(3),
        Size {
            insists: true,
            ..ONE
        },
        &[without("switch_task", "runs_elsewhere", 0)],
        enable_and_calls,
        MIX,
    );
}

#[test]
fn without_a_look_at_the_stack_a_task_switches_inside_a_function() {
    one(
        &[without("switch_task", "check_stack", 0)],
        enable_and_sleepers,
        MIX,
    );
    one(
        &[without("switch_task", "check_stack", 0)],
        disable_and_sleepers,
        MIX,
    );
    one(
        &[without("switch_task", "check_stack", 0)],
        enable_and_inner_schedulers,
        MIX,
    );
}

#[test]
fn without_a_look_at_the_cpu_a_task_switches_while_it_runs() {
    one(
        &[without("switch_task", "runs_elsewhere", 0)],
        enable_and_calls,
        MIX,
    );
    one(
        &[without("switch_task", "runs_elsewhere", 0)],
        disable_and_calls,
        MIX,
    );
}

#[test]
fn a_task_that_is_asked_too_early_switches_before_there_are_new_funcs() {
    one(&[], start_before_pushing, MIX);
}

#[test]
fn without_asking_for_a_look_nobody_ends_the_transition() {
    one(
        &[without("switched_itself", "hurry", 0)],
        enable_and_exits,
        UNSEEN,
    );
    one(
        &[without("switched_itself", "hurry", 0)],
        enable_and_schedulers,
        UNSEEN,
    );
}

#[test]
fn without_the_wait_in_let_go_a_task_arrives_in_freed_text() {
    one(
        &[without("let_go", "wait_for_runnable_tasks", 0)],
        force_and_arrivals,
        GONE,
    );
}

#[test]
fn without_counting_before_the_wait_a_task_arrives_in_freed_text() {
    breaks(
        Depth::Preemptions(4),
        ONE,
        &[without("let_go", "count_departing", 0)],
        force_while_another_departs,
        GONE,
    );
}

#[test]
fn without_a_look_at_stacks_a_task_wakes_up_in_freed_text() {
    for scenario in [disable_and_helpers, replace_and_helpers, force_and_helpers] {
        one(&[without("look_at", "is_in_text", 0)], scenario, GONE);
    }
}

#[test]
fn without_a_look_at_the_cpu_a_task_runs_freed_text() {
    breaks(
        Depth::Preemptions(4),
        ONE,
        &[without("look_at", "runs_elsewhere", 0)],
        disable_and_helpers,
        GONE,
    );
}

#[test]
fn without_a_new_look_a_task_wakes_up_in_freed_text() {
    one(
        &[without("look_for", "begin_look", 0)],
        disable_two_and_helpers,
        GONE,
    );
}

#[test]
fn without_sight_of_exiting_tasks_one_wakes_up_in_freed_text() {
    one(&[ForgottenExits], disable_and_exits_of_tasks, GONE);
}

#[test]
fn without_sight_of_exiting_tasks_a_handler_meets_an_idle_one() {
    one(&[ForgottenExits], disable_and_exits_of_tasks, IDLE);
}

#[test]
fn with_preemption_at_its_end_a_task_runs_freed_text() {
    one(&[PreemptibleEnds], disable_and_ends_of_tasks, GONE);
}

#[test]
fn without_the_wait_in_leave_ftrace_a_task_comes_after_the_last_callback() {
    one(
        &[without("unpatch_objects", "leave_ftrace", 0)],
        force_and_short_arrivals,
        LATE,
    );
}
