// SPDX-License-Identifier: GPL-2.0

//! The events that the machine of the rules hears: messages, callbacks, tasks that cannot switch,
//! patches that are freed, modules that are put, and uses of shadow variables.
//!
//! `kernel/livepatch/messages.c`, which the crate compiles as well, makes the text of each message.
//! So the texts of both cores are compared, too.

use crate::{
    c::{
        klp_event,
        Core,
        STATES, //
    },
    edge::{
        self,
        abi::State, //
    },
    machine::{
        look::Heard,
        Entry,
        Errno,
        Function,
        Machine,
        Object,
        Patch,
        Task,
        Told, //
    },
    model::{
        Blocker,
        Callback,
        Event,
        PatchHost,
        TaskHost,
        TaskState, //
    },
    pair::names,
    state, //
};
use std::{
    cell::RefCell,
    mem, //
};

/// An event that both cores have, when it happened on the machine of the rules.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    /// A message about a patch, a module, or both.
    Message {
        event: klp_event,
        patch: Option<usize>,
        module: Option<usize>,
        error: i32,
        patching: bool,
    },
    Called {
        callback: Callback,
        patch: usize,
        module: usize,
        states: String,
    },
    /// A task was reported that cannot switch.
    Blocked(Task, Blocker<Function>),
    Freed {
        patch: usize,
        forced: bool,
    },
    Put(usize),
    /// A line that is the same text in both cores.
    Text(String),
}

thread_local! {
    /// The machine's listener is a function without data of its own.
    static LINES: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// Listens to a machine from now on.
pub(crate) fn listen(machine: &Machine) {
    take();
    machine.listener.set(Some(hear));
}

/// The lines since the last call.
pub(crate) fn take() -> Vec<Line> {
    LINES.with(|lines| mem::take(&mut *lines.borrow_mut()))
}

/// What `kernel/livepatch/core.rs` does when a patch is refused: frees it, and puts its module.
pub(crate) fn refused(machine: &Machine, patch: Patch) {
    hear(machine, Heard::Logged(Entry::Freed(patch)));
    hear(machine, Heard::Logged(Entry::Put(patch)));
}

/// Adds a line that both cores have in this form.
pub(crate) fn add(text: String) {
    LINES.with(|lines| lines.borrow_mut().push(Line::Text(text)));
}

fn hear(machine: &Machine, heard: Heard) {
    let line = match heard {
        Heard::Logged(Entry::Told(event)) => message(machine, event),
        Heard::Logged(Entry::Called(object, callback)) => Some(Line::Called {
            callback,
            patch: object.0 .0,
            module: machine.module_of(object).0,
            states: states(machine, object.0),
        }),
        // The cores enter ftrace and leave it at different times.
        Heard::Logged(Entry::Entered(_) | Entry::Left(_)) => None,
        Heard::Logged(Entry::Freed(patch)) => Some(Line::Freed {
            patch: patch.0,
            forced: machine.is_forced(patch),
        }),
        Heard::Logged(Entry::Put(patch)) => Some(Line::Put(patch.0)),
        Heard::Blocked(task, why) => Some(Line::Blocked(task, why)),
    };
    LINES.with(|lines| lines.borrow_mut().extend(line));
}

/// The states that a callback of a patch finds.
fn states(machine: &Machine, patch: Patch) -> String {
    let (patch, locked) = (edge::patch(machine, patch), edge::locked(machine));
    let text = |state: Option<&State>| match state {
        Some(state) => format!(" {}:{}", state.id(), state.version()),
        None => " -".into(),
    };
    let own = (1..=STATES).map(|id| text(state::get(patch.states(), id)));
    let own: String = own.collect();
    if machine.transition_patch().is_none() {
        return format!("own{own}");
    }
    let previous = (1..=STATES).map(|id| text(state::get_previous(id, &locked)));
    let previous: String = previous.collect();
    format!("own{own}, previous{previous}")
}

fn finds_previous(states: &str) -> bool {
    let previous = states.split_once(", previous");
    previous.is_some_and(|(_, previous)| previous.contains(':'))
}

/// The message about an event: what `kernel/livepatch/report.rs` passes to `klp_log()`.
fn message(machine: &Machine, event: Told) -> Option<Line> {
    use klp_event::*;
    let module = |object: Object| machine.module_of(object).0;
    let about = |event, patch: Option<Patch>, object: Option<Object>, error: Option<Errno>| {
        Some(Line::Message {
            event,
            patch: patch.map(|patch| patch.0),
            module: object.map(module),
            error: error.map_or(0, |Errno(number)| number),
            patching: machine.target() == TaskState::Patched,
        })
    };
    let of_patch = |event, patch| about(event, Some(patch), None, None);
    match event {
        Event::Enabling(patch) => of_patch(KLP_ENABLING, patch),
        Event::EnableFailed(patch) => of_patch(KLP_ENABLE_FAILED, patch),
        Event::PrePatchFailed(object) => about(KLP_PRE_PATCH_FAILED, None, Some(object), None),
        Event::PatchFailed(object) => about(KLP_PATCH_FAILED, None, Some(object), None),
        Event::ResolveFailed(patch, object, error) => {
            about(KLP_RESOLVE_FAILED, Some(patch), Some(object), Some(error))
        }
        Event::Applying(patch, object) => about(KLP_APPLYING, Some(patch), Some(object), None),
        Event::ApplyFailed(patch, object, error) => {
            about(KLP_APPLY_FAILED, Some(patch), Some(object), Some(error))
        }
        Event::Refusing(patch, object) => about(KLP_REFUSING, Some(patch), Some(object), None),
        Event::Reverting(patch, object) => about(KLP_REVERTING, Some(patch), Some(object), None),
        Event::Initializing(patch) => of_patch(KLP_INITIALIZING, patch),
        Event::Starting(patch) => of_patch(KLP_STARTING, patch),
        Event::Reversing(patch) => of_patch(KLP_REVERSING, patch),
        Event::Canceling(patch) => of_patch(KLP_CANCELING, patch),
        Event::Signaling => about(KLP_SIGNALING, None, None, None),
        Event::Forcing(_) => about(KLP_FORCING, None, None, None),
        Event::Completing(patch) => of_patch(KLP_COMPLETING, patch),
        Event::Complete(patch) => of_patch(KLP_COMPLETE, patch),
        Event::Enabled(_)
        | Event::Disabled(_)
        | Event::Replaced { .. }
        | Event::Switched(_)
        | Event::Changed(_)
        | Event::Reached(..) => None,
    }
}

impl Line {
    /// What the tally counts.
    pub(crate) fn note(&self) -> Option<&'static str> {
        use klp_event::*;
        Some(match *self {
            Self::Message { event, .. } => match event {
                KLP_ENABLING => "logged: enabling",
                KLP_ENABLE_FAILED => "logged: enable failed",
                KLP_PRE_PATCH_FAILED => "logged: pre-patch failed",
                KLP_PATCH_FAILED => "logged: patch failed",
                KLP_RESOLVE_FAILED => "logged: resolve failed",
                KLP_APPLYING => "logged: applying",
                KLP_APPLY_FAILED => "logged: apply failed",
                KLP_REFUSING => "logged: refusing",
                KLP_REVERTING => "logged: reverting",
                KLP_INITIALIZING => "logged: initializing",
                KLP_STARTING => "logged: starting",
                KLP_REVERSING => "logged: reversing",
                KLP_CANCELING => "logged: canceling",
                KLP_SIGNALING => "logged: signaling",
                KLP_FORCING => "logged: forcing",
                KLP_COMPLETING => "logged: completing",
                KLP_COMPLETE => "logged: complete",
            },
            Self::Called { ref states, .. } if finds_previous(states) => {
                "a callback found a previous state"
            }
            Self::Called { callback, .. } => match callback {
                Callback::PrePatch => "called before patching",
                Callback::PostPatch => "called after patching",
                Callback::PreUnpatch => "called before unpatching",
                Callback::PostUnpatch => "called after unpatching",
            },
            Self::Blocked(_, Blocker::Running) => "logged: a task runs",
            Self::Blocked(_, Blocker::UnreliableStack) => "logged: a stack is unreliable",
            Self::Blocked(_, Blocker::SleepsOn(_)) => "logged: a task sleeps on a function",
            Self::Blocked(..) | Self::Text(_) => return None,
            Self::Freed { forced: false, .. } => "freed",
            Self::Freed { forced: true, .. } => "freed after a forced transition",
            Self::Put(_) => "module put",
        })
    }

    /// The line of the C core's journal for the same event.
    pub(crate) fn text(&self, c: &Core) -> String {
        match *self {
            Self::Text(ref text) => text.clone(),
            Self::Message {
                event,
                patch,
                module,
                error,
                patching,
            } => c.message(event, patch, module, error, patching),
            Self::Called {
                callback,
                patch,
                module,
                ref states,
            } => {
                let what = match callback {
                    Callback::PrePatch => "pre_patch",
                    Callback::PostPatch => "post_patch",
                    Callback::PreUnpatch => "pre_unpatch",
                    Callback::PostUnpatch => "post_unpatch",
                };
                match module {
                    0 => format!("{what} {patch} vmlinux, states: {states}"),
                    _ => format!("{what} {patch} module_{module}, states: {states}"),
                }
            }
            Self::Blocked(task, why) => {
                const EINVAL: i32 = 22;
                const EBUSY: i32 = 16;
                const EADDRINUSE: i32 = 98;
                let (error, function) = match why {
                    Blocker::NoReliableStack => return String::new(),
                    Blocker::Running => (-EBUSY, Function(0)),
                    Blocker::UnreliableStack => (-EINVAL, Function(0)),
                    Blocker::SleepsOn(function) => (-EADDRINUSE, function),
                    Blocker::Other(error) => (error, Function(0)),
                };
                c.task_message(names::of_c(task), error, function.0)
            }
            Self::Freed { patch, forced } => {
                format!("freed {patch}{}", if forced { ", forced" } else { "" })
            }
            Self::Put(patch) => format!("put patch_{patch}"),
        }
    }
}
