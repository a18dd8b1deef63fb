// SPDX-License-Identifier: GPL-2.0

//! The parser of the command line, and the help texts.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::command::{Command, COMMANDS};
use crate::exit::Failure;
use crate::name;
use crate::options::{OptionSpec, Options, OPTIONS};

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
            b"--help" => help = true,
            b"--version" => return Ok(Request::Version),
            _ if bytes.starts_with(b"--") => {
                let (option, attached) = find_long(&bytes[2..])?;
                if option.value.word().is_none() && attached.is_some() {
                    return Err(Failure::usage(format!("--{} takes no value", option.long)));
                }
                given.push((option, value_of(option, attached, &mut arguments)?));
            }
            _ => {
                // Several letters may stand together, the last one with its value.
                let mut letters = &bytes[1..];
                while let Some((&letter, rest)) = letters.split_first() {
                    letters = rest;
                    match letter {
                        b'h' => help = true,
                        b'V' => return Ok(Request::Version),
                        _ => {
                            let option = find_short(letter, bytes)?;
                            let takes = option.value.word().is_some() && !rest.is_empty();
                            let attached = takes.then(|| OsString::from_vec(rest.to_vec()));
                            letters = if takes { &[] } else { rest };
                            given.push((option, value_of(option, attached, &mut arguments)?));
                        }
                    }
                }
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

/// Whether the arguments have a flag, also if they make no sense otherwise.
pub fn asks_for(flag: &str, arguments: &[OsString]) -> bool {
    let mut options = arguments.iter().take_while(|argument| *argument != "--");
    options.any(|argument| argument == flag)
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

/// Returns the value of an option, which is attached to it or the next argument.
fn value_of(
    option: &OptionSpec,
    attached: Option<OsString>,
    arguments: &mut impl Iterator<Item = OsString>,
) -> Result<OsString, Failure> {
    match (option.value.word(), attached) {
        (None, _) => Ok(OsString::new()),
        (Some(_), Some(value)) => Ok(value),
        (Some(word), None) => arguments
            .next()
            .ok_or_else(|| Failure::usage(format!("--{}: {word} is missing", option.long))),
    }
}

/// Finds the option `NAME` or `NAME=VALUE`, and its value.
fn find_long(bytes: &[u8]) -> Result<(&'static OptionSpec, Option<OsString>), Failure> {
    let mut parts = bytes.splitn(2, |&b| b == b'=');
    let name = parts.next().unwrap_or_default();
    let value = parts.next().map(|value| OsString::from_vec(value.to_vec()));
    match OPTIONS.iter().find(|o| o.long.as_bytes() == name) {
        Some(option) => Ok((option, value)),
        None => {
            let names = OPTIONS.iter().map(|option| option.long);
            Err(unknown(
                "option",
                &[b"--", name].concat(),
                "--",
                meant(name, names),
            ))
        }
    }
}

fn find_short(letter: u8, argument: &[u8]) -> Result<&'static OptionSpec, Failure> {
    let mut options = OPTIONS.iter();
    options
        .find(|option| option.short == Some(char::from(letter)))
        .ok_or_else(|| unknown("option", argument, "", None))
}

fn find_command(word: &OsStr) -> Result<Command, Failure> {
    let word = word.as_bytes();
    let spec = COMMANDS.iter().find(|spec| spec.name.as_bytes() == word);
    spec.map(|spec| spec.command).ok_or_else(|| {
        let names = COMMANDS.iter().map(|spec| spec.name);
        unknown("command", word, "", meant(word, names))
    })
}

/// The error of a word that klpctl does not know, with the word that was probably meant.
fn unknown(kind: &str, word: &[u8], prefix: &str, meant: Option<&str>) -> Failure {
    let word = name::escape(word);
    Failure::usage(match meant {
        Some(meant) => format!("there is no {kind} '{word}'; did you mean {prefix}{meant}?"),
        None => format!("there is no {kind} '{word}'; see klpctl help"),
    })
}

/// Returns the name that differs from a word in two letters at most.
fn meant<'a>(word: &[u8], names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const MOST: usize = 2;

    let with_distance = names.map(|name| (distance(word, name.as_bytes()), name));
    with_distance
        .filter(|&(distance, name)| distance <= MOST && distance < name.len() / 2)
        .min()
        .map(|(_, name)| name)
}

/// Returns the number of letters to insert, remove, replace or swap with their neighbour.
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut least = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
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
    if options.command == Command::Load && options.all == (count > 0) {
        return Err(Failure::usage(format!(
            "load takes either FILE... or --all; {usage}"
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
            "{}\n\n  {}\n{}{}\noptions:",
            format!("usage: klpctl {} [OPTION...] {}", spec.name, spec.operands).trim_end(),
            spec.about,
            if spec.more.is_empty() { "" } else { "\n" },
            spec.more
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
         5 nothing loaded; 6 applied by force; 7 taken back; 8 refused by check\n",
        "-h, --help", "-V, --version"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(arguments: &[&str]) -> String {
        match parse(arguments.iter().map(OsString::from)) {
            Err(failure) => failure.message,
            Ok(_) => String::new(),
        }
    }

    #[test]
    fn words_that_were_meant() {
        assert_eq!(
            error(&["satuts"]),
            "there is no command 'satuts'; did you mean status?"
        );
        assert_eq!(
            error(&["waitt"]),
            "there is no command 'waitt'; did you mean wait?"
        );
        assert_eq!(
            error(&["--jsno"]),
            "there is no option '--jsno'; did you mean --json?"
        );
        let text = error(&["wait", "--timeot=5"]);
        assert_eq!(
            text,
            "there is no option '--timeot'; did you mean --timeout?"
        );
        assert_eq!(
            error(&["nonsense"]),
            "there is no command 'nonsense'; see klpctl help"
        );
        assert_eq!(error(&["-x"]), "there is no option '-x'; see klpctl help");
    }

    #[test]
    fn letters_stand_together() {
        let request = |arguments: &[&str]| parse(arguments.iter().map(OsString::from));
        for help in ["-vh", "-hv"] {
            assert!(matches!(
                request(&["list", help]),
                Ok(Request::Help(Some(Command::List)))
            ));
        }
        let Ok(Request::Run(options)) = request(&["watch", "-uc3"]) else {
            panic!("-uc3");
        };
        assert!(options.until_done);
        assert_eq!(options.count, Some(3));
        assert_eq!(error(&["watch", "-uc"]), "--count: N is missing");
        assert_eq!(error(&["list", "--verbose=1"]), "--verbose takes no value");
    }
}
