// SPDX-License-Identifier: GPL-2.0

//! Scenarios in which modules of disabled or replaced patches are let go, while tasks are in their
//! text or on their way there.
//!
//! Each scenario begins with every task asleep outside of the text. It ends when all tasks sleep
//! outside again, or have ended. All of these modules are gone then, except in scenarios with names
//! in `_during_the_last_call`, which only end the transition.

use super::{
    scenarios::end,
    spawn_asleep, //
};
use crate::machine::{
    driver,
    life::Life,
    transition::Transition,
    Machine, //
};
use loom::{
    sync::Notify,
    thread::JoinHandle, //
};
use std::sync::Arc;

/// Sleeps in a function of the patch that the new function jumps to.
fn sleep_in_helper(task: &mut Life) {
    task.run(|task| {
        task.enter_handler(0);
        task.enter_function(0);
        task.jump();
    });
    task.run(Life::go_back);
}

/// Is preempted on its way to a function, and sleeps there.
fn arrive_and_sleep(task: &mut Life) {
    task.ready(|task| {
        task.on_cpu(|task| task.enter_handler(0));
        task.on_cpu(|task| task.enter_function(0));
    });
    task.run(Life::go_back);
}

/// Is preempted on its way to a function, and then runs through it.
fn arrive_and_return(task: &mut Life) {
    task.ready(|task| {
        task.on_cpu(|task| task.enter_handler(0));
        task.on_cpu(|task| {
            task.enter_function(0);
            task.go_back();
        });
    });
}

/// Exits. The task leaves the task list, sleeps in a function, leaves the list of exiting tasks,
/// and calls another function.
fn exit(task: &mut Life) {
    task.run(|task| {
        task.begin_exit();
        task.enter_handler(0);
        task.enter_function(0);
    });
    task.run(Life::go_back);
    task.on_cpu(|task| task.end_exit(1));
}

/// Leaves all lists, and then calls a function.
fn end_of_life(task: &mut Life) {
    task.run(Life::begin_exit);
    task.on_cpu(|task| task.end_exit(0));
}

/// Runs `life` in every task and `body` at the same time.
fn meanwhile(machine: &Arc<Machine>, life: fn(&mut Life), body: impl FnOnce()) {
    let tasks: Vec<JoinHandle<()>> = (0..machine.task_count())
        .map(|task| spawn_asleep(machine, task, life))
        .collect();
    body();
    tasks.into_iter().for_each(|task| task.join().unwrap());
}

/// Checks the end: all tasks sleep outside of the text, and a look at them lets all modules go.
fn end_all(machine: &Arc<Machine>, patch: &Transition, gone: usize) {
    end(machine, patch);
    if driver::let_go(machine) || !machine.texts.is_freed(gone) {
        machine.note(|| format!("the module of patch {gone} stays, and no task is in it"));
    }
}

/// A settled patch is disabled, and its module let go.
fn disable(machine: &Arc<Machine>, life: fn(&mut Life)) {
    let patch = Transition::new(machine, 0);
    driver::settle(&patch);
    meanwhile(machine, life, || {
        driver::disable(&patch);
        driver::let_go(machine);
    });
    end_all(machine, &patch, 0);
}

pub(super) fn disable_and_helpers(machine: &Arc<Machine>) {
    disable(machine, sleep_in_helper);
}

pub(super) fn disable_and_arrivals(machine: &Arc<Machine>) {
    disable(machine, arrive_and_sleep);
}

/// The functions leave ftrace before the post-unpatch callback.
pub(super) fn disable_and_short_arrivals(machine: &Arc<Machine>) {
    machine.books().leaves_ftrace = true;
    disable(machine, arrive_and_return);
}

pub(super) fn disable_and_exits_of_tasks(machine: &Arc<Machine>) {
    disable(machine, exit);
}

pub(super) fn disable_and_ends_of_tasks(machine: &Arc<Machine>) {
    disable(machine, end_of_life);
}

/// A settled patch is disabled by force, and its module let go.
fn force(machine: &Arc<Machine>, life: fn(&mut Life)) {
    let patch = Transition::new(machine, 0);
    driver::settle(&patch);
    meanwhile(machine, life, || {
        driver::disable_by_force(&patch);
        driver::let_go(machine);
    });
    end_all(machine, &patch, 0);
}

pub(super) fn force_and_helpers(machine: &Arc<Machine>) {
    force(machine, sleep_in_helper);
}

pub(super) fn force_and_arrivals(machine: &Arc<Machine>) {
    force(machine, arrive_and_sleep);
}

/// The functions leave ftrace before the post-unpatch callback.
pub(super) fn force_and_short_arrivals(machine: &Arc<Machine>) {
    machine.books().leaves_ftrace = true;
    force(machine, arrive_and_return);
}

/// Two patches of the same functions are disabled, the older one first.
pub(super) fn disable_two_and_helpers(machine: &Arc<Machine>) {
    let patches = [0, 1].map(|patch| Transition::new(machine, patch));
    patches.iter().for_each(driver::settle);
    meanwhile(machine, sleep_in_helper, || {
        driver::disable(&patches[0]);
        if !patches[0].under_way() {
            driver::disable(&patches[1]);
        }
        driver::let_go(machine);
    });
    let moving = machine.books().transition;
    end(machine, &patches[moving.unwrap_or(0)]);
    if machine.books().enabled[1] {
        driver::disable(&patches[1]);
    }
    end_all(machine, &patches[1], 1);
}

/// Runs `body` while the only task is in its last moments: it has left all lists before, and makes
/// its last call meanwhile. Loom does not find this order by itself.
fn during_the_last_call(machine: &Arc<Machine>, body: impl FnOnce()) {
    let ended = Arc::new(Notify::new());
    let task = loom::thread::spawn({
        let (machine, ended) = (machine.clone(), ended.clone());
        move || {
            let mut task = Life::asleep(&machine, 0);
            task.run(Life::begin_exit);
            let then = || {
                ended.notify();
                loom::thread::yield_now();
            };
            task.on_cpu(|task| task.end_exit_and(then, 0));
        }
    });
    while !machine.task(0).has_ended() {
        ended.wait();
    }
    body();
    task.join().unwrap();
}

/// Enabling fails when the funcs are already on their stacks.
pub(super) fn cancel_during_the_last_call(machine: &Arc<Machine>) {
    let patch = Transition::new(machine, 0);
    during_the_last_call(machine, || driver::fail_to_enable(&patch));
    end(machine, &patch);
}

/// The transition of a patch that is being enabled is reversed.
pub(super) fn reverse_during_the_last_call(machine: &Arc<Machine>) {
    let patch = Transition::new(machine, 0);
    machine.books().given_up = true;
    during_the_last_call(machine, || {
        driver::start_enabling(&patch);
        driver::reverse(&patch);
    });
    end(machine, &patch);
}

/// A settled patch is disabled.
pub(super) fn disable_during_the_last_call(machine: &Arc<Machine>) {
    let patch = Transition::new(machine, 0);
    driver::settle(&patch);
    during_the_last_call(machine, || driver::disable(&patch));
    end(machine, &patch);
}

/// A patch replaces another.
pub(super) fn replace_and_helpers(machine: &Arc<Machine>) {
    driver::settle(&Transition::new(machine, 0));
    machine.books().replaces = true;
    let patch = Transition::new(machine, 1);
    meanwhile(machine, sleep_in_helper, || {
        driver::enable(&patch);
        driver::let_go(machine);
    });
    end_all(machine, &patch, 0);
}

/// A patch is disabled by force while the work lets go of the module of another.
pub(super) fn force_while_another_departs(machine: &Arc<Machine>) {
    let patches = [0, 1].map(|patch| Transition::new(machine, patch));
    patches.iter().for_each(driver::settle);
    driver::disable(&patches[0]);
    meanwhile(machine, arrive_and_sleep, || {
        let work = machine.clone();
        let work = loom::thread::spawn(move || {
            driver::let_go(&work);
        });
        driver::disable_by_force(&patches[1]);
        work.join().unwrap();
    });
    end_all(machine, &patches[1], 1);
}
