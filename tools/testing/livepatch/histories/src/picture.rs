// SPDX-License-Identifier: GPL-2.0

//! The state that an operation must leave unchanged if it is refused or fails.

use std::fmt::Debug;

use crate::{
    machine::{
        Func,
        Function,
        Indexed,
        Machine,
        Module,
        Object,
        Patch,
        Task,
        CPUS,
        FUNCTIONS,
        MODULES,
        PATCHES,
        TASKS, //
    },
    model::{
        func::FuncState,
        PatchHost,
        TaskHost,
        TaskState, //
    }, //
};

#[derive(PartialEq, Debug)]
struct PatchPicture {
    patch: Patch,
    enabled: bool,
    published: bool,
    objects: Vec<ObjectPicture>,
}

#[derive(PartialEq, Debug)]
struct ObjectPicture {
    object: Object,
    loaded: bool,
    patched: bool,
    owes_post_unpatch: bool,
    funcs: Vec<(Func, bool, FuncState)>,
}

#[derive(PartialEq, Debug)]
struct FunctionPicture {
    stack: [Option<Func>; PATCHES],
    traced: bool,
    indexed: Option<Indexed>,
}

/// The state of the machine at one moment.
pub(crate) struct Picture {
    patches: Vec<PatchPicture>,
    published: Vec<bool>,
    forced: Vec<bool>,
    tasks: Vec<(TaskState, bool)>,
    functions: Vec<FunctionPicture>,
    patchable: Vec<bool>,
    rest: Rest,
}

#[derive(PartialEq, Debug)]
struct Rest {
    transition: Option<Patch>,
    target: TaskState,
    sched_switching: bool,
    reclaimed: bool,
}

impl Picture {
    /// Takes a picture of the machine. `present` returns whether the module of a function is
    /// loaded. The picture leaves out the entries of an index for other modules.
    pub(crate) fn new(machine: &Machine, present: impl Fn(usize) -> bool) -> Self {
        let tasks = (0..TASKS)
            .map(Task::Thread)
            .chain((0..CPUS).map(Task::Idle));
        let patches = machine.patches().map(|patch| PatchPicture {
            patch,
            enabled: machine.enabled(patch),
            published: machine.is_published(patch),
            objects: machine.objects(patch).map(|o| object(machine, o)).collect(),
        });
        let function = |number| FunctionPicture {
            stack: machine.stack_of(Function(number)),
            traced: machine.is_traced(Function(number)),
            indexed: machine
                .indexed(Function(number))
                .filter(|_| present(number)),
        };
        Self {
            patches: patches.collect(),
            published: (0..PATCHES)
                .map(|n| machine.is_published(Patch(n)))
                .collect(),
            forced: (0..PATCHES).map(|n| machine.is_forced(Patch(n))).collect(),
            tasks: tasks
                .map(|task| (machine.state_of(task), machine.is_pending(task)))
                .collect(),
            functions: (0..FUNCTIONS).map(function).collect(),
            patchable: (1..MODULES)
                .map(|n| machine.is_patchable(Module(n)))
                .collect(),
            rest: Rest {
                transition: machine.transition_patch(),
                target: machine.target(),
                sched_switching: machine.sched_switching.get(),
                reclaimed: machine.is_reclaimed(),
            },
        }
    }

    /// Returns the picture without the marks of forced patches, which stay for ever, and without
    /// the tasks, which may have exited or been created.
    pub(crate) fn settled(mut self) -> Self {
        self.forced.clear();
        self.tasks.clear();
        self
    }

    /// Describes the first difference from another picture, if any.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        first("function", &self.functions, &other.functions)
            .or_else(|| first("task", &self.tasks, &other.tasks))
            .or_else(|| first("installed patch", &self.patches, &other.patches))
            .or_else(|| first("published", &self.published, &other.published))
            .or_else(|| first("forced", &self.forced, &other.forced))
            .or_else(|| first("patchable module", &self.patchable, &other.patchable))
            .or_else(|| first("rest", &[&self.rest], &[&other.rest]))
    }
}

/// The first element that is not the same.
fn first<T: PartialEq + Debug>(what: &str, before: &[T], after: &[T]) -> Option<String> {
    if before.len() != after.len() {
        return Some(format!("{what}: there were {before:?}, are {after:?}"));
    }
    let mut both = before.iter().zip(after).enumerate();
    both.find(|(_, (before, after))| before != after)
        .map(|(number, (before, after))| format!("{what} {number} was {before:?}, is {after:?}"))
}

fn object(machine: &Machine, object: Object) -> ObjectPicture {
    ObjectPicture {
        object,
        loaded: machine.loaded(object),
        patched: machine.patched(object),
        owes_post_unpatch: machine.owes_post_unpatch(object),
        funcs: machine
            .funcs(object)
            .map(|func| (func, machine.is_nop(func), machine.func_state(func)))
            .collect(),
    }
}
