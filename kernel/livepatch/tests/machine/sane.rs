// SPDX-License-Identifier: GPL-2.0-or-later

//! The invariants of the machine.

use super::{
    Func,
    Function,
    Machine,
    Object,
    Patch,
    TaskData,
    VMLINUX, //
};
use crate::model::TaskState;

impl Machine {
    /// Notes that the rules have broken an invariant, unless it holds.
    pub(super) fn must_hold(&self, holds: bool) {
        if !holds {
            self.warned.set(true);
        }
    }

    /// Checks that handlers that could see a func as it was before are done.
    pub(super) fn expect_reclaimed(&self) {
        let unreclaimed = self.state.borrow().unreclaimed;
        self.must_hold(!unreclaimed);
    }

    /// Whether a func on a stack is in transition.
    pub(super) fn func_in_transition(&self) -> bool {
        let state = self.state.borrow();
        let mut funcs = state.stacks.iter().flat_map(|s| &s.funcs[..s.len]);
        funcs.any(|func| {
            func.is_some_and(|func| {
                let object = &state.patches[func.0 .0 .0].objects[func.0 .1];
                object.funcs[func.1].state.transition()
            })
        })
    }

    /// Whether a task on a list, or the idle task of a CPU, is in the idle state.
    pub(super) fn task_is_idle(&self) -> bool {
        let state = self.state.borrow();
        let threads = state.threads.iter();
        let mut threads = threads.filter(|task| task.presence.is_visited());
        let idle = |task: &TaskData| task.state == TaskState::Idle;
        threads.any(idle) || state.idle.iter().any(idle)
    }

    /// Whether all invariants hold. They do after every event.
    pub(crate) fn is_sane(&self) -> bool {
        let state = self.state.borrow();
        let on_stack = |func: Func, function: Function| {
            let stack = &state.stacks[function.0];
            stack.funcs[..stack.len].contains(&Some(func))
        };
        let mut sane = !self.warned.get() && state.notices.are_complete();
        for (number, patch) in state.patches.iter().enumerate() {
            let patch_id = Patch(number);
            let moving = state.transition == Some(patch_id);
            for (place, object) in patch.objects[..patch.count].iter().enumerate() {
                sane &= !object.patched || object.loaded;
                sane &= object.relocated == (object.loaded && object.module != VMLINUX);
                for (n, func) in object.funcs[..object.count].iter().enumerate() {
                    let id = Func(Object(patch_id, place), n);
                    // A func is on a stack exactly if it says so, and in transition exactly if its
                    // patch is.
                    sane &= func.state.patched() == on_stack(id, func.function);
                    sane &= func.state.patched() == object.patched;
                    sane &= func.state.transition() == moving;
                }
            }
        }
        let idle = state.transition.is_none();
        for stack in &state.stacks {
            sane &= stack.traced == (stack.len != 0);
        }
        sane &= state.has_sane_sites(
            self.missed.get(),
            self.ftrace_is_dead.get(),
            !self.never_jumps.get(),
        );
        let threads = state.threads.iter();
        let threads = threads.filter(|task| task.presence.is_visited());
        for task in threads.chain(&state.idle) {
            sane &= (task.state == TaskState::Idle) == idle;
            sane &= !task.pending || task.state != state.target;
            sane &= !task.untold;
        }
        sane &= (state.target == TaskState::Idle) == idle;
        sane &= state.index.is_some() != idle;
        drop(state);
        sane && self.handlers_agree()
    }
}
