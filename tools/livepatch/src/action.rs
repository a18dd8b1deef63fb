// SPDX-License-Identifier: GPL-2.0

//! The actions that change the state of live patching. No other code does.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::exit::{Exit, Failure};
use crate::name::{self, Name};
use crate::root::Root;
use crate::signals::Signal;
use crate::sysfs;

#[derive(Debug)]
pub enum Action {
    Insert {
        file: PathBuf,
        parameters: Vec<OsString>,
    },
    Remove(Name),
    /// A write to a file of a patch.
    Write {
        patch: Name,
        file: &'static str,
        value: &'static str,
    },
}

impl Action {
    pub fn write(patch: &Name, file: &'static str, value: &'static str) -> Self {
        Self::Write {
            patch: patch.clone(),
            file,
            value,
        }
    }

    pub fn run(&self, root: &Root) -> Result<(), Failure> {
        match self {
            Self::Insert { file, parameters } => {
                // A path that begins with a dash must not look like an option.
                let file = match file.components().count() {
                    1 if file.is_relative() => Path::new(".").join(file),
                    _ => file.clone(),
                };
                tool(Command::new("insmod").arg(file).args(parameters)).map(drop)
            }
            Self::Remove(module) => {
                tool(Command::new("rmmod").arg("--").arg(module.as_os_str())).map(drop)
            }
            Self::Write { patch, file, value } => {
                let path = root.path(sysfs::folder_of(patch).join(file));
                // The flags are those of a shell, which set the file's time: see System::look().
                let written = fs::OpenOptions::new()
                    .write(true)
                    .truncate(true)
                    .open(path)
                    .and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()));
                written.map_err(|error| self.refused(&error))
            }
        }
    }

    fn refused(&self, error: &io::Error) -> Failure {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => "; try as root",
            io::ErrorKind::ResourceBusy => "; another patch is in transition",
            io::ErrorKind::InvalidInput => "; the patch is not in a state that allows it",
            io::ErrorKind::NotFound => "; the patch is gone",
            _ => "",
        };
        Failure::error(format!("{self}: {error}{hint}"))
    }
}

/// Shows the shell command for the action.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insert { file, parameters } => {
                write!(f, "insmod {}", name::escape(file.as_os_str().as_bytes()))?;
                for parameter in parameters {
                    write!(f, " {}", name::escape(parameter.as_bytes()))?;
                }
                Ok(())
            }
            Self::Remove(module) => write!(f, "rmmod {module}"),
            Self::Write { patch, file, value } => {
                write!(f, "echo {value} > {}/{patch}/{file}", sysfs::FOLDER)
            }
        }
    }
}

/// Returns the name of the module in a file, and whether it is a livepatch. Returns `None` if
/// modinfo is missing or cannot read the file.
pub fn module_info(file: &Path) -> Option<(Name, bool)> {
    let field = |name: &str| {
        let output = tool(Command::new("modinfo").args(["-F", name]).arg(file)).ok()?;
        Some(output.stdout.trim_ascii().to_vec())
    };
    let name = field("name").filter(|name| !name.is_empty())?;

    Some((name.as_slice().into(), field("livepatch")? == b"Y"))
}

/// Runs one of kmod's tools. If a signal ends it, that is the exit status of the error.
fn tool(command: &mut Command) -> Result<Output, Failure> {
    // Signals from a terminal are for klpctl, which waits for the tool.
    command.env("LC_ALL", "C").process_group(0);
    let output = command.output().map_err(|error| {
        Failure::error(format!(
            "cannot run {}: {error}; it belongs to kmod",
            name::escape(command.get_program().as_bytes())
        ))
    })?;
    if output.status.success() {
        return Ok(output);
    }

    let said: Vec<_> = output.stderr.trim_ascii().split(|&b| b == b'\n').collect();
    let said: Vec<_> = said.into_iter().map(name::escape).collect();
    let signal = output.status.signal().and_then(Signal::of);
    let exit = signal.map_or(Exit::Error, Signal::exit);
    let message = match said.join("; ") {
        text if text.is_empty() => format!(
            "{}: {}",
            name::escape(command.get_program().as_bytes()),
            output.status
        ),
        text => text,
    };
    Err(Failure::new(exit, message))
}
