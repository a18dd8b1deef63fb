// SPDX-License-Identifier: GPL-2.0

//! The commands, one module each, and their common functions.

pub mod boot;
mod check;
mod enabled;
mod end;
mod findings;
pub mod force;
pub mod install;
mod list;
pub mod load;
mod loading;
mod metrics;
mod progress;
mod report;
mod status;
mod tasks;
pub mod unload;
pub mod wait;
mod watch;
mod why;

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use crate::action::Action;
use crate::command::Command;
use crate::describe;
use crate::exit::{Exit, Failure};
use crate::json::Json;
use crate::modinfo::module_of;
use crate::name::Name;
use crate::options::Options;
use crate::root::Root;
use crate::signals::Signals;
use crate::sysfs;
use crate::system::System;
use crate::term::Term;

/// A transition that has run for this long counts as stuck, unless `--stuck-after` is given.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// The options, the system and the output that a command works with.
pub struct Context<'a> {
    pub options: &'a Options,
    pub root: Root,
    pub term: Term,
    pub out: &'a mut dyn Write,
    /// The signals that this command catches.
    pub signals: Option<Signals>,
}

pub type Outcome = Result<Exit, Failure>;

pub fn run(context: &mut Context<'_>) -> Outcome {
    match context.options.command {
        Command::Status => status::run(context),
        Command::List => list::run(context),
        Command::Why => why::run(context),
        Command::Wait => wait::run(context),
        Command::Check => check::run(context),
        Command::Load if context.options.all => load::all(context),
        Command::Load => load::run(context),
        Command::Install => install::install(context),
        Command::Uninstall => install::uninstall(context),
        Command::Installed => install::list(context),
        Command::Allow => install::allow(context),
        Command::Unload => unload::run(context),
        Command::Enable => enabled::enable(context),
        Command::Disable => enabled::disable(context),
        Command::Force => force::run(context),
        Command::Watch => watch::run(context),
        Command::Report => report::run(context),
        Command::Metrics => metrics::run(context),
        // The parser has turned this command into a request for help.
        Command::Help => Ok(Exit::Done),
    }
}

impl Context<'_> {
    /// Looks at the state of the system.
    fn look(&self) -> Result<System, Failure> {
        look(&self.root, self.stuck_after())
    }

    fn stuck_after(&self) -> Duration {
        self.options.stuck_after.unwrap_or(STUCK_AFTER)
    }

    /// Returns the patches that the operands name. An operand may be the name of a module's file.
    fn patch_names(&self) -> Vec<Name> {
        let operands = self.options.operands.iter();
        operands.map(|operand| module_name(operand)).collect()
    }

    /// Prints a whole answer in JSON.
    fn print_json(&mut self, members: Vec<(&'static str, Json)>) -> Result<(), Failure> {
        let document = Json::document(self.options.spec().name, members);
        writeln!(self.out, "{}", document.pretty())?;
        Ok(())
    }

    /// Prints one step of a command that takes its time, as a line of text or of JSON.
    fn event(
        &mut self,
        event: &str,
        members: Vec<(&'static str, Json)>,
        text: &str,
    ) -> Result<(), Failure> {
        if self.options.json {
            let mut all = vec![("event", event.into())];
            all.extend(members);
            let document = Json::document(self.options.spec().name, all);
            writeln!(self.out, "{document}")?;
        } else {
            writeln!(self.out, "{text}")?;
        }
        self.out.flush()?;
        Ok(())
    }

    /// Returns the text that a function prints.
    fn text(
        &self,
        print: impl FnOnce(&mut Context<'_>) -> Result<(), Failure>,
    ) -> Result<String, Failure> {
        let mut text = Vec::new();
        print(&mut Context {
            options: self.options,
            root: self.root.clone(),
            term: self.term,
            out: &mut text,
            signals: None,
        })?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Runs an action, or with `--dry-run` only prints it.
    fn act(&mut self, action: &Action) -> Result<(), Failure> {
        let dry = self.options.dry_run;
        let event = if dry { "would" } else { "action" };
        let prefix = if dry { "would run: " } else { "" };
        let members = vec![("action", action.to_string().into())];

        self.event(event, members, &format!("{prefix}{action}"))?;
        match dry {
            true => Ok(()),
            false => action.run(&self.root),
        }
    }

    /// Refuses to change a captured tree.
    fn need_live_system(&self) -> Result<(), Failure> {
        if self.root.is_live() || self.options.dry_run {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "--root is a captured tree, which {} cannot change; it can with --dry-run tell what it \
             would do",
            self.options.spec().name
        )))
    }

    /// Has signals end a command between two steps, so that it can print the outcome.
    fn catch_signals(&mut self) {
        if !self.options.dry_run {
            self.signals = Signals::catch().ok();
        }
    }

    /// The error of a command that the kernel refuses during another patch's transition.
    fn busy(&self, system: &System) -> Option<Failure> {
        let moving = system.moving()?;
        Some(Failure::new(
            Exit::of(system),
            format!(
                "{} is in transition, and there can be one at a time; see klpctl wait, klpctl why",
                moving.patch.name
            ),
        ))
    }

    /// Prints that a command would only wait.
    fn would_wait(&mut self, patch: &Name, why: &str) -> Result<(), Failure> {
        let members = vec![
            ("action", Json::Null),
            ("patch", patch.into()),
            ("waits", why.into()),
        ];
        self.event("would", members, &format!("would wait: {patch} is {why}"))
    }

    /// The error of a command that wants a transition of a patch, if the patch is not in sysfs.
    fn not_there(&self, system: &System, patch: &Name) -> Failure {
        match system.find_disabled(patch) {
            Some(module) => Failure::new(
                Exit::Nothing,
                format!(
                    "livepatch {patch} is not in transition, but {}",
                    describe::disabled_state(module)
                ),
            ),
            None => self.not_loaded(patch),
        }
    }

    fn not_loaded(&self, patch: &Name) -> Failure {
        Failure::new(Exit::Nothing, format!("livepatch {patch} is not loaded"))
    }
}

fn look(root: &Root, stuck_after: Duration) -> Result<System, Failure> {
    if let Some(reason) = sysfs::unsupported(root) {
        return Err(Failure::new(Exit::Nothing, reason));
    }
    System::look(root, stuck_after)
        .map_err(|error| Failure::error(format!("cannot read {}: {error}", sysfs::FOLDER)))
}

/// Derives the name of a module from that of its file: `a/b-c.ko.xz` is `b_c`.
pub fn module_name(file: &OsStr) -> Name {
    let bytes = file.as_bytes();
    let base = bytes.rsplit(|&b| b == b'/').next().unwrap_or_default();
    let end = base
        .windows(3)
        .position(|w| w == b".ko")
        .unwrap_or(base.len());
    module_of(&base[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_modules() {
        let name = |file: &str| module_name(OsStr::new(file)).to_string();
        assert_eq!(name("livepatch_x"), "livepatch_x");
        assert_eq!(name("./a/livepatch-x.ko"), "livepatch_x");
        assert_eq!(name("/a.ko/b.ko.zst"), "b");
        assert_eq!(name(""), "");
    }
}
