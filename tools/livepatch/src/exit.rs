// SPDX-License-Identifier: GPL-2.0

//! The exit codes that scripts rely on, and the errors.

use std::fmt;
use std::io;

use crate::system::{State, System};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command has done its work. For a question: all patches are applied.
    Done = 0,
    Error = 1,
    Usage = 2,
    Transition = 3,
    Stuck = 4,
    Nothing = 5,
    /// All patches are applied, but at least one by force.
    Forced = 6,
    /// A patch was not applied in time, and was taken back.
    TakenBack = 7,
    /// `check`: the kernel would refuse the file, or its transition would not end.
    Refused = 8,
    /// A signal has ended the command. These are 128 and the signal's number, as in a shell.
    Hangup = 129,
    Interrupted = 130,
    /// The reader of the output has ended first. A shell has this status for a program that SIGPIPE
    /// has ended.
    Unread = 141,
    Terminated = 143,
}

impl Exit {
    pub fn of(system: &System) -> Self {
        Self::of_state(system.state())
    }

    /// Returns the exit status for the state of one patch.
    pub fn of_state(state: Option<State>) -> Self {
        match state {
            None | Some(State::Disabled) => Self::Nothing,
            Some(State::Applied) => Self::Done,
            Some(State::Forced) => Self::Forced,
            Some(State::Applying | State::Reverting) => Self::Transition,
            Some(State::Stuck) => Self::Stuck,
            Some(State::Unknown) => Self::Error,
        }
    }
}

/// The error that ends a command.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }

    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Exit::Error, message)
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The error of writing the answer.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // A reader that closes the pipe has read enough, and expects no message.
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::Unread, ""),
            _ => Self::error(format!("cannot write: {error}")),
        }
    }
}
