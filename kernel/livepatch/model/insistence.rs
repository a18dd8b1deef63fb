// SPDX-License-Identifier: GPL-2.0-or-later

//! How much a pass over the tasks disturbs those that run.

use super::{
    Host,
    TaskHost, //
};

/// The way in which a pass treats a task that runs. Its stack cannot be checked while it does.
#[derive(Clone, Copy)]
pub(super) enum Insistence {
    /// The pass does nothing. Most tasks switch soon, when they leave the kernel or go to sleep.
    None,
    /// The pass makes a task that runs in user space enter the kernel and leave it, where the task
    /// switches.
    Kick,
    /// The pass takes the task's CPU for a moment, and checks the stack meanwhile. This is for
    /// tasks that stay in the kernel.
    Preempt,
}

impl Insistence {
    /// The first pass disturbs no task. Later passes disturb those that have had time to switch and
    /// have not. These passes come less and less often, so that a task that stays inside a function
    /// that changes is not disturbed too often.
    pub(super) fn of_pass<H: Host>(host: &H) -> Self {
        match host.passes() {
            _ if host.tasks().retries_each_second() => Self::None,
            0 => Self::None,
            1 => Self::Kick,
            _ => Self::Preempt,
        }
    }
}
