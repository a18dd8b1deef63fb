// SPDX-License-Identifier: GPL-2.0

//! The steps that usually help when a task holds a transition or a module up.
//!
//! The advice depends on the reason and on the kind of task. Its first line is usually an event to
//! wait for. The other lines are actions that the administrator may take.

use crate::evidence::Reason;
use crate::proc::Task;
use crate::sysfs::{Direction, VMLINUX};
use crate::trace::Told;

/// Returns the advice for a task that has to switch.
pub fn to_switch(task: &Task, reason: &Reason, direction: Direction, told: &Told) -> Vec<String> {
    let mut advice = vec![first_line(task, reason).to_owned()];

    if let Reason::Function {
        object,
        version: None,
        ..
    } = reason
    {
        if task.kthread && object.as_bytes() != VMLINUX {
            advice.push(format!("or let module {object} finish or stop that work"));
        }
    }
    advice.extend(ending(task));
    // A kernel with tracepoints has already been asked.
    if !told.listened && direction == Direction::Patching && *reason == Reason::Nothing {
        advice.push(
            "to have the kernel say why: echo 'func klp_try_switch_task +p' > \
             /sys/kernel/debug/dynamic_debug/control"
                .to_owned(),
        );
    }
    advice
}

/// Returns the advice for a task that has to leave the code of a module.
pub fn to_leave(task: &Task) -> Vec<String> {
    let mut advice = vec!["wait until it has left this code".to_owned()];
    advice.extend(ending(task));
    advice
}

/// Returns the event that lets the task switch, or the way to learn the reason.
fn first_line(task: &Task, reason: &Reason) -> &'static str {
    let asleep = matches!(task.state, 'S' | 'I');

    match reason {
        Reason::Running => {
            "wait: it switches when it leaves the kernel, is scheduled away, or sleeps"
        }
        Reason::Unreliable => {
            "wait: it switches when it leaves the kernel; asleep, its stack cannot be checked"
        }
        Reason::Nothing => {
            "wait: the kernel looks again within a second; if it stays, its stack may be unreliable"
        }
        Reason::Unseen => "run this as root to see its stack",
        Reason::Function { .. } | Reason::PatchCode { .. } if task.kthread && asleep => {
            "wait: after 15 s the kernel wakes it up, which helps if it then leaves the function"
        }
        Reason::Function { .. } | Reason::PatchCode { .. } if asleep => {
            "wait: after 15 s the kernel interrupts its sleep, as a signal would, unnoticed by the \
             program"
        }
        Reason::Function { .. } | Reason::PatchCode { .. } => {
            "wait for what it waits for: no signal, or SIGKILL at most, ends this sleep"
        }
    }
}

/// Returns the way to end a user task, or `None` for a kernel thread.
fn ending(task: &Task) -> Option<String> {
    if task.kthread {
        return None;
    }
    Some(match &task.unit {
        Some(unit) if unit.as_bytes().ends_with(b".service") => {
            format!("or restart the service: systemctl restart {unit}")
        }
        Some(unit) => format!("or end the process {}, of {unit}", task.id.pid),
        None => format!("or restart what process {} belongs to", task.id.pid),
    })
}
