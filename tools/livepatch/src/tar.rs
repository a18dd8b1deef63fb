// SPDX-License-Identifier: GPL-2.0

//! A writer of tar files, in the format of POSIX.1-1988 with GNU's extension for long names.
//!
//! It writes directories and files, which is enough for a report. A report is a tar file because
//! that goes through a pipe, and keeps the times of sysfs files, which `--root` needs. The system
//! may lack tar(1), so klpctl does not call it.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

const BLOCK: usize = 512;

pub struct Tar<W: Write> {
    out: W,
}

impl<W: Write> Tar<W> {
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Adds a directory; `path` has no slash at either end.
    pub fn folder(&mut self, path: &[u8], modified: SystemTime) -> io::Result<()> {
        let path = [path, b"/"].concat();
        self.entry(&path, b'5', 0o755, &[], modified)
    }

    pub fn file(&mut self, path: &[u8], content: &[u8], modified: SystemTime) -> io::Result<()> {
        self.entry(path, b'0', 0o644, content, modified)
    }

    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn entry(
        &mut self,
        path: &[u8],
        kind: u8,
        mode: u64,
        content: &[u8],
        modified: SystemTime,
    ) -> io::Result<()> {
        const NAME: usize = 100;

        let seconds = modified
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_secs();
        if path.len() > NAME {
            let long = [path, b"\0"].concat();
            self.block(b"././@LongLink", b'L', 0, long.len(), 0)?;
            self.content(&long)?;
        }
        let short = path.get(..NAME).unwrap_or(path);
        self.block(short, kind, mode, content.len(), seconds)?;
        self.content(content)
    }

    fn block(
        &mut self,
        name: &[u8],
        kind: u8,
        mode: u64,
        size: usize,
        modified: u64,
    ) -> io::Result<()> {
        let mut block = [0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);

        put(0, name);
        put(100, format!("{mode:07o}").as_bytes());
        put(108, b"0000000");
        put(116, b"0000000");
        put(124, format!("{size:011o}").as_bytes());
        put(136, format!("{modified:011o}").as_bytes());
        // The sum counts its own field as spaces.
        put(148, b"        ");
        put(156, &[kind]);
        put(257, b"ustar\x0000");
        let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());

        self.out.write_all(&block)
    }

    fn content(&mut self, content: &[u8]) -> io::Result<()> {
        let rest = content.len().next_multiple_of(BLOCK) - content.len();
        self.out.write_all(content)?;
        self.out.write_all(&[0; BLOCK][..rest])
    }
}
