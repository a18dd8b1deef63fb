// SPDX-License-Identifier: GPL-2.0

//! What `kernel/livepatch/state.rs` and `kernel/livepatch/shadow.rs` need of the kernel.
//!
//! The two files are compiled unchanged. The patches are those of the rules' machine.

use crate::machine::{
    Machine,
    Patch, //
};
use std::{
    cell::RefCell,
    collections::BTreeMap, //
};

pub(crate) mod shadow_table;

/// The versions of the states of a patch, by their identifiers.
pub(crate) type Versions = BTreeMap<usize, u32>;

thread_local! {
    static STATES: RefCell<BTreeMap<usize, Versions>> = const { RefCell::new(BTreeMap::new()) };
}

/// Describes the states of a patch to the rules.
pub(crate) fn describe(patch: Patch, states: &Versions) {
    STATES.with(|all| all.borrow_mut().insert(patch.0, states.clone()));
}

/// A patch with its states.
pub(crate) fn patch(machine: &Machine, patch: Patch) -> abi::Patch {
    use crate::model::PatchHost;
    let states = STATES.with(|all| all.borrow().get(&patch.0).cloned().unwrap_or_default());
    let state = |(id, version)| abi::State { id, version };
    abi::Patch {
        number: patch,
        replaces: machine.replaces(patch),
        states: states.into_iter().map(state).collect(),
    }
}

/// The installed patches of the machine.
pub(crate) fn locked(machine: &Machine) -> mutex::Locked {
    use crate::model::PatchHost;
    mutex::Locked {
        installed: machine.patches().map(|it| patch(machine, it)).collect(),
        transition: machine.transition_patch(),
    }
}

pub(crate) mod abi {
    use crate::machine;

    pub(crate) struct State {
        pub(super) id: usize,
        pub(super) version: u32,
    }

    impl State {
        pub(crate) fn id(&self) -> usize {
            self.id
        }

        pub(crate) fn version(&self) -> u32 {
            self.version
        }
    }

    pub(crate) struct Patch {
        pub(super) number: machine::Patch,
        pub(super) replaces: bool,
        pub(super) states: Vec<State>,
    }

    impl Patch {
        pub(crate) fn replaces(&self) -> bool {
            self.replaces
        }

        pub(crate) fn states(&self) -> std::slice::Iter<'_, State> {
            self.states.iter()
        }
    }
}

pub(crate) mod mutex {
    use super::abi::Patch;
    use crate::machine;

    /// The lock, and what it protects.
    pub(crate) struct Locked {
        pub(super) installed: Vec<Patch>,
        pub(super) transition: Option<machine::Patch>,
    }
}

pub(crate) mod patches {
    use super::{
        abi::Patch,
        mutex::Locked, //
    };

    pub(crate) struct Installed;

    pub(crate) static INSTALLED: Installed = Installed;

    impl Installed {
        pub(crate) fn iter<'a>(&self, locked: &'a Locked) -> std::slice::Iter<'a, Patch> {
            locked.installed.iter()
        }
    }

    pub(crate) fn transition_patch(locked: &Locked) -> Option<&Patch> {
        let mut patches = locked.installed.iter();
        patches.find(|patch| Some(patch.number) == locked.transition)
    }
}

pub(crate) mod log {
    macro_rules! warn_on_once {
        ($condition:expr) => {{
            let condition: bool = $condition;
            if condition {
                crate::lines::add(format!("warning: {}", stringify!($condition)));
            }
            condition
        }};
    }
    pub(crate) use warn_on_once;
}
