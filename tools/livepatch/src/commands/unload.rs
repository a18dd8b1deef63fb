// SPDX-License-Identifier: GPL-2.0

//! `klpctl unload`

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::wait::{self, Ended, Goal};
use super::{Context, Outcome};
use crate::action::Action;
use crate::exit::{Exit, Failure};
use crate::name::Name;

/// How long a module may be held after its patch is gone from sysfs. The kernel drops the patch's
/// reference a moment later.
const HELD: Duration = Duration::from_secs(5);

pub fn run(context: &mut Context<'_>) -> Outcome {
    context.need_live_system()?;
    let system = context.look()?;
    let patches = match context.options.all {
        // The last one first: nothing is then served by an older patch in between.
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

pub fn unload(context: &mut Context<'_>, patch: &Name, timeout: Duration) -> Outcome {
    let system = context.look()?;

    if let Some(status) = system.find(patch) {
        if status.patch.enabled != Some(false) {
            context.act(&Action::write(patch, "enabled", "0"))?;
        }
        if !context.options.dry_run
            && wait::until_settled(context, patch, Some(timeout))? == Ended::Timeout
        {
            return wait::timed_out(context);
        }
    }
    if context.options.dry_run {
        context.act(&Action::Remove(patch.clone()))?;
        return Ok(Exit::Done);
    }

    wait::reached(context, patch, Goal::Disabled)?;
    wait_for_module(context, patch)?;
    context.act(&Action::Remove(patch.clone()))?;
    wait::finish(context, patch, Goal::Unloaded)
}

fn wait_for_module(context: &Context<'_>, module: &Name) -> Result<(), Failure> {
    let path = Path::new("/sys/module")
        .join(module.as_os_str())
        .join("refcnt");
    let begin = Instant::now();

    loop {
        let references: i64 = context.root.read_number(&path).unwrap_or(0);
        if references == 0 {
            return Ok(());
        }
        if begin.elapsed() >= HELD {
            return Err(Failure::error(format!(
                "module {module} is still in use ({references}); if its transition was forced, it \
                 stays so until the next boot"
            )));
        }
        thread::sleep(Duration::from_millis(50));
    }
}
