// SPDX-License-Identifier: GPL-2.0

//! Waiting for news of a patch.
//!
//! The Rust core wakes up pollers of the files that change, and sends uevents. The C core does
//! neither, nor does any kernel say when a directory goes. So each wait also ends after a while:
//! soon after the last news, when more is likely, and later once a second. A kernel that notifies
//! is not told from one that does not.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::edge::{self, Wanted};
use crate::root::Root;

/// The shortest and the longest time between two looks. The time doubles with each look in vain.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

/// The places where news comes from.
#[derive(Debug)]
pub struct Notices {
    /// Files in sysfs, open.
    files: Vec<File>,
    uevents: Option<File>,
    pause: Duration,
}

impl Notices {
    pub fn new() -> Self {
        Self {
            files: Vec::new(),
            uevents: None,
            pause: SHORTEST,
        }
    }

    /// Polls these files from now on, those that are there, and no others.
    pub fn poll<P: AsRef<Path>>(&mut self, root: &Root, paths: &[P]) {
        self.files = paths.iter().flat_map(|path| root.open(path)).collect();
    }

    /// Listens to uevents, if that is possible.
    pub fn listen(&mut self) {
        self.uevents = edge::uevents().ok();
    }

    /// Forgets the news there has been. A change after this ends the next wait. The caller looks at
    /// the state in between.
    pub fn begin(&mut self) {
        // poll() waits for a change after the last read, and would not wait for a file that cannot
        // be read.
        self.files
            .retain(|file| file.read_at(&mut [0; 16], 0).is_ok());
        if self.uevents.as_ref().is_some_and(|socket| !drain(socket)) {
            self.uevents = None;
        }
    }

    /// Waits for news, or until it is time to look again, at `until` at the latest. Input for one
    /// of the others ends the wait as well.
    pub fn wait(&mut self, others: &[BorrowedFd<'_>], until: Option<Instant>) -> io::Result<()> {
        let next = Instant::now() + self.pause;
        let end = until.map_or(next, |until| until.min(next));
        let longer = (self.pause * 2).min(LONGEST);
        self.pause = match self.wait_until(others, end)? {
            true => SHORTEST,
            false => longer,
        };
        Ok(())
    }

    /// Waits for news, or until that time. Returns whether there is news.
    pub fn wait_until(&mut self, others: &[BorrowedFd<'_>], end: Instant) -> io::Result<bool> {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let files = self.files.iter().map(|file| (file.as_fd(), Wanted::Change));
            let uevents = self
                .uevents
                .iter()
                .map(|file| (file.as_fd(), Wanted::Input));
            let inputs = others.iter().map(|&fd| (fd, Wanted::Input));
            let fds: Vec<_> = files.chain(uevents).chain(inputs).collect();

            let ready = edge::wait(&fds, Some(left))?;
            let (files, rest) = ready.split_at(self.files.len());
            let (uevents, others) = rest.split_at(usize::from(self.uevents.is_some()));
            if files.contains(&true) || uevents.contains(&true) && self.read_uevents() {
                return Ok(true);
            }
            if others.contains(&true) || Instant::now() >= end {
                return Ok(false);
            }
            // A uevent of something else.
        }
    }

    /// Reads the uevents that have arrived. Returns whether one is news.
    fn read_uevents(&mut self) -> bool {
        let Some(mut socket) = self.uevents.as_ref() else {
            return false;
        };
        let mut message = [0; 4096];
        loop {
            match socket.read(&mut message) {
                Ok(length) if is_news(&message[..length]) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // Some were lost, for lack of room, and they may have been news.
                Err(_) => return true,
            }
        }
    }
}

/// Whether a uevent is of a livepatch, or of a module, which may become one.
fn is_news(message: &[u8]) -> bool {
    message
        .split(|&b| b == 0)
        .any(|variable| variable == b"SUBSYSTEM=livepatch" || variable == b"SUBSYSTEM=module")
}

/// Takes the uevents that have arrived. Returns whether there can be more.
fn drain(mut socket: &File) -> bool {
    let mut message = [0; 4096];
    // The kernel does not send so many in the time that this takes.
    (0..10_000).any(|_| match socket.read(&mut message) {
        Ok(_) => false,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::OwnedFd;

    /// A wait that lasts longer than this has not ended by a notification.
    const LATE: Duration = Duration::from_millis(900);

    /// A file that looks changed to poll() when [`edge::tests::notify`] says so.
    fn pollable() -> (TcpStream, File) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let kernel = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (file, _) = listener.accept().unwrap();
        (kernel, OwnedFd::from(file).into())
    }

    #[test]
    fn a_change_ends_a_wait() {
        let (kernel, file) = pollable();
        let mut notices = Notices {
            files: vec![file],
            uevents: None,
            pause: LONGEST,
        };
        let begin = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                edge::tests::notify(&kernel);
            });
            notices.wait(&[], None).unwrap();
        });
        assert!(begin.elapsed() < LATE, "{:?}", begin.elapsed());
        // More may follow.
        assert_eq!(notices.pause, SHORTEST);
    }

    #[test]
    fn nothing_happens() {
        let tree = crate::tests::Scratch::new();
        std::fs::write(tree.path().join("file"), "1\n").unwrap();
        let mut notices = Notices::new();
        notices.poll(&Root::captured(tree.path()), &["file", "none"]);
        assert_eq!(notices.files.len(), 1);
        let begin = Instant::now();
        for expected in [20, 40] {
            notices.begin();
            notices.wait(&[], None).unwrap();
            assert_eq!(notices.pause, Duration::from_millis(expected));
        }
        // A change of a plain file is none for poll().
        assert!(begin.elapsed() >= Duration::from_millis(30));
        notices.pause = LONGEST;
        notices.wait(&[], Some(Instant::now())).unwrap();
        assert_eq!(notices.pause, LONGEST);
    }

    #[test]
    fn uevents() {
        let change = |subsystem: &str| {
            format!("change@/x\0ACTION=change\0DEVPATH=/x\0SUBSYSTEM={subsystem}\0SEQNUM=1\0")
        };
        assert!(is_news(change("livepatch").as_bytes()));
        assert!(is_news(change("module").as_bytes()));
        assert!(!is_news(change("block").as_bytes()));
        assert!(!is_news(b""));

        let mut notices = Notices::new();
        notices.listen();
        notices.begin();
        assert!(notices.uevents.is_some(), "there are no uevents here");
    }
}
