// SPDX-License-Identifier: GPL-2.0

//! The symbols of the running kernel, which decide whether a function can be patched.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::describe;
use crate::functions::Changed;
use crate::name::Name;
use crate::root::{too_long, ReadError, Root};
use crate::sysfs::VMLINUX;

const KALLSYMS: &str = "/proc/kallsyms";
const TRACEABLE: &str = "/sys/kernel/tracing/available_filter_functions";

/// The limits for a file and for a line of it. A kernel has a few hundred thousand symbols, and the
/// name of one has 511 bytes at most.
const LONGEST: u64 = 256 << 20;
const LONGEST_LINE: u64 = 64 << 10;

/// Returns the reason for which the kernel cannot patch a function, or `None` if it can.
pub fn problem(changed: &Changed, symbols: &Symbols) -> Option<String> {
    let key = (changed.object.clone(), changed.function.clone());
    let count = symbols.counts.get(&key).copied().unwrap_or(0);
    let function = describe::function_name(&changed.function);
    let object = &changed.object;
    match (count, changed.sympos) {
        (0, _) => Some(format!("{object} has no function {function}")),
        (2.., 0) => Some(format!(
            "{object} has {count} symbols {function}, and the patch does not say which: its \
             sympos is 0"
        )),
        (_, sympos) if sympos > count => Some(format!(
            "{object} has {count} of the symbols {function}, and the patch wants number {sympos}"
        )),
        _ if symbols.traceable.as_ref().is_ok_and(|t| !t.contains(&key)) => Some(format!(
            "{function} of {object} cannot be redirected: ftrace does not know it"
        )),
        _ => None,
    }
}

/// The numbers of symbols with the names that a patch wants, by object and name.
#[derive(Debug)]
pub struct Symbols {
    counts: HashMap<(Name, Name), u64>,
    /// The functions that ftrace knows, or the error if they cannot be read.
    traceable: Result<HashSet<(Name, Name)>, ReadError>,
}

impl Symbols {
    /// Returns a note if it is not known which functions can be redirected.
    pub fn note(&self) -> Option<String> {
        let error = self.traceable.as_ref().err()?;
        Some(format!(
            "{TRACEABLE}: {error}; whether its functions can be redirected is not known"
        ))
    }

    pub fn read(root: &Root, wanted: &[Changed]) -> Result<Self, ReadError> {
        let names: HashSet<&[u8]> = wanted.iter().map(|c| c.function.as_bytes()).collect();
        let mut counts = HashMap::new();
        // address type name [module]
        each_line(root, KALLSYMS, |line| {
            let mut words = words(line).skip(2);
            if let Some(name) = words.next().filter(|name| names.contains(name)) {
                *counts
                    .entry((object(words.next()), name.into()))
                    .or_insert(0) += 1;
            }
        })?;
        let mut traceable = HashSet::new();
        let known = each_line(root, TRACEABLE, |line| {
            let mut words = words(line);
            if let Some(name) = words.next().filter(|name| names.contains(name)) {
                traceable.insert((object(words.next()), name.into()));
            }
        });
        Ok(Self {
            counts,
            traceable: known.map(|()| traceable),
        })
    }
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = line.split(|b: &u8| b.is_ascii_whitespace());
    words.filter(|word| !word.is_empty())
}

/// `[ext4]`, or nothing for the kernel proper.
fn object(word: Option<&[u8]>) -> Name {
    let inner = word.and_then(|word| word.strip_prefix(b"[")?.strip_suffix(b"]"));
    inner.unwrap_or(VMLINUX).into()
}

/// Reads a file that is longer than others. A captured tree may have one without an end.
fn each_line(root: &Root, path: &str, mut visit: impl FnMut(&[u8])) -> Result<(), ReadError> {
    let mut file = BufReader::new(root.open(Path::new(path))?.take(LONGEST));
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = file
            .by_ref()
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)?;
        if length as u64 == LONGEST_LINE || file.get_ref().limit() == 0 {
            return Err(too_long().into());
        }
        if length == 0 {
            return Ok(());
        }
        visit(&line);
    }
}
