// SPDX-License-Identifier: GPL-2.0

//! The descriptions of patches, modules and tasks that several commands share, in JSON and in text.

use crate::blockers::Blocker;
use crate::demangle;
use crate::evidence::{Evidence, Reason};
use crate::exit::Exit;
use crate::groups::Group;
use crate::held::Held;
use crate::json::Json;
use crate::name::{self, Name};
use crate::proc::{Frame, Progress, Stack, Task, TaskId};
use crate::root::Root;
use crate::sysfs::{Hold, Module};
use crate::system::{Age, PatchStatus, State, System};
use crate::term;

/// The members of an answer about patches.
pub fn members(
    system: &System,
    exit: Exit,
    patches: Json,
    disabled: &[&Module],
) -> Vec<(&'static str, Json)> {
    vec![
        ("system", system.word().into()),
        ("exit", Json::Number(exit as i64)),
        ("order", system.order.word().into()),
        ("patches", patches),
        ("disabled", self::disabled(disabled)),
        ("notes", notes(system)),
    ]
}

/// The members that describe a patch in every answer.
pub fn patch_members(system: &System, status: &PatchStatus) -> Vec<(&'static str, Json)> {
    let patch = &status.patch;
    let moving = status.direction.is_some();
    let progress = system.progress.as_ref().filter(|_| moving);
    let identity = &patch.identity;

    vec![
        ("name", (&patch.name).into()),
        ("state", status.state.word().into()),
        ("enabled", patch.enabled.into()),
        ("transition", patch.transition.into()),
        ("direction", status.direction.map(|d| d.word()).into()),
        ("replace", patch.replace.into()),
        ("stack_order", patch.stack_order.into()),
        ("tasks", progress.map(tasks).into()),
        ("forced", status.forced.into()),
        ("since", status.age.map(|age| since(system, &age)).into()),
        (
            "applied",
            status.applied.map(|age| since(system, &age)).into(),
        ),
        ("version", identity.version.clone().into()),
        ("srcversion", identity.build.srcversion.clone().into()),
        ("build_id", identity.build.id.clone().into()),
        ("signer", identity.signer.clone().into()),
        ("description", identity.description.clone().into()),
        ("fixes", identity.fixes.clone().into()),
    ]
}

pub fn tasks(progress: &Progress) -> Json {
    Json::Object(vec![
        ("total", progress.total.into()),
        ("done", progress.done().into()),
        ("waiting", progress.waiting.len().into()),
        ("unreadable", progress.denied.into()),
        ("hidden", progress.hidden.into()),
    ])
}

fn since(system: &System, age: &Age) -> Json {
    let time = system.now.and_then(|now| term::timestamp(now, age.elapsed));

    Json::Object(vec![
        ("time", time.into()),
        ("seconds", Json::Seconds(age.elapsed.as_secs_f64())),
        ("at_least", age.at_least.into()),
        ("source", age.source.into()),
    ])
}

fn disabled(modules: &[&Module]) -> Json {
    modules
        .iter()
        .map(|module| {
            Json::Object(vec![
                ("name", (&module.name).into()),
                ("references", module.references.into()),
                ("module", module.hold().map(Hold::word).into()),
            ])
        })
        .collect()
}

/// Returns the state of a patch that is gone and, if it is known, that of its module.
pub fn disabled_state(module: &Module) -> String {
    let word = State::Disabled.word();
    match module.hold() {
        Some(hold) => format!("{word}, {}", hold.word()),
        None => word.to_owned(),
    }
}

/// `1 reference`
pub fn references(module: &Module) -> String {
    term::count(module.references.unwrap_or(0) as usize, "reference")
}

/// A module that is held, and the tasks in its code.
pub fn held(held: &Held<'_>) -> Json {
    Json::Object(vec![
        ("name", (&held.module.name).into()),
        ("references", held.module.references.into()),
        ("tasks", held.tasks.iter().map(blocker).collect()),
        ("unreadable", (held.unreadable + held.unread.len()).into()),
    ])
}

pub fn notes(system: &System) -> Json {
    system.notes.iter().map(String::as_str).collect()
}

pub fn blocker(blocker: &Blocker) -> Json {
    let task = &blocker.task;
    let (function, object, version) = match &blocker.reason {
        Reason::Function {
            function,
            object,
            version,
        } => (Some(function), Some(object), version.as_ref()),
        Reason::PatchCode { version } => (None, None, Some(version)),
        _ => (None, None, None),
    };
    let stack: Json = match &task.stack {
        Stack::Frames(frames) => frames
            .iter()
            .zip(&blocker.marks)
            .map(|(frame, &blocking)| frame_json(frame, blocking))
            .collect(),
        Stack::Denied | Stack::Unknown | Stack::Unread => Json::Null,
    };

    Json::Object(vec![
        ("pid", task.id.pid.into()),
        ("tid", task.id.tid.into()),
        ("comm", (&task.comm).into()),
        ("kthread", task.kthread.into()),
        ("state", task.state.to_string().into()),
        ("reason", blocker.reason.word().into()),
        ("evidence", blocker.evidence.word().into()),
        ("function", function.into()),
        ("object", object.into()),
        ("version", version.into()),
        ("stack", stack),
        ("wchan", task.wchan.as_ref().into()),
        ("unit", task.unit.as_ref().map(|unit| &unit.name).into()),
        (
            "advice",
            blocker.advice.iter().map(String::as_str).collect(),
        ),
    ])
}

/// The tasks that are alike, without their stack, which `blockers` has of each.
pub fn group(group: &Group<'_>, command: Option<String>) -> Json {
    let first = &group.first().task;
    let (function, object) = match &group.first().reason {
        Reason::Function {
            function, object, ..
        } => (Some(function), Some(object)),
        _ => (None, None),
    };
    Json::Object(vec![
        ("tasks", group.tasks.len().into()),
        ("processes", group.processes().len().into()),
        ("pid", first.id.pid.into()),
        ("tid", first.id.tid.into()),
        ("comm", (&first.comm).into()),
        ("kthread", first.kthread.into()),
        ("unit", first.unit.as_ref().map(|unit| &unit.name).into()),
        ("reason", group.first().reason.word().into()),
        ("function", function.into()),
        ("object", object.into()),
        ("command_line", command.into()),
    ])
}

fn frame_json(frame: &Frame, blocking: bool) -> Json {
    Json::Object(vec![
        ("frame", (&frame.text).into()),
        ("function", (&frame.function).into()),
        ("module", frame.module.as_ref().into()),
        ("blocking", blocking.into()),
    ])
}

/// `kworker/0:2 (43)`, or with the thread's ID if it differs: `cat (41, thread 43)`
pub fn task_name(comm: &crate::name::Name, id: TaskId) -> String {
    if id.pid == id.tid {
        format!("{comm} ({})", id.pid)
    } else {
        format!("{comm} ({}, thread {})", id.pid, id.tid)
    }
}

/// `cat (41), cat (42) and 3 more`
pub fn task_names(tasks: &[&Task]) -> String {
    const SHOWN: usize = 3;

    let names = tasks.iter().take(SHOWN);
    let names: Vec<_> = names.map(|t| task_name(&t.comm, t.id)).collect();
    match tasks.len().saturating_sub(SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// Returns the words for the letter of a task's state.
pub fn task_state(state: char) -> &'static str {
    match state {
        'R' => "running",
        'S' | 'I' => "asleep",
        'D' => "asleep, uninterruptible",
        'T' => "stopped",
        't' => "traced",
        'Z' | 'X' => "exiting",
        _ => "in a state unknown here",
    }
}

/// Returns the text of a frame, with the names of Rust functions as they are in the source.
pub fn frame_text(frame: &Frame) -> String {
    let symbol = frame.function.as_bytes();
    let rest = frame.text.as_bytes().strip_prefix(symbol);
    match (demangle::demangle(symbol), rest) {
        (Some(name), Some(rest)) => name + &name::escape(rest),
        _ => frame.text.to_string(),
    }
}

/// Returns the way to read stacks that may not be read.
pub fn hint_for_stacks(root: &Root) -> &'static str {
    match root.is_privileged() {
        true => "CAP_SYS_ADMIN is missing",
        false => "try as root",
    }
}

/// Returns the name of a function, as it is in the source.
pub fn function_name(symbol: &Name) -> String {
    demangle::demangle(symbol.as_bytes()).unwrap_or_else(|| symbol.to_string())
}

/// `142 of 143 tasks have switched`
pub fn progress_text(progress: &Progress) -> String {
    let seen = if progress.hidden {
        " that can be seen"
    } else {
        ""
    };
    format!(
        "{} of {} tasks{seen} have switched",
        progress.done(),
        progress.total
    )
}

/// Returns the reason in a few words, for a narrow terminal.
pub fn short_reason(blocker: &Blocker) -> String {
    match &blocker.reason {
        Reason::Function { function, .. } => format!("in {}", function_name(function)),
        Reason::PatchCode { version } => format!("in {version}"),
        Reason::Running => "running".to_owned(),
        Reason::Unreliable => "unreliable stack".to_owned(),
        Reason::Nothing | Reason::Unseen => "unknown why".to_owned(),
    }
}

/// `on function cmdline_proc_show of vmlinux (says the kernel)`
pub fn reason_text(blocker: &Blocker) -> String {
    let text = match &blocker.reason {
        Reason::Function {
            function,
            object,
            version: None,
        } => format!("on function {} of {object}", function_name(function)),
        Reason::Function {
            function,
            object,
            version: Some(version),
        } => format!(
            "on function {} of {object}, in the version of {version}",
            function_name(function)
        ),
        Reason::PatchCode { version } => format!("in code of {version}"),
        Reason::Running => "running".to_owned(),
        Reason::Unreliable => "its stack is unreliable".to_owned(),
        Reason::Nothing => "no function that changes is on its stack".to_owned(),
        Reason::Unseen => match blocker.task.stack {
            Stack::Unread => "its files cannot be read just now".to_owned(),
            _ => "its stack cannot be seen".to_owned(),
        },
    };
    match (blocker.evidence, &blocker.reason) {
        (Evidence::Kernel, _) => format!("{text} (says the kernel)"),
        (Evidence::Guess, Reason::Unreliable) => format!("{text}, it seems: it breaks off"),
        _ => text,
    }
}
