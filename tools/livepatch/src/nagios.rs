// SPDX-License-Identifier: GPL-2.0

//! The answer that Nagios and its like expect of a check: one line, and an exit code from 0 to 3.

use crate::commands::install::Row;
use crate::describe;
use crate::exit::Exit;
use crate::name::Name;
use crate::system::{PatchStatus, State, System};
use crate::term;

/// Returns the code for an exit status.
pub fn code(exit: Exit) -> u8 {
    match exit {
        Exit::Done => 0,
        Exit::Transition | Exit::Forced => 1,
        Exit::Stuck | Exit::Nothing => 2,
        _ => 3,
    }
}

/// An exit status that has the code for a warning.
const WARNING: Exit = Exit::Transition;

fn word(exit: Exit) -> &'static str {
    match code(exit) {
        0 => "OK",
        1 => "WARNING",
        2 => "CRITICAL",
        _ => "UNKNOWN",
    }
}

/// The line for an error.
pub fn failure(exit: Exit, message: &str) -> String {
    format!("LIVEPATCH {} - {}\n", word(exit), plain(message))
}

/// The line for the state of these patches, and the exit status. A system without a patch is as it
/// should be, unless a patch is named, or one of the installed patches in `rows` is not in
/// effect, or is held back at boot after a crash.
pub fn line(
    system: &System,
    named: Option<&Name>,
    patches: &[&PatchStatus],
    rows: &[Row],
) -> (String, Exit) {
    let worst = match named {
        Some(_) => patches.first().map(|status| status.state),
        None => system.state(),
    };
    let exit = match (named, worst) {
        (None, None | Some(State::Disabled)) => Exit::Done,
        (_, state) => Exit::of_state(state),
    };
    let missing: Vec<_> = rows
        .iter()
        .filter(|row| row.running && named.is_none_or(|name| name == &row.name))
        .filter_map(missing)
        .collect();
    let exit = match exit {
        Exit::Done if !missing.is_empty() => WARNING,
        exit => exit,
    };
    let moving = patches.iter().find(|status| status.direction.is_some());
    let text = match (named, worst, moving) {
        (Some(name), None, _) => format!("{name} is disabled"),
        (None, None, _) => "no livepatch is applied".to_owned(),
        (_, Some(state), Some(status)) => {
            let progress = system.progress.as_ref();
            let progress = progress.map(|p| format!("; {}", describe::progress_text(p)));
            let age = status.age.map(|age| format!(" for {}", term::age(&age)));
            format!(
                "{}: {}{}{}",
                status.patch.name,
                state.word(),
                age.unwrap_or_default(),
                progress.unwrap_or_default()
            )
        }
        (_, Some(_), None) => {
            let states = patches.iter().map(|status| {
                let unsure = match (status.state, status.forced) {
                    (State::Applied, None) => " (not known whether forced)",
                    _ => "",
                };
                format!("{}: {}{unsure}", status.patch.name, status.state.word())
            });
            states.collect::<Vec<_>>().join(", ")
        }
    };
    let text = [vec![text], missing].concat().join(", ");
    let waiting = system.progress.as_ref().map_or(0, |p| p.waiting.len());
    let seconds = moving
        .and_then(|status| status.age)
        .map(|age| age.elapsed.as_secs());
    let line = format!(
        "LIVEPATCH {} - {} | patches={} waiting={waiting} transition={}s\n",
        word(exit),
        plain(&text),
        patches.len(),
        seconds.unwrap_or(0)
    );
    (line, exit)
}

/// The words for an installed patch that is not in effect, or will not be after the next boot.
fn missing(row: &Row) -> Option<String> {
    let name = &row.name;
    match row.state {
        "not loaded" => Some(format!("installed {name} is not loaded")),
        "crashed" => Some(format!("installed {name} is held back after a crash")),
        "another build" => Some(format!("another build than the installed {name} is loaded")),
        _ if row.held_back => Some(format!(
            "{name} is loaded, and held back at boot after a crash"
        )),
        _ => None,
    }
}

/// A bar begins the figures, so the text has none.
fn plain(text: &str) -> String {
    text.replace('|', "/")
}
