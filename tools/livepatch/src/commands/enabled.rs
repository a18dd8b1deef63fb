// SPDX-License-Identifier: GPL-2.0

//! `klpctl enable` and `klpctl disable`, which write to `enabled` in sysfs

use super::wait::{self, Goal};
use super::{Context, Outcome};
use crate::action::Action;
use crate::exit::{Exit, Failure};
use crate::name::Name;
use crate::replaced;
use crate::system::{PatchStatus, State, System};

pub fn enable(context: &mut Context<'_>) -> Outcome {
    let (system, patch) = prepare(context)?;

    let Some(status) = system.find(&patch) else {
        return Err(cannot_be_undone(&patch));
    };
    set(context, &system, status, true)
}

pub fn disable(context: &mut Context<'_>) -> Outcome {
    let (system, patch) = prepare(context)?;

    match system.find(&patch) {
        Some(status) => set(context, &system, status, false),
        None if context.options.dry_run => {
            nothing_to_do(context, &patch, State::Disabled.word())?;
            Ok(Exit::Done)
        }
        None => wait::finish(context, &patch, Goal::Disabled),
    }
}

fn cannot_be_undone(patch: &Name) -> Failure {
    Failure::error(format!(
        "{patch} is disabled, which the kernel cannot undo; unload its module and load it again: \
         klpctl unload {patch}"
    ))
}

fn nothing_to_do(context: &mut Context<'_>, patch: &Name, word: &str) -> Result<(), Failure> {
    let members = vec![("patch", patch.into()), ("state", word.into())];
    context.event(
        "done",
        members,
        &format!("{patch} is {word} already: nothing to do"),
    )
}

fn prepare(context: &mut Context<'_>) -> Result<(System, Name), Failure> {
    context.need_live_system()?;
    context.catch_signals();
    let system = context.look()?;
    let patch = context.patch_names().swap_remove(0);

    if system.find(&patch).is_none() && system.find_disabled(&patch).is_none() {
        return Err(context.not_loaded(&patch));
    }
    Ok((system, patch))
}

/// Writes to `enabled`, and waits for the end of the transition. The write starts a transition, or
/// reverses that of this patch. It is left out if the file already has the value.
fn set(context: &mut Context<'_>, system: &System, status: &PatchStatus, wanted: bool) -> Outcome {
    let patch = &status.patch.name;
    if status.patch.enabled != Some(wanted) {
        // The kernel refuses both of these.
        if status.direction.is_none() {
            if let Some(failure) = context.busy(system) {
                return Err(failure);
            }
            if wanted && status.state == State::Disabled {
                return Err(cannot_be_undone(patch));
            }
        }
        let value = if wanted { "1" } else { "0" };
        context.act(&Action::write(patch, "enabled", value))?;
    }
    if context.options.dry_run {
        if status.patch.enabled == Some(wanted) {
            match status.direction {
                Some(_) => context.would_wait(patch, status.state.word())?,
                None => nothing_to_do(context, patch, status.state.word())?,
            }
        }
        return Ok(Exit::Done);
    }
    let goal = if wanted {
        Goal::Applied
    } else {
        replaced::forget(&context.root, patch);
        Goal::Disabled
    };
    let timeout = context.options.timeout.unwrap_or(wait::TIMEOUT);
    wait::until_reached(context, patch, goal, wait::deadline(timeout))
}
