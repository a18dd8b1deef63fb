// SPDX-License-Identifier: GPL-2.0

//! The rules as they are.

use super::*;
use crate::machine::SMALL;
use scenarios::*;

#[test]
fn probe() {
    let depth = match std::env::var("DEPTH") {
        Ok(d) => Depth::Preemptions(d.parse().unwrap()),
        _ => Depth::Unbounded,
    };
    let tasks = std::env::var("TASKS").unwrap().parse().unwrap();
    let unborn = std::env::var("UNBORN").map_or(0, |u| u.parse().unwrap());
    let s: Scenario = match std::env::var("S").unwrap().as_str() {
        "enable_and_visits" => enable_and_visits,
        "enable_and_calls" => enable_and_calls,
        "enable_and_exits" => enable_and_exits,
        "enable_and_sleepers" => enable_and_sleepers,
        "enable_and_schedulers" => enable_and_schedulers,
"enable_and_inner_schedulers" => enable_and_inner_schedulers,
"disable_and_inner_schedulers" => disable_and_inner_schedulers,
"reverse_enable_and_double_exits" => reverse_enable_and_double_exits,
"reverse_disable_and_double_exits" => reverse_disable_and_double_exits,
        "disable_and_visits" => disable_and_visits,
        "disable_and_calls" => disable_and_calls,
        "disable_and_exits" => disable_and_exits,
        "disable_and_sleepers" => disable_and_sleepers,
        "disable_and_schedulers" => disable_and_schedulers,
        "reverse_enable_and_exits" => reverse_enable_and_exits,
        "reverse_enable_and_visits" => reverse_enable_and_visits,
        "reverse_enable_and_schedulers" => reverse_enable_and_schedulers,
        "reverse_disable_and_exits" => reverse_disable_and_exits,
        "reverse_disable_and_visits" => reverse_disable_and_visits,
        "reverse_disable_and_schedulers" => reverse_disable_and_schedulers,
        "reverse_twice_and_exits" => reverse_twice_and_exits,
        "cancel_and_calls" => cancel_and_calls,
        "stack_and_exits" => stack_and_exits,
        "replace_and_visits" => replace_and_visits,
        "replace_and_exits" => replace_and_exits,
        "replace_and_sleepers" => replace_and_sleepers,
        "replace_by_nops_and_exits" => replace_by_nops_and_exits,
        "enable_and_fork" => enable_and_fork,
        "enable_and_exit_and_fork" => enable_and_exit_and_fork,
        "disable_and_fork" => disable_and_fork,
        "reverse_and_exit_and_fork" => reverse_and_exit_and_fork,
        _ => panic!(),
    };
    holds(
        depth,
        Size {
            tasks,
            unborn,
            patches: 2,
            ..SMALL
        },
        &[],
        s,
    );
}
