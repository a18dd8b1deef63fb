// SPDX-License-Identifier: GPL-2.0

//! Func stacks and the ftrace handler: the model's [`redirect::Stack`].

use super::{
    tasks::Tasks,
    Size, //
};
use crate::model::{
    blocker::{
        self,
        Changing,
        Code, //
    },
    func::{
        Change,
        FuncState, //
    },
    redirect,
    TaskHost,
    TaskState, //
};
use loom::sync::atomic::{
    fence,
    AtomicBool,
    AtomicUsize,
    Ordering::{
        Acquire,
        Relaxed,
        Release, //
    }, //
};
use std::{
    panic::Location,
    sync::atomic, //
};

/// The code that a call runs: 0 is the original function, n is the function of patch n - 1.
pub(crate) type Version = usize;

/// A func, by its index in [`Stacks::funcs`], or [`END`].
pub(crate) type FuncId = usize;

/// The end of a list: no func.
pub(super) const END: FuncId = usize::MAX;

struct Func {
    patched: atomic::AtomicBool,
    transition: AtomicBool,
    nop: atomic::AtomicBool,
    /// The func below.
    next: AtomicUsize,
    /// The memory is freed: no handler may use the func.
    freed: AtomicBool,
}

/// The func stacks of all functions, and the funcs of all patches.
pub(crate) struct Stacks {
    functions: usize,
    settles: bool,
    heads: Vec<AtomicUsize>,
    /// For each function the func to which the handler redirects every task. It is [`END`] if the
    /// func stack is not settled.
    settled: Vec<AtomicUsize>,
    /// The funcs of patch 0, those of patch 1, and so on.
    funcs: Vec<Func>,
}

impl Stacks {
    pub(super) fn new(size: Size) -> Self {
        Self {
            functions: size.functions,
            settles: size.settles,
            heads: (0..size.functions).map(|_| AtomicUsize::new(END)).collect(),
            settled: (0..size.functions).map(|_| AtomicUsize::new(END)).collect(),
            funcs: (0..size.functions * size.patches)
                .map(|_| Func {
                    patched: false.into(),
                    transition: AtomicBool::new(false),
                    nop: false.into(),
                    next: AtomicUsize::new(END),
                    freed: AtomicBool::new(false),
                })
                .collect(),
        }
    }

    /// The funcs of a patch.
    pub(crate) fn of_patch(&self, patch: usize) -> impl Iterator<Item = FuncId> {
        patch * self.functions..(patch + 1) * self.functions
    }

    pub(super) fn version(&self, func: FuncId) -> Version {
        func / self.functions + 1
    }

    fn head(&self, func: FuncId) -> &AtomicUsize {
        &self.heads[func % self.functions]
    }

    /// The code of one version of a function.
    pub(crate) fn code(function: usize, version: Version) -> Code {
        Code {
            start: 0x1000 * (1 + function) + 0x10_0000 * version,
            size: 0x100,
        }
    }

    /// An address in a function of a patch that replaces no other function.
    pub(crate) fn helper(version: Version) -> usize {
        0x10_0000 * version + 0xf_0000
    }

    /// Whether an address is in the text of a patch's module.
    pub(crate) fn is_text(patch: usize, address: usize) -> bool {
        address / 0x10_0000 == patch + 1
    }

    /// The return address that is on the stack of a task while it is in the handler of a function.
    pub(crate) fn handler(function: usize) -> usize {
        Self::code(function, 0).start + 1
    }

    /// Makes the func a nop, which stands for the original function.
    pub(crate) fn make_nop(&self, func: FuncId) {
        self.funcs[func].nop.store(true, atomic::Ordering::Relaxed);
    }

    pub(super) fn is_nop(&self, func: FuncId) -> bool {
        self.funcs[func].nop.load(atomic::Ordering::Relaxed)
    }

    pub(crate) fn is_patched(&self, func: FuncId) -> bool {
        self.funcs[func].patched.load(atomic::Ordering::Relaxed)
    }

    /// Makes a change if the state table allows it, and returns whether it does.
    pub(super) fn change(&self, func: FuncId, change: Change) -> bool {
        let Func {
            patched,
            transition,
            ..
        } = &self.funcs[func];
        let Ok(state) = self.state(func).after(change) else {
            return false;
        };
        patched.store(state.patched(), atomic::Ordering::Relaxed);
        transition.store(state.transition(), Relaxed);
        true
    }

    /// Reads the func's two booleans. The caller holds `klp_mutex`.
    pub(super) fn state(&self, func: FuncId) -> FuncState {
        let func = &self.funcs[func];
        FuncState::new(
            func.patched.load(atomic::Ordering::Relaxed),
            func.transition.load(Relaxed),
        )
    }

    /// The func on top of the stack of a function.
    pub(super) fn top(&self, function: usize) -> Option<FuncId> {
        Some(self.heads[function].load(Relaxed)).filter(|&func| func != END)
    }

    /// The function that a func changes.
    pub(super) fn function(&self, func: FuncId) -> usize {
        func % self.functions
    }

    /// All functions.
    pub(super) fn functions(&self) -> impl Iterator<Item = usize> {
        0..self.functions
    }

    /// Sets the func to which the handler redirects every task, or none.
    pub(super) fn set_settled(&self, function: usize, func: Option<FuncId>) {
        self.settled[function].store(func.unwrap_or(END), Relaxed);
    }

    /// The func to which the handler redirects every task, or [`END`]. The caller holds
    /// `klp_mutex`.
    pub(super) fn settled(&self, function: usize) -> FuncId {
        self.settled[function].load(Relaxed)
    }

    /// `list_add_rcu()`.
    pub(super) fn push(&self, func: FuncId, relaxed: bool) {
        let head = self.head(func);
        self.funcs[func].next.store(head.load(Relaxed), Relaxed);
        head.store(func, if relaxed { Relaxed } else { Release });
    }

    /// `list_del_rcu()`: the removed func still points to the func below it.
    pub(super) fn remove(&self, func: FuncId) {
        let mut link = self.head(func);
        while link.load(Relaxed) != func {
            link = &self.funcs[link.load(Relaxed)].next;
        }
        link.store(self.funcs[func].next.load(Relaxed), Relaxed);
    }

    pub(super) fn free(&self, func: FuncId) {
        self.funcs[func].freed.store(true, Relaxed);
    }

    /// The code that the transition of a patch changes, sorted by address.
    pub(super) fn index(&self, patch: Option<usize>, patching: bool) -> Vec<Changing<Version>> {
        let funcs = patch.into_iter().flat_map(|patch| self.of_patch(patch));
        let patched = funcs.filter(|&func| self.is_patched(func));
        let mut index: Vec<_> = patched
            .enumerate()
            .map(|(order, func)| {
                let function = func % self.functions;
                let below = self.funcs[func].next.load(Relaxed);
                let below = (below != END).then(|| Self::code(function, self.version(below)));
                let new = Self::code(function, self.version(func));
                Changing {
                    code: blocker::changing(patching, new, Self::code(function, 0), below),
                    order,
                    name: function,
                }
            })
            .collect();
        blocker::sort(&mut index);
        index
    }

    /// The handlers of the functions that the transition of a patch changes, sorted by address.
    pub(super) fn handlers(&self, patch: Option<usize>) -> Vec<Changing<Version>> {
        let funcs = patch.into_iter().flat_map(|patch| self.of_patch(patch));
        let handlers = funcs.enumerate().map(|(order, func)| {
            let function = func % self.functions;
            let location = Self::code(function, 0).start;
            Changing {
                code: blocker::in_handler(location, 4),
                order,
                name: function,
            }
        });
        let mut handlers: Vec<_> = handlers.collect();
        blocker::sort(&mut handlers);
        handlers
    }
}

/// The view that the handler of one function has of the machine.
#[derive(Clone, Copy)]
struct View<'a> {
    tasks: &'a Tasks,
    stacks: &'a Stacks,
    function: usize,
}

impl View<'_> {
    fn at(&self, link: &AtomicUsize) -> Option<FuncId> {
        Some(link.load(Relaxed)).filter(|&func| func != END)
    }

    /// Returns the func, and notes a violation if it is freed. The first thing that the handler
    /// loads from a func is `transition`, the last the target, right after `nop`. A func that
    /// `settled` returns is used for its target alone.
    fn look_at(&self, func: FuncId) -> &Func {
        let found = &self.stacks.funcs[func];
        if found.freed.load(Relaxed) {
            let task = self.tasks.current;
            self.tasks
                .machine
                .note(|| format!("task {task:?} uses func {func}, which is freed"));
        }
        found
    }
}

impl redirect::Stack for View<'_> {
    type Func = FuncId;
    type Target = FuncId;

    fn settled(&self) -> Option<FuncId> {
        if !self.stacks.settles {
            return None;
        }
        let func = self.at(&self.stacks.settled[self.function])?;
        self.look_at(func);
        Some(func)
    }

    fn target(&self, func: FuncId) -> Option<FuncId> {
        Some(func)
    }

    fn top(&self) -> Option<FuncId> {
        self.at(&self.stacks.heads[self.function])
    }

    fn below(&self, func: FuncId) -> Option<FuncId> {
        self.at(&self.stacks.funcs[func].next)
    }

    fn in_transition(&self, func: FuncId) -> bool {
        self.look_at(func).transition.load(Relaxed)
    }

    fn is_nop(&self, func: FuncId) -> bool {
        self.look_at(func).nop.load(atomic::Ordering::Relaxed)
    }

    fn task_state(&self) -> TaskState {
        self.tasks.state(self.tasks.current())
    }

    #[track_caller]
    fn read_barrier(&self) {
        if self.tasks.machine.faults.allow(Location::caller()) {
            fence(Acquire);
        }
    }

    fn target_of_idle(&self) -> TaskState {
        let task = self.tasks.current();
        let machine = &self.tasks.machine;
        if !machine.task(task).has_ended() {
            machine.note(|| format!("task {task} is idle and meets a func in transition"));
        }
        self.tasks.target()
    }
}

impl Tasks {
    /// The ftrace handler: returns the version that a call of `function` by the current task runs.
    pub(super) fn handler(&self, function: usize) -> Version {
        let _section = self.machine.preemption_disabled(self.current());
        self.handler_in_section(function)
    }

    /// The ftrace handler, for a caller that has preemption disabled.
    pub(super) fn handler_in_section(&self, function: usize) -> Version {
        let stacks = &self.machine.stacks;
        let view = View {
            tasks: self,
            stacks,
            function,
        };
        redirect::redirect(view).map_or(0, |func| stacks.version(func))
    }
}
