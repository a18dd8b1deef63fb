// SPDX-License-Identifier: GPL-2.0-or-later

//! The call sites of functions, and the targets to which ftrace makes them lead.

use super::{
    Errno,
    Func,
    FuncStack,
    Function,
    Machine,
    Object,
    Patch,
    State,
    Task,
    BROKEN,
    VMLINUX, //
};
use crate::model::PatchHost;

/// The call site of a function that is in ftrace.
#[derive(Clone, Copy)]
pub(super) struct CallSite {
    /// The target that ftrace has for the function, as of the last time that it followed.
    pub(super) told: Option<Func>,
    /// Another user of ftrace has the function as well, so that the call site leads to ftrace, and
    /// ftrace calls both handlers.
    pub(super) shared: bool,
    /// The func that the function jumps to, past all handlers.
    pub(super) jump: Option<Func>,
}

impl CallSite {
    pub(super) const fn new() -> Self {
        Self {
            told: None,
            shared: false,
            jump: None,
        }
    }
}

impl State {
    /// The func that `redirect()` chooses for every task. It is `None` if that depends on the task,
    /// and if tasks reach the original function.
    fn lasting(&self, function: Function) -> Option<Func> {
        let stack = &self.stacks[function.0];
        let data = |func: Func| self.patches[func.0 .0 .0].objects[func.0 .1].funcs[func.1];
        let funcs = || stack.funcs[..stack.len].iter().flatten().copied();
        if funcs().any(|func| data(func).state.transition()) {
            return None;
        }
        funcs().last().filter(|&func| !data(func).nop)
    }

    /// Whether no patch is in transition and all func stacks are settled.
    fn is_settled(&self) -> bool {
        let mut functions = (0..self.stacks.len()).map(Function);
        self.transition.is_none()
            && functions.all(|function| {
                let settled = self.stacks[function.0].settled;
                settled == self.lasting(function)
            })
    }

    /// Whether settled words and call sites agree with the func stacks. `missed` says that ftrace
    /// has failed to follow since all stacks were settled, `dead` that it has shut itself down, and
    /// `jumps` that the architecture has jumps.
    pub(super) fn has_sane_sites(&self, missed: bool, dead: bool, jumps: bool) -> bool {
        let idle = self.transition.is_none();
        let mut sane = true;
        for (number, stack) in self.stacks.iter().enumerate() {
            let lasting = self.lasting(Function(number));
            let site = &stack.site;
            // Between transitions all stacks are settled, but for those of a patch that could not
            // begin a transition because ftrace failed.
            sane &= stack.settled == lasting || stack.settled.is_none() && (!idle || missed);
            sane &= site.told == stack.settled || missed;
            sane &= site.jump == site.told.filter(|_| jumps && !site.shared) || dead;
            sane &= site.jump.is_none() || site.jump == lasting;
        }
        // The handler decides about every function of a patch in transition.
        let moving = self.transition.iter().flat_map(|patch| {
            let patch = &self.patches[patch.0];
            &patch.objects[..patch.count]
        });
        for object in moving.filter(|object| object.loaded) {
            for func in &object.funcs[..object.count] {
                let stack = &self.stacks[func.function.0];
                sane &= stack.settled.is_none() && stack.site.jump.is_none();
            }
        }
        sane
    }
}

impl Machine {
    /// Makes ftrace follow the settled words, one function after the other.
    pub(super) fn tell_ftrace(&self) -> Result<(), Errno> {
        let after = self.follow_fails_after.get();
        self.follow_fails_after
            .set(after.and_then(|n| n.checked_sub(1)));
        let jumps = !self.never_jumps.get();
        let dead = jumps && self.ftrace_is_dead.get();
        let mut state = self.state.borrow_mut();
        let is_news = |stack: &&mut FuncStack| stack.site.told != stack.settled;
        let news = state.stacks.iter_mut().filter(is_news).count();
        let (followed, result) = if dead && news != 0 {
            (0, Err(Errno(BROKEN)))
        } else if after == Some(0) {
            // A failure at the last function leaves those before it changed.
            (news.saturating_sub(1), Err(Errno(BROKEN)))
        } else {
            (news, Ok(()))
        };
        for stack in state.stacks.iter_mut().filter(is_news).take(followed) {
            stack.site.told = stack.settled;
            stack.site.jump = stack.settled.filter(|_| jumps && !stack.site.shared);
        }
        if result.is_err() {
            self.missed.set(true);
        } else if state.is_settled() {
            self.missed.set(false);
        }
        result
    }

    /// Checks that the handler decides about the function, because the func is about to change, to
    /// be pushed or to be popped.
    pub(super) fn expect_handled(&self, func: Func, function: Function) {
        let stack = self.state.borrow().stacks[function.0];
        // If ftrace is dead, the functions of a module jump until the module is gone.
        let leaves = self.ftrace_is_dead.get() && self.goes(func.0);
        self.must_hold(stack.settled.is_none());
        self.must_hold(stack.site.jump.is_none() || leaves);
    }

    /// Whether the object's module is being unloaded.
    fn goes(&self, object: Object) -> bool {
        let module = self.object(object, |object| object.module);
        module != VMLINUX && !self.is_patchable(module)
    }

    /// Whether the handler would choose the target of each jump, too.
    pub(super) fn handlers_agree(&self) -> bool {
        self.stacks().all(|function| {
            let jump = self.state.borrow().stacks[function.0].site.jump;
            jump.is_none() || self.decides(Task::Thread(0), function) == jump
        })
    }

    // Tests use the following methods.

    /// The patch that a function jumps to, past the handler.
    pub(crate) fn jump(&self, function: Function) -> Option<Patch> {
        let stack = self.state.borrow().stacks[function.0];
        stack.site.jump.map(|func| func.0 .0)
    }

    /// Another user of ftrace comes to a function, or goes.
    pub(crate) fn set_shared(&self, function: Function, shared: bool) {
        if self.ftrace_is_dead.get() {
            return;
        }
        let jumps = !self.never_jumps.get();
        let site = &mut self.state.borrow_mut().stacks[function.0].site;
        site.shared = shared;
        site.jump = site.told.filter(|_| jumps && !shared);
    }
}
