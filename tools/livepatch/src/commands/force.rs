// SPDX-License-Identifier: GPL-2.0

//! `klpctl force`

use std::io::{self, BufRead, IsTerminal};
use std::time::Duration;

use super::wait::{self, Goal};
use super::{Context, Outcome};
use crate::action::Action;
use crate::exit::{Exit, Failure};
use crate::forced;
use crate::name::Name;
use crate::sysfs::Direction;
use crate::system::{PatchStatus, System};
use crate::term;

/// The kernel ends a forced transition the next time it looks, within a second.
const TIMEOUT: Duration = Duration::from_secs(30);

pub fn run(context: &mut Context<'_>) -> Outcome {
    context.need_live_system()?;
    let system = context.look()?;
    let named = context.patch_names().into_iter().next();
    if let Some(patch) = &named {
        if system.find(patch).is_none() {
            return Err(context.not_there(&system, patch));
        }
    }
    let moving = system
        .moving()
        .filter(|status| named.as_ref().is_none_or(|name| name == &status.patch.name));
    let Some(moving) = moving else {
        let what = named.map_or("no patch".to_owned(), |name| format!("{name} is not"));
        let verb = if what == "no patch" { " is" } else { "" };
        return Err(Failure::error(format!(
            "{what}{verb} in transition: there is nothing to force"
        )));
    };

    let patch = moving.patch.name.clone();
    let goal = match moving.direction {
        Some(Direction::Unpatching) => Goal::Disabled,
        Some(Direction::Patching) | None => Goal::Applied,
    };
    if !context.options.json {
        writeln!(context.out, "{}", risk(&system, moving))?;
    }
    if !context.options.dry_run && !context.options.yes {
        confirm(context, &patch)?;
    }
    force(context, &patch, goal, TIMEOUT)
}

/// Forces a transition, and waits for its end.
pub fn force(context: &mut Context<'_>, patch: &Name, goal: Goal, timeout: Duration) -> Outcome {
    context.act(&Action::write(patch, "force", "1"))?;
    if context.options.dry_run {
        return Ok(Exit::Done);
    }
    // A signal, a closed output or the timeout may end the wait, and the kernel goes on.
    if let Goal::Applied = goal {
        // Without the record status has the kernel log alone.
        let _ = forced::keep(&context.root, patch);
    }
    wait::until_reached(context, patch, goal, wait::deadline(timeout))
}

fn risk(system: &System, moving: &PatchStatus) -> String {
    let patch = &moving.patch.name;
    let waiting = system.progress.as_ref().map_or(0, |p| p.waiting.len());
    let held = match (moving.direction, moving.patch.replace) {
        (Some(Direction::Unpatching), _) => format!("the module {patch}"),
        (Some(Direction::Patching), Some(true)) => {
            format!("the modules of patches that {patch} replaces")
        }
        _ => String::new(),
    };
    let held = match held.as_str() {
        "" => held,
        held => format!(
            "\nThe Rust core then holds {held}\n\
             until no task is in that code, the C core until the next boot."
        ),
    };

    format!(
        "Forcing the transition of {patch} switches {} at once, whatever {}.\n\
         A task in the middle of a function that changes may then use old and new code\n\
         together. Unless the author of the patch says that this is safe, the kernel may\n\
         crash or corrupt data. klpctl why names the tasks.{held}",
        term::count(waiting, "task"),
        if waiting == 1 {
            "it is doing"
        } else {
            "they are doing"
        }
    )
}

fn confirm(context: &mut Context<'_>, patch: &Name) -> Result<(), Failure> {
    if context.options.json || !io::stdin().is_terminal() {
        return Err(Failure::usage(
            "force wants to be confirmed: on a terminal, or with --yes",
        ));
    }
    write!(context.out, "Force {patch}? Type yes: ")?;
    context.out.flush()?;
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::error(format!("cannot read the answer: {error}")))?;
    match line.trim() {
        "yes" => Ok(()),
        _ => Err(Failure::error("not confirmed, nothing was changed")),
    }
}
