// SPDX-License-Identifier: GPL-2.0-or-later

//! The places where a task can be.

use crate::model::blocker::Code;
use core::ops::Range;

/// The place of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Asleep, with this address on its stack.
    Asleep(usize),
    /// Asleep, with these two: one function has called another.
    Nested(usize, usize),
    /// Asleep, but its stack is not reliable.
    Unreliable,
    /// Asleep, with these two on a stack that is not reliable.
    UnreliableIn(usize, usize),
    /// On a CPU.
    Running,
    /// On a CPU, in user space, and the CPU tells that. The task can restart a system call by the
    /// function at this address.
    UserSpace(usize),
    /// On a CPU, inside these two.
    RunningIn(usize, usize),
    /// Preempted on its way to this address, which its stack does not show. It goes to sleep there.
    Arriving(usize),
}

/// An address that no patch changes.
pub(crate) const ELSEWHERE: Place = Place::Asleep(8);

/// Asleep inside a function.
pub(crate) fn asleep_in(code: Code) -> Place {
    Place::Asleep(code.start + 4)
}

/// Asleep inside a function that another has called.
pub(crate) fn asleep_in_call(outer: Code, inner: Code) -> Place {
    Place::Nested(outer.start + 4, inner.start + 4)
}

impl Place {
    /// The addresses on the stack of a task, or by which it can restart.
    fn words(self) -> [Option<usize>; 2] {
        match self {
            Self::Asleep(address) | Self::UserSpace(address) => [Some(address), None],
            Self::Nested(outer, inner)
            | Self::UnreliableIn(outer, inner)
            | Self::RunningIn(outer, inner) => [Some(outer), Some(inner)],
            Self::Unreliable | Self::Running | Self::Arriving(_) => [None, None],
        }
    }

    /// Whether one of these addresses is in `text`.
    pub(super) fn shows(self, text: &Range<usize>) -> bool {
        let words = self.words();
        words.into_iter().flatten().any(|word| text.contains(&word))
    }
}
