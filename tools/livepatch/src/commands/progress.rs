// SPDX-License-Identifier: GPL-2.0

//! The progress of a transition, which commands that wait show.
//!
//! A thread of its own looks at the tasks, because a look at many tasks takes seconds, and a file
//! may block its reader for longer. The command does not wait for that thread when the transition
//! ends, at its deadline, or when a signal arrives.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Context;
use crate::blockers::{self, Blocker};
use crate::describe;
use crate::edge::{self, Wanted};
use crate::exit::Failure;
use crate::json::Json;
use crate::name::Name;
use crate::proc::Progress;
use crate::system::System;
use crate::term::{self, Term};

/// The least time between two looks at the tasks.
pub const LOOK: Duration = Duration::from_secs(1);

/// The result of a look at the tasks.
struct Look {
    system: System,
    worst: Option<Blocker>,
}

/// A look at the tasks by a thread.
struct Looking {
    begin: Instant,
    thread: JoinHandle<Result<Look, Failure>>,
    /// The thread has the other end, and closes it when the look is over.
    over: UnixStream,
}

impl Looking {
    fn start(context: &Context<'_>) -> io::Result<Self> {
        let (over, theirs) = UnixStream::pair()?;
        let (root, stuck_after) = (context.root.clone(), context.stuck_after());
        let look = move || {
            let _closed_at_the_end = theirs;
            let system = super::look(&root, stuck_after)?;
            let worst = blockers::worst(&root, &system);
            Ok(Look { system, worst })
        };
        Ok(Self {
            begin: Instant::now(),
            thread: thread::Builder::new().spawn(look)?,
            over,
        })
    }

    fn result(self) -> Result<Look, Failure> {
        let result = self.thread.join();
        result.unwrap_or_else(|panic| panic::resume_unwind(panic))
    }
}

/// Shows the progress until the other end of `told` is closed.
pub fn show_until(
    context: &mut Context<'_>,
    patch: &Name,
    told: &UnixStream,
) -> Result<(), Failure> {
    let begin = Instant::now();
    let mut next_look = begin + LOOK / 4;
    let mut looking: Option<Looking> = None;
    let mut shown = String::new();

    loop {
        let mut files = vec![(told.as_fd(), Wanted::Input)];
        let timeout = match &looking {
            Some(look) => {
                files.push((look.over.as_fd(), Wanted::Input));
                None
            }
            None => Some(next_look.saturating_duration_since(Instant::now())),
        };
        let ready = edge::wait(&files, timeout)?;
        if ready[0] {
            break;
        }
        if let Some(look) = looking.take_if(|_| ready[1]) {
            let took = look.begin.elapsed();
            show(context, patch, begin.elapsed(), &look.result()?, &mut shown)?;
            // A slow look is followed by a longer pause, so that the system is mostly left alone.
            next_look = Instant::now() + LOOK.max(took * 5);
        } else if looking.is_none() && Instant::now() >= next_look {
            looking = Looking::start(context).ok();
            next_look = Instant::now() + LOOK;
        }
    }
    if context.term.live && !context.options.json && !shown.is_empty() {
        write!(context.out, "\r\x1b[K")?;
        context.out.flush()?;
    }
    Ok(())
}

/// Shows the progress: on a terminal as a bar that changes, else as a line when there is news.
fn show(
    context: &mut Context<'_>,
    patch: &Name,
    elapsed: Duration,
    look: &Look,
    shown: &mut String,
) -> Result<(), Failure> {
    let Some(progress) = look.system.progress.as_ref() else {
        return Ok(());
    };
    let worst = look.worst.as_ref();
    let blocked = worst.map_or(String::new(), |blocker| {
        format!(
            ", waiting for {} {}",
            describe::task_name(&blocker.task.comm, blocker.task.id),
            describe::reason_text(blocker)
        )
    });
    let news = format!("{patch}: {}{blocked}", describe::progress_text(progress));

    if context.term.live && !context.options.json {
        context.term.resize();
        let line = live_line(&context.term, progress, elapsed, worst, &blocked);
        write!(context.out, "\r{line}\x1b[K")?;
        context.out.flush()?;
    } else if news != *shown {
        let members = vec![
            ("patch", patch.into()),
            ("seconds", Json::Seconds(elapsed.as_secs_f64())),
            ("tasks", describe::tasks(progress)),
            ("worst", worst.map(describe::blocker).into()),
        ];
        context.event("progress", members, &news)?;
    }
    *shown = news;
    Ok(())
}

/// Returns the line that shows the progress, in as few words as the terminal needs.
fn live_line(
    term: &Term,
    progress: &Progress,
    elapsed: Duration,
    worst: Option<&Blocker>,
    blocked: &str,
) -> String {
    let (done, total) = (progress.done(), progress.total);
    let time = term::duration(elapsed);
    let short = worst.map_or_else(String::new, |blocker| {
        format!(
            ": {} {}",
            blocker.task.comm,
            describe::short_reason(blocker)
        )
    });
    let lines = [
        format!(
            "[{}] {done}/{total} tasks, {time}{blocked}",
            term::bar(done, total, 20)
        ),
        format!(
            "[{}] {done}/{total}, {time}{short}",
            term::bar(done, total, 10)
        ),
        format!("{done}/{total}, {time}{short}"),
    ];
    let fits = |line: &&String| line.chars().count() < term.width;
    let line = lines.iter().find(fits).unwrap_or(&lines[2]);
    term.fit(line)
}
