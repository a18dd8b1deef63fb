// SPDX-License-Identifier: GPL-2.0

//! `klpctl wait`, and the waiting that other commands do.

use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic;
use std::thread;
use std::time::{Duration, Instant};

use super::end::{self, Before, End};
use super::progress::{self, LOOK};
use super::{why, Context, Outcome};
use crate::action::Action;
use crate::describe;
use crate::exit::{Exit, Failure};
use crate::json::Json;
use crate::name::Name;
use crate::notice::Notices;
use crate::root::Root;
use crate::signals::{Signal, Signals};
use crate::sysfs;
use crate::system::{State, System};
use crate::term;

/// The default timeout of commands that have started a transition.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// The way a wait for the end of a transition has ended.
#[derive(Debug)]
pub enum Ended {
    Done,
    /// The transition goes on.
    Early(Cause),
    /// The same, and the patch was disabled at once, with this result.
    TurnedBack(Cause, Result<(), Failure>),
}

/// The reason for not waiting any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Timeout,
    Signal(Signal),
}

/// The end of a wait for a transition that goes on, when the time is up or a signal arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtEnd {
    Leave,
    TurnBack,
}

/// Returns the end of a time that begins now, or `None` if that is for ever.
pub fn deadline(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

pub fn run(context: &mut Context<'_>) -> Outcome {
    let begin = Instant::now();
    let deadline = context.options.timeout.and_then(deadline);
    let mut system = context.look()?;
    let named = context.patch_names().into_iter().next();

    if named.is_none() && system.patches.is_empty() {
        return Err(Failure::new(
            Exit::Nothing,
            "no livepatch is applied or in transition",
        ));
    }
    let mut next = match &named {
        Some(patch) if system.find(patch).is_none() => {
            return Err(context.not_there(&system, patch))
        }
        Some(patch) => Some(patch.clone()),
        None => system.moving().map(|status| status.patch.name.clone()),
    };
    if next.is_none() {
        return at_rest(context, &system);
    }
    let mut exit = Exit::Done;
    while let Some(patch) = next {
        let status = system.find(&patch);
        if status.is_some_and(|status| status.state == State::Unknown) {
            return Err(unreadable(&patch));
        }
        let before = Before {
            direction: status.and_then(|status| status.direction),
            applied: end::applied(&system).cloned().collect(),
        };
        match until_settled(context, &patch, deadline, AtEnd::Leave)? {
            Ended::Done => {}
            _ => return timed_out(context),
        }
        system = context.look()?;
        // Another transition may start when one has ended, also that of the same patch.
        next = match End::of(&context.root, &system, &patch, &before) {
            None => Some(patch),
            Some(end) => {
                came(context, &patch, end, begin.elapsed())?;
                exit = end::worse(exit, end.exit());
                let moving = system.moving().filter(|_| named.is_none());
                moving.map(|status| status.patch.name.clone())
            }
        };
    }
    Ok(exit)
}

/// Prints the end of a transition.
fn came(context: &mut Context<'_>, patch: &Name, end: End, took: Duration) -> Result<(), Failure> {
    let members = vec![
        ("patch", patch.into()),
        ("outcome", end.word().into()),
        ("seconds", Json::Seconds(took.as_secs_f64())),
    ];
    let text = format!("{patch}: {}, after {}", end.word(), term::duration(took));
    context.event("done", members, &text)
}

/// Ends a wait for which there is no transition.
fn at_rest(context: &mut Context<'_>, system: &System) -> Outcome {
    let mut patches = system.patches.iter();
    if let Some(status) = patches.find(|status| status.state == State::Unknown) {
        return Err(unreadable(&status.patch.name));
    }
    let members = vec![
        ("patch", Json::Null),
        ("outcome", Json::Null),
        ("seconds", Json::Seconds(0.0)),
    ];
    context.event("done", members, "no patch is in transition")?;
    Ok(Exit::of(system))
}

/// The error for a patch of unknown state.
pub fn unreadable(patch: &Name) -> Failure {
    Failure::error(format!(
        "the state of {patch} cannot be read; see klpctl status"
    ))
}

/// Waits until a patch is not in transition, or gone, and shows the progress.
///
/// A thread of its own waits, and turns the patch back at the end if `at_end` says so. A reader of
/// the output may not read, which must not make the deadline late. If the system has no room for a
/// thread, this one waits and shows no progress.
pub fn until_settled(
    context: &mut Context<'_>,
    patch: &Name,
    deadline: Option<Instant>,
    at_end: AtEnd,
) -> Result<Ended, Failure> {
    let (ours, theirs) = UnixStream::pair()?;
    theirs.set_nonblocking(true)?;
    let root = context.root.clone();
    let signals = context.signals.take();

    let wait = |stop: &UnixStream| -> io::Result<Ended> {
        match settle(&root, patch, deadline, signals.as_ref(), stop)? {
            Ended::Early(cause) if at_end == AtEnd::TurnBack => {
                Ok(Ended::TurnedBack(cause, turn_back(&root, patch)))
            }
            ended => Ok(ended),
        }
    };

    let (ended, shown) = thread::scope(|scope| {
        let (wait, stop) = (&wait, theirs.try_clone());
        let waiter = stop.and_then(|stop| {
            // When the thread ends, it drops its end. Then the other end is closed.
            thread::Builder::new().spawn_scoped(scope, move || wait(&stop))
        });
        let Ok(waiter) = waiter else {
            return (wait(&theirs), Ok(()));
        };
        drop(theirs);
        let shown = progress::show_until(context, patch, &ours);
        if shown.is_err() && at_end == AtEnd::Leave {
            // Without an output there is no reason to wait, unless the patch is turned back then.
            let _ = ours.shutdown(Shutdown::Both);
        }
        let ended = waiter.join();
        (
            ended.unwrap_or_else(|panic| panic::resume_unwind(panic)),
            shown,
        )
    });
    context.signals = signals;
    let ended = ended.map_err(|error| Failure::error(format!("cannot wait: {error}")));
    match ended {
        // The command has to go on with a patch that is turned back, although it showed nothing.
        Ok(Ended::TurnedBack(..)) => ended,
        _ => shown.and(ended),
    }
}

/// Waits until a patch is not in transition, or gone, without showing anything. A patch that is
/// disabled and not in transition is about to go. If the other end of `stop` is closed, the wait is
/// over as well.
fn settle(
    root: &Root,
    patch: &Name,
    deadline: Option<Instant>,
    signals: Option<&Signals>,
    mut stop: &UnixStream,
) -> io::Result<Ended> {
    let transition = sysfs::folder_of(patch).join("transition");
    let enabled = sysfs::folder_of(patch).join("enabled");
    let mut notices = Notices::new();
    notices.poll(root, &[&transition, &enabled]);
    let others: Vec<_> = signals
        .map(AsFd::as_fd)
        .into_iter()
        .chain([stop.as_fd()])
        .collect();

    loop {
        notices.begin();
        match root.read_flag(&transition) {
            Some(false) if root.read_flag(&enabled) != Some(false) => return Ok(Ended::Done),
            None if root.is_gone(&transition) => return Ok(Ended::Done),
            Some(_) | None => {}
        }
        if let Some(signal) = signals.and_then(Signals::take) {
            return Ok(Ended::Early(Cause::Signal(signal)));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline)
            || matches!(stop.read(&mut [0]), Ok(0))
        {
            return Ok(Ended::Early(Cause::Timeout));
        }
        notices.wait(&others, deadline)?;
    }
}

/// Disables a patch that is being applied. If the transition ends just now, the patch is applied
/// for a moment.
fn turn_back(root: &Root, patch: &Name) -> Result<(), Failure> {
    let enabled = sysfs::folder_of(patch).join("enabled");
    match Action::write(patch, "enabled", "0").run(root) {
        // Another administrator has done so, and the kernel refuses to do it again.
        Err(_) if root.read_flag(enabled) == Some(false) => Ok(()),
        result => result,
    }
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
/// module is still held at the deadline, the function prints the tasks in its code and returns an
/// error.
pub fn until_free(
    context: &mut Context<'_>,
    module: &Name,
    deadline: Option<Instant>,
) -> Result<(), Failure> {
    let begin = Instant::now();
    let mut told = false;
    let references = sysfs::references_of(module);
    // No kernel reports that a module is free.
    let mut notices = Notices::new();

    // The number is negative while a module is being removed.
    while context.root.read_number(&references).unwrap_or(0) > 0 {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return held(context, module);
        }
        if let Some(signal) = context.signals.as_ref().and_then(Signals::take) {
            return Err(Failure::new(
                signal.exit(),
                format!("{}: module {module} is still held", signal.name()),
            ));
        }
        if !told && begin.elapsed() >= LOOK {
            let text = format!("{module}: disabled, waiting for its module, which is held");
            context.event("held", vec![("patch", module.into())], &text)?;
            told = true;
        }
        let signals: Vec<_> = context.signals.iter().map(AsFd::as_fd).collect();
        notices.wait(&signals, deadline)?;
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
    deadline: Option<Instant>,
) -> Outcome {
    match until_settled(context, patch, deadline, AtEnd::Leave)? {
        Ended::Done => finish(context, patch, goal),
        Ended::Early(cause) | Ended::TurnedBack(cause, _) => ended_early(context, patch, cause),
    }
}

/// Ends a command that does not wait any longer, and prints that the transition goes on.
pub fn ended_early(context: &mut Context<'_>, patch: &Name, cause: Cause) -> Outcome {
    let Cause::Signal(signal) = cause else {
        return timed_out(context);
    };
    let name = signal.name();
    let members = vec![("patch", patch.into()), ("signal", name.into())];
    let text = format!("{name}: the transition of {patch} goes on; see klpctl wait, klpctl why");
    context.event("interrupted", members, &text)?;
    Ok(signal.exit())
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
        Goal::Applied => ("applied", state.is_some_and(State::is_applied)),
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
        format!("{patch} is {word}, not {wanted}: another process has changed it meanwhile"),
    ))
}
