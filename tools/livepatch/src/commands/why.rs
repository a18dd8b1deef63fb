// SPDX-License-Identifier: GPL-2.0

//! `klpctl why`

use super::{status, Context, Outcome};
use crate::exit::{Exit, Failure};
use crate::json::Json;
use crate::present;
use crate::proc::Stack;
use crate::system::{PatchStatus, State, System};
use crate::term;
use crate::why::{self, Blocker};

pub fn run(context: &mut Context<'_>) -> Outcome {
    let system = context.look()?;
    if let Some(patch) = context.patch_names().first() {
        if system.find(patch).is_none() && system.find_disabled(patch).is_none() {
            return Err(context.not_loaded(patch));
        }
        let moving = system.moving();
        if moving.is_some_and(|status| &status.patch.name != patch) {
            return Err(Failure::error(format!(
                "{patch} is not in transition, {} is",
                moving.map_or_else(String::new, |status| status.patch.name.to_string())
            )));
        }
    }

    answer(context, &system)?;
    Ok(Exit::of(&system))
}

/// The answer, also that of commands which have waited in vain.
pub fn answer(context: &mut Context<'_>, system: &System) -> Result<(), Failure> {
    let (blockers, _) = why::blockers_for_sure(&context.root, system);

    if context.options.json {
        let members = members(system, &blockers);
        return match context.options.command {
            crate::options::Command::Why => context.print_json(members),
            _ => context.event("timeout", members, ""),
        };
    }
    let Some(moving) = system.moving() else {
        writeln!(context.out, "no patch is in transition")?;
        return status::print_notes(context, system);
    };
    print(context, system, moving, &blockers)
}

pub fn members(system: &System, blockers: &[Blocker]) -> Vec<(&'static str, Json)> {
    let patch = system
        .moving()
        .map(|status| Json::Object(present::patch_members(system, status)));

    vec![
        ("system", system.word().into()),
        ("patch", patch.into()),
        ("blockers", blockers.iter().map(present::blocker).collect()),
        ("notes", present::notes(system)),
    ]
}

fn print(
    context: &mut Context<'_>,
    system: &System,
    moving: &PatchStatus,
    blockers: &[Blocker],
) -> Result<(), Failure> {
    let term = context.term;
    let word = term.state(Some(moving.state), moving.state.word());
    let age = moving
        .age
        .map_or(String::new(), |age| format!(" for {}", term::age(&age)));
    // The other words have the direction in them.
    let direction = match (moving.state, moving.direction) {
        (State::Stuck, Some(direction)) => format!(", {}", direction.word()),
        _ => String::new(),
    };

    write!(context.out, "{}: {word}{direction}{age}", moving.patch.name)?;
    match &system.progress {
        Some(progress) => writeln!(context.out, "; {}", present::progress_text(progress))?,
        None => writeln!(context.out)?,
    }

    let shown = context.options.limit.unwrap_or(blockers.len());
    for blocker in blockers.iter().take(shown) {
        writeln!(context.out)?;
        print_blocker(context, blocker)?;
    }
    if blockers.len() > shown {
        let more = term::count(blockers.len() - shown, "more task");
        writeln!(context.out, "\nand {more}")?;
    }
    let denied = system.progress.as_ref().map_or(0, |p| p.denied);
    if blockers.is_empty() && denied == 0 {
        writeln!(
            context.out,
            "\nNo task in /proc is waited for: either the idle task of a CPU is, or the kernel has \
             \nnot looked again yet. It does so every second."
        )?;
    }
    status::print_notes(context, system)
}

fn print_blocker(context: &mut Context<'_>, blocker: &Blocker) -> Result<(), Failure> {
    let term = context.term;
    let task = &blocker.task;
    let kind = match task.kthread {
        true => "kernel thread",
        false => "user process",
    };

    writeln!(
        context.out,
        "{}, {kind}, {}",
        term.strong(&present::task_name(&task.comm, task.id)),
        present::task_state(task.state)
    )?;
    let reason = why::describe(&blocker.reason, blocker.evidence);
    writeln!(context.out, "  {}", term.strong(&reason))?;
    match &task.stack {
        Stack::Frames(frames) => {
            for (frame, &blocking) in frames.iter().zip(&blocker.marks) {
                let line = match blocking {
                    true => term.alarm(&format!("  > {}", frame.text)),
                    false => format!("    {}", frame.text),
                };
                writeln!(context.out, "{line}")?;
            }
        }
        Stack::Denied | Stack::Unknown => {
            if let Some(function) = &task.wchan {
                writeln!(context.out, "    sleeps in {function}")?;
            }
        }
    }
    for line in &blocker.advice {
        writeln!(context.out, "  {line}")?;
    }
    Ok(())
}
