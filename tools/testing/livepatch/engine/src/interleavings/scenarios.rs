// SPDX-License-Identifier: GPL-2.0

//! Scenarios: a transition runs while tasks call functions, sleep, leave the kernel and fork.
//!
//! Each scenario begins with every task asleep, and ends when all tasks sleep again and the
//! transition is over. The machine's size gives the number of tasks.

pub(super) use super::departures::*;

use super::spawn;
use crate::{
    machine::{
        driver,
        life::Life,
        transition::Transition,
        Machine, //
    },
    model::{
        Host,
        TaskHost,
        TaskState, //
    }, //
};
use loom::thread::JoinHandle;
use std::sync::Arc;

/// A transition and the lives of tasks on a machine.
pub(super) type Scenario = fn(&Arc<Machine>);

/// Calls both functions, leaves the kernel, comes back and calls them again.
fn visit_twice(task: &mut Life) {
    task.call(0);
    task.call(1);
    task.leave_kernel();
    task.call(0);
    task.call(1);
}

/// Leaves the kernel, comes back and calls both functions.
fn leave_and_call(task: &mut Life) {
    task.leave_kernel();
    task.call(0);
    task.call(1);
}

/// Leaves the kernel twice, so that it can switch and switch back, and calls both functions.
fn leave_twice(task: &mut Life) {
    task.leave_kernel();
    task.leave_kernel();
    task.call(0);
    task.call(1);
}

/// Leaves the kernel.
fn leave(task: &mut Life) {
    task.leave_kernel();
}

/// Calls both functions.
fn call_both(task: &mut Life) {
    task.call(0);
    task.call(1);
}

/// Sleeps inside one function, and then calls the other.
fn sleep_inside(task: &mut Life) {
    task.inside(0, |task| {
        task.sleep();
        task.call(1);
    });
}

/// Calls `schedule()`, and then both functions.
fn schedule(task: &mut Life) {
    task.schedule();
    task.call(0);
    task.call(1);
}

/// Calls `schedule()` inside one function, and then the other.
fn schedule_inside(task: &mut Life) {
    task.inside(0, |task| {
        task.schedule();
        task.call(1);
    });
}

/// Forks. The child, on its way out of the kernel, calls both functions; so does the parent.
fn fork(task: &mut Life) {
    let child = task.fork(1);
    let child = child.spawn(call_both);
    call_both(task);
    child.join().unwrap();
}

/// Leaves the kernel, and then forks.
fn leave_and_fork(task: &mut Life) {
    task.leave_kernel();
    fork(task);
}

/// Runs `body` and the tasks at the same time: the first task on the first life, and so on.
fn meanwhile(machine: &Arc<Machine>, lives: &[fn(&mut Life)], body: impl FnOnce()) {
    let tasks: Vec<JoinHandle<()>> = (0..)
        .zip(lives)
        .map(|(task, life)| spawn(machine, task, *life))
        .collect();
    body();
    tasks.into_iter().for_each(|task| task.join().unwrap());
}

/// The steps of enabling in the wrong order: tasks are asked to switch first.
pub(super) fn start_before_pushing(machine: &Arc<Machine>) {
    let patch = Transition::new(machine, 0);
    let lives = vec![leave_and_call as fn(&mut Life); machine.task_count()];
    meanwhile(machine, &lives, || driver::start_before_pushing(&patch));
    end(machine, &patch);
}

/// The steps of enabling a second patch in the wrong order: functions still jump to those of the
/// first patch when tasks are asked to switch.
pub(super) fn start_before_handling(machine: &Arc<Machine>) {
    driver::settle(&Transition::new(machine, 0));
    let patch = Transition::new(machine, 1);
    let lives = vec![leave_and_call as fn(&mut Life); machine.task_count()];
    meanwhile(machine, &lives, || driver::start_before_handling(&patch));
    end(machine, &patch);
}

/// The steps of disabling in the wrong order: functions still jump when tasks are asked to switch.
pub(super) fn disable_before_handling(machine: &Arc<Machine>) {
    let patch = Transition::new(machine, 0);
    driver::settle(&patch);
    let lives = vec![leave_and_call as fn(&mut Life); machine.task_count()];
    meanwhile(machine, &lives, || driver::disable_before_handling(&patch));
    end(machine, &patch);
}

/// A module is loaded while a patch is being enabled.
pub(super) fn enable_and_come(machine: &Arc<Machine>) {
    let patch = Transition::new(machine, 0);
    let lives = vec![call_both as fn(&mut Life); machine.task_count()];
    meanwhile(machine, &lives, || {
        driver::enable(&patch);
        driver::come(&patch);
    });
    end(machine, &patch);
}

/// A module is loaded while a settled patch is being disabled.
pub(super) fn disable_and_come(machine: &Arc<Machine>) {
    let patch = Transition::new(machine, 0);
    driver::settle(&patch);
    let lives = vec![leave_and_call as fn(&mut Life); machine.task_count()];
    meanwhile(machine, &lives, || {
        driver::disable(&patch);
        driver::come(&patch);
    });
    end(machine, &patch);
}

/// Checks the end, when all tasks have gone to sleep: tasks that have to switch are asked to, the
/// transition completes, and then every task is idle.
pub(super) fn end(machine: &Arc<Machine>, patch: &Transition) {
    if patch.under_way() {
        let target = patch.tasks().target();
        let switched = |task| machine.final_state(task).0 == target;
        // A task that died without switching has not asked for a pass.
        let all = machine.listed().into_iter().all(switched) && !machine.books().exits;
        if all && !machine.books().hurried {
            machine.note(|| "all tasks have switched, and no pass is requested".into());
        }
        for task in machine.listed() {
            let (state, pending) = machine.final_state(task);
            if state != target && !pending {
                machine.note(|| format!("task {task} stays {state:?}, and is not asked to switch"));
            }
        }
    }
    driver::finish(patch);
    for task in machine.listed() {
        let end = machine.final_state(task);
        if end != (TaskState::Idle, false) {
            machine.note(|| format!("task {task} ends in {end:?}"));
        }
    }
}

/// Every task does `life` while a patch is being enabled.
fn enable(machine: &Arc<Machine>, life: fn(&mut Life)) {
    let patch = Transition::new(machine, 0);
    let lives = vec![life; machine.task_count()];
    meanwhile(machine, &lives, || driver::enable(&patch));
    end(machine, &patch);
}

/// Every task does `life` while a settled patch is being disabled.
fn disable(machine: &Arc<Machine>, life: fn(&mut Life)) {
    let patch = Transition::new(machine, 0);
    driver::settle(&patch);
    let lives = vec![life; machine.task_count()];
    meanwhile(machine, &lives, || driver::disable(&patch));
    end(machine, &patch);
}

/// One task calls both functions, the other leaves the kernel.
pub(super) fn enable_and_call_and_exit(machine: &Arc<Machine>) {
    let patch = Transition::new(machine, 0);
    meanwhile(machine, &[call_both, leave], || driver::enable(&patch));
    end(machine, &patch);
}

/// One task leaves the kernel and calls both functions, the other sleeps inside one.
pub(super) fn enable_and_exit_and_sleeper(machine: &Arc<Machine>) {
    let patch = Transition::new(machine, 0);
    let lives = [leave_and_call, sleep_inside];
    meanwhile(machine, &lives, || driver::enable(&patch));
    end(machine, &patch);
}

/// One task leaves the kernel and calls both functions, the other sleeps inside one.
pub(super) fn disable_and_exit_and_sleeper(machine: &Arc<Machine>) {
    let patch = Transition::new(machine, 0);
    driver::settle(&patch);
    let lives = [leave_and_call, sleep_inside];
    meanwhile(machine, &lives, || driver::disable(&patch));
    end(machine, &patch);
}

pub(super) fn enable_and_visits(machine: &Arc<Machine>) {
    enable(machine, visit_twice);
}

pub(super) fn enable_and_calls(machine: &Arc<Machine>) {
    enable(machine, call_both);
}

pub(super) fn enable_and_exits(machine: &Arc<Machine>) {
    enable(machine, leave_and_call);
}

pub(super) fn enable_and_sleepers(machine: &Arc<Machine>) {
    enable(machine, sleep_inside);
}

pub(super) fn enable_and_schedulers(machine: &Arc<Machine>) {
    enable(machine, schedule);
}

pub(super) fn enable_and_inner_schedulers(machine: &Arc<Machine>) {
    enable(machine, schedule_inside);
}

pub(super) fn disable_and_inner_schedulers(machine: &Arc<Machine>) {
    disable(machine, schedule_inside);
}

pub(super) fn disable_and_visits(machine: &Arc<Machine>) {
    disable(machine, visit_twice);
}

pub(super) fn disable_and_calls(machine: &Arc<Machine>) {
    disable(machine, call_both);
}

pub(super) fn disable_and_exits(machine: &Arc<Machine>) {
    disable(machine, leave_and_call);
}

pub(super) fn disable_and_sleepers(machine: &Arc<Machine>) {
    disable(machine, sleep_inside);
}

pub(super) fn disable_and_schedulers(machine: &Arc<Machine>) {
    disable(machine, schedule);
}

/// The transition of a patch that is being enabled is reversed.
fn reverse_enable(machine: &Arc<Machine>, life: fn(&mut Life)) {
    let patch = Transition::new(machine, 0);
    driver::start_enabling(&patch);
    let lives = vec![life; machine.task_count()];
    meanwhile(machine, &lives, || driver::reverse(&patch));
    end(machine, &patch);
}

/// The transition of a patch that is being disabled is reversed.
fn reverse_disable(machine: &Arc<Machine>, life: fn(&mut Life)) {
    let patch = Transition::new(machine, 0);
    driver::settle(&patch);
    driver::start_disabling(&patch);
    let lives = vec![life; machine.task_count()];
    meanwhile(machine, &lives, || driver::reverse(&patch));
    end(machine, &patch);
}

pub(super) fn reverse_enable_and_exits(machine: &Arc<Machine>) {
    reverse_enable(machine, leave_and_call);
}

pub(super) fn reverse_enable_and_double_exits(machine: &Arc<Machine>) {
    reverse_enable(machine, leave_twice);
}

pub(super) fn reverse_disable_and_double_exits(machine: &Arc<Machine>) {
    reverse_disable(machine, leave_twice);
}

pub(super) fn reverse_enable_and_visits(machine: &Arc<Machine>) {
    reverse_enable(machine, visit_twice);
}

pub(super) fn reverse_enable_and_schedulers(machine: &Arc<Machine>) {
    reverse_enable(machine, schedule);
}

pub(super) fn reverse_disable_and_visits(machine: &Arc<Machine>) {
    reverse_disable(machine, visit_twice);
}

pub(super) fn reverse_disable_and_schedulers(machine: &Arc<Machine>) {
    reverse_disable(machine, schedule);
}

/// The transition of a patch that is being enabled is reversed twice.
pub(super) fn reverse_twice_and_exits(machine: &Arc<Machine>) {
    let patch = Transition::new(machine, 0);
    driver::start_enabling(&patch);
    let lives = vec![leave_and_call as fn(&mut Life); machine.task_count()];
    meanwhile(machine, &lives, || {
        driver::reverse(&patch);
        driver::reverse(&patch);
    });
    end(machine, &patch);
}

/// Enabling fails when the funcs are already on their stacks.
pub(super) fn cancel_and_calls(machine: &Arc<Machine>) {
    let patch = Transition::new(machine, 0);
    let lives = vec![call_both as fn(&mut Life); machine.task_count()];
    meanwhile(machine, &lives, || driver::fail_to_enable(&patch));
    end(machine, &patch);
}

/// A second patch of the same functions is enabled.
fn stack_second(machine: &Arc<Machine>, life: fn(&mut Life), replaces: bool) {
    driver::settle(&Transition::new(machine, 0));
    machine.books().replaces = replaces;
    let patch = Transition::new(machine, 1);
    let lives = vec![life; machine.task_count()];
    meanwhile(machine, &lives, || driver::enable(&patch));
    end(machine, &patch);
}

pub(super) fn stack_and_visits(machine: &Arc<Machine>) {
    stack_second(machine, visit_twice, false);
}

pub(super) fn replace_and_sleepers(machine: &Arc<Machine>) {
    stack_second(machine, sleep_inside, true);
}

pub(super) fn replace_and_visits(machine: &Arc<Machine>) {
    stack_second(machine, visit_twice, true);
}

/// A patch that has only nops replaces another patch.
pub(super) fn replace_by_nops_and_exits(machine: &Arc<Machine>) {
    for func in machine.stacks.of_patch(1) {
        machine.stacks.make_nop(func);
    }
    stack_second(machine, leave_and_call, true);
}

pub(super) fn enable_and_fork(machine: &Arc<Machine>) {
    let patch = Transition::new(machine, 0);
    meanwhile(machine, &[fork], || driver::enable(&patch));
    end(machine, &patch);
}

pub(super) fn enable_and_exit_and_fork(machine: &Arc<Machine>) {
    let patch = Transition::new(machine, 0);
    meanwhile(machine, &[leave_and_fork], || driver::enable(&patch));
    end(machine, &patch);
}

pub(super) fn disable_and_fork(machine: &Arc<Machine>) {
    let patch = Transition::new(machine, 0);
    driver::settle(&patch);
    meanwhile(machine, &[fork], || driver::disable(&patch));
    end(machine, &patch);
}

pub(super) fn reverse_and_exit_and_fork(machine: &Arc<Machine>) {
    let patch = Transition::new(machine, 0);
    driver::start_enabling(&patch);
    meanwhile(machine, &[leave_and_fork], || driver::reverse(&patch));
    end(machine, &patch);
}
