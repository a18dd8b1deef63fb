// SPDX-License-Identifier: GPL-2.0

//! Tasks that hold a transition or a module up, in groups of those that are alike.
//!
//! A service with thousands of threads has as many tasks with the same stack, and one answer for
//! all of them. Tasks are alike if they belong to the same service, sleep or run in the same way,
//! and have the same stack and the same reason. Their names may differ, as those of threads do.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::blockers::Blocker;
use crate::name::Name;

#[derive(Debug)]
pub struct Group<'a> {
    /// The tasks, in the order of the answer. There is at least one.
    pub tasks: Vec<&'a Blocker>,
}

/// A process, and the number of its tasks that are in a group.
#[derive(Debug, PartialEq, Eq)]
pub struct Process<'a> {
    pub pid: u32,
    /// The name of the first of the tasks.
    pub comm: &'a Name,
    pub tasks: usize,
}

impl<'a> Group<'a> {
    /// Returns the task that stands for all of the group.
    pub fn first(&self) -> &'a Blocker {
        self.tasks[0]
    }

    /// Returns the processes in the order of their first tasks.
    pub fn processes(&self) -> Vec<Process<'a>> {
        let mut places = HashMap::new();
        let mut processes: Vec<Process<'a>> = Vec::new();
        for blocker in &self.tasks {
            let pid = blocker.task.id.pid;
            let place = *places.entry(pid).or_insert_with(|| {
                processes.push(Process {
                    pid,
                    comm: &blocker.task.comm,
                    tasks: 0,
                });
                processes.len() - 1
            });
            processes[place].tasks += 1;
        }
        processes
    }
}

/// Puts tasks into groups, the most useful group first. Of groups with equally useful reasons, the
/// larger one is first.
pub fn of(blockers: &[Blocker]) -> Vec<Group<'_>> {
    let mut places: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut groups: Vec<Group<'_>> = Vec::new();

    for blocker in blockers {
        let candidates = places.entry(hash(blocker)).or_default();
        let place = candidates
            .iter()
            .find(|&&i| are_alike(groups[i].first(), blocker));
        match place {
            Some(&i) => groups[i].tasks.push(blocker),
            None => {
                candidates.push(groups.len());
                groups.push(Group {
                    tasks: vec![blocker],
                });
            }
        }
    }
    groups.sort_by_key(|group| {
        let first = group.first();
        let size = std::cmp::Reverse(group.tasks.len());
        (first.reason.rank(), first.task.kthread, size)
    });
    groups
}

/// Puts each task into a group of its own.
pub fn single(blockers: &[Blocker]) -> Vec<Group<'_>> {
    let groups = blockers.iter().map(|blocker| Group {
        tasks: vec![blocker],
    });
    groups.collect()
}

/// The properties that tasks of a group share. The evidence is not one, so that the kernel may have
/// named only some of them.
fn key(blocker: &Blocker) -> impl Hash + PartialEq + '_ {
    let task = &blocker.task;
    (
        task.unit.as_ref(),
        task.kthread,
        task.state,
        task.frames(),
        task.wchan.as_ref(),
        &blocker.marks,
    )
}

fn hash(blocker: &Blocker) -> u64 {
    let mut hasher = DefaultHasher::new();
    key(blocker).hash(&mut hasher);
    hasher.finish()
}

fn are_alike(one: &Blocker, other: &Blocker) -> bool {
    one.reason == other.reason && key(one) == key(other)
}
