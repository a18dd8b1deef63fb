// SPDX-License-Identifier: GPL-2.0-or-later

//! A func's two booleans.
//!
//! | patched | transition | meaning |
//! |---|---|---|
//! | 0 | 0 | unpatched |
//! | 0 | 1 | unpatched, temporary starting or ending state |
//! | 1 | 1 | patched, may be visible to some tasks |
//! | 1 | 0 | patched, visible to all tasks |
//!
//! Patching walks the rows downward and unpatching upward; a reversal turns round in the middle.
//! That makes six edges. Two more skip the middle, for functions that no task can be in between on:
//! [`Change::Arrive`] and [`Change::Leave`].
//!
//! Each [`Change`] moves one boolean. An edge that moves both cannot be written down, and of those
//! that move one the starting point is checked.

/// The state of a func: on a func stack or not, in transition or not.
///
/// C: `struct klp_func` in `include/linux/livepatch.h`, whose booleans these are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FuncState {
    patched: bool,
    transition: bool,
}

/// What can be done to a func.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// A transition of its patch begins, in either direction.
    Begin,
    /// The transition of its patch is over.
    End,
    /// It goes onto the func stack while its patch is in transition.
    Patch,
    /// It leaves the func stack while its patch is in transition.
    Unpatch,
    /// It goes onto the func stack, its object being loaded under a patch that is enabled and
    /// settled: nobody has called the function yet.
    Arrive,
    /// It leaves the func stack of a settled patch: its object is being unloaded, or the patch was
    /// replaced and the funcs that replaced it are above.
    Leave,
}

/// A change that is not legal in the state it was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Illegal;

impl FuncState {
    /// The state that these two booleans of a func are.
    pub(crate) const fn new(patched: bool, transition: bool) -> Self {
        Self {
            patched,
            transition,
        }
    }

    /// On the func stack, where the ftrace handler finds it.
    pub(crate) fn patched(self) -> bool {
        self.patched
    }

    /// Tasks differ in whether they use it: the handler must look at the task.
    pub(crate) fn transition(self) -> bool {
        self.transition
    }

    /// The state that `change` leads to.
    pub(crate) fn after(self, change: Change) -> Result<Self, Illegal> {
        let Self {
            patched,
            transition,
        } = self;
        let legal = match change {
            Change::Begin => !transition,
            Change::End => transition,
            Change::Patch => !patched && transition,
            Change::Unpatch => patched && transition,
            Change::Arrive => !patched && !transition,
            Change::Leave => patched && !transition,
        };
        if !legal {
            return Err(Illegal);
        }
        Ok(match change {
            Change::Begin => Self {
                transition: true,
                ..self
            },
            Change::End => Self {
                transition: false,
                ..self
            },
            Change::Patch | Change::Arrive => Self {
                patched: true,
                ..self
            },
            Change::Unpatch | Change::Leave => Self {
                patched: false,
                ..self
            },
        })
    }
}
