// SPDX-License-Identifier: GPL-2.0

//! The rules for functions that jump break with one step less, or in the wrong order.
//!
//! `settle::handle()` clears the word that tells handlers the target of all calls, writes the call
//! site, and waits until every CPU executes the new instruction. Only then may a transition begin.

use super::*;
use crate::machine::{
    faults::{
        without,
        Fault::UnawaitedCalls, //
    },
    SMALL, //
};
use scenarios::*;

const JUMPING: Size = Size {
    tasks: 1,
    settles: true,
    jumps: true,
    ..SMALL
};

const MIX: &str = "mixes functions";
const GONE: &str = "runs freed text";
const LATE: &str = "comes after the last callback";

const UNCLEARED_WORD: Fault = without("unsettle", "set_settled", 0);
const UNWRITTEN_SITE: Fault = without("handle", "follow_settled", 0);

/// Asserts that a history with one task has the violation.
#[track_caller]
fn one(faults: &[Fault], scenario: Scenario, violation: &'static str) {
    breaks(Depth::Preemptions(3), JUMPING, faults, scenario, violation);
}

#[test]
fn without_clearing_the_word_a_task_that_has_switched_mixes_functions() {
    one(&[UNCLEARED_WORD], stack_and_visits, MIX);
    one(&[UNCLEARED_WORD], disable_and_exits, MIX);
}

#[test]
fn without_clearing_the_word_a_task_comes_after_the_last_callback() {
    one(&[UNCLEARED_WORD], disable_and_short_arrivals, LATE);
}

#[test]
fn without_writing_the_call_site_a_task_that_has_switched_mixes_functions() {
    one(&[UNWRITTEN_SITE], stack_and_visits, MIX);
    one(&[UNWRITTEN_SITE], disable_and_exits, MIX);
}

#[test]
fn without_writing_the_call_site_a_task_comes_after_the_last_callback() {
    one(&[UNWRITTEN_SITE], disable_and_short_arrivals, LATE);
}

#[test]
fn without_the_wait_for_all_cpus_a_task_that_has_switched_mixes_functions() {
    one(&[UnawaitedCalls], stack_and_visits, MIX);
    one(&[UnawaitedCalls], disable_and_exits, MIX);
}

#[test]
fn without_the_wait_for_all_cpus_a_task_comes_after_the_last_callback() {
    one(&[UnawaitedCalls], disable_and_short_arrivals, LATE);
}

#[test]
fn without_the_wait_for_all_cpus_a_task_jumps_into_freed_text() {
    one(&[UnawaitedCalls], disable_and_arrivals, GONE);
}

#[test]
fn a_function_that_is_handled_after_the_start_mixes_functions() {
    one(&[], start_before_handling, MIX);
    one(&[], disable_before_handling, MIX);
}

#[test]
fn a_function_that_settles_before_the_end_mixes_functions() {
    let early = without("settle", "transition_patch", 0);
    one(&[early], enable_and_come, MIX);
    one(&[early], disable_and_come, MIX);
}

#[test]
fn a_function_that_does_not_settle_is_handled() {
    let unsettled = [
        without("settle", "set_settled", 0),
        without("settle", "follow_settled", 0),
    ];
    for fault in unsettled {
        for scenario in [stack_and_visits, disable_and_exits] {
            holds(Depth::Preemptions(3), JUMPING, &[fault], scenario);
        }
    }
}
