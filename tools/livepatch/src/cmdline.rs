// SPDX-License-Identifier: GPL-2.0

//! The command lines of processes.

use crate::bounded::{self, Files};
use crate::name;
use crate::proc::TaskId;
use crate::root::Root;

/// Reads command lines until one cannot be read in time.
pub struct CommandLines<'a> {
    root: &'a Root,
    blocked: bool,
}

impl<'a> CommandLines<'a> {
    pub fn new(root: &'a Root) -> Self {
        Self {
            root,
            blocked: false,
        }
    }

    /// Returns the words of a process's command line, quoted as for a shell. Returns `None` if they
    /// cannot be read.
    pub fn read(&mut self, pid: u32) -> Option<String> {
        if self.blocked {
            return None;
        }
        let process = TaskId { pid, tid: pid };
        let mut content = None;
        let visit = |_, read| content = read;
        let unread = bounded::each(self.root, Files::CommandLine, &[process], read, visit);
        self.blocked = !unread.is_empty();
        words(&content?)
    }
}

fn read(root: &Root, id: TaskId) -> Option<Vec<u8>> {
    root.read(format!("/proc/{}/cmdline", id.pid)).ok()
}

/// The words are ended by zeros. A process may have written anything there.
pub fn words(content: &[u8]) -> Option<String> {
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    let content = content.strip_suffix(b"\0").unwrap_or(content);
    if content.is_empty() {
        return None;
    }
    let words: Vec<_> = content.split(|&b| b == 0).map(name::shell).collect();
    Some(words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        assert_eq!(
            words(b"cat\0/proc/x y\0").as_deref(),
            Some("cat '/proc/x y'")
        );
        assert_eq!(words(b"a\0\0").as_deref(), Some("a ''"));
        assert_eq!(
            words(b"sshd: \x1b[2J\0").as_deref(),
            Some("$'sshd: \\x1b[2J'")
        );
        assert_eq!(words(b"\0"), None);
        assert_eq!(words(b""), None);
    }

    #[test]
    fn of_this_process() {
        let root = Root::live();
        let line = CommandLines::new(&root).read(std::process::id());
        assert!(line.is_some_and(|line| line.contains("klpctl-test")));
    }
}
