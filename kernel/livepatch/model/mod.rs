// SPDX-License-Identifier: GPL-2.0-or-later

//! The rules of live patching, apart from any machine that runs them.
//!
//! This is the code that decides: which state a func may go to, which function a redirected call
//! reaches, which task may switch, when a transition is complete. It depends on [`core`] alone. It
//! knows no kernel type, allocates nothing and has no `unsafe`. It asks a [`Host`] for everything
//! that it needs of the machine. The same files are compiled into the kernel, into KUnit under UML,
//! and into user-space tests.
//!
//! | file | decides |
//! |---|---|
//! | [`func`] | the two booleans of a func and their eight legal edges |
//! | [`patch`] | how funcs and objects get onto the func stacks and into ftrace, and back |
//! | [`enable`] | the life of a patch: enabled, disabled, reversed, forced, freed |
//! | [`transition`] | how the tasks move from one set of functions to the other |
//! | [`replace`] | which nops an atomic replace adds, and which funcs it removes |
//! | [`modules`] | how patches are applied to a module that comes, and reverted on one that goes |
//! | [`text`] | when a livepatch's module can go |
//! | [`redirect`] | which function the ftrace handler jumps to |
//! | [`relocs`] | in which order relocations are written, and which are cleared again |
//! | [`blocker`] | whether a stack holds a function that is about to change |
//! | [`state`] | which patches are compatible |
//! | [`symbols`] | which of several symbols of the same name is meant |
//! | [`settle`] | when a call reaches the same function for every task |
//! | [`shadow`] | which shadow variable is kept |
//! | [`names`] | which object and symbol the names of livepatch sections and symbols refer to |

#![deny(unsafe_code)]

pub(crate) mod blocker;
pub(crate) mod enable;
pub(crate) mod func;
mod host;
mod insistence;
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
    /// No transition is in progress, so there is only one set of functions.
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
    #[inline(always)]
    pub(crate) fn from_raw(raw: i32) -> Self {
        // The ftrace handler branches on the result. As the compiler takes this case for an
        // unlikely one, it branches on `raw`, and does not compute the result first.
        #[cold]
        fn idle() -> TaskState {
            TaskState::Idle
        }

        match raw {
            0 => Self::Unpatched,
            1 => Self::Patched,
            _ => idle(),
        }
    }
}

/// Why a task could not switch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Blocker<N> {
    /// The architecture has no reliable stack traces: only kernel exit and the idle loop switch.
    NoReliableStack,
    /// It runs on another CPU, so its stack cannot be checked.
    Running,
    /// Its stack could not be walked to the end.
    UnreliableStack,
    /// A function that is about to change is on its stack. The field is the name of the func.
    SleepsOn(N),
    /// The host could not keep it still. The field is the host's error code, a negative number.
    Other(i32),
}

/// The way in which a task has switched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// A pass checked its stack while it was still.
    StackCheck,
    /// It checked its own stack, in `__schedule()`.
    Schedule,
    /// It left the kernel.
    KernelExit,
    /// An idle task passed through its loop.
    IdleLoop,
    /// An idle task's CPU is offline.
    Offline,
    /// Its parent had switched before it was on the task list. The fork can still fail, and then
    /// the task never runs.
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

/// The reason for which the rules refuse a request. The host has an error for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// The request makes no sense in this state: `EINVAL`.
    Invalid,
    /// A patch is in transition: `EBUSY`.
    Busy,
}

/// Conditions that the rules rely on, and check nevertheless. The kernel warns of each once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expectation {
    /// No transition is in progress when one is prepared.
    NoTransition,
    /// All tasks are idle when a transition is prepared.
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

/// A stage of a transition. When the rules report a stage, the patch's files show the values that
/// go with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// Tasks have been asked to switch.
    Started,
    /// Tasks have been asked to switch back.
    Reversed,
    /// All tasks have been switched by force.
    Forced,
    /// The transition is over.
    Completed,
}

/// An event of a patch or of its transition, which the rules report. The host decides whether it
/// logs the event, traces it, or wakes up processes that wait for it.
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

    /// The symbols or relocations that a patch has for a module that is coming cannot be resolved.
    ResolveFailed(P, O, E),
    /// A patch is about to be applied to a module that is coming.
    Applying(P, O),
    /// The patch cannot be applied.
    ApplyFailed(P, O, E),
    /// The module is refused, because a patch cannot be applied to it.
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
    /// All tasks are about to be switched by force.
    Forcing(P),
    /// All tasks have switched.
    Switched(P),
    /// The target state is about to become the only state.
    Completing(P),
    /// The transition is over.
    Complete(P),

    /// A value has just changed.
    Changed(Shown<P, O>),
    /// The transition of the patch has come to a stage. A transition that is given up before it
    /// starts has no stages. The patch stays visible to the administrator until the host has dealt
    /// with the event.
    Reached(P, Stage),
}

/// The result of an attempt to switch a task.
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
    /// Runs before the object's funcs are put onto the stacks.
    PrePatch,
    /// Runs when every task uses the funcs.
    PostPatch,
    /// Runs before the transition in which tasks stop using the funcs.
    PreUnpatch,
    /// Runs when the funcs are off the stacks.
    PostUnpatch,
}
