// SPDX-License-Identifier: GPL-2.0

//! The commands and options that there are.
//!
//! Parsing and help are made from these tables; a test holds the manual page and the completion
//! against them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::exit::Failure;
use crate::name;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Status,
    List,
    Why,
    Wait,
    Load,
    Unload,
    Enable,
    Disable,
    Force,
    Watch,
    Report,
    Help,
}

pub struct CommandSpec {
    pub command: Command,
    pub name: &'static str,
    pub operands: &'static str,
    /// The least and the greatest number of operands.
    pub count: (usize, usize),
    pub about: &'static str,
}

const fn spec(
    command: Command,
    name: &'static str,
    operands: &'static str,
    count: (usize, usize),
    about: &'static str,
) -> CommandSpec {
    CommandSpec {
        command,
        name,
        operands,
        count,
        about,
    }
}

const ANY: usize = usize::MAX;

pub const COMMANDS: [CommandSpec; 12] = [
    spec(
        Command::Status,
        "status",
        "",
        (0, 0),
        "what state the patches are in (the default)",
    ),
    spec(
        Command::List,
        "list",
        "",
        (0, 0),
        "the patches in stack order, and which serves what",
    ),
    spec(
        Command::Why,
        "why",
        "[PATCH]",
        (0, 1),
        "the tasks that hold the transition or a module up, and why",
    ),
    spec(
        Command::Wait,
        "wait",
        "[PATCH]",
        (0, 1),
        "wait for the transition to end",
    ),
    spec(
        Command::Load,
        "load",
        "FILE [PARAM=VALUE...]...",
        (1, ANY),
        "load livepatch modules, and wait",
    ),
    spec(
        Command::Unload,
        "unload",
        "[PATCH...]",
        (0, ANY),
        "disable patches, and unload their modules",
    ),
    spec(
        Command::Enable,
        "enable",
        "PATCH",
        (1, 1),
        "turn a patch round that is being disabled",
    ),
    spec(
        Command::Disable,
        "disable",
        "PATCH",
        (1, 1),
        "disable a patch, or turn it round",
    ),
    spec(
        Command::Force,
        "force",
        "[PATCH]",
        (0, 1),
        "end the transition without its safety",
    ),
    spec(
        Command::Watch,
        "watch",
        "",
        (0, 0),
        "a live view of the transition",
    ),
    spec(
        Command::Report,
        "report",
        "",
        (0, 0),
        "write everything to a tar file for --root",
    ),
    spec(
        Command::Help,
        "help",
        "[COMMAND]",
        (0, 1),
        "what there is to know of a command",
    ),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Opt {
    Json,
    Root,
    StuckAfter,
    Verbose,
    Limit,
    Timeout,
    RevertOnTimeout,
    All,
    Yes,
    DryRun,
    Interval,
    Count,
    Output,
}

pub struct OptionSpec {
    option: Opt,
    pub long: &'static str,
    pub short: Option<char>,
    /// What its value is called.
    pub value: Option<&'static str>,
    pub commands: &'static [Command],
    pub about: &'static str,
}

const EVERY: &[Command] = &[
    Command::Status,
    Command::List,
    Command::Why,
    Command::Wait,
    Command::Load,
    Command::Unload,
    Command::Enable,
    Command::Disable,
    Command::Force,
    Command::Watch,
    Command::Report,
];
const CHANGES: &[Command] = &[
    Command::Load,
    Command::Unload,
    Command::Enable,
    Command::Disable,
    Command::Force,
];
const WAITS: &[Command] = &[
    Command::Wait,
    Command::Load,
    Command::Unload,
    Command::Enable,
    Command::Disable,
];

const fn opt(
    option: Opt,
    long: &'static str,
    short: Option<char>,
    value: Option<&'static str>,
    commands: &'static [Command],
    about: &'static str,
) -> OptionSpec {
    OptionSpec {
        option,
        long,
        short,
        value,
        commands,
        about,
    }
}

pub const OPTIONS: [OptionSpec; 13] = [
    opt(Opt::Json, "json", None, None, EVERY, "answer in JSON"),
    opt(
        Opt::Root,
        "root",
        None,
        Some("DIR"),
        EVERY,
        "read a captured tree, changing nothing",
    ),
    opt(
        Opt::StuckAfter,
        "stuck-after",
        None,
        Some("SECONDS"),
        EVERY,
        "from when a transition counts as stuck (60)",
    ),
    opt(
        Opt::Verbose,
        "verbose",
        Some('v'),
        None,
        &[Command::List],
        "sympos and state of each function",
    ),
    opt(
        Opt::Limit,
        "limit",
        Some('n'),
        Some("N"),
        &[Command::Why],
        "show so many tasks at most",
    ),
    opt(
        Opt::Timeout,
        "timeout",
        Some('t'),
        Some("SECONDS"),
        WAITS,
        "wait so long (60; wait: for ever), 0 not at all",
    ),
    opt(
        Opt::RevertOnTimeout,
        "revert-on-timeout",
        None,
        None,
        &[Command::Load],
        "take the patch back if it takes longer",
    ),
    opt(
        Opt::All,
        "all",
        None,
        None,
        &[Command::Unload],
        "all patches, the last one first",
    ),
    opt(
        Opt::Yes,
        "yes",
        Some('y'),
        None,
        &[Command::Force],
        "do not ask",
    ),
    opt(
        Opt::DryRun,
        "dry-run",
        None,
        None,
        CHANGES,
        "only say what would be done",
    ),
    opt(
        Opt::Interval,
        "interval",
        Some('i'),
        Some("SECONDS"),
        &[Command::Watch],
        "look so often (1)",
    ),
    opt(
        Opt::Count,
        "count",
        Some('c'),
        Some("N"),
        &[Command::Watch],
        "end after so many looks",
    ),
    opt(
        Opt::Output,
        "output",
        Some('o'),
        Some("FILE"),
        &[Command::Report],
        "the tar file; - is standard output",
    ),
];

#[derive(Clone, Debug)]
pub struct Options {
    pub command: Command,
    pub operands: Vec<OsString>,
    pub json: bool,
    pub root: Option<PathBuf>,
    pub stuck_after: Duration,
    pub verbose: bool,
    pub limit: Option<usize>,
    /// `None`: the command's own.
    pub timeout: Option<Duration>,
    pub revert_on_timeout: bool,
    pub all: bool,
    pub yes: bool,
    pub dry_run: bool,
    pub interval: Duration,
    pub count: Option<usize>,
    pub output: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            command: Command::Status,
            operands: Vec::new(),
            json: false,
            root: None,
            stuck_after: Duration::from_secs(60),
            verbose: false,
            limit: None,
            timeout: None,
            revert_on_timeout: false,
            all: false,
            yes: false,
            dry_run: false,
            interval: Duration::from_secs(1),
            count: None,
            output: None,
        }
    }
}

impl Options {
    pub fn spec(&self) -> &'static CommandSpec {
        COMMANDS
            .iter()
            .find(|spec| spec.command == self.command)
            .unwrap_or(&COMMANDS[0])
    }

    pub fn set(&mut self, option: &OptionSpec, value: &OsStr) -> Result<(), Failure> {
        let wrong = || {
            Failure::usage(format!(
                "--{}: '{}' is not understood; it takes {}",
                option.long,
                name::escape(value.as_bytes()),
                option.value.unwrap_or_default()
            ))
        };
        let seconds = || {
            let seconds: f64 = value.to_str()?.parse().ok()?;
            Duration::try_from_secs_f64(seconds).ok()
        };
        let number = || value.to_str()?.parse().ok();

        match option.option {
            Opt::Json => self.json = true,
            Opt::Root => self.root = Some(value.into()),
            Opt::StuckAfter => self.stuck_after = seconds().ok_or_else(wrong)?,
            Opt::Verbose => self.verbose = true,
            Opt::Limit => self.limit = Some(number().ok_or_else(wrong)?),
            Opt::Timeout => self.timeout = Some(seconds().ok_or_else(wrong)?),
            Opt::RevertOnTimeout => self.revert_on_timeout = true,
            Opt::All => self.all = true,
            Opt::Yes => self.yes = true,
            Opt::DryRun => self.dry_run = true,
            Opt::Interval => self.interval = seconds().ok_or_else(wrong)?,
            Opt::Count => self.count = Some(number().ok_or_else(wrong)?),
            Opt::Output => self.output = Some(value.into()),
        }
        Ok(())
    }
}
