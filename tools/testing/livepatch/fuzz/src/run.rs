// SPDX-License-Identifier: GPL-2.0

//! Tries cases in the kernel that runs, and judges the results.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::base::Base;
use crate::case::{Case, Module, Target, Then};
use crate::counts::{Counts, Titles};
use crate::kernel::{self, Log};
use crate::mutate::{shown, Scope};
use crate::writes::{self, Write};

/// The longest time to wait until a livepatch is settled or a module is free. It only ends a wait
/// that would last for ever.
const LONGEST: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(10);

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
    pub titles: Titles,
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
            let is_loaded = self.load("livepatch", module, case, &mut tried);
            self.titles.add(&module.titles, is_loaded);
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

    /// Loads a module, and returns whether the kernel has accepted it.
    fn load(
        &mut self,
        kind: &'static str,
        module: &Module,
        case: &Case,
        tried: &mut Tried,
    ) -> bool {
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
        number == 0
    }

    /// Reads and writes the files of all livepatches.
    fn write_files(&mut self, salt: u64) -> Result<(), String> {
        for livepatch in kernel::livepatches() {
            for file in kernel::files(&livepatch) {
                let _ = kernel::read(&file);
                if let Some(value) = writes::value_for(salt, &file) {
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
        self.announce(&writes::in_words(livepatch, file, value))?;
        let enabled = || kernel::flag(livepatch, "enabled");
        let before = enabled();
        let result = kernel::write(file, value);
        let write = Write {
            file: file.strip_prefix(livepatch).unwrap_or(file),
            value,
            before,
            after: enabled(),
            error: self.counts.add("write", &result),
            is_there: file.exists(),
        };
        write.judge()
    }
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
