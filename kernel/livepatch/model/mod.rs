// SPDX-License-Identifier: GPL-2.0-or-later

//! The rules of live patching, apart from any machine that runs them.
//!
//! This is the code that decides: which state a func may go to, which function a redirected call
//! reaches, which task may switch, when a transition is complete. It depends on [`core`] alone. It
//! knows no kernel type, allocates nothing and has no `unsafe`; what it needs of the machine it
//! asks of the [`Host`]. The same files are compiled into the kernel, into KUnit under UML, and
//! into user-space tests.
//!
//! | file | decides |
//! |---|---|
//! | [`func`] | the two booleans of a func and their eight legal edges |
//! | [`patch`] | how funcs and objects get onto the func stacks and into ftrace, and back |
//! | [`enable`] | the life of a patch: enabled, disabled, reversed, forced, freed |
//! | [`transition`] | how the tasks move from one set of functions to the other |
//! | [`replace`] | what an atomic replace puts in and takes out |
//! | [`modules`] | what happens when a module comes or goes |
//! | [`text`] | when a livepatch's module can go |
//! | [`redirect`] | which function the ftrace handler jumps to |
//! | [`relocs`] | in which order relocations are written, and which are cleared again |
//! | [`blocker`] | whether a stack holds a function that is about to change |
//! | [`state`] | which patches get along |
//! | [`symbols`] | which of several symbols of the same name is meant |
//! | [`settle`] | when a call is the same for every task |
//! | [`shadow`] | which shadow variable is kept |
//! | [`names`] | what the names of livepatch sections and symbols mean |

#![deny(unsafe_code)]

pub(crate) mod blocker;
pub(crate) mod enable;
pub(crate) mod func;
mod host;
pub(crate) mod modules;
pub(crate) mod names;
pub(crate) mod patch;
pub(crate) mod redirect;
pub(crate) mod relocs;
pub(crate) mod replace;
pub(crate) mod settle;
pub(crate) mod shadow;
pub(crate) mod state;
pub(crate) mod symbols;
pub(crate) mod text;
pub(crate) mod transition;

pub(crate) use self::host::{
    Host,
    ModuleHost,
    PatchHost,
    TaskHost,
    TextHost, //
};

/// Which set of functions a task uses; `task_struct::patch_state`.
///
/// C: `KLP_TRANSITION_*` in `include/linux/livepatch.h`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
pub(crate) enum TaskState {
    /// No transition is in progress; the question does not arise.
    Idle = -1,
    /// The functions from before the patch.
    Unpatched = 0,
    /// The patch's functions.
    Patched = 1,
}

impl TaskState {
    /// The state that a transition to `self` starts from.
    pub(crate) fn opposite(self) -> Self {
        match self {
            Self::Idle => Self::Idle,
            Self::Unpatched => Self::Patched,
            Self::Patched => Self::Unpatched,
        }
    }

    /// The state that the integer `raw` in a task or in `klp_target_state` stands for.
    pub(crate) fn from_raw(raw: i32) -> Self {
        match raw {
            0 => Self::Unpatched,
            1 => Self::Patched,
            _ => Self::Idle,
        }
    }
}

/// Why a task could not switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Blocker<N> {
    /// The architecture has no reliable stack traces: only kernel exit and the idle loop switch.
    NoReliableStack,
    /// It runs on another CPU, so its stack cannot be looked at.
    Running,
    /// Its stack could not be walked to the end.
    UnreliableStack,
    /// A function that is about to change is on its stack; its name.
    SleepsOn(N),
    /// The host could not tell; its error code, negative.
    Other(i32),
}

/// How a task came to switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// Its stack was looked at while it was still.
    StackCheck,
    /// It looked at its own stack, in `__schedule()`.
    Schedule,
    /// It left the kernel.
    KernelExit,
    /// An idle task passed through its loop.
    IdleLoop,
    /// An idle task's CPU is offline.
    Offline,
    /// Its parent had switched before it was on the task list. The task may yet never run.
    Fork,
    /// The administrator forced the transition.
    Forced,
}

/// A count of tasks, idle tasks included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    /// Those that are not in the target state.
    pub(crate) waiting: u32,
    /// All of them.
    pub(crate) tasks: u32,
}

/// Why the rules refuse to do something; the host has an error of its own for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// It makes no sense in this state; `EINVAL`.
    Invalid,
    /// A patch is in transition; `EBUSY`.
    Busy,
}

/// Conditions that the rules rely on, and check all the same. The kernel warns of each once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expectation {
    /// No transition is in progress when one is prepared.
    NoTransition,
    /// No task knows of a transition when one is prepared.
    TaskIsIdle,
    /// Every func of a patch can begin a transition, and end it.
    FuncInTransition,
    /// A transition is in progress when tasks are asked to switch.
    TransitionToStart,
    /// A transition is in progress when a pass looks at the tasks.
    TransitionToComplete,
    /// No task is asked to switch when all of them have.
    NoTaskIsPending,
    /// A transition that is given up is one to the patched state.
    TransitionToCancel,
    /// An object is unpatched before it is patched.
    ObjectIsUnpatched,
    /// A func that is put onto a stack is in a state that allows it.
    FuncToPush,
    /// A func that is taken off a stack is in a state that allows it.
    FuncToPop,
    /// Callbacks other than the one before patching succeed.
    CallbackSucceeds,
}

impl Expectation {
    /// The number of expectations.
    pub(crate) const COUNT: usize = Self::CallbackSucceeds as usize + 1;
}

/// A value that the administrator can read at any time, and wait for.
///
/// `P` and `O` are a host's patches and objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shown<P, O> {
    /// Whether the patch is enabled.
    Enabled(P),
    /// Whether the patch is in transition.
    Transition(P),
    /// Whether the object is patched.
    Patched(O),
}

/// How far a transition is. While a stage is reported, the administrator reads the values that go
/// with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// Tasks have been asked to switch.
    Started,
    /// Tasks have been asked to switch back.
    Reversed,
    /// Tasks have been switched by decree.
    Forced,
    /// The transition is over.
    Completed,
}

/// Everything that the rules report of patches and transitions. The host decides which of it is
/// logged, which is traced, and which wakes up processes that wait for it.
///
/// `P`, `O` and `E` are a host's patches, objects and errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event<P, O, E> {
    /// A patch is about to be enabled.
    Enabling(P),
    /// The patch cannot be enabled; everything that was done for it is undone.
    EnableFailed(P),
    /// A pre-patch callback refuses to have its object patched.
    PrePatchFailed(O),
    /// The object cannot be patched.
    PatchFailed(O),
    /// The patch becomes enabled.
    Enabled(P),
    /// The patch becomes disabled.
    Disabled(P),
    /// The patch becomes disabled because another one has replaced it.
    Replaced {
        /// The patch that becomes disabled.
        patch: P,
        /// The patch that has taken its place.
        by: P,
    },

    /// Symbols or relocations of a patch for a module that is coming cannot be resolved.
    ResolveFailed(P, O, E),
    /// A patch is about to be applied to a module that is coming.
    Applying(P, O),
    /// The patch cannot be applied.
    ApplyFailed(P, O, E),
    /// Therefore the module is refused.
    Refusing(P, O),
    /// A patch is about to be reverted on a module that is going.
    Reverting(P, O),

    /// Task and func states are being prepared for a transition.
    Initializing(P),
    /// Tasks are about to be asked to switch.
    Starting(P),
    /// The target of the transition is about to change.
    Reversing(P),
    /// The transition ends before any task could switch.
    Canceling(P),
    /// Tasks that have not switched for a long time are about to be woken up.
    Signaling,
    /// Tasks are about to be switched by decree.
    Forcing(P),
    /// All tasks have switched.
    Switched(P),
    /// The target state is about to become the only one.
    Completing(P),
    /// The transition is over.
    Complete(P),

    /// A value has just changed.
    Changed(Shown<P, O>),
    /// The transition of the patch has come to a stage. A transition that is given up before it
    /// starts has none. The patch is visible to the administrator until this returns.
    Reached(P, Stage),
}

/// What became of an attempt to switch a task.
///
/// `N` is the name of a func.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome<N> {
    /// The task has switched to this state.
    Switched(TaskState, Way),
    /// The task cannot switch.
    Blocked(Blocker<N>),
}

/// The callbacks that a patch has for an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Callback {
    /// Before its funcs are put onto the stacks.
    PrePatch,
    /// When every task uses them.
    PostPatch,
    /// Before the transition in which tasks stop to use them.
    PreUnpatch,
    /// When they are off the stacks.
    PostUnpatch,
}
