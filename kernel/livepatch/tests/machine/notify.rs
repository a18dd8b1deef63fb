// SPDX-License-Identifier: GPL-2.0-or-later

//! Processes that wait for a value to change, or for a transition to come to a stage.

use super::{
    Machine,
    Object,
    Patch, //
};
use crate::model::{
    PatchHost,
    Shown,
    Stage, //
};

/// How many stages are kept.
const STAGES: usize = 8;

/// A uevent, and the values that its receiver reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Uevent {
    pub(crate) patch: Patch,
    pub(crate) stage: Stage,
    /// Where the transition leads, according to the patch's files when the uevent comes.
    pub(crate) patching: bool,
    /// Whether the transition runs, according to the same files.
    pub(crate) running: bool,
}

/// The uevents that were sent, and the change that has yet to be reported.
#[derive(Clone, Copy)]
pub(super) struct Notices {
    /// A value has changed, and its pollers were not woken up yet.
    unreported: Option<Shown<Patch, Object>>,
    uevents: [Option<Uevent>; STAGES],
}

impl Notices {
    pub(super) const NONE: Self = Self {
        unreported: None,
        uevents: [None; STAGES],
    };

    /// Whether pollers know of each change.
    pub(super) fn are_complete(&self) -> bool {
        self.unreported.is_none()
    }
}

impl Machine {
    /// A value is about to change. The rules have to report that before another value changes.
    pub(super) fn note_change(&self, shown: Shown<Patch, Object>) {
        let before = self.state.borrow_mut().notices.unreported.replace(shown);
        self.must_hold(before.is_none());
    }

    /// Pollers are woken up because a value has changed.
    pub(super) fn told_of_change(&self, shown: Shown<Patch, Object>) {
        let changed = self.state.borrow_mut().notices.unreported.take();
        self.must_hold(changed == Some(shown));
    }

    /// A transition has come to a stage. Its listeners may read the patch's files.
    pub(super) fn told_of_stage(&self, patch: Patch, stage: Stage) {
        let uevent = Uevent {
            patch,
            stage,
            patching: self.enabled(patch),
            running: self.transition_patch() == Some(patch),
        };
        self.must_hold(self.is_published(patch));
        let mut state = self.state.borrow_mut();
        if let Some(place) = state
            .notices
            .uevents
            .iter_mut()
            .find(|place| place.is_none())
        {
            *place = Some(uevent);
        }
    }

    /// Whether exactly these uevents were sent since the last look.
    #[allow(dead_code, reason = "not every crate with this machine uses it")]
    pub(crate) fn were_sent(&self, expected: &[Uevent]) -> bool {
        let mut state = self.state.borrow_mut();
        let uevents = core::mem::replace(&mut state.notices.uevents, [None; STAGES]);
        uevents.into_iter().flatten().eq(expected.iter().copied())
    }
}
