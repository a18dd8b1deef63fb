// SPDX-License-Identifier: GPL-2.0

//! Modules that are held although their patch is gone, and the tasks in their code.
//!
//! A patch that is disabled or replaced leaves sysfs. The Rust core keeps a reference to its module
//! until no task is found in the module's code. The C core drops the reference at once, or never if
//! the transition was forced. Sysfs does not show whether a reference is the core's or that of
//! another user of the module, but a stack shows whether its task is in the module's code.

use crate::advice;
use crate::blockers::Blocker;
use crate::evidence::{Evidence, Reason};
use crate::name::Name;
use crate::proc::{self, Frame, Stacks, Task};
use crate::root::Root;
use crate::sysfs::Module;
use crate::system::System;

/// A module that is held.
#[derive(Debug)]
pub struct Held<'a> {
    pub module: &'a Module,
    /// The tasks that have a frame of the module on their stack, the most useful first.
    pub tasks: Vec<Blocker>,
    /// The number of stacks that klpctl may not read.
    pub unreadable: usize,
    /// The tasks with files that cannot be read now.
    pub unread: Vec<Task>,
}

/// Finds the held modules and the tasks in their code, or only the module of that name. If there is
/// such a module, the function reads the stacks of all tasks once.
pub fn look<'a>(root: &Root, system: &'a System, named: Option<&Name>) -> Vec<Held<'a>> {
    let modules: Vec<&Module> = system
        .held()
        .filter(|module| named.is_none_or(|name| name == &module.name))
        .collect();
    if modules.is_empty() {
        return Vec::new();
    }

    let wanted = |frames: &[Frame]| {
        let mut frames = frames.iter();
        frames.any(|frame| modules.iter().any(|module| is_of(frame, module)))
    };
    let Stacks {
        found,
        denied,
        unread,
    } = proc::stacks(root, wanted).unwrap_or_default();
    let held = modules.iter().map(|&module| Held {
        module,
        tasks: holders(&found, module),
        unreadable: denied,
        unread: unread.clone(),
    });
    held.collect()
}

fn is_of(frame: &Frame, module: &Module) -> bool {
    frame.module.as_ref() == Some(&module.name)
}

fn holders(tasks: &[Task], module: &Module) -> Vec<Blocker> {
    let mut holders: Vec<_> = tasks
        .iter()
        .filter(|task| task.frames().iter().any(|frame| is_of(frame, module)))
        .map(|task| {
            let own = is_own_thread(task, module);
            (own, holder(task.clone(), module, own))
        })
        .collect();
    holders.sort_by_key(|(own, holder)| (*own, holder.task.kthread, holder.task.id));
    holders.into_iter().map(|(_, holder)| holder).collect()
}

/// Whether the task is a thread that has run a function of the module from the start, and ends with
/// the module. Neither core waits for such a thread.
fn is_own_thread(task: &Task, module: &Module) -> bool {
    let mut pairs = task.frames().windows(2);
    task.kthread
        && pairs.any(|pair| is_of(&pair[0], module) && pair[1].function.as_bytes() == b"kthread")
}

fn holder(task: Task, module: &Module, own: bool) -> Blocker {
    let marks = task.frames().iter().map(|f| is_of(f, module)).collect();
    let advice = match own {
        true => vec!["it is a thread of the module itself, which is not waited for".to_owned()],
        false => advice::to_leave(&task),
    };

    Blocker {
        task,
        reason: Reason::PatchCode {
            version: module.name.clone(),
        },
        evidence: Evidence::Stack,
        marks,
        advice,
    }
}
