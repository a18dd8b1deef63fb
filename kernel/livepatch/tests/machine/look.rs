// SPDX-License-Identifier: GPL-2.0-or-later

//! The operations that hardly a KUnit test needs, but the tests in user space do:
//! `tools/testing/livepatch/histories/` and `versus/`.

#![allow(dead_code, reason = "not every crate with this machine uses it")]

use super::{
    sites::CallSite,
    Entry,
    Func,
    Function,
    Indexed,
    Machine,
    Module,
    Object,
    Place,
    Presence,
    Task,
    PATCHES, //
};
use crate::model::Blocker;

/// An event that the machine's listener hears of, at the moment at which it happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard {
    /// The log got an entry.
    Logged(Entry),
    /// A task was reported that could not switch.
    Blocked(Task, Blocker<Function>),
}

/// A listener.
pub(crate) type Listener = fn(&Machine, Heard);

impl Machine {
    /// Tells the listener of an event.
    pub(super) fn hear(&self, event: Heard) {
        if let Some(listener) = self.listener.get() {
            listener(self, event);
        }
    }

    /// The number of an object's funcs, nops included.
    pub(crate) fn funcs_of(&self, object: Object) -> usize {
        self.object(object, |object| object.count)
    }

    /// Whether ftrace has yet to follow the settled word of a function, which is `handled` first or
    /// stays as it is.
    pub(crate) fn is_news(&self, function: Function, handled: bool) -> bool {
        let stack = &self.state.borrow().stacks[function.0];
        stack.site.told != stack.settled.filter(|_| !handled)
    }

    /// Whether another user of ftrace has a function.
    pub(crate) fn is_shared(&self, function: Function) -> bool {
        self.state.borrow().stacks[function.0].site.shared
    }

    /// The function's module is gone, and its call site with it.
    pub(crate) fn lose_site(&self, function: Function) {
        self.state.borrow_mut().stacks[function.0].site = CallSite::new();
    }

    /// A thread is gone for good; another may take its place.
    pub(crate) fn exit(&self, task: Task) {
        self.task(task, |task| task.presence = Presence::None);
    }

    /// Whether a task is on its way somewhere.
    pub(crate) fn is_arriving(&self, task: Task) -> bool {
        self.task(task, |task| matches!(task.place, Place::Arriving(_)))
    }

    /// The module that an object of a patch is.
    pub(crate) fn module_of(&self, object: Object) -> Module {
        self.object(object, |object| object.module)
    }

    /// The func stack of a function, the first func at the bottom.
    pub(crate) fn stack_of(&self, function: Function) -> [Option<Func>; PATCHES] {
        let stack = self.state.borrow().stacks[function.0];
        let mut funcs = stack.funcs;
        funcs[stack.len..].fill(None);
        funcs
    }

    /// The entry that tasks find for a function in the index.
    pub(crate) fn indexed(&self, function: Function) -> Option<Indexed> {
        self.state.borrow().index?[function.0]
    }

    /// Whether ftrace has failed to follow since all func stacks were settled.
    pub(crate) fn has_missed(&self) -> bool {
        self.missed.get()
    }

    /// No handler can see a func that is off its stack.
    pub(crate) fn is_reclaimed(&self) -> bool {
        !self.state.borrow().unreclaimed
    }
}
