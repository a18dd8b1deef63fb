// SPDX-License-Identifier: GPL-2.0

//! Tests on trees of files, in place of the running system's. They compare klpctl's report of a
//! tree word by word.
//!
//! A tree is kept as text, because git keeps neither empty directories nor the times of files. A
//! line that begins with a slash is a path. If it also ends with a slash, it is a directory.
//! Indented lines are a file's content, with `\xNN` for bytes that have no place in text.
//! `capture.sh` makes a tree of a report, as it did for those of a distribution's kernels. The
//! others were made by hand.

mod blocked;
mod boot;
mod changes;
mod check;
mod completion;
mod cost;
mod crashes;
mod deadlines;
mod documents;
mod fleets;
mod freeing;
mod fuzz;
mod golden;
mod held;
mod hostile;
mod identity;
mod installed;
mod kernels;
mod live;
mod loading;
mod modes;
mod program;
mod replaced;
mod reports;
mod scale;
mod schema;
mod store;
mod units;
mod unknown;
mod waiting;

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::commands::Context;
use crate::exit::Exit;
use crate::options::Options;
use crate::root::Root;
use crate::term::Term;

/// The directory of klpctl's source.
fn source() -> PathBuf {
    std::env::var_os("KLPCTL_DIR").map_or_else(|| PathBuf::from("."), PathBuf::from)
}

fn read_source(path: &str) -> String {
    fs::read_to_string(source().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether the shell finds a program.
fn is_installed(program: &str) -> bool {
    let shell = Command::new("sh")
        .arg("-c")
        .arg(format!("command -v {program}"))
        .output();
    shell.is_ok_and(|output| output.status.success())
}

/// Prints that a test has left something out. The harness does not catch this text.
pub fn left_out(what: &str) {
    let _ = writeln!(std::io::stderr(), "not run: {what}");
}

/// A directory of its own, which goes with this.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);

        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("klpctl-test-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The context of a command that looks at the tree and writes to `out`.
    fn context<'a>(&self, options: &'a Options, out: &'a mut dyn Write) -> Context<'a> {
        Context {
            options,
            root: Root::captured(self.path()),
            term: Term::NONE,
            out,
            signals: None,
        }
    }

    /// The tree of that name in `trees/`, unpacked.
    fn tree(name: &str) -> Self {
        Self::tree_of(&read_source(&format!("tests/trees/{name}.tree")))
    }

    fn tree_of(text: &str) -> Self {
        let scratch = Self::new();
        let mut file: Option<(PathBuf, Vec<u8>)> = None;

        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(content) = line.strip_prefix('\t') {
                let (_, bytes) = file.as_mut().expect("content without a file");
                bytes.extend(unescape(content));
                bytes.push(b'\n');
            } else if line.starts_with('/') {
                write(file.take());
                file = scratch.enter(line);
            }
        }
        write(file);
        scratch
    }

    fn enter(&self, line: &str) -> Option<(PathBuf, Vec<u8>)> {
        use std::os::unix::ffi::OsStringExt;

        let path = OsString::from_vec(unescape(line.trim_matches('/')));
        let path = self.0.join(path);
        if line.ends_with('/') {
            fs::create_dir_all(&path).unwrap();
            return None;
        }
        Some((path, Vec::new()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn write(file: Option<(PathBuf, Vec<u8>)>) {
    if let Some((path, content)) = file {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut parts = text.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();

    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).unwrap());
        bytes.extend(rest.as_bytes());
    }
    bytes
}

/// The output of klpctl, its messages, and its exit status.
struct Answer {
    out: String,
    err: String,
    exit: Exit,
}

fn klpctl(arguments: &[&str]) -> Answer {
    klpctl_on(Term::NONE, arguments)
}

fn klpctl_on(term: Term, arguments: &[&str]) -> Answer {
    let mut out = Vec::new();
    let (exit, err) = klpctl_to(term, arguments, &mut out);

    Answer {
        out: String::from_utf8(out).expect("the answer is not UTF-8"),
        err,
        exit,
    }
}

fn klpctl_to(term: Term, arguments: &[&str], out: &mut dyn Write) -> (Exit, String) {
    let mut err = Vec::new();
    let exit = crate::run(arguments.iter().map(OsString::from), term, out, &mut err);

    (
        exit,
        String::from_utf8(err).expect("the error is not UTF-8"),
    )
}

fn klpctl_in(tree: &Scratch, arguments: &[&str]) -> Answer {
    let root = tree.path().to_str().unwrap();
    klpctl(&[arguments, &["--root", root]].concat())
}
