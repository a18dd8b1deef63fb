// SPDX-License-Identifier: GPL-2.0

//! The names of tasks: a history numbers the threads, and after them the idle tasks.

use crate::{
    c,
    history::MOST_THREADS,
    machine::Task, //
};

/// The task on the machine of the rules.
pub(crate) fn of_rules(task: usize) -> Task {
    match task.checked_sub(MOST_THREADS) {
        None => Task::Thread(task),
        Some(cpu) => Task::Idle(cpu),
    }
}

/// The number that the C core's driver has for the task.
pub(crate) fn number_in_c(task: usize) -> usize {
    of_c(of_rules(task))
}

/// The number that the C core's driver has for a task of the rules' machine.
pub(crate) fn of_c(task: Task) -> usize {
    match task {
        Task::Thread(number) => number,
        Task::Idle(cpu) => c::TASKS + cpu,
    }
}
