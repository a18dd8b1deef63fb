// SPDX-License-Identifier: GPL-2.0

//! Everything that an operation which is refused, or fails, must leave as it was.

use crate::livepatch::{
    model::{
        func::FuncState,
        PatchHost,
        TaskHost,
        TaskState, //
    },
    tests::machine::{
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

/// The machine as it is seen now.
#[derive(PartialEq, Debug)]
pub(crate) struct Picture {
    patches: Vec<PatchPicture>,
    published: Vec<bool>,
    forced: Vec<bool>,
    transition: Option<Patch>,
    target: TaskState,
    tasks: Vec<(TaskState, bool)>,
    functions: Vec<FunctionPicture>,
    patchable: Vec<bool>,
    sched_switching: bool,
    reclaimed: bool,
}

impl Picture {
    /// `present` tells which modules there are: what an index has of others does not matter.
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
            transition: machine.transition_patch(),
            target: machine.target(),
            tasks: tasks
                .map(|task| (machine.state_of(task), machine.is_pending(task)))
                .collect(),
            functions: (0..FUNCTIONS).map(function).collect(),
            patchable: (1..MODULES)
                .map(|n| machine.is_patchable(Module(n)))
                .collect(),
            sched_switching: machine.sched_switching.get(),
            reclaimed: machine.is_reclaimed(),
        }
    }

    /// The same, without what stays for ever and what only existing tasks matter for.
    pub(crate) fn settled(mut self) -> Self {
        self.forced.clear();
        self.tasks.clear();
        self
    }

    /// What is different in another picture, in short.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let functions = self.functions.iter().zip(&other.functions).enumerate();
        for (number, (before, after)) in functions {
            if before != after {
                return Some(format!("function {number} was {before:?}, is {after:?}"));
            }
        }
        let tasks = self.tasks.iter().zip(&other.tasks).enumerate();
        for (number, (before, after)) in tasks {
            if before != after {
                return Some(format!("task {number} was {before:?}, is {after:?}"));
            }
        }
        if self.patches != other.patches {
            let (before, after) = (&self.patches, &other.patches);
            return Some(format!("patches were {before:?}, are {after:?}"));
        }
        (self != other).then(|| format!("was {self:?}, is {other:?}"))
    }
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
