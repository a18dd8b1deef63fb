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
//! That makes six edges. Two more skip the middle, where no task can be in between:
//! [`Change::Arrive`] and [`Change::Leave`].
//!
//! Each [`Change`] moves one boolean, so that no value stands for an edge that moves both.
//! [`FuncState::after`] checks the state from which an edge starts.

/// The state of a func: on a func stack or not, in transition or not.
///
/// C: the booleans of `struct klp_func` in `include/linux/livepatch.h`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FuncState {
    patched: bool,
    transition: bool,
}

/// A change of the state of a func.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// A transition of its patch begins, in either direction.
    Begin,
    /// The transition of its patch is over.
    End,
    /// The func goes onto the func stack while its patch is in transition.
    Patch,
    /// The func leaves the func stack while its patch is in transition.
    Unpatch,
    /// The func goes onto the func stack because its object is loaded under a patch that is enabled
    /// and settled. No task has called the function yet.
    Arrive,
    /// The func leaves the func stack while its patch is settled: its object is being unloaded, or
    /// the patch was replaced, and the funcs of the new patch are above.
    Leave,
}

/// A change that is not legal in the state it was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Illegal;

impl FuncState {
    /// The state of a func with these two booleans.
    pub(crate) const fn new(patched: bool, transition: bool) -> Self {
        Self {
            patched,
            transition,
        }
    }

    /// Whether the func is on the func stack, where the ftrace handler finds it.
    pub(crate) fn patched(self) -> bool {
        self.patched
    }

    /// Whether the func is in transition. Some tasks use it and some do not, so the handler must
    /// look at the task.
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
