// SPDX-License-Identifier: GPL-2.0

//! Tries cases in the kernel that runs, and judges the results.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::base::Base;
use crate::case::{Case, Module, Target, Then};
use crate::kernel::{self, Log};
use crate::mutate::{shown, Scope};
use crate::random::Random;

/// The longest time to wait until a livepatch is settled or a module is free. It only ends a wait
/// that would last for ever.
const LONGEST: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(2);

const ENOENT: i32 = 2;
const ENOEXEC: i32 = 8;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;

/// The errors by which the loader and the core refuse a module that is not good.
const CLEAN: [i32; 4] = [ENOENT, ENOEXEC, EEXIST, EINVAL];

pub struct Run {
    pub bases: Vec<Base>,
    pub target: Module,
    pub seed: u64,
    pub scope: Scope,
    pub log: Log,
    pub counts: Counts,
}

/// The outcomes of the attempts, by kind and error, which is 0 for success.
#[derive(Debug, Default)]
pub struct Counts(BTreeMap<(&'static str, i32), u64>);

impl Counts {
    fn add(&mut self, attempt: &'static str, result: &io::Result<()>) -> i32 {
        let error = match result {
            Ok(()) => 0,
            Err(error) => error.raw_os_error().unwrap_or(-1),
        };
        *self.0.entry((attempt, error)).or_default() += 1;
        error
    }

    /// The number of attempts of a kind that succeeded, and of those that did not.
    pub fn of(&self, attempt: &str) -> (u64, u64) {
        let all = self.0.iter().filter(|((kind, _), _)| *kind == attempt);
        all.fold((0, 0), |(good, bad), ((_, error), count)| match error {
            0 => (good + count, bad),
            _ => (good, bad + count),
        })
    }

    /// A line for each kind of attempt.
    pub fn table(&self) -> String {
        let mut kinds: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for ((kind, error), count) in &self.0 {
            let error = match error {
                0 => "ok".to_owned(),
                error => io::Error::from_raw_os_error(*error).to_string(),
            };
            kinds
                .entry(kind)
                .or_default()
                .push(format!("{error}: {count}"));
        }
        let lines = kinds.into_iter();
        lines
            .map(|(kind, counts)| format!("#   {kind}: {}\n", counts.join(", ")))
            .collect()
    }
}

impl Run {
    /// Tries one case.
    ///
    /// # Errors
    ///
    /// A description of the fault. The kernel may have to be booted again then.
    pub fn case(&mut self, number: u64) -> Result<(), String> {
        let case = Case::new(&self.bases, self.seed, number, self.scope);
        self.announce(&format!("{number}: {}", case.text))?;
        let outcome = self.attempt(&case);
        let complaints = self.log.complaints();
        let complaints = complaints.map_err(|error| format!("cannot read the log: {error}"))?;
        outcome
            .and(match complaints.first() {
                None => Ok(()),
                Some(complaint) => Err(format!("the kernel complains: {complaint}")),
            })
            .map_err(|error| format!("case {number}, {}: {error}", case.text))
    }

    fn announce(&mut self, text: &str) -> Result<(), String> {
        let outcome = self.log.write(text);
        outcome.map_err(|error| format!("cannot write to the log: {error}"))
    }

    fn attempt(&mut self, case: &Case) -> Result<(), String> {
        let mut tried = Tried::default();
        let target = self.target.clone();
        if case.target == Target::Before {
            self.load("target", &target, case, &mut tried);
        }
        for module in &case.modules {
            // While a livepatch is in transition, the core is busy.
            for livepatch in kernel::livepatches() {
                settle(&livepatch);
            }
            self.load("livepatch", module, case, &mut tried);
            let enabled = || kernel::flag(&kernel::livepatch(&module.name), "enabled");
            if case.is_good && tried.problem.is_none() && enabled() != Some(true) {
                let name = shown(&module.name);
                tried.problem = Some(format!("{name} is loaded, but not enabled"));
            }
        }
        if case.target == Target::After {
            self.load("target", &target, case, &mut tried);
        }
        self.write_files(case.salt)?;
        let here = tried.loaded.iter().position(|name| *name == target.name);
        if let (Some(here), Then::Goes | Then::Returns) = (here, case.then) {
            unload(&tried.loaded.remove(here), Instant::now() + LONGEST)?;
            if case.then == Then::Returns {
                self.load("target again", &target, case, &mut tried);
            }
        }
        clean_up(&tried.loaded)?;
        tried.problem.map_or(Ok(()), Err)
    }

    fn load(&mut self, kind: &'static str, module: &Module, case: &Case, tried: &mut Tried) {
        let result = kernel::load(&module.file);
        let number = self.counts.add(kind, &result);
        match result {
            Ok(()) => tried.loaded.push(module.name.clone()),
            Err(_) if CLEAN.contains(&number) && !case.is_good => {}
            Err(error) => {
                let problem = || format!("{kind}: {error}");
                tried.problem.get_or_insert_with(problem);
            }
        }
    }

    /// Reads and writes the files of all livepatches.
    fn write_files(&mut self, salt: u64) -> Result<(), String> {
        for livepatch in kernel::livepatches() {
            for file in kernel::files(&livepatch) {
                let _ = kernel::read(&file);
                if let Some(value) = value_for(salt, &file) {
                    self.write_file(&livepatch, &file, &value)?;
                }
            }
        }
        Ok(())
    }

    fn write_file(&mut self, livepatch: &Path, file: &Path, value: &[u8]) -> Result<(), String> {
        // An administrator who forces a transition is responsible for the consequences, so this
        // waits for its end. The core refuses the write when there is no transition.
        let moves = kernel::flag(livepatch, "transition") != Some(false);
        if file.ends_with("force") && moves && !settle(livepatch) {
            return Ok(());
        }
        self.announce(&write_in_words(livepatch, file, value))?;
        let result = kernel::write(file, value);
        self.counts.add("write", &result);
        Ok(())
    }
}

/// The bytes to write to a file, if any.
fn value_for(salt: u64, file: &Path) -> Option<Vec<u8>> {
    const VALUES: [&[u8]; 20] = [
        b"0", b"1", b"0\n", b"1\n", b"y", b"n", b"on", b"off", b"2", b"-1", b"", b"\n", b" 1",
        b"01", b"1 0", b"\0", b"1\0", b"\xff", b"%s", b"enabled",
    ];
    const LENGTHS: [usize; 4] = [4095, 4096, 4097, 70_000];

    let mut random = Random::of(salt, file.as_os_str().as_bytes());
    let random = &mut random;
    random.one_in(2).then(|| match random.one_in(8) {
        true => vec![*random.pick(b"0x\0\xff"); *random.pick(&LENGTHS)],
        false => random.pick(&VALUES).to_vec(),
    })
}

/// The line of the log for a write.
fn write_in_words(livepatch: &Path, file: &Path, value: &[u8]) -> String {
    let inside = kernel::escaped(file.strip_prefix(livepatch).unwrap_or(file));
    let livepatch = kernel::last(livepatch);
    format!("write {inside} of {livepatch}: {}", shown(value))
}

/// The outcome of one case.
#[derive(Default)]
struct Tried {
    /// The names of the modules that are loaded.
    loaded: Vec<Vec<u8>>,
    problem: Option<String>,
}

/// Disables and unloads the livepatches that are there.
fn clean_up(loaded: &[Vec<u8>]) -> Result<(), String> {
    let end = Instant::now() + LONGEST;
    loop {
        let livepatches = kernel::livepatches();
        let Some(first) = livepatches.first() else {
            break;
        };
        if Instant::now() > end {
            return Err(format!("{} does not go", kernel::last(first)));
        }
        for livepatch in &livepatches {
            let is = |name, value| kernel::flag(livepatch, name) == Some(value);
            if is("enabled", true) && is("transition", false) {
                let _ = kernel::write(&livepatch.join("enabled"), b"0");
            }
        }
        thread::sleep(POLL);
    }
    loaded.iter().try_for_each(|name| unload(name, end))
}

fn unload(name: &[u8], end: Instant) -> Result<(), String> {
    let shown = name.escape_ascii();
    while let Err(error) = kernel::unload(name) {
        if error.raw_os_error() == Some(ENOENT) {
            return Err(format!("{shown} is gone"));
        }
        if Instant::now() > end {
            return Err(format!("{shown} cannot be unloaded: {error}"));
        }
        thread::sleep(POLL);
    }
    match kernel::is_loaded(name) {
        true => Err(format!("{shown} is still there")),
        false => Ok(()),
    }
}

/// Waits until a livepatch is in no transition.
fn settle(livepatch: &Path) -> bool {
    let end = Instant::now() + LONGEST;
    while kernel::flag(livepatch, "transition") == Some(true) {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(POLL);
    }
    kernel::flag(livepatch, "transition") == Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_salt_and_a_path_make_a_write() {
        let value = |salt, path: &str| value_for(salt, Path::new(path));
        let paths = ["/p/enabled", "/p/force", "/q/enabled"];
        let all: Vec<_> = (0..300).map(|salt| paths.map(|p| value(salt, p))).collect();
        let again = (0..300).map(|salt| paths.map(|p| value(salt, p)));
        assert!(again.eq(all.iter().cloned()));
        for (i, path) in paths.iter().enumerate() {
            let written = all.iter().filter(|values| values[i].is_some()).count();
            assert!((100..200).contains(&written), "{path}: {written}");
        }
        let same = all.iter().filter(|values| values[0] == values[1]).count();
        assert!(same < 150, "{same}");
    }

    #[test]
    fn a_write_in_words() {
        let livepatch = Path::new("/sys/kernel/livepatch/a b");
        let text = write_in_words(livepatch, &livepatch.join("x\n/patched"), b"1\n");
        assert_eq!(text, r#"write x\n/patched of a b: "1\n""#);
    }

    #[test]
    fn counts_of_errors() {
        let mut counts = Counts::default();
        let error = |number| Err(io::Error::from_raw_os_error(number));
        assert_eq!(counts.add("livepatch", &Ok(())), 0);
        assert_eq!(counts.add("livepatch", &error(EINVAL)), EINVAL);
        counts.add("livepatch", &error(EINVAL));
        counts.add("target", &error(ENOEXEC));
        assert_eq!(counts.of("livepatch"), (1, 2));
        assert_eq!(counts.of("target"), (0, 1));
        let table = counts.table();
        assert!(
            table.contains("livepatch: ok: 1, Invalid argument"),
            "{table}"
        );
        assert!(table.contains(": 2\n"), "{table}");
    }
}
