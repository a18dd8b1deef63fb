// SPDX-License-Identifier: GPL-2.0

//! The tasks of an answer, in groups, as text that does not get longer with their number.

use super::Context;
use crate::blockers::Blocker;
use crate::cmdline::CommandLines;
use crate::describe;
use crate::exit::Failure;
use crate::groups::{self, Group};
use crate::proc::Stack;
use crate::term::{self, Term};

/// The number of lines that an answer has at most, unless `--all` is given.
pub const MOST_LINES: usize = 60;

/// The number of processes of a group that are named.
const MOST_NAMES: usize = 4;

/// The number of frames of a stack in an answer that would be too long.
const MOST_FRAMES: usize = 6;

/// The number of characters of a command line.
const MOST_CHARS: usize = 160;

/// The number of groups that are printed at least.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Least {
    None,
    One,
}

/// Prints tasks on `room` lines at most, if that is enough for the least number of groups.
pub fn print(
    context: &mut Context<'_>,
    blockers: &[Blocker],
    room: usize,
    least: Least,
) -> Result<(), Failure> {
    let all = context.options.all;
    let limit = context.options.limit.unwrap_or(blockers.len());
    let shown = &blockers[..limit.min(blockers.len())];
    let groups = match all {
        true => groups::single(shown),
        false => groups::of(shown),
    };
    // The number of tasks that are left out has two lines.
    let room = match all {
        true => usize::MAX,
        false if shown.len() < blockers.len() => room.saturating_sub(2),
        false => room,
    };

    let mut commands = CommandLines::new(&context.root);
    let mut texts = fitting(
        &context.term,
        &groups,
        &mut commands,
        room,
        usize::MAX,
        least,
    );
    if texts.len() < groups.len() || texts.iter().map(Vec::len).sum::<usize>() > room {
        // With shorter stacks there is room for more groups.
        let room = room.saturating_sub(2);
        texts = fitting(
            &context.term,
            &groups,
            &mut commands,
            room,
            MOST_FRAMES,
            least,
        );
    }
    for line in texts.iter().flatten() {
        writeln!(context.out, "{line}")?;
    }
    let (printed, rest) = groups.split_at(texts.len());
    let tasks = printed.iter().map(|group| group.tasks.len()).sum();
    if blockers.len() > tasks {
        let more = term::count(blockers.len() - tasks, "more task");
        let hint = match rest.len() {
            0 => String::new(),
            _ => ", which --all shows".to_owned(),
        };
        writeln!(context.out, "\nand {more}{hint}")?;
    }
    Ok(())
}

/// Returns the texts of the first groups, as many as fit, but not less than `least`.
fn fitting(
    term: &Term,
    groups: &[Group<'_>],
    commands: &mut CommandLines<'_>,
    room: usize,
    most_frames: usize,
    least: Least,
) -> Vec<Vec<String>> {
    let mut texts = Vec::new();
    let mut used = 0;

    for group in groups {
        let text = text(term, group, commands, most_frames);
        used += text.len();
        if used > room && (least == Least::None || !texts.is_empty()) {
            break;
        }
        texts.push(text);
    }
    texts
}

/// Returns the lines of a group, the first of which is empty.
fn text(
    term: &Term,
    group: &Group<'_>,
    commands: &mut CommandLines<'_>,
    most_frames: usize,
) -> Vec<String> {
    let blocker = group.first();
    let task = &blocker.task;
    let name = describe::task_name(&task.comm, task.id);
    let (name, kind) = match group.tasks.len() - 1 {
        0 => (
            name,
            if task.kthread {
                "kernel thread"
            } else {
                "user process"
            },
        ),
        others => (
            format!("{name} and {}", term::count(others, "more task")),
            if task.kthread {
                "kernel threads"
            } else {
                "user processes"
            },
        ),
    };
    let kind = match task.stack {
        Stack::Unread => String::new(),
        _ => format!(", {kind}, {}", describe::task_state(task.state)),
    };
    let mut lines = vec![
        String::new(),
        term.strong(&name) + &kind,
        format!("  {}", term.strong(&describe::reason_text(blocker))),
    ];
    if group.tasks.len() > 1 {
        lines.push(format!("  {}", processes(group)));
    }
    if !task.kthread {
        let command = commands.read(task.id.pid);
        lines.extend(command.map(|command| format!("  command: {}", cut(&command))));
    }
    match &task.stack {
        Stack::Frames(_) => lines.extend(stack(term, blocker, most_frames)),
        Stack::Denied | Stack::Unknown | Stack::Unread => {
            let wchan = task.wchan.as_ref();
            lines
                .extend(wchan.map(|function| {
                    format!("    sleeps in {}", describe::function_name(function))
                }));
        }
    }
    lines.extend(blocker.advice.iter().map(|line| format!("  {line}")));
    lines
}

/// `20 processes of cron.service: cat (210), java (77, 4000 threads), ...`
fn processes(group: &Group<'_>) -> String {
    let processes = group.processes();
    let mut names: Vec<_> = processes
        .iter()
        .take(MOST_NAMES)
        .map(|process| match process.tasks {
            1 => format!("{} ({})", process.comm, process.pid),
            tasks => format!("{} ({}, {tasks} threads)", process.comm, process.pid),
        })
        .collect();
    if processes.len() > MOST_NAMES {
        names.push("...".to_owned());
    }
    let count = match processes.len() {
        1 => "1 process".to_owned(),
        count => format!("{count} processes"),
    };
    let unit = group.first().task.unit.as_ref();
    let unit = unit.map_or_else(String::new, |unit| format!(" of {}", unit.name));
    format!("{count}{unit}: {}", names.join(", "))
}

/// Returns the lines of a stack. If it is too long, they are the frame that the task is in and
/// those that are in the way.
fn stack(term: &Term, blocker: &Blocker, most_frames: usize) -> Vec<String> {
    let frames: Vec<_> = blocker.task.frames().iter().zip(&blocker.marks).collect();
    let long = frames.len() > most_frames;
    let mut lines = Vec::new();
    let mut left_out = false;
    let mut kept = 0;
    for (i, (frame, &blocking)) in frames.into_iter().enumerate() {
        if long && (i > 0 && !blocking || kept >= most_frames) {
            left_out = true;
            continue;
        }
        if std::mem::take(&mut left_out) {
            lines.push("    ...".to_owned());
        }
        kept += 1;
        lines.push(match blocking {
            true => term.alarm(&format!("  > {}", describe::frame_text(frame))),
            false => format!("    {}", describe::frame_text(frame)),
        });
    }
    if left_out {
        lines.push("    ...".to_owned());
    }
    lines
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
