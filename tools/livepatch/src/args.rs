// SPDX-License-Identifier: GPL-2.0

//! The parser of the command line, and the help texts.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::exit::Failure;
use crate::name;
use crate::options::{Command, OptionSpec, Options, COMMANDS, OPTIONS};

/// The request that a command line makes.
pub enum Request {
    Run(Options),
    Help(Option<Command>),
    Version,
}

pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request, Failure> {
    let mut arguments = arguments.into_iter();
    let mut words = Vec::new();
    let mut given = Vec::new();
    let mut help = false;
    let mut only_words = false;

    while let Some(argument) = arguments.next() {
        let bytes = argument.as_bytes();
        if only_words || !bytes.starts_with(b"-") || bytes == b"-" {
            words.push(argument);
            continue;
        }
        match bytes {
            b"--" => only_words = true,
            b"-h" | b"--help" => help = true,
            b"-V" | b"--version" => return Ok(Request::Version),
            _ => {
                let (option, attached) = find_option(bytes)?;
                let value = match (option.value.word(), attached) {
                    (None, None) => OsString::new(),
                    (None, Some(_)) => {
                        return Err(Failure::usage(format!("--{} takes no value", option.long)))
                    }
                    (Some(_), Some(value)) => value,
                    (Some(word), None) => arguments.next().ok_or_else(|| {
                        Failure::usage(format!("--{}: {word} is missing", option.long))
                    })?,
                };
                given.push((option, value));
            }
        }
    }

    let mut options = Options::default();
    if let Some(word) = words.first() {
        options.command = find_command(word)?;
        options.operands = words.split_off(1);
    }
    if help {
        let named = (!words.is_empty()).then_some(options.command);
        return Ok(Request::Help(named));
    }
    for (option, value) in given {
        if !option.commands.contains(&options.command) {
            return Err(Failure::usage(format!(
                "{} has no option --{}",
                options.spec().name,
                option.long
            )));
        }
        option.set(&mut options, &value)?;
    }
    check_operands(&options)?;
    if options.command == Command::Help {
        let about = options.operands.first().map(|word| find_command(word));
        return Ok(Request::Help(about.transpose()?));
    }
    Ok(Request::Run(options))
}

/// Whether the arguments have `--json`, also if they make no sense otherwise.
pub fn asks_for_json(arguments: &[OsString]) -> bool {
    let mut options = arguments.iter().take_while(|argument| *argument != "--");
    options.any(|argument| argument == "--json")
}

/// Returns the name of the command in the arguments, or `None` if it is not known.
pub fn command_name(arguments: &[OsString]) -> Option<&'static str> {
    let words: Vec<_> = arguments
        .iter()
        .filter(|argument| !argument.as_bytes().starts_with(b"-"))
        .collect();
    let spec = |word: &OsStr| COMMANDS.iter().find(|spec| word == spec.name);
    match words.is_empty() {
        true => Some(COMMANDS[0].name),
        false => words
            .into_iter()
            .find_map(|word| spec(word))
            .map(|spec| spec.name),
    }
}

/// Finds the option, and the value attached to it: `--long=value`, `-svalue`.
fn find_option(bytes: &[u8]) -> Result<(&'static OptionSpec, Option<OsString>), Failure> {
    let attached = |value: &[u8]| Some(OsString::from_vec(value.to_vec()));
    let unknown = || {
        Failure::usage(format!(
            "there is no option {}; see klpctl help",
            name::escape(bytes)
        ))
    };

    if let Some(long) = bytes.strip_prefix(b"--") {
        let mut parts = long.splitn(2, |&b| b == b'=');
        let name = parts.next().unwrap_or_default();
        let option = OPTIONS.iter().find(|o| o.long.as_bytes() == name);
        return Ok((option.ok_or_else(unknown)?, parts.next().and_then(attached)));
    }
    let letter = char::from(bytes[1]);
    let option = OPTIONS.iter().find(|o| o.short == Some(letter));
    let rest = &bytes[2..];
    let value = (!rest.is_empty()).then(|| attached(rest)).flatten();
    Ok((option.ok_or_else(unknown)?, value))
}

fn find_command(word: &OsStr) -> Result<Command, Failure> {
    COMMANDS
        .iter()
        .find(|spec| spec.name.as_bytes() == word.as_bytes())
        .map(|spec| spec.command)
        .ok_or_else(|| {
            Failure::usage(format!(
                "there is no command '{}'; see klpctl help",
                name::escape(word.as_bytes())
            ))
        })
}

fn check_operands(options: &Options) -> Result<(), Failure> {
    let spec = options.spec();
    let (least, most) = spec.count;
    let count = options.operands.len();
    let usage = format!("usage: klpctl {} {}", spec.name, spec.operands);

    if count < least {
        return Err(Failure::usage(format!(
            "{} is missing; {usage}",
            spec.operands
        )));
    }
    if count > most {
        let word = name::escape(options.operands[most].as_bytes());
        return Err(Failure::usage(format!(
            "'{word}' is too much; {}",
            usage.trim_end()
        )));
    }
    if options.command == Command::Unload && options.all == (count > 0) {
        return Err(Failure::usage("unload takes either PATCH... or --all"));
    }
    Ok(())
}

/// Returns the text of `klpctl help [COMMAND]`.
pub fn help(command: Option<Command>) -> String {
    use std::fmt::Write as _;

    let mut text = String::new();
    let spec = command.and_then(|c| COMMANDS.iter().find(|spec| spec.command == c));
    // Writing to a String cannot fail.
    let _ = match spec {
        Some(spec) => writeln!(
            text,
            "usage: klpctl {} [OPTION...] {}\n\n  {}\n\noptions:",
            spec.name, spec.operands, spec.about
        ),
        None => writeln!(
            text,
            "usage: klpctl [COMMAND] [OPTION...]\n\n\
             Shows and changes the state of kernel live patching.\n\ncommands:\n{}\noptions:",
            COMMANDS
                .iter()
                .map(|c| format!(
                    "  {:33} {}\n",
                    format!("{} {}", c.name, c.operands),
                    c.about
                ))
                .collect::<String>()
        ),
    };
    for option in OPTIONS {
        if command.is_none_or(|command| option.commands.contains(&command)) {
            let short = option
                .short
                .map_or("    ".to_owned(), |s| format!("-{s}, "));
            let value = option
                .value
                .word()
                .map_or(String::new(), |word| format!(" {word}"));
            let _ = writeln!(
                text,
                "  {:33} {}",
                format!("{short}--{}{value}", option.long),
                option.about
            );
        }
    }
    let _ = write!(
        text,
        "  {:33} this\n  {:33} the version\n\n\
         exit status: 0 all applied, or done; 1 error; 2 usage; 3 in transition; 4 stuck;\n\
         5 nothing loaded; 6 applied by force\n",
        "-h, --help", "-V, --version"
    );
    text
}
