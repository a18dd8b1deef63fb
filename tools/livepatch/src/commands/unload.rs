// SPDX-License-Identifier: GPL-2.0

//! `klpctl unload`

use std::time::Duration;

use super::wait::{self, AtEnd, Ended, Goal};
use super::{Context, Outcome};
use crate::action::Action;
use crate::exit::{Exit, Failure};
use crate::forced;
use crate::identity;
use crate::name::Name;
use crate::replaced;
use crate::store::Store;
use crate::sysfs::Hold;

pub fn run(context: &mut Context<'_>) -> Outcome {
    context.need_live_system()?;
    context.catch_signals();
    let system = context.look()?;
    let patches = match context.options.all {
        // The last patch goes first, so that no function is served by an older patch in between.
        true => {
            let patches = system.patches.iter().map(|status| &status.patch.name);
            let disabled = system.disabled.iter().map(|module| &module.name);
            disabled.chain(patches).rev().cloned().collect()
        }
        false => context.patch_names(),
    };
    if patches.is_empty() {
        return Err(Failure::new(Exit::Nothing, "no livepatch is loaded"));
    }
    for patch in &patches {
        if system.find(patch).is_none() && system.find_disabled(patch).is_none() {
            return Err(context.not_loaded(patch));
        }
    }

    let timeout = context.options.timeout.unwrap_or(wait::TIMEOUT);
    for patch in &patches {
        let exit = unload(context, patch, timeout)?;
        if exit != Exit::Done {
            return Ok(exit);
        }
    }
    Ok(Exit::Done)
}

/// Disables a patch, and unloads its module once that is free, both within `timeout`.
pub fn unload(context: &mut Context<'_>, patch: &Name, timeout: Duration) -> Outcome {
    let deadline = wait::deadline(timeout);
    let system = context.look()?;

    if let Some(status) = system.find(patch) {
        if status.direction.is_none() {
            if let Some(failure) = context.busy(&system) {
                return Err(failure);
            }
        }
        if status.patch.enabled == Some(false) && context.options.dry_run {
            context.would_wait(patch, status.state.word())?;
        }
        if status.patch.enabled != Some(false) {
            context.act(&Action::write(patch, "enabled", "0"))?;
        }
        if !context.options.dry_run {
            replaced::forget(&context.root, patch);
            match wait::until_settled(context, patch, deadline, AtEnd::Leave)? {
                Ended::Done => {}
                Ended::Early(cause) | Ended::TurnedBack(cause, _) => {
                    return wait::ended_early(context, patch, cause)
                }
            }
        }
    }
    if context.options.dry_run {
        if system.held().any(|module| &module.name == patch) {
            context.would_wait(patch, Hold::Held.word())?;
        }
        context.act(&Action::Remove(patch.clone()))?;
        return Ok(Exit::Done);
    }

    wait::reached(context, patch, Goal::Disabled)?;
    wait::until_free(context, patch, deadline)?;
    context.act(&Action::Remove(patch.clone()))?;
    identity::forget(&context.root, patch);
    forced::forget(&context.root, patch);
    // A patch that stays noted is blamed for a crash without reason, which allow() mends.
    let _ = Store::new(&context.root).unmark(patch);
    wait::finish(context, patch, Goal::Unloaded)
}
