// SPDX-License-Identifier: GPL-2.0

//! The promises about callbacks and about messages in the log.

use std::{
    collections::BTreeMap,
    fmt, //
};

use crate::{
    machine::{
        Entry,
        Machine,
        Object,
        Patch,
        Told, //
    },
    model::{
        Callback,
        Event,
        PatchHost, //
    }, //
};

/// The phase of the transition, according to the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    None,
    Initializing,
    Canceling,
    Running,
    Reversing,
    Completing,
}

/// The last callback of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// The pre-patch callback has been called.
    Prepared,
    /// The post-patch callback has been called.
    Patched,
    /// The pre-unpatch callback has been called.
    Leaving,
}

/// The numbers of messages in one operation, the freed patches, and the modules that were put.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) enabling: usize,
    pub(crate) enable_failed: usize,
    pub(crate) pre_patch_failed: usize,
    pub(crate) patch_failed: usize,
    pub(crate) resolve_failed: usize,
    pub(crate) applying: usize,
    pub(crate) apply_failed: usize,
    pub(crate) refusing: usize,
    pub(crate) reverting: usize,
    pub(crate) starting: usize,
    pub(crate) reversing: usize,
    pub(crate) signaling: usize,
    pub(crate) forcing: usize,
    pub(crate) canceling: usize,
    pub(crate) complete: usize,
    pub(crate) freed: Vec<usize>,
    pub(crate) put: Vec<usize>,
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            ("enabling", self.enabling),
            ("enable_failed", self.enable_failed),
            ("pre_patch_failed", self.pre_patch_failed),
            ("patch_failed", self.patch_failed),
            ("resolve_failed", self.resolve_failed),
            ("applying", self.applying),
            ("apply_failed", self.apply_failed),
            ("refusing", self.refusing),
            ("reverting", self.reverting),
            ("starting", self.starting),
            ("reversing", self.reversing),
            ("signaling", self.signaling),
            ("forcing", self.forcing),
            ("canceling", self.canceling),
            ("complete", self.complete),
        ];
        let said = counts.iter().filter(|(_, count)| *count != 0);
        f.debug_map()
            .entries(said.map(|(what, count)| (what, count)))
            .entries((!self.freed.is_empty()).then_some((&"freed", &self.freed)))
            .entries((!self.put.is_empty()).then_some((&"put", &self.put)))
            .finish()
    }
}

/// The messages and callbacks so far, which restrict the next ones.
pub(crate) struct Journal {
    phase: Phase,
    patch: Option<Patch>,
    stages: BTreeMap<(usize, usize), Stage>,
    /// The object of the last entry, if that was a call of its pre-patch callback. The next entry
    /// shows whether the callback has failed.
    asked: Option<Object>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::None,
            patch: None,
            stages: BTreeMap::new(),
            asked: None,
        }
    }

    /// The last callback of a patch for a module.
    pub(crate) fn stage(&self, patch: usize, module: usize) -> Option<Stage> {
        self.stages.get(&(patch, module)).copied()
    }

    /// The patches that have had callbacks and owe others.
    pub(crate) fn patches(&self) -> impl Iterator<Item = usize> + '_ {
        self.stages.keys().map(|&(patch, _)| patch)
    }

    /// Reads the entries that the machine has logged since the last call.
    pub(crate) fn read(&mut self, machine: &Machine) -> Result<Said, String> {
        let mut said = Said::default();
        for entry in machine.log() {
            self.entry(machine, entry, &mut said)
                .map_err(|error| format!("{entry:?}: {error}"))?;
        }
        self.asked = None;
        let transition = machine.transition_patch();
        let told = match self.phase {
            Phase::None => None,
            Phase::Running => self.patch,
            phase => return Err(format!("the log stops at {phase:?}")),
        };
        if told != transition {
            return Err(format!("the log tells of {told:?}, not {transition:?}"));
        }
        Ok(said)
    }

    fn entry(&mut self, machine: &Machine, entry: Entry, said: &mut Said) -> Result<(), String> {
        let asked = self.asked.take();
        match entry {
            Entry::Told(event) => self.event(machine, event, asked, said),
            Entry::Called(object, callback) => {
                let key = (object.0 .0, machine.module_of(object).0);
                self.callback(key, callback)?;
                if callback == Callback::PrePatch {
                    self.asked = Some(object);
                }
                Ok(())
            }
            Entry::Entered(_) | Entry::Left(_) => Ok(()),
            Entry::Freed(patch) => {
                said.freed.push(patch.0);
                Ok(())
            }
            Entry::Put(patch) => {
                said.put.push(patch.0);
                Ok(())
            }
        }
    }

    fn event(
        &mut self,
        machine: &Machine,
        event: Told,
        asked: Option<Object>,
        said: &mut Said,
    ) -> Result<(), String> {
        self.follow(event)?;
        *match event {
            Event::Enabling(_) => &mut said.enabling,
            Event::EnableFailed(_) => &mut said.enable_failed,
            Event::PrePatchFailed(object) => {
                if asked != Some(object) {
                    return Err("it was not asked".into());
                }
                let key = (object.0 .0, machine.module_of(object).0);
                self.stages.remove(&key);
                &mut said.pre_patch_failed
            }
            Event::PatchFailed(_) => &mut said.patch_failed,
            Event::ResolveFailed(..) => &mut said.resolve_failed,
            Event::Applying(..) => &mut said.applying,
            Event::ApplyFailed(..) => &mut said.apply_failed,
            Event::Refusing(..) => &mut said.refusing,
            Event::Reverting(..) => &mut said.reverting,
            Event::Starting(_) => &mut said.starting,
            Event::Reversing(_) => &mut said.reversing,
            Event::Canceling(_) => &mut said.canceling,
            Event::Signaling => &mut said.signaling,
            Event::Forcing(_) => &mut said.forcing,
            Event::Complete(_) => &mut said.complete,
            Event::Initializing(_) | Event::Completing(_) => return Ok(()),
            Event::Enabled(_)
            | Event::Disabled(_)
            | Event::Replaced { .. }
            | Event::Switched(_)
            | Event::Changed(_)
            | Event::Reached(..) => return Err("it is not logged".into()),
        } += 1;
        Ok(())
    }

    /// Checks that the events of a transition come in order, and belong to one patch.
    fn follow(&mut self, event: Told) -> Result<(), String> {
        let (next, patch) = match (self.phase, event) {
            (Phase::None, Event::Initializing(patch)) => (Phase::Initializing, patch),
            (Phase::Initializing, Event::Starting(patch)) => (Phase::Running, patch),
            (Phase::Initializing, Event::Canceling(patch)) => (Phase::Canceling, patch),
            (Phase::Running, Event::Reversing(patch)) => (Phase::Reversing, patch),
            (Phase::Reversing, Event::Starting(patch)) => (Phase::Running, patch),
            (Phase::Running, Event::Forcing(patch)) => (Phase::Running, patch),
            (Phase::Running, Event::Signaling) => return Ok(()),
            (Phase::Running | Phase::Canceling, Event::Completing(patch)) => {
                (Phase::Completing, patch)
            }
            (Phase::Completing, Event::Complete(patch)) => (Phase::None, patch),
            (
                phase,
                Event::Initializing(_)
                | Event::Starting(_)
                | Event::Reversing(_)
                | Event::Canceling(_)
                | Event::Signaling
                | Event::Forcing(_)
                | Event::Completing(_)
                | Event::Complete(_),
            ) => return Err(format!("after {phase:?}")),
            _ => return Ok(()),
        };
        if self.phase == Phase::None {
            self.patch = Some(patch);
        } else if self.patch != Some(patch) {
            return Err(format!("of another patch than {:?}", self.patch));
        }
        self.phase = next;
        Ok(())
    }

    fn callback(&mut self, key: (usize, usize), callback: Callback) -> Result<(), String> {
        let next = match (self.stages.get(&key), callback) {
            (None, Callback::PrePatch) => Some(Stage::Prepared),
            (Some(Stage::Prepared | Stage::Leaving), Callback::PostPatch) => Some(Stage::Patched),
            (Some(Stage::Patched), Callback::PreUnpatch) => Some(Stage::Leaving),
            (Some(Stage::Prepared | Stage::Leaving), Callback::PostUnpatch) => None,
            (stage, _) => return Err(format!("after {stage:?}")),
        };
        match next {
            Some(stage) => self.stages.insert(key, stage),
            None => self.stages.remove(&key),
        };
        Ok(())
    }

    /// A replaced patch is gone. Its unpatch callbacks are not called.
    pub(crate) fn forget(&mut self, patch: usize) {
        self.stages.retain(|&(of, _), _| of != patch);
    }
}
