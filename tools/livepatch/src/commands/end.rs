// SPDX-License-Identifier: GPL-2.0

//! The end of a transition that klpctl has waited for.
//!
//! A patch that is not in transition any more may be applied, or it has left sysfs. Sysfs does not
//! show which way it has left. The kernel log does, and a patch that replaces others is a hint.

use crate::exit::Exit;
use crate::kmsg::Log;
use crate::name::Name;
use crate::root::Root;
use crate::sysfs::Direction;
use crate::system::{State, System};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Applied,
    Forced,
    /// The patch was disabled.
    Reverted,
    /// Another patch has replaced it.
    Replaced,
    /// The patch has left sysfs, and it is not known how.
    Gone,
}

/// The facts about the system before the wait.
pub struct Before {
    /// The direction that the transition had.
    pub direction: Option<Direction>,
    /// The patches that were applied. None of them has replaced the patch meanwhile.
    pub applied: Vec<Name>,
}

/// Returns the patches that are applied.
pub fn applied(system: &System) -> impl Iterator<Item = &Name> {
    let patches = system.patches.iter();
    patches
        .filter(|status| status.state.is_applied())
        .map(|status| &status.patch.name)
}

impl End {
    /// Returns the end of a patch's transition, or `None` if the patch is in transition or cannot
    /// be read.
    pub fn of(root: &Root, system: &System, patch: &Name, before: &Before) -> Option<Self> {
        if let Some(status) = system.find(patch) {
            return match status.state {
                State::Applied => Some(Self::Applied),
                State::Forced => Some(Self::Forced),
                State::Disabled => Some(Self::Reverted),
                State::Applying | State::Reverting | State::Stuck | State::Unknown => None,
            };
        }
        // Without a patch, the log was of no interest before.
        let log = system.patches.is_empty().then(|| Log::read(root).ok());
        let log = log.flatten();
        let logged = log.as_ref().unwrap_or(&system.log).transition(patch);
        let logged = logged.map(|transition| transition.direction);
        if logged.or(before.direction) == Some(Direction::Unpatching) {
            return Some(Self::Reverted);
        }
        let mut newer = applied(system).filter(|name| !before.applied.contains(name));
        let replaces = |name| {
            let status = system.find(name);
            status.is_some_and(|status| status.patch.replace == Some(true))
        };
        let replaced = newer.any(replaces);
        Some(if replaced { Self::Replaced } else { Self::Gone })
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Forced => "forced",
            Self::Reverted => "reverted",
            Self::Replaced => "replaced",
            Self::Gone => "gone",
        }
    }

    /// Returns the exit status, which is that of `status PATCH`.
    pub fn exit(self) -> Exit {
        match self {
            Self::Applied => Exit::Done,
            Self::Forced => Exit::Forced,
            Self::Reverted | Self::Replaced | Self::Gone => Exit::Nothing,
        }
    }
}

/// Returns the exit status for two ends, which is that of the worse one.
pub fn worse(one: Exit, other: Exit) -> Exit {
    match (one, other) {
        (Exit::Nothing, _) | (_, Exit::Nothing) => Exit::Nothing,
        (Exit::Forced, _) | (_, Exit::Forced) => Exit::Forced,
        (Exit::Done, other) => other,
        (one, _) => one,
    }
}
