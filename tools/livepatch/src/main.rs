// SPDX-License-Identifier: GPL-2.0

//! klpctl: shows and changes the state of kernel live patching.
//!
//! The tool reads sysfs, procfs and the kernel log, all by way of [`root`], and builds a
//! [`system::System`] from them, once for each answer. [`blockers`] finds the tasks that hold a
//! transition up, and [`held`] those that hold a module. The [`commands`] print the answer as text
//! or JSON. Every change of the patches goes through [`action`]. [`notice`] waits for changes, and
//! [`edge`] has the system calls for that. [`trace`] creates a trace instance, and removes it.
//!
//! Documentation/livepatch/klpctl.rst describes the use of the tool.

#![deny(unsafe_code)]
// A fuzzer calls the parsers alone.
#![cfg_attr(fuzzing, allow(dead_code))]

mod action;
mod advice;
mod args;
mod ascii;
mod blockers;
mod bounded;
mod cmdline;
mod command;
mod commands;
mod demangle;
mod describe;
#[allow(unsafe_code)]
mod edge;
mod elf;
mod evidence;
mod exit;
mod forced;
mod functions;
#[cfg(fuzzing)]
#[path = "../tests/fuzz.rs"]
pub mod fuzz;
mod groups;
mod gzip;
mod held;
mod hidepid;
mod identity;
mod json;
mod kmsg;
mod modfile;
mod modinfo;
mod nagios;
mod name;
mod note;
mod notice;
mod options;
mod order;
mod proc;
mod replaced;
mod root;
mod signals;
mod signature;
mod store;
mod symbols;
mod sysfs;
mod system;
mod tar;
mod term;
#[cfg(test)]
#[path = "../tests/mod.rs"]
mod tests;
mod trace;
mod trust;
mod unit;
mod whole;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use args::Request;
use ascii::Ascii;
use commands::Context;
use exit::{Exit, Failure};
use json::Json;
use options::Options;
use root::Root;
use term::Term;

/// The version of the kernel, which the Makefile finds beside the source.
const VERSION: &str = match option_env!("KLPCTL_VERSION") {
    Some(version) => version,
    None => "0",
};

fn main() -> ExitCode {
    let mut out = BufWriter::new(io::stdout().lock());
    let arguments = std::env::args_os().skip(1);
    let arguments: Vec<_> = arguments.collect();
    let nagios = args::asks_for("--nagios", &arguments);
    // JSON and metrics are UTF-8 everywhere, and a report is no text.
    let command = args::command_name(&arguments);
    let text =
        !args::asks_for("--json", &arguments) && !matches!(command, Some("metrics" | "report"));
    let term = Term::detect();
    let exit = match text && !ascii::is_utf8(|name| std::env::var_os(name)) {
        true => run(arguments, term, &mut Ascii(out), &mut Ascii(io::stderr())),
        false => run(arguments, term, &mut out, &mut io::stderr()),
    };

    ExitCode::from(match nagios {
        true => nagios::code(exit),
        false => exit as u8,
    })
}

/// Runs klpctl without the process around it, so that tests can call it.
fn run(
    arguments: impl IntoIterator<Item = OsString>,
    term: Term,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let form = match args::command_name(&arguments) {
        _ if args::asks_for("--nagios", &arguments) => Form::Nagios,
        command if args::asks_for("--json", &arguments) => Form::Json(command),
        _ => Form::Text,
    };
    let outcome = args::parse(arguments).and_then(|request| {
        let text = match request {
            Request::Run(options) => {
                return answer(&options, term, out);
            }
            Request::Help(command) => args::help(command),
            Request::Version => format!("klpctl {VERSION} ({})\n", json::SCHEMA),
        };
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(Exit::Done)
    });

    match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            report_failure(&failure, &form, out, err);
            failure.exit
        }
    }
}

fn answer(options: &Options, term: Term, out: &mut dyn Write) -> Result<Exit, Failure> {
    let root = match &options.root {
        Some(dir) if !dir.join("sys").exists() && dir.join("klpctl-report").is_dir() => {
            return Err(Failure::usage(format!(
                "--root: did you mean {}?",
                name::shell(dir.join("klpctl-report").as_os_str().as_encoded_bytes())
            )))
        }
        Some(dir) if dir.is_dir() => Root::captured(dir),
        Some(dir) if dir.is_file() => {
            return Err(Failure::usage(format!(
                "--root: {0} is a file; if it is a report, unpack it: tar xf {0}",
                name::shell(dir.as_os_str().as_encoded_bytes())
            )))
        }
        Some(dir) => {
            return Err(Failure::usage(format!(
                "--root: {} is not a directory",
                name::shell(dir.as_os_str().as_encoded_bytes())
            )))
        }
        None => Root::live(),
    };
    let mut context = Context {
        options,
        root,
        term,
        out,
        signals: None,
    };
    let exit = commands::run(&mut context)?;
    context.out.flush()?;
    Ok(exit)
}

/// The form in which an error is reported, beside the text.
enum Form {
    Text,
    /// An object, with the name of the command if that is known.
    Json(Option<&'static str>),
    Nagios,
}

fn report_failure(failure: &Failure, form: &Form, out: &mut dyn Write, err: &mut dyn Write) {
    if failure.message.is_empty() {
        return;
    }
    // A failure to write the message cannot be reported either.
    if let Form::Nagios = form {
        let line = nagios::failure(failure.exit, &failure.message);
        let _ = out.write_all(line.as_bytes());
    }
    if let Form::Json(command) = form {
        let members = vec![
            ("error", failure.message.as_str().into()),
            ("exit", Json::Number(failure.exit as i64)),
        ];
        let _ = writeln!(out, "{}", Json::document(*command, members));
    }
    let _ = out.flush();
    let _ = writeln!(err, "klpctl: {}", failure.message);
}
