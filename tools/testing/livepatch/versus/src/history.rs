// SPDX-License-Identifier: GPL-2.0

//! The operations that are done on both cores, and a generator of random histories.

use crate::{
    c::STATES,
    edge::Versions,
    machine::{
        CPUS,
        FUNCTIONS,
        MODULES, //
    },
};
use proptest::{
    collection,
    option,
    prelude::*, //
};
use std::{
    collections::BTreeSet,
    fmt, //
};

/// The number of functions of each module.
pub(crate) const FUNCTIONS_EACH: usize = FUNCTIONS / MODULES;

/// The number of threads at the beginning of a history.
pub(crate) const THREADS: usize = 8;

/// The largest number of threads, with those that are forked.
pub(crate) const MOST_THREADS: usize = 16;

/// The number of patches that can be installed at the same time.
pub(crate) const SLOTS: usize = 5;

/// The number of the call that fails, among the calls that can fail: 0 is the next.
pub(crate) type Fails = Option<u32>;

/// An operation. It does nothing where it is impossible.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// A patch is enabled, with objects for the modules of its functions and for others.
    Enable {
        patch: usize,
        replaces: bool,
        functions: BTreeSet<usize>,
        others: BTreeSet<usize>,
        states: Versions,
        fails: Fails,
    },
    /// The administrator writes to the patch's file `enabled`.
    Want {
        patch: usize,
        enabled: bool,
        fails: Fails,
    },
    /// The administrator reverses the transition.
    Reverse,
    /// The administrator writes to the file `force` of this patch, or of the one in transition.
    Force {
        patch: Option<usize>,
    },
    Coming {
        module: usize,
        fails: Fails,
    },
    Going {
        module: usize,
        fails: Fails,
    },
    /// From now on the pre-patch callbacks for this module fail, or no callback does.
    Unwilling {
        module: Option<usize>,
    },
    /// Seconds go by.
    Seconds(usize),
    /// A task calls a function. It sleeps there, unless it runs.
    Call {
        task: usize,
        function: usize,
    },
    /// A task calls one of the functions that patches change, chosen modulo their number. While it
    /// is there, the administrator disables the patch that has the function that it runs, and may
    /// enable it again.
    Linger {
        task: usize,
        changed: usize,
        again: bool,
    },
    /// A task returns from the last function that it called.
    Return {
        task: usize,
    },
    /// A task runs on another CPU from now on.
    Run {
        task: usize,
    },
    /// A task sleeps, and its stack is unreliable.
    Blur {
        task: usize,
    },
    Sleep {
        task: usize,
    },
    /// A task calls `__schedule()`.
    Schedule {
        task: usize,
    },
    /// A task leaves the kernel, or an idle task goes round its loop.
    Leave {
        task: usize,
    },
    Fork {
        parent: usize,
    },
    /// A thread begins to fork: the child is a copy, and is not yet on the task list.
    Copy {
        parent: usize,
    },
    /// The oldest of these children gets onto the task list.
    Attach,
    Exit {
        task: usize,
    },
    /// A livepatch uses the shadow variable of an object with an identifier.
    Shadow {
        object: usize,
        id: usize,
        what: Variable,
        no_memory: bool,
    },
    Online {
        cpu: usize,
        online: bool,
    },
}

/// A use of a shadow variable.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Variable {
    /// `klp_shadow_alloc()`, with a constructor.
    Make {
        fails: bool,
    },
    /// `klp_shadow_get_or_alloc()`, with a constructor.
    GetOrMake {
        fails: bool,
    },
    Free,
    /// `klp_shadow_free_all()`: the variables of all objects.
    FreeAll,
}

/// The number of objects that have shadow variables.
pub(crate) const OBJECTS: usize = 3;

/// The identifiers of shadow variables are 1 and so on up to this number.
pub(crate) const IDS: usize = 2;

#[derive(Clone)]
pub(crate) struct History(pub(crate) Vec<Operation>);

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, operation) in self.0.iter().enumerate() {
            write!(f, "\n{number:5}: {operation:?}")?;
        }
        Ok(())
    }
}

/// Mostly one of a few functions, so that patches, callers and modules meet; sometimes any.
fn function() -> impl Strategy<Value = usize> {
    prop_oneof![
        5 => 0..2usize,
        3 => (1..3usize, 0..2usize).prop_map(|(module, f)| module * FUNCTIONS_EACH + f),
        1 => 0..FUNCTIONS,
    ]
}

/// A thread, or an idle task. The numbers of idle tasks follow those of all threads.
fn task() -> impl Strategy<Value = usize> {
    prop_oneof![
        6 => 1..4usize,
        2 => 1..MOST_THREADS,
        1 => MOST_THREADS..MOST_THREADS + CPUS,
    ]
}

fn fails() -> impl Strategy<Value = Fails> {
    let when = prop_oneof![3 => 0..3u32, 3 => 0..15u32, 1 => 0..100u32];
    option::weighted(0.2, when)
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let functions = collection::btree_set(function(), 0..5);
    let others = collection::btree_set(0..MODULES, 0..3);
    let others = prop_oneof![3 => Just(BTreeSet::new()), 1 => others];
    let states = collection::btree_map(1..=STATES, 1..4u32, 1..3);
    let states = prop_oneof![4 => Just(Versions::new()), 1 => states];
    let enable = (
        0..SLOTS,
        prop::bool::weighted(0.3),
        functions,
        others,
        states,
        fails(),
    );
    let enable = enable.prop_map(
        |(patch, replaces, functions, others, states, fails)| Enable {
            patch,
            replaces,
            functions,
            others,
            states,
            fails,
        },
    );
    let variable = prop_oneof![
        3 => prop::bool::weighted(0.2).prop_map(|fails| Variable::Make { fails }),
        3 => prop::bool::weighted(0.2).prop_map(|fails| Variable::GetOrMake { fails }),
        2 => Just(Variable::Free),
        1 => Just(Variable::FreeAll),
    ];
    let shadow = (0..OBJECTS, 1..=IDS, variable, prop::bool::weighted(0.1));
    let shadow = shadow.prop_map(|(object, id, what, no_memory)| Shadow {
        object,
        id,
        what,
        no_memory,
    });
    let want = (0..SLOTS, prop::bool::weighted(0.2), fails());
    let want = want.prop_map(|(patch, enabled, fails)| Want {
        patch,
        enabled,
        fails,
    });
    let module = || 1..MODULES;
    prop_oneof![
        12 => enable,
        9 => want,
        5 => Just(Reverse),
        2 => option::weighted(0.5, 0..SLOTS).prop_map(|patch| Force { patch }),
        7 => (module(), option::weighted(0.4, 0..9u32))
            .prop_map(|(module, fails)| Coming { module, fails }),
        4 => (module(), option::weighted(0.5, 0..2u32))
            .prop_map(|(module, fails)| Going { module, fails }),
        2 => option::weighted(0.4, 0..MODULES).prop_map(|module| Unwilling { module }),
        12 => Just(Seconds(1)),
        2 => (10..35usize).prop_map(Seconds),
        25 => (task(), function()).prop_map(|(task, function)| Call { task, function }),
        8 => (task(), 0..FUNCTIONS, any::<bool>()).prop_map(|(task, changed, again)| Linger {
            task,
            changed,
            again,
        }),
        9 => task().prop_map(|task| Return { task }),
        3 => task().prop_map(|task| Run { task }),
        2 => task().prop_map(|task| Blur { task }),
        4 => task().prop_map(|task| Sleep { task }),
        6 => task().prop_map(|task| Schedule { task }),
        9 => task().prop_map(|task| Leave { task }),
        4 => task().prop_map(|parent| Fork { parent }),
        3 => task().prop_map(|parent| Copy { parent }),
        3 => Just(Attach),
        3 => task().prop_map(|task| Exit { task }),
        8 => shadow,
        3 => (0..CPUS, any::<bool>()).prop_map(|(cpu, online)| Online { cpu, online }),
    ]
}

pub(crate) fn histories() -> impl Strategy<Value = History> {
    collection::vec(operation(), 1..60).prop_map(History)
}
