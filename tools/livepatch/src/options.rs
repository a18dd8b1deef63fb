// SPDX-License-Identifier: GPL-2.0

//! The table of options.
//!
//! Adding an option takes a row in [`OPTIONS`] and a field in [`Options`]. The command line, the
//! help texts and the errors come from the tables; a test compares the manual pages and the
//! completion with them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::command::{Command, CommandSpec, COMMANDS};
use crate::exit::Failure;
use crate::name;

pub struct OptionSpec {
    pub long: &'static str,
    pub short: Option<char>,
    pub value: Value,
    /// The commands that take the option.
    pub commands: &'static [Command],
    pub about: &'static str,
}

/// The kind of value that an option takes, and the field that the option sets.
pub enum Value {
    /// The option takes no value. It sets the field to true.
    Flag(Field<bool>),
    Time(Field<Option<Duration>>),
    Number(Field<Option<usize>>),
    Dir(Field<Option<PathBuf>>),
    File(Field<Option<PathBuf>>),
    Version(Field<Option<PathBuf>>),
}

type Field<T> = fn(&mut Options) -> &mut T;

impl Value {
    /// Returns the word for the value in help texts and errors, or `None` for a flag.
    pub fn word(&self) -> Option<&'static str> {
        match self {
            Self::Flag(_) => None,
            Self::Time(_) => Some("TIME"),
            Self::Number(_) => Some("N"),
            Self::Dir(_) => Some("DIR"),
            Self::File(_) => Some("FILE"),
            Self::Version(_) => Some("VERSION"),
        }
    }

    /// Sets the field. Returns `None` if this kind of value cannot be read from the text.
    fn set(&self, options: &mut Options, text: &OsStr) -> Option<()> {
        match self {
            Self::Flag(field) => *field(options) = true,
            Self::Time(field) => *field(options) = Some(time(text.to_str()?)?),
            Self::Number(field) => *field(options) = Some(text.to_str()?.parse().ok()?),
            Self::Dir(field) | Self::File(field) | Self::Version(field) => {
                *field(options) = Some(text.into())
            }
        }
        Some(())
    }
}

/// Parses a time: a number of seconds, or numbers with units behind them, the larger ones first, as
/// in 1h30m.
fn time(text: &str) -> Option<Duration> {
    if !text.contains(|c: char| c.is_ascii_alphabetic()) {
        return one_time(text);
    }
    let mut rest = text;
    let mut sum = Duration::ZERO;
    let mut smallest = Duration::MAX;
    while !rest.is_empty() {
        let letters = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let unit = rest[letters..].find(|c: char| !c.is_ascii_alphabetic());
        let (part, others) = rest.split_at(unit.map_or(rest.len(), |unit| letters + unit));
        let size = one_time(&format!("1{}", &part[letters..]))?;
        if size >= smallest {
            return None;
        }
        smallest = size;
        sum = sum.checked_add(one_time(part)?)?;
        rest = others;
    }
    Some(sum)
}

/// Parses one number with the unit behind it.
fn one_time(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| c.is_ascii_alphabetic());
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

impl OptionSpec {
    /// Sets the option's field. A flag ignores the text.
    pub fn set(&self, options: &mut Options, text: &OsStr) -> Result<(), Failure> {
        self.value.set(options, text).ok_or_else(|| {
            Failure::usage(format!(
                "--{}: '{}' is not understood; it takes {}",
                self.long,
                name::escape(text.as_bytes()),
                self.value.word().unwrap_or_default()
            ))
        })
    }
}

/// The commands that look at livepatches. The last, metrics, has a format of its own.
const LOOKS: &[Command] = &[
    Command::Status,
    Command::List,
    Command::Why,
    Command::Wait,
    Command::Check,
    Command::Load,
    Command::Install,
    Command::Uninstall,
    Command::Installed,
    Command::Allow,
    Command::Unload,
    Command::Enable,
    Command::Disable,
    Command::Force,
    Command::Watch,
    Command::Report,
    Command::Metrics,
];
/// The commands that answer in text or JSON.
const ANSWERS: &[Command] = LOOKS.split_at(LOOKS.len() - 1).0;
const _: () = assert!(matches!(LOOKS.last(), Some(Command::Metrics)));
const CHANGES: &[Command] = &[
    Command::Load,
    Command::Install,
    Command::Uninstall,
    Command::Allow,
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

pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        long: "json",
        short: None,
        value: Value::Flag(|options| &mut options.json),
        commands: ANSWERS,
        about: "answer in JSON",
    },
    OptionSpec {
        long: "root",
        short: None,
        value: Value::Dir(|options| &mut options.root),
        commands: LOOKS,
        about: "read a captured tree, changing nothing",
    },
    OptionSpec {
        long: "stuck-after",
        short: None,
        value: Value::Time(|options| &mut options.stuck_after),
        commands: LOOKS,
        about: "from when a transition counts as stuck (60)",
    },
    OptionSpec {
        long: "verbose",
        short: Some('v'),
        value: Value::Flag(|options| &mut options.verbose),
        commands: &[Command::List],
        about: "sympos and state of each function",
    },
    OptionSpec {
        long: "nagios",
        short: None,
        value: Value::Flag(|options| &mut options.nagios),
        commands: &[Command::Status],
        about: "one line and exit codes for Nagios",
    },
    OptionSpec {
        long: "limit",
        short: Some('n'),
        value: Value::Number(|options| &mut options.limit),
        commands: &[Command::Why],
        about: "show so many tasks at most",
    },
    OptionSpec {
        long: "timeout",
        short: Some('t'),
        value: Value::Time(|options| &mut options.timeout),
        commands: WAITS,
        about: "wait so long (60; wait: for ever), 0 not at all",
    },
    OptionSpec {
        long: "revert-on-timeout",
        short: None,
        value: Value::Flag(|options| &mut options.revert_on_timeout),
        commands: &[Command::Load],
        about: "take the patch back if it takes longer",
    },
    OptionSpec {
        long: "replace",
        short: None,
        value: Value::Flag(|options| &mut options.replace),
        commands: &[Command::Load],
        about: "unload a loaded build first, unless it is this one",
    },
    OptionSpec {
        long: "all",
        short: None,
        value: Value::Flag(|options| &mut options.all),
        commands: &[Command::Load, Command::Unload, Command::Why, Command::List],
        about: "load: those installed; unload, list: all; why: each task",
    },
    OptionSpec {
        long: "kernel",
        short: None,
        value: Value::Version(|options| &mut options.kernel),
        commands: &[Command::Uninstall, Command::Allow],
        about: "for another kernel than the running one",
    },
    OptionSpec {
        long: "yes",
        short: Some('y'),
        value: Value::Flag(|options| &mut options.yes),
        commands: &[Command::Force],
        about: "do not ask",
    },
    OptionSpec {
        long: "dry-run",
        short: None,
        value: Value::Flag(|options| &mut options.dry_run),
        commands: CHANGES,
        about: "print the actions and take none",
    },
    OptionSpec {
        long: "interval",
        short: Some('i'),
        value: Value::Time(|options| &mut options.interval),
        commands: &[Command::Watch],
        about: "look so often (1)",
    },
    OptionSpec {
        long: "count",
        short: Some('c'),
        value: Value::Number(|options| &mut options.count),
        commands: &[Command::Watch],
        about: "end after so many looks",
    },
    OptionSpec {
        long: "until-done",
        short: Some('u'),
        value: Value::Flag(|options| &mut options.until_done),
        commands: &[Command::Watch],
        about: "end when no patch is in transition",
    },
    OptionSpec {
        long: "output",
        short: Some('o'),
        value: Value::File(|options| &mut options.output),
        commands: &[Command::Report, Command::Metrics],
        about: "the file to write; - is standard output",
    },
];

/// A parsed command line.
///
/// An option that is not given is false or `None`. The command that uses a `None` has the default.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub command: Command,
    pub operands: Vec<OsString>,
    pub json: bool,
    pub root: Option<PathBuf>,
    pub stuck_after: Option<Duration>,
    pub verbose: bool,
    pub nagios: bool,
    pub limit: Option<usize>,
    pub timeout: Option<Duration>,
    pub revert_on_timeout: bool,
    pub replace: bool,
    pub all: bool,
    pub kernel: Option<PathBuf>,
    pub yes: bool,
    pub dry_run: bool,
    pub interval: Option<Duration>,
    pub count: Option<usize>,
    pub until_done: bool,
    pub output: Option<PathBuf>,
}

impl Options {
    pub fn spec(&self) -> &'static CommandSpec {
        COMMANDS
            .iter()
            .find(|spec| spec.command == self.command)
            .unwrap_or(&COMMANDS[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_sets_the_field_of_its_name_and_no_other() {
        let before = format!("{:?}", Options::default());
        for option in OPTIONS {
            let (old, new) = match option.value {
                Value::Flag(_) => ("false", "true"),
                Value::Time(_) => ("None", "Some(7s)"),
                Value::Number(_) => ("None", "Some(7)"),
                Value::Dir(_) | Value::File(_) | Value::Version(_) => ("None", "Some(\"7\")"),
            };
            let field = option.long.replace('-', "_");
            let expected = before.replace(&format!(" {field}: {old}"), &format!(" {field}: {new}"));

            let mut options = Options::default();
            option.set(&mut options, OsStr::new("7")).unwrap();
            assert_eq!(format!("{options:?}"), expected);
        }
    }

    #[test]
    fn an_error_names_the_option_and_the_kind_of_value() {
        for option in OPTIONS {
            let word = match option.value {
                Value::Flag(_) | Value::Dir(_) | Value::File(_) | Value::Version(_) => continue,
                Value::Time(_) => "TIME",
                Value::Number(_) => "N",
            };
            let error = option.set(&mut Options::default(), OsStr::new("-1\n"));
            assert_eq!(
                error.unwrap_err().message,
                format!(
                    "--{}: '-1\\x0a' is not understood; it takes {word}",
                    option.long
                )
            );
        }
    }

    #[test]
    fn times() {
        let parsed = |text: &str| time(text).map(|time| time.as_millis());
        for (text, expected) in [
            ("0", 0),
            ("1.5", 1500),
            ("90s", 90_000),
            ("250ms", 250),
            ("5m", 300_000),
            ("5min", 300_000),
            ("0.5h", 1_800_000),
            ("1d", 86_400_000),
            ("1h30m", 5_400_000),
            ("1m30s", 90_000),
            ("1d2h3m4s5ms", 93_784_005),
        ] {
            assert_eq!(parsed(text), Some(expected), "{text}");
        }
        for wrong in [
            "", "m", "-1", "1 m", "1x", "inf", "nan", "1e3", "1m1h", "1m30", "1m2m",
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
