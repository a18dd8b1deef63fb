// SPDX-License-Identifier: GPL-2.0

//! Why a task holds a transition up, and what usually helps.
//!
//! While a patch is applied, a task cannot switch as long as code that is to be replaced is on
//! its stack: the original function or, if another patch serves that function already, that
//! patch's. While a patch is reverted, it is the patch's own code. Sysfs names the functions, the
//! stack names the frames; the kernel's own word, where there is one, goes first.

use std::collections::{HashMap, HashSet};

use crate::kmsg::{Direction, Verdict};
use crate::name::Name;
use crate::proc::{self, Frame, Stack, Task, TaskId};
use crate::root::Root;
use crate::sysfs::{Function, Patch, VMLINUX};
use crate::system::System;
use crate::trace::{self, Told};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A function that changes is on the stack.
    Function {
        function: Name,
        object: Name,
        /// The patch whose version of the function it is; `None` is the original.
        version: Option<Name>,
    },
    /// Code of this patch is on the stack, but which of its functions is not known.
    PatchCode {
        version: Name,
    },
    Running,
    /// The kernel cannot be sure of the stack.
    Unreliable,
    /// The stack shows nothing that changes.
    Nothing,
    /// The stack may not be read, or the kernel does not show it.
    Unseen,
}

impl Reason {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Function { .. } => "function",
            Self::PatchCode { .. } => "patch-code",
            Self::Running => "running",
            Self::Unreliable => "unreliable-stack",
            Self::Nothing => "nothing-seen",
            Self::Unseen => "unseen",
        }
    }

    /// Most useful first: what names a place in the code, then what else is certain.
    fn rank(&self) -> u8 {
        match self {
            Self::Function { .. } => 0,
            Self::PatchCode { .. } => 1,
            Self::Unreliable => 2,
            Self::Running => 3,
            Self::Unseen => 4,
            Self::Nothing => 5,
        }
    }
}

/// How the reason is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// The kernel said so.
    Kernel,
    /// The stack shows it.
    Stack,
    /// The task's state says so.
    State,
    /// Nothing else is left.
    Guess,
}

impl Evidence {
    pub fn word(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Stack => "stack",
            Self::State => "state",
            Self::Guess => "guess",
        }
    }
}

#[derive(Debug)]
pub struct Blocker {
    pub task: Task,
    pub reason: Reason,
    pub evidence: Evidence,
    /// For each frame of the stack whether it is in the way.
    pub marks: Vec<bool>,
    pub advice: Vec<String>,
}

/// The functions that are in the way of a transition.
pub struct Changes<'a> {
    system: &'a System,
    patch: &'a Patch,
    direction: Direction,
    /// The names of the functions, by object.
    names: HashMap<&'a Name, HashSet<&'a Name>>,
}

impl<'a> Changes<'a> {
    /// Those of the transition that runs, if one does.
    pub fn of(system: &'a System) -> Option<Self> {
        let moving = system.moving()?;
        let names = moving
            .patch
            .objects
            .iter()
            .map(|object| {
                (
                    &object.name,
                    object.functions.iter().map(|f| &f.name).collect(),
                )
            })
            .collect();
        Some(Self {
            system,
            patch: &moving.patch,
            direction: moving.direction?,
            names,
        })
    }

    /// What is wrong with this frame, if anything.
    fn blocks(&self, frame: &Frame) -> Option<Reason> {
        match self.direction {
            Direction::Unpatching => self.patch_code(frame, self.patch),
            Direction::Patching => self.original(frame).or_else(|| {
                let patches = self.system.patches.iter().map(|status| &status.patch);
                let version = patches
                    .filter(|patch| patch.name != self.patch.name)
                    .find(|patch| frame.module.as_ref() == Some(&patch.name))?;
                self.patch_code(frame, version)
            }),
        }
    }

    /// A frame of an original function.
    fn original(&self, frame: &Frame) -> Option<Reason> {
        let object = match &frame.module {
            Some(module) => module.clone(),
            None => VMLINUX.into(),
        };
        self.names
            .get(&object)?
            .contains(&frame.function)
            .then(|| Reason::Function {
                function: frame.function.clone(),
                object,
                version: None,
            })
    }

    /// A frame of a patch's version of a function. Sysfs does not tell what the new functions
    /// are called. Tools that make livepatches keep the name, people put something in front.
    fn patch_code(&self, frame: &Frame, version: &Patch) -> Option<Reason> {
        if frame.module.as_ref() != Some(&version.name) {
            return None;
        }
        let functions: Vec<(&Name, &Function)> = version
            .objects
            .iter()
            .flat_map(|object| object.functions.iter().map(move |f| (&object.name, f)))
            .filter(|(object, function)| self.patch.has_function(object, function))
            .collect();
        let named = functions
            .iter()
            .filter(|(_, f)| is_version_of(frame.function.as_bytes(), f.name.as_bytes()))
            .max_by_key(|(_, f)| f.name.as_bytes().len());
        let only = match functions.as_slice() {
            [only] => Some(only),
            _ => None,
        };

        Some(match named.or(only) {
            Some((object, function)) => Reason::Function {
                function: function.name.clone(),
                object: (*object).clone(),
                version: Some(version.name.clone()),
            },
            None if functions.is_empty() => return None,
            None => Reason::PatchCode {
                version: version.name.clone(),
            },
        })
    }

    /// The object of a function that the kernel named.
    fn object_of(&self, function: &Name) -> Option<&Name> {
        let object = self
            .names
            .iter()
            .find(|(_, names)| names.contains(function));
        object.map(|(object, _)| *object)
    }
}

/// Whether a new function's name is made of an old one's: `livepatch_f`, `f_new`, `f`.
fn is_version_of(new: &[u8], old: &[u8]) -> bool {
    let word_ends = |rest: Option<&u8>| rest.is_none_or(|&b| b == b'_' || b == b'.');

    new.strip_prefix(old).is_some_and(|r| word_ends(r.first()))
        || new.strip_suffix(old).is_some_and(|r| word_ends(r.last()))
}

/// Everything about the tasks that hold the transition up, most useful first; by what can be read.
pub fn blockers(root: &Root, system: &System) -> Vec<Blocker> {
    find(root, system, |_| Told::default()).0
}

/// The same, and what the kernel had to say, which is asked if the rest leaves a doubt. That takes
/// a second or two.
pub fn blockers_for_sure(root: &Root, system: &System) -> (Vec<Blocker>, Told) {
    find(root, system, |doubtful| {
        if !root.is_live() {
            return trace::kept(root);
        }
        if doubtful.is_empty() {
            return Told::default();
        }
        let waiting = system.progress.as_ref().map_or(0, |p| p.waiting.len());
        trace::listen(doubtful, waiting)
    })
}

fn find(
    root: &Root,
    system: &System,
    ask: impl FnOnce(&HashSet<u32>) -> Told,
) -> (Vec<Blocker>, Told) {
    let (Some(changes), Some(progress)) = (Changes::of(system), &system.progress) else {
        return (Vec::new(), Told::default());
    };
    let look = |ids: &[TaskId]| -> Vec<_> {
        let ids = ids.iter();
        ids.filter_map(|&id| Look::at(root, id, &changes)).collect()
    };
    let looks = proc::on_all_cpus(&progress.waiting, look);
    let looks: Vec<_> = looks.into_iter().flatten().collect();
    let doubtful = looks.iter().filter(|look| look.is_doubtful(&changes));
    let told = ask(&doubtful.map(|look| look.task.id.tid).collect());
    let mut blockers: Vec<_> = looks
        .into_iter()
        .map(|look| look.judged(&told, &changes))
        .collect();

    blockers.sort_by_key(|b| (b.reason.rank(), b.task.kthread, b.task.id));
    (blockers, told)
}

/// The worst blocker, by a look at a few of many tasks.
pub fn worst(root: &Root, system: &System) -> Option<Blocker> {
    const ENOUGH: usize = 16;

    let changes = Changes::of(system)?;
    let waiting = &system.progress.as_ref()?.waiting;
    waiting
        .iter()
        .take(ENOUGH)
        .filter_map(|&id| Look::at(root, id, &changes))
        .map(|look| look.judged(&Told::default(), &changes))
        .min_by_key(|b| (b.reason.rank(), b.task.kthread, b.task.id))
}

/// What can be read of a task that holds the transition up.
struct Look {
    task: Task,
    marks: Vec<bool>,
    /// What the stack shows.
    seen: Option<Reason>,
}

impl Look {
    /// `None` if the task has exited.
    fn at(root: &Root, id: TaskId, changes: &Changes<'_>) -> Option<Self> {
        let task = proc::task(root, id)?;
        let frames = match &task.stack {
            Stack::Frames(frames) => frames.as_slice(),
            Stack::Denied | Stack::Unknown => &[],
        };
        let found: Vec<_> = frames.iter().map(|frame| changes.blocks(frame)).collect();
        let marks = found.iter().map(Option::is_some).collect();
        // A function that can be named says more than code that cannot.
        let seen = found.into_iter().flatten().min_by_key(Reason::rank);

        Some(Self { task, marks, seen })
    }

    /// Nothing but a guess is possible without the kernel's word.
    fn is_doubtful(&self, changes: &Changes<'_>) -> bool {
        judge(
            &self.task,
            self.seen.as_ref(),
            self.logged(changes),
            changes,
        )
        .1 == Evidence::Guess
    }

    fn logged<'a>(&self, changes: &Changes<'a>) -> Option<&'a Verdict> {
        let system = changes.system;
        system.log.blocked(self.task.id.tid, system.uptime?)
    }

    fn judged(self, told: &Told, changes: &Changes<'_>) -> Blocker {
        let verdict = told.verdict(self.task.id.tid);
        let verdict = verdict.or_else(|| self.logged(changes));
        let (reason, evidence) = judge(&self.task, self.seen.as_ref(), verdict, changes);
        let advice = advice(&self.task, &reason, changes, told);

        Blocker {
            task: self.task,
            reason,
            evidence,
            marks: self.marks,
            advice,
        }
    }
}

fn judge(
    task: &Task,
    seen: Option<&Reason>,
    verdict: Option<&Verdict>,
    changes: &Changes<'_>,
) -> (Reason, Evidence) {
    match verdict {
        Some(Verdict::Running) => return (Reason::Running, Evidence::Kernel),
        Some(Verdict::Unreliable) => return (Reason::Unreliable, Evidence::Kernel),
        Some(Verdict::Function(function)) => {
            // The kernel names the function by its old name; the stack may add whose version.
            let version = match seen {
                Some(Reason::Function {
                    function: seen,
                    version,
                    ..
                }) if seen == function => version.clone(),
                _ => None,
            };
            if let Some(object) = changes.object_of(function) {
                let reason = Reason::Function {
                    function: function.clone(),
                    object: object.clone(),
                    version,
                };
                return (reason, Evidence::Kernel);
            }
        }
        None => {}
    }
    if let Some(reason) = seen {
        return (reason.clone(), Evidence::Stack);
    }
    match &task.stack {
        _ if task.state == 'R' => (Reason::Running, Evidence::State),
        Stack::Frames(frames) if !reaches_the_end(frames) => (Reason::Unreliable, Evidence::Guess),
        Stack::Frames(_) => (Reason::Nothing, Evidence::Guess),
        Stack::Denied | Stack::Unknown => (Reason::Unseen, Evidence::Guess),
    }
}

/// Whether the stack reaches the point where the kernel was entered or the thread was made. If
/// not, the kernel lost its way in it.
fn reaches_the_end(frames: &[Frame]) -> bool {
    const ENDS: [&[u8]; 9] = [
        b"entry_",
        b"asm_",
        b"ret_from_",
        b"__ret_from_",
        b"el0",
        b"system_call",
        b"__do_syscall",
        b"handle_syscall",
        b"interrupt_return",
    ];

    frames.last().is_none_or(|frame| {
        let function = frame.function.as_bytes();
        ENDS.iter().any(|end| function.starts_with(end))
    })
}

fn advice(task: &Task, reason: &Reason, changes: &Changes<'_>, told: &Told) -> Vec<String> {
    let mut advice = Vec::new();
    let asleep = matches!(task.state, 'S' | 'I');

    match reason {
        Reason::Running => advice.push(
            "wait: it switches when it leaves the kernel, is scheduled away, or sleeps".to_owned(),
        ),
        Reason::Unreliable => advice.push(
            "wait: it switches when it leaves the kernel; asleep, its stack cannot be checked"
                .to_owned(),
        ),
        Reason::Nothing => advice.push(
            "wait: the kernel looks again within a second; if it stays, its stack may be \
             unreliable"
                .to_owned(),
        ),
        Reason::Unseen => advice.push("run this as root to see its stack".to_owned()),
        Reason::Function { .. } | Reason::PatchCode { .. } if task.kthread && asleep => {
            advice.push(
                "wait: after 15 s the kernel wakes it up, which helps if it then leaves the \
                 function"
                    .to_owned(),
            );
        }
        Reason::Function { .. } | Reason::PatchCode { .. } if asleep => advice.push(
            "wait: after 15 s the kernel interrupts its sleep, as a signal would, unnoticed by \
             the program"
                .to_owned(),
        ),
        Reason::Function { .. } | Reason::PatchCode { .. } => advice.push(
            "wait for what it waits for: no signal, or SIGKILL at most, ends this sleep".to_owned(),
        ),
    }

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
    advice.extend(end(task));
    // Where there are tracepoints, it has been asked.
    if !told.listened && changes.direction == Direction::Patching && *reason == Reason::Nothing {
        advice.push(
            "to have the kernel say why: echo 'func klp_try_switch_task +p' > \
             /sys/kernel/debug/dynamic_debug/control"
                .to_owned(),
        );
    }
    advice
}

/// How a task of user space is ended.
pub fn end(task: &Task) -> Option<String> {
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

/// One line on the reason.
pub fn describe(reason: &Reason, evidence: Evidence) -> String {
    let text = match reason {
        Reason::Function {
            function,
            object,
            version: None,
        } => format!("on function {function} of {object}"),
        Reason::Function {
            function,
            object,
            version: Some(version),
        } => format!("on function {function} of {object}, in the version of {version}"),
        Reason::PatchCode { version } => format!("in code of {version}"),
        Reason::Running => "running".to_owned(),
        Reason::Unreliable => "its stack is unreliable".to_owned(),
        Reason::Nothing => "no function that changes is on its stack".to_owned(),
        Reason::Unseen => "its stack cannot be seen".to_owned(),
    };
    match (evidence, reason) {
        (Evidence::Kernel, _) => format!("{text} (says the kernel)"),
        (Evidence::Guess, Reason::Unreliable) => format!("{text}, it seems: it breaks off"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_versions() {
        let version = |new: &str, old: &str| is_version_of(new.as_bytes(), old.as_bytes());
        assert!(version("f", "f"));
        assert!(version("livepatch_cmdline_proc_show", "cmdline_proc_show"));
        assert!(version("f_new", "f"));
        assert!(version("f.cold", "f"));
        assert!(!version("foo", "f"));
        assert!(!version("xf", "f"));
        assert!(!version("g", "f"));
    }
}
