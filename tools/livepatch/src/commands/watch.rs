// SPDX-License-Identifier: GPL-2.0

//! `klpctl watch`

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{status, Context, Outcome};
use crate::blockers;
use crate::describe;
use crate::exit::{Exit, Failure};
use crate::json::Json;
use crate::notice::Notices;
use crate::root::Root;
use crate::sysfs;
use crate::system::System;
use crate::term;

/// The time between two looks, unless `--interval` is given.
const INTERVAL: Duration = Duration::from_secs(1);

pub fn run(context: &mut Context<'_>) -> Outcome {
    let mut looks = 0;
    let mut notices = Notices::new();
    if context.root.is_live() {
        notices.listen();
    }
    loop {
        notices.poll(&context.root, &files(&context.root));
        notices.begin();
        let system = context.look()?;
        looks += 1;
        if context.options.json {
            print_json(context, &system)?;
        } else {
            context.term.resize();
            let text = context.text(|context| print(context, &system))?;
            if context.term.live {
                write!(context.out, "{}", context.term.screen(&text))?;
            } else {
                let between = if looks > 1 { "\n" } else { "" };
                write!(context.out, "{between}{text}")?;
            }
        }
        context.out.flush()?;
        if context.options.count.is_some_and(|count| looks >= count) {
            return Ok(Exit::of(&system));
        }
        if context.options.until_done && system.moving().is_none() {
            return Ok(Exit::of(&system));
        }
        let interval = context.options.interval.unwrap_or(INTERVAL);
        match Instant::now().checked_add(interval) {
            Some(end) => notices.wait_until(&[], end).map(drop)?,
            None => return Err(Failure::usage("--interval is too long")),
        }
    }
}

/// Returns the files that change when a transition begins, is reversed or ends.
fn files(root: &Root) -> Vec<PathBuf> {
    let patches = root.folders(sysfs::FOLDER).unwrap_or_default();
    let folders = patches
        .iter()
        .map(|name| Path::new(sysfs::FOLDER).join(name));
    folders
        .flat_map(|folder| [folder.join("transition"), folder.join("enabled")])
        .collect()
}

/// Prints one line for each look, with the members of `status` and the blockers.
fn print_json(context: &mut Context<'_>, system: &System) -> Result<(), Failure> {
    let blockers = blockers::find(&context.root, system);
    let mut members = status::members(system);
    members.push(("blockers", blockers.iter().map(describe::blocker).collect()));
    let document = Json::document(context.options.spec().name, members);

    writeln!(context.out, "{document}")?;
    Ok(())
}

fn print(context: &mut Context<'_>, system: &System) -> Result<(), Failure> {
    /// The lines of the screen that are not patches, notes or blockers.
    const OTHERS: usize = 9;

    status::print(context, system)?;
    let Some(progress) = &system.progress else {
        return Ok(());
    };
    let bar = term::bar(progress.done(), progress.total, 40);
    writeln!(
        context.out,
        "\n[{bar}] {}\n",
        describe::progress_text(progress)
    )?;

    let blockers = blockers::find(&context.root, system);
    let room = context
        .term
        .height
        .saturating_sub(
            OTHERS + system.patches.len() + 2 * system.disabled.len() + system.notes.len(),
        )
        .max(1);
    for blocker in blockers.iter().take(room) {
        let line = format!(
            "{}: {}",
            describe::task_name(&blocker.task.comm, blocker.task.id),
            describe::reason_text(blocker)
        );
        writeln!(context.out, "{line}")?;
    }
    if blockers.len() > room {
        let more = term::count(blockers.len() - room, "more task");
        writeln!(context.out, "and {more}")?;
    }
    Ok(())
}
