// SPDX-License-Identifier: GPL-2.0

//! The signals that end a command early, at a place of its choice.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use crate::edge;
use crate::exit::Exit;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Hangup = 1,
    Interrupt = 2,
    Terminate = 15,
}

impl Signal {
    const ALL: [Self; 3] = [Self::Hangup, Self::Interrupt, Self::Terminate];

    /// Returns the signal with this number, if it is one of these.
    pub fn of(number: i32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|&signal| signal as i32 == number)
    }

    /// Whether a mask has the signal.
    fn is_in(self, mask: u64) -> bool {
        mask >> (self as i32 - 1) & 1 != 0
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Hangup => "SIGHUP",
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// Returns the exit status that a shell shows for a program that the signal has ended.
    pub fn exit(self) -> Exit {
        match self {
            Self::Hangup => Exit::Hangup,
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
        }
    }
}

/// The signals that have arrived and were not taken yet.
#[derive(Debug)]
pub struct Signals(File);

impl Signals {
    /// Catches the signals from now on, except those that the parent process has ignored, as nohup
    /// does, and a shell that starts a command in the background.
    pub fn catch() -> io::Result<Self> {
        let ignored = ignored();
        let wanted: Vec<_> = Signal::ALL
            .into_iter()
            .filter(|signal| !signal.is_in(ignored))
            .map(|signal| signal as i32)
            .collect();
        Ok(Self(edge::signals(&wanted)?))
    }

    /// Takes one signal.
    pub fn take(&self) -> Option<Signal> {
        // struct signalfd_siginfo, which begins with the number.
        let mut record = [0; 128];
        (&self.0).read_exact(&mut record).ok()?;
        let number = u32::from_ne_bytes(record[..4].try_into().ok()?);
        Signal::of(i32::try_from(number).ok()?)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Returns the mask of signals that this process ignores.
fn ignored() -> u64 {
    ignored_in(&fs::read_to_string("/proc/self/status").unwrap_or_default())
}

/// Returns the mask of ignored signals in `/proc/<pid>/status`.
fn ignored_in(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    /// Signals that have arrived, without the signals: real ones would end the other tests.
    pub fn sent(signals: &[Signal]) -> Signals {
        let (mut kernel, ours) = UnixStream::pair().unwrap();
        for &signal in signals {
            let mut record = [0; 128];
            record[..4].copy_from_slice(&(signal as u32).to_ne_bytes());
            kernel.write_all(&record).unwrap();
        }
        ours.set_nonblocking(true).unwrap();
        // An end that is closed looks ready for ever, which the other one is spared.
        std::mem::forget(kernel);
        Signals(OwnedFd::from(ours).into())
    }

    #[test]
    fn caught() {
        let signals = Signals::catch().unwrap();
        assert_eq!(signals.take(), None);
        let ignored = ignored();
        for signal in Signal::ALL {
            edge::tests::send_signal(signal as i32);
            // A shell that runs the tests in the background may have them ignore SIGINT.
            let caught = Some(signal).filter(|signal| !signal.is_in(ignored));
            assert_eq!(signals.take(), caught);
            assert_eq!(signals.take(), None);
            assert_eq!(signal.exit() as i32, 128 + signal as i32);
        }
    }

    #[test]
    fn masks() {
        assert_eq!(
            ignored_in("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n"),
            0x1001
        );
        assert_eq!(ignored_in("SigIgn:\tx\n"), 0);
        assert_eq!(ignored_in(""), 0);
    }
}
