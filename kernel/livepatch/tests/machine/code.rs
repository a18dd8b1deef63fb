// SPDX-License-Identifier: GPL-2.0-or-later

//! The code that runs: the function that a call reaches, and the functions that the index finds on
//! a stack.

use super::{
    Func,
    Function,
    Indexed,
    Machine,
    Patch,
    Task,
    PATCHES, //
};
use crate::model::{
    blocker::{
        self,
        Changing,
        Code, //
    },
    redirect,
    PatchHost,
    TaskHost,
    TaskState, //
};
use core::ops::Range;

/// The code of a function of the kernel.
pub(crate) fn original(function: Function) -> Code {
    Code {
        start: 0x10_0000 + function.0 * 0x1000,
        size: 0x100,
    }
}

/// The text of a patch's module.
pub(super) fn text(patch: Patch) -> Range<usize> {
    let start = 0x100_0000 * (patch.0 + 1);
    start..start + 0x100_0000
}

/// The code that a patch has for a function.
pub(crate) fn replacement(patch: Patch, function: Function) -> Code {
    Code {
        start: text(patch).start + function.0 * 0x1000,
        size: 0x80,
    }
}

/// Whether an address is in the code that any patch has for a function.
pub(super) fn is_replacement(function: Function, address: usize) -> bool {
    (0..PATCHES).any(|patch| {
        let code = replacement(Patch(patch), function);
        (code.start..code.start + code.size).contains(&address)
    })
}

/// Code of a patch that does not belong to a func. The patch's new functions jump there.
pub(crate) fn helper(patch: Patch) -> Code {
    Code {
        start: text(patch).start + 0x80_0000,
        size: 0x80,
    }
}

/// One call of one function by one task.
#[derive(Clone, Copy)]
struct View<'a> {
    machine: &'a Machine,
    task: Task,
    function: Function,
    /// The handler looks at the stack even if it is settled.
    closely: bool,
}

impl redirect::Stack for View<'_> {
    type Func = Func;
    type Target = Func;

    fn settled(&self) -> Option<Func> {
        let settled = self.machine.state.borrow().stacks[self.function.0].settled;
        settled.filter(|_| !self.closely)
    }

    fn target(&self, func: Func) -> Option<Func> {
        Some(func)
    }

    fn top(&self) -> Option<Func> {
        self.machine.top(self.function)
    }

    fn below(&self, func: Func) -> Option<Func> {
        self.machine.below(func, self.function)
    }

    fn in_transition(&self, func: Func) -> bool {
        self.machine.func_state(func).transition()
    }

    fn is_nop(&self, func: Func) -> bool {
        self.machine.is_nop(func)
    }

    fn task_state(&self) -> TaskState {
        self.machine.state_of(self.task)
    }

    fn read_barrier(&self) {}

    fn target_of_idle(&self) -> TaskState {
        self.machine.must_hold(!self.machine.is_visited(self.task));
        self.machine.target()
    }
}

impl Machine {
    /// The patch that a task's call of a function reaches, or `None` for the original function.
    pub(crate) fn reaches(&self, task: Task, function: Function) -> Option<Patch> {
        if let Some(patch) = self.jump(function) {
            return Some(patch);
        }
        redirect::redirect(View {
            machine: self,
            task,
            function,
            closely: false,
        })
        .map(|func| func.0 .0)
    }

    /// The func that the handler chooses if it looks at the stack even when it is settled.
    pub(super) fn decides(&self, task: Task, function: Function) -> Option<Func> {
        redirect::redirect(View {
            machine: self,
            task,
            function,
            closely: true,
        })
    }

    fn below(&self, func: Func, function: Function) -> Option<Func> {
        let state = self.state.borrow();
        let stack = &state.stacks[function.0];
        let place = stack.funcs[..stack.len]
            .iter()
            .position(|f| *f == Some(func))?;
        stack.funcs[..place].last().copied().flatten()
    }

    /// The code that the index has for a func, which has a place among those of its patch.
    pub(super) fn changing(&self, func: Func, function: Function, order: usize) -> Indexed {
        let code = |func: Func| {
            if self.is_nop(func) {
                original(function)
            } else {
                replacement(func.0 .0, function)
            }
        };
        let below = self.below(func, function).map(code);
        let changing =
            |patching| blocker::changing(patching, code(func), original(function), below);
        Indexed {
            order,
            patching: changing(true),
            unpatching: changing(false),
        }
    }

    /// The name of the function on a stack, which this looks for in an index of one entry each.
    pub(super) fn blocker(&self, stack: &[usize]) -> Option<Function> {
        let state = self.state.borrow();
        let index = state.index?;
        let found = index.iter().enumerate().filter_map(|(number, indexed)| {
            let indexed = (*indexed)?;
            let changing = Changing {
                code: if state.target == TaskState::Patched {
                    indexed.patching
                } else {
                    indexed.unpatching
                },
                order: indexed.order,
                name: Function(number),
            };
            blocker::find_blocker(stack, &[changing]).map(|name| (indexed.order, name))
        });
        found.min_by_key(|&(order, _)| order).map(|(_, name)| name)
    }
}
