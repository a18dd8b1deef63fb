// SPDX-License-Identifier: GPL-2.0

//! The operations on a machine, and a generator of random histories.
//!
//! Operations name tasks, patches and modules by number. An operation that is impossible where it
//! stands, such as the exit of a task that does not exist, does nothing. So every part of a history
//! is a history as well, and a failing one can be shortened.

use proptest::{
    collection,
    option,
    prelude::*, //
};
use std::{
    collections::BTreeSet,
    fmt,
    ops::Range, //
};

use crate::{
    machine::{
        CPUS,
        FUNCTIONS,
        MODULES,
        TASKS, //
    },
    promise::Doing, //
};

/// The number of functions of each module.
pub(crate) const FUNCTIONS_EACH: usize = FUNCTIONS / MODULES;

/// The number of threads at the beginning of a history. The others can be forked.
pub(crate) const THREADS: usize = TASKS - 16;

/// The number of patches that can be installed at the same time.
pub(crate) const SLOTS: usize = 5;

/// The task of an operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Who {
    Thread(usize),
    Idle(usize),
}

/// The number of the call that fails, among the calls that can fail: 0 is the next.
pub(crate) type Fails = Option<u32>;

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// A patch is enabled. It has objects for the modules whose functions it changes, and for
    /// others, which have only callbacks.
    Enable {
        patch: usize,
        replaces: bool,
        functions: BTreeSet<usize>,
        others: BTreeSet<usize>,
        fails: Fails,
    },
    /// The administrator enables or disables a patch.
    Want {
        patch: usize,
        enabled: bool,
        fails: Fails,
    },
    /// The administrator reverses the transition.
    Reverse,
    /// The administrator forces the transition of this patch, or of the one in transition.
    Force { patch: Option<usize> },
    /// A module is loaded.
    Coming { module: usize, fails: Fails },
    /// A module is unloaded.
    Going { module: usize, fails: Fails },
    /// From now on the pre-patch callbacks for this module fail, or no callback does.
    Unwilling { module: Option<usize> },
    /// The kernel does a pass over all tasks. After it has looked at the threads, a child can get
    /// onto the task list, and a thread can leave the kernel.
    Pass {
        leaving: Option<usize>,
        attaches: bool,
    },
    /// Time goes by.
    Seconds(u64),
    /// A task calls a function. It sleeps there, unless it runs.
    Call { who: Who, function: usize },
    /// A task calls one of the functions that patches change, chosen modulo their number. It is
    /// preempted before it arrives there, or before it arrives where a patch's function jumps to.
    Arrive {
        who: Who,
        changed: usize,
        jumps: bool,
    },
    /// A task calls one of these functions, which jumps to a function of the patch that replaces
    /// none.
    Jump { who: Who, changed: usize },
    /// A task does the same as in `Jump`, and the patch is disabled. Then the task does `doing`. If
    /// that is `Arrives`, it is on its way already when the patch is disabled. It may have left the
    /// task list before.
    Linger {
        who: Who,
        changed: usize,
        doing: Doing,
        exits: bool,
    },
    /// Many threads call a function.
    Crowd {
        threads: Range<usize>,
        function: usize,
    },
    /// A task returns from the last function that it called.
    Return { who: Who },
    /// A task runs on another CPU from now on.
    Run { who: Who },
    /// A task sleeps in the functions that it has called, and its stack is unreliable.
    Blur { who: Who },
    /// A task sleeps in the functions that it has called.
    Sleep { who: Who },
    /// A task calls `__schedule()`.
    Schedule { who: Who },
    /// A thread leaves the kernel, or an idle task goes round its loop.
    Leave { who: Who },
    /// All tasks that are in functions or do not sleep leave the kernel, one after the other.
    LeaveAll,
    /// A thread forks.
    Fork { parent: usize },
    /// A thread begins to fork: the child is a copy, and is not yet on the task list.
    Copy { parent: usize },
    /// The oldest of these children gets onto the task list.
    Attach,
    /// A thread ends.
    Exit { thread: usize },
    /// A thread begins to exit: it leaves the task list, and goes on.
    BeginExit { thread: usize },
    /// A thread that exits leaves all lists. It is dead before its CPU runs anything else.
    EndExit { thread: usize },
    /// The kernel lets go of modules that no task can be in.
    LetGo,
    /// A CPU goes online or offline.
    Online { cpu: usize, online: bool },
    /// A second user of ftrace, such as a tracer, is attached to a function or detached from it.
    Trace { function: usize, comes: bool },
    /// ftrace fails once to update call sites to the settled func stacks, after so many updates
    /// that succeed.
    Miss { after: u32 },
    /// ftrace shuts itself down.
    Die,
}

/// A sequence of operations.
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

fn thread() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 1..5usize,
        1 => 1..TASKS,
        1 => THREADS..TASKS,
    ]
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![
        6 => thread().prop_map(Who::Thread),
        1 => (0..CPUS).prop_map(Who::Idle),
    ]
}

fn module() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1..3usize, 1 => 1..MODULES]
}

fn fails() -> impl Strategy<Value = Fails> {
    let when = prop_oneof![3 => 0..3u32, 3 => 0..15u32, 1 => 0..150u32];
    option::weighted(0.25, when)
}

fn patch() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..3usize, 1 => 0..SLOTS]
}

fn functions() -> impl Strategy<Value = BTreeSet<usize>> {
    prop_oneof![
        8 => collection::btree_set(function(), 0..5),
        1 => collection::btree_set(0..FUNCTIONS, 0..=FUNCTIONS),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let others = collection::btree_set(0..MODULES, 0..3);
    let others = prop_oneof![3 => Just(BTreeSet::new()), 1 => others];
    let enable = (
        patch(),
        prop::bool::weighted(0.3),
        functions(),
        others,
        fails(),
    );
    let enable = enable.prop_map(|(patch, replaces, functions, others, fails)| Enable {
        patch,
        replaces,
        functions,
        others,
        fails,
    });
    let want = (patch(), prop::bool::weighted(0.2), fails());
    let want = want.prop_map(|(patch, enabled, fails)| Want {
        patch,
        enabled,
        fails,
    });
    let crowd = (1..TASKS, 1..TASKS, function()).prop_map(|(one, other, function)| Crowd {
        threads: one.min(other)..one.max(other),
        function,
    });
    let arrive = (who(), 0..FUNCTIONS, any::<bool>());
    let arrive = arrive.prop_map(|(who, changed, jumps)| Arrive {
        who,
        changed,
        jumps,
    });
    let doing = prop_oneof![
        Just(Doing::Sleeps),
        Just(Doing::SleepsBlurred),
        Just(Doing::Runs),
        Just(Doing::Arrives),
    ];
    let linger = (who(), 0..FUNCTIONS, doing, prop::bool::weighted(0.2));
    let linger = linger.prop_map(|(who, changed, doing, exits)| Linger {
        who,
        changed,
        doing,
        exits,
    });
    prop_oneof![
        12 => enable,
        9 => want,
        5 => Just(Reverse),
        2 => option::weighted(0.2, patch()).prop_map(|patch| Force { patch }),
        7 => (module(), fails()).prop_map(|(module, fails)| Coming { module, fails }),
        4 => (module(), fails()).prop_map(|(module, fails)| Going { module, fails }),
        2 => option::weighted(0.4, 0..MODULES).prop_map(|module| Unwilling { module }),
        12 => (option::weighted(0.2, thread()), any::<bool>())
            .prop_map(|(leaving, attaches)| Pass { leaving, attaches }),
        2 => (1..40u64).prop_map(Seconds),
        25 => (who(), function()).prop_map(|(who, function)| Call { who, function }),
        8 => arrive,
        10 => (who(), 0..FUNCTIONS).prop_map(|(who, changed)| Jump { who, changed }),
        8 => linger,
        2 => crowd,
        9 => who().prop_map(|who| Return { who }),
        3 => who().prop_map(|who| Run { who }),
        2 => who().prop_map(|who| Blur { who }),
        4 => who().prop_map(|who| Sleep { who }),
        6 => who().prop_map(|who| Schedule { who }),
        8 => who().prop_map(|who| Leave { who }),
        3 => Just(LeaveAll),
        4 => thread().prop_map(|parent| Fork { parent }),
        3 => thread().prop_map(|parent| Copy { parent }),
        3 => Just(Attach),
        3 => thread().prop_map(|thread| Exit { thread }),
        4 => thread().prop_map(|thread| BeginExit { thread }),
        3 => thread().prop_map(|thread| EndExit { thread }),
        6 => Just(LetGo),
        4 => (0..CPUS, any::<bool>()).prop_map(|(cpu, online)| Online { cpu, online }),
        12 => (function(), prop::bool::weighted(0.6))
            .prop_map(|(function, comes)| Trace { function, comes }),
        5 => (0..3u32).prop_map(|after| Miss { after }),
        1 => Just(Die),
    ]
}

/// Histories of all kinds.
pub(crate) fn histories() -> impl Strategy<Value = History> {
    collection::vec(operation(), 1..80).prop_map(History)
}
