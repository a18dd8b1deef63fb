// SPDX-License-Identifier: GPL-2.0

//! `klpctl wait`, and the waiting that other commands do.

use std::thread;
use std::time::{Duration, Instant};

use super::{why, Context, Outcome};
use crate::blockers;
use crate::describe;
use crate::exit::{Exit, Failure};
use crate::json::Json;
use crate::name::Name;
use crate::sysfs;
use crate::system::State;
use crate::term;

/// The default timeout of commands that have started a transition.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// The time between two reads of `transition`, or of a module's number of references. The kernel
/// itself looks about once a second.
const POLL: Duration = Duration::from_millis(100);

/// The least time between two looks at the tasks.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Done,
    Timeout,
}

pub fn run(context: &mut Context<'_>) -> Outcome {
    let system = context.look()?;
    let names = context.patch_names();
    let timeout = context.options.timeout;
    let begin = Instant::now();

    if let Some(patch) = names.first() {
        if system.find(patch).is_none() {
            return Err(context.not_loaded(patch));
        }
        if until_settled(context, patch, timeout)? == Ended::Timeout {
            return timed_out(context);
        }
    } else {
        if system.patches.is_empty() {
            return Err(Failure::new(Exit::Nothing, "no livepatch is loaded"));
        }
        // Another transition may start when one has ended.
        let mut moving = system.moving().map(|status| status.patch.name.clone());
        while let Some(patch) = moving {
            let left = timeout.map(|timeout| timeout.saturating_sub(begin.elapsed()));
            if until_settled(context, &patch, left)? == Ended::Timeout {
                return timed_out(context);
            }
            moving = context.look()?.moving().map(|s| s.patch.name.clone());
        }
    }
    let took = Json::Seconds(begin.elapsed().as_secs_f64());
    let text = format!("done, after {}", term::duration(begin.elapsed()));
    context.event("done", vec![("seconds", took)], &text)?;
    Ok(Exit::Done)
}

/// Waits until a patch is not in transition, or gone. A patch that is disabled and not in
/// transition is about to go.
pub fn until_settled(
    context: &mut Context<'_>,
    patch: &Name,
    timeout: Option<Duration>,
) -> Result<Ended, Failure> {
    let begin = Instant::now();
    let mut next_look = begin + LOOK / 4;
    let mut shown = String::new();
    let transition = sysfs::folder_of(patch).join("transition");
    let enabled = sysfs::folder_of(patch).join("enabled");

    let ended = loop {
        match context.root.read_flag(&transition) {
            Some(false) if context.root.read_flag(&enabled) != Some(false) => break Ended::Done,
            None if !context.root.exists(&transition) => break Ended::Done,
            Some(_) | None => {}
        }
        if timeout.is_some_and(|timeout| begin.elapsed() >= timeout) {
            break Ended::Timeout;
        }
        if Instant::now() >= next_look {
            let looked = Instant::now();
            show(context, patch, begin.elapsed(), &mut shown)?;
            // A slow look is followed by a longer pause, so that the system is mostly left alone.
            next_look = Instant::now() + LOOK.max(looked.elapsed() * 5);
        }
        let left = timeout.map_or(POLL, |timeout| timeout.saturating_sub(begin.elapsed()));
        thread::sleep(POLL.min(left));
    };
    if context.term.live && !context.options.json && !shown.is_empty() {
        write!(context.out, "\r\x1b[K")?;
        context.out.flush()?;
    }
    Ok(ended)
}

/// Shows the progress: on a terminal as a bar that changes, else as a line when there is news.
fn show(
    context: &mut Context<'_>,
    patch: &Name,
    elapsed: Duration,
    shown: &mut String,
) -> Result<(), Failure> {
    let system = context.look()?;
    let Some(progress) = system.progress.as_ref() else {
        return Ok(());
    };
    let worst = blockers::worst(&context.root, &system);
    let blocked = worst.as_ref().map_or(String::new(), |blocker| {
        format!(
            ", waiting for {} {}",
            describe::task_name(&blocker.task.comm, blocker.task.id),
            describe::reason_text(blocker)
        )
    });
    let news = format!("{patch}: {}{blocked}", describe::progress_text(progress));

    if context.term.live && !context.options.json {
        let bar = bar(progress.done(), progress.total, 20);
        let line = format!(
            "[{bar}] {}/{} tasks, {}{blocked}",
            progress.done(),
            progress.total,
            term::duration(elapsed)
        );
        write!(context.out, "\r\x1b[K{}", context.term.fit(&line))?;
        context.out.flush()?;
    } else if news != *shown {
        let members = vec![
            ("patch", patch.into()),
            ("seconds", Json::Seconds(elapsed.as_secs_f64())),
            ("tasks", describe::tasks(progress)),
            ("worst", worst.as_ref().map(describe::blocker).into()),
        ];
        context.event("progress", members, &news)?;
    }
    *shown = news;
    Ok(())
}

pub fn bar(done: usize, total: usize, width: usize) -> String {
    let full = (done * width).checked_div(total).unwrap_or(0);
    "#".repeat(full) + &".".repeat(width - full)
}

/// Prints why the transition has not ended in time.
pub fn timed_out(context: &mut Context<'_>) -> Outcome {
    let system = context.look()?;
    if !context.options.json {
        let line = context.term.alarm("The transition has not ended in time.");
        writeln!(context.out, "{line}")?;
    }
    why::answer(context, &system, None)?;
    // The transition may have ended just now.
    Ok(match Exit::of(&system) {
        exit @ (Exit::Transition | Exit::Stuck) => exit,
        _ => Exit::Transition,
    })
}

/// Waits until the module of a disabled patch is free, or gone. The kernel lets go of the module a
/// moment after the patch has left sysfs, when no task is in its code any more, or never. If the
/// module is still held after `timeout`, the function prints the tasks in its code and returns an
/// error.
pub fn until_free(
    context: &mut Context<'_>,
    module: &Name,
    timeout: Duration,
) -> Result<(), Failure> {
    let begin = Instant::now();
    let mut told = false;
    let references = sysfs::references_of(module);

    // The number is negative while a module is being removed.
    while context.root.read_number(&references).unwrap_or(0) > 0 {
        let elapsed = begin.elapsed();
        if elapsed >= timeout {
            return held(context, module);
        }
        if !told && elapsed >= LOOK {
            let text = format!("{module}: disabled, waiting for its module, which is held");
            context.event("held", vec![("patch", module.into())], &text)?;
            told = true;
        }
        thread::sleep(POLL.min(timeout - elapsed));
    }
    Ok(())
}

fn held(context: &mut Context<'_>, name: &Name) -> Result<(), Failure> {
    let system = context.look()?;
    let Some(module) = system.held().find(|module| &module.name == name) else {
        // The module has become free just now.
        return Ok(());
    };
    if !context.options.json {
        let line = "The module has not become free in time.";
        writeln!(context.out, "{}", context.term.alarm(line))?;
    }
    why::answer(context, &system, Some(name))?;
    Err(Failure::error(format!(
        "module {name} is still held ({})",
        describe::references(module)
    )))
}

/// The state that a command wants for a patch.
#[derive(Clone, Copy)]
pub enum Goal {
    Applied,
    /// The module may be gone, too.
    Disabled,
    Unloaded,
}

/// Waits for the end of the transition that a command has started, and ends the command.
pub fn until_reached(
    context: &mut Context<'_>,
    patch: &Name,
    goal: Goal,
    timeout: Duration,
) -> Outcome {
    match until_settled(context, patch, Some(timeout))? {
        Ended::Done => finish(context, patch, goal),
        Ended::Timeout => timed_out(context),
    }
}

/// Prints the last line of a command that has changed a patch and waited.
pub fn finish(context: &mut Context<'_>, patch: &Name, goal: Goal) -> Outcome {
    let word = reached(context, patch, goal)?;
    let members = vec![("patch", patch.into()), ("state", word.into())];
    context.event("done", members, &format!("{patch}: {word}"))?;
    Ok(Exit::Done)
}

/// Returns the word for a patch's state, or an error if the command wanted another one. An
/// administrator may change the patch while the command waits.
pub fn reached(context: &Context<'_>, patch: &Name, goal: Goal) -> Result<&'static str, Failure> {
    let system = context.look()?;
    let module = system.find_disabled(patch);
    let state = match system.find(patch) {
        Some(status) => Some(status.state),
        None => module.map(|_| State::Disabled),
    };
    let word = state.map_or("unloaded", State::word);

    let (wanted, is_so) = match goal {
        Goal::Applied => (
            "applied",
            matches!(state, Some(State::Applied | State::Forced)),
        ),
        Goal::Disabled => ("disabled", matches!(state, None | Some(State::Disabled))),
        Goal::Unloaded => ("unloaded", state.is_none()),
    };
    if is_so {
        return Ok(word);
    }
    let exit = match state {
        None => Exit::Nothing,
        Some(State::Applying | State::Reverting) => Exit::Transition,
        Some(State::Stuck) => Exit::Stuck,
        Some(_) => Exit::Error,
    };
    Err(Failure::new(
        exit,
        format!("{patch} is {word}, not {wanted}: somebody else has changed it meanwhile"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars() {
        assert_eq!(bar(0, 10, 5), ".....");
        assert_eq!(bar(9, 10, 5), "####.");
        assert_eq!(bar(10, 10, 5), "#####");
        assert_eq!(bar(0, 0, 5), ".....");
    }
}
