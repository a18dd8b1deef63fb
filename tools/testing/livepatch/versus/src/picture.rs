// SPDX-License-Identifier: GPL-2.0

//! The state of a core, in the terms that both cores have.

use crate::{
    c::{
        Core,
        Flags, //
    },
    machine::{
        Function,
        Machine,
        Patch,
        FUNCTIONS, //
    },
    model::{
        PatchHost,
        TaskState, //
    },
    pair::names, //
};
use std::fmt;

/// An object of a patch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Object {
    module: usize,
    /// How many funcs it has, nops included.
    funcs: usize,
    is_nop: bool,
    loaded: bool,
    patched: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Installed {
    patch: usize,
    enabled: bool,
    forced: bool,
    objects: Vec<Object>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Task {
    task: usize,
    state: i32,
    pending: bool,
    nudges: u64,
}

/// A function that is in ftrace.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Traced {
    function: usize,
    /// The patches on the func stack, the newest first, and whether their funcs are nops.
    stack: Vec<(usize, bool)>,
    /// The patch of the version that each task reaches, or -1 for the original one.
    reached: Vec<(usize, i32)>,
}

/// Everything about a core that can be compared.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    patches: Vec<Installed>,
    transition: Option<usize>,
    tasks: Vec<Task>,
    traced: Vec<Traced>,
    /// Tasks try to switch in `__schedule()`.
    switching: bool,
    /// Another pass is arranged.
    arranged: bool,
}

impl Picture {
    /// The state of the rules' machine. `tasks` are those that exist.
    pub(crate) fn of_rules(machine: &Machine, tasks: &[usize]) -> Self {
        let installed = |patch: Patch| Installed {
            patch: patch.0,
            enabled: machine.enabled(patch),
            forced: machine.is_forced(patch),
            objects: machine
                .objects(patch)
                .map(|object| Object {
                    module: machine.module_of(object).0,
                    funcs: machine.funcs_of(object),
                    is_nop: machine.is_nop_object(object),
                    loaded: machine.loaded(object),
                    patched: machine.patched(object),
                })
                .collect(),
        };
        let task = |task: usize| Task {
            task,
            state: match machine.state_of(names::of_rules(task)) {
                TaskState::Idle => -1,
                TaskState::Unpatched => 0,
                TaskState::Patched => 1,
            },
            pending: machine.is_pending(names::of_rules(task)),
            nudges: machine.nudges_of(names::of_rules(task)),
        };
        let traced = |function: usize| {
            let it = Function(function);
            let stack = machine.stack_of(it).into_iter().flatten();
            let mut stack: Vec<_> = stack
                .map(|func| (func.0 .0 .0, machine.is_nop(func)))
                .collect();
            stack.reverse();
            let reached = |&task: &usize| {
                let reached = machine.reaches(names::of_rules(task), it);
                (task, reached.map_or(-1, |patch| patch.0 as i32))
            };
            Traced {
                function,
                stack,
                reached: tasks.iter().map(reached).collect(),
            }
        };
        let functions = (0..FUNCTIONS).filter(|&it| machine.is_traced(Function(it)));
        let retry = machine.retry.get();
        Self {
            patches: machine.patches().map(installed).collect(),
            transition: machine.transition_patch().map(|patch| patch.0),
            tasks: tasks.iter().map(|&it| task(it)).collect(),
            traced: functions.map(traced).collect(),
            switching: machine.sched_switching.get(),
            arranged: retry.is_some(),
        }
    }

    /// The state of the C core.
    pub(crate) fn of_c(c: &Core, tasks: &[usize]) -> Self {
        let object = |encoded: i32| Object {
            module: (encoded & 0xff) as usize,
            funcs: (encoded >> 8 & 0xff) as usize,
            is_nop: encoded & Flags::IS_NOP != 0,
            loaded: encoded & Flags::IS_LOADED != 0,
            patched: encoded & Flags::IS_PATCHED != 0,
        };
        let installed = |patch: i32| Installed {
            patch: patch as usize,
            enabled: c.enabled(patch as usize),
            forced: c.forced(patch as usize),
            objects: until_negative(|place| c.object(patch as usize, place))
                .map(object)
                .collect(),
        };
        let task = |task: usize| Task {
            task,
            state: c.task_state(names::number_in_c(task)),
            pending: c.task_pending(names::number_in_c(task)),
            nudges: c.nudges(names::number_in_c(task)).into(),
        };
        let traced = |function: usize| Traced {
            function,
            stack: until_negative(|place| c.stacked(function, place))
                .map(|func| ((func & 0xff) as usize, func & Flags::IS_NOP != 0))
                .collect(),
            reached: tasks
                .iter()
                .map(|&task| (task, c.reaches(names::number_in_c(task), function)))
                .collect(),
        };
        let functions = (0..FUNCTIONS).filter(|&function| c.is_traced(function));
        Self {
            patches: until_negative(|place| c.patch_at(place))
                .map(installed)
                .collect(),
            transition: usize::try_from(c.transition_patch()).ok(),
            tasks: tasks.iter().map(|&it| task(it)).collect(),
            traced: functions.map(traced).collect(),
            switching: c.switching(),
            arranged: c.arranged(),
        }
    }

    /// The first difference, or `None` if there is none.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        first("patches", &self.patches, &other.patches)
            .or_else(|| one("in transition", &self.transition, &other.transition))
            .or_else(|| first("tasks", &self.tasks, &other.tasks))
            .or_else(|| first("functions in ftrace", &self.traced, &other.traced))
            .or_else(|| one("switching in schedule", &self.switching, &other.switching))
            .or_else(|| one("a pass is arranged", &self.arranged, &other.arranged))
    }
}

fn until_negative(at: impl Fn(usize) -> i32) -> impl Iterator<Item = i32> {
    (0..).map(at).take_while(|&it| it >= 0)
}

fn one<T: PartialEq + fmt::Debug>(what: &str, one: &T, other: &T) -> Option<String> {
    (one != other).then(|| format!("{what}: {one:?}, {other:?}"))
}

fn first<T: PartialEq + fmt::Debug>(what: &str, these: &[T], others: &[T]) -> Option<String> {
    let length = these.len().max(others.len());
    (0..length).find_map(|place| one(what, &these.get(place), &others.get(place)))
}
