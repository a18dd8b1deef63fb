// SPDX-License-Identifier: GPL-2.0

//! Fuzzes live patching from outside: loads livepatches with mutated files and tables, writes to
//! their files in sysfs, unloads them, and expects nothing but clean errors.
//!
//! ```text
//! livepatch-fuzz --target TARGET.ko [--seed S] [--count N | --only N] [--beyond] LIVEPATCH.ko...
//! livepatch-fuzz --target TARGET.ko [--seed S] --only N --keep DIR [--beyond] LIVEPATCH.ko...
//! ```
//!
//! With `--keep` it writes the files of one case to DIR, and loads nothing.
//!
//! Run it as root, in a virtual machine that nothing else uses. The livepatches are those of the
//! selftests, see [`base`], and TARGET is the module `test_klp_mod_target`. A seed and a number
//! make the same case again. The fuzzer writes each case, and each write to a file in sysfs, to the
//! kernel log before it tries it. So if the kernel dies, the log names the cause.
//!
//! [`draft`] makes random livepatches that are good, with sections of relocations that the core
//! writes, and [`mutate`] spoils them. The documentation of [`mutate`] lists the mutations, and
//! gives reasons for those that it leaves out. One case in twenty stays good, and the kernel must
//! accept it. It may refuse all others, but only with the errors that [`run`] lists, and nothing of
//! them may stay. Writes have the results that [`writes`] lists. The log must have no report of the
//! kernel's own checks. A long run must have made each mutation, and the kernel must have loaded
//! modules with each of those that it does not always refuse: see [`counts`].

#![deny(unsafe_code)]

mod base;
mod case;
mod counts;
mod draft;
mod elf;
#[allow(unsafe_code)]
mod kernel;
mod mutate;
mod random;
mod run;
mod writes;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use base::Base;
use case::{Case, Module};
use counts::{Counts, Titles};
use elf::Elf;
use kernel::Log;
use mutate::Scope;
use run::Run;

#[derive(Debug, PartialEq, Eq)]
struct Options {
    target: PathBuf,
    livepatches: Vec<PathBuf>,
    seed: u64,
    count: u64,
    only: Option<u64>,
    scope: Scope,
    /// Write the files of one case to this directory, and load nothing.
    keep: Option<PathBuf>,
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut arguments = arguments;
    let mut target = None;
    let mut options = Options {
        target: PathBuf::new(),
        livepatches: Vec::new(),
        seed: 1,
        count: 1000,
        only: None,
        scope: Scope::Clean,
        keep: None,
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        let number = |text: String| {
            let number = text.parse();
            number.map_err(|_| format!("{argument} {text}: not a number"))
        };
        match argument.as_str() {
            "--target" => target = Some(value()?.into()),
            "--seed" => options.seed = number(value()?)?,
            "--count" => options.count = number(value()?)?,
            "--only" => options.only = Some(number(value()?)?),
            "--keep" => options.keep = Some(value()?.into()),
            "--beyond" => options.scope = Scope::Beyond,
            unknown if unknown.starts_with('-') => {
                return Err(format!("{unknown}: not understood"))
            }
            file => options.livepatches.push(file.into()),
        }
    }
    options.target = target.ok_or("--target is missing")?;
    match options.livepatches.is_empty() {
        true => Err("no livepatches are given".to_owned()),
        false => Ok(options),
    }
}

fn read(path: &PathBuf) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn read_bases(options: &Options) -> Result<Vec<Base>, String> {
    let files = options.livepatches.iter();
    let base = |path: &PathBuf| {
        let base = Base::parse(&read(path)?);
        base.map_err(|error| format!("{}: the module {error}", path.display()))
    };
    files.map(base).collect()
}

/// Writes the files of a case, for readelf and the like.
fn keep(options: &Options, folder: &std::path::Path) -> Result<(), String> {
    let number = options.only.ok_or("--keep needs --only")?;
    let bases = read_bases(options)?;
    let case = Case::new(&bases, options.seed, number, options.scope);
    println!("{number}: {}", case.text);
    for (i, module) in case.modules.iter().enumerate() {
        let path = folder.join(format!("{number}-{i}.ko"));
        std::fs::write(&path, &module.file)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn fuzz(options: &Options) -> Result<(), String> {
    let file = read(&options.target)?;
    let name = Elf::parse(&file).as_ref().and_then(base::module_name);
    let target = Module {
        name: name.ok_or("the target is no module")?,
        file,
        titles: Vec::new(),
    };
    let mut run = Run {
        bases: read_bases(options)?,
        target,
        seed: options.seed,
        scope: options.scope,
        log: Log::open().map_err(|error| format!("/dev/kmsg: {error}"))?,
        counts: Counts::default(),
        titles: Titles::default(),
    };
    let numbers = match options.only {
        Some(number) => number..number + 1,
        None => 0..options.count,
    };
    println!("# SEED={}, cases {numbers:?}", options.seed);
    let begin = Instant::now();
    let mut minutes = 0;
    for number in numbers.clone() {
        let outcome = run.case(number);
        let elapsed = begin.elapsed().as_secs() / 60;
        if elapsed > minutes || number + 1 == numbers.end || outcome.is_err() {
            minutes = elapsed;
            let (loaded, refused) = run.counts.of("livepatch");
            println!(
                "# {elapsed} min: {} of {} cases, {loaded} livepatches loaded, {refused} refused",
                number + 1 - numbers.start,
                numbers.end - numbers.start
            );
        }
        outcome?;
    }
    print!("{}{}", run.counts.table(), run.titles.table());
    if options.only.is_some() {
        return Ok(());
    }
    // A run in which the kernel accepts or refuses everything has tested nothing.
    let (loaded, refused) = run.counts.of("livepatch");
    if options.count >= 100 && (loaded == 0 || refused == 0) {
        return Err("not all kinds of outcomes came up".to_owned());
    }
    match run.titles.faults(options.scope, options.count).as_slice() {
        [] => Ok(()),
        faults => Err(format!("mutations: {}", faults.join(", "))),
    }
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("livepatch-fuzz: {error}");
            return ExitCode::from(2);
        }
    };
    let outcome = match &options.keep {
        Some(folder) => keep(&options, folder),
        None => fuzz(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The progress on standard output is in the same file.
            println!("# {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines() {
        let parse = |text: &str| parse(text.split(' ').map(str::to_owned));
        let options = parse("--target t.ko --seed 7 --only 3 a.ko b.ko").unwrap();
        assert_eq!((options.seed, options.only), (7, Some(3)));
        assert_eq!(options.livepatches.len(), 2);
        assert_eq!(options.scope, Scope::Clean);
        for (wrong, why) in [
            ("a.ko", "--target is missing"),
            ("--target t.ko", "no livepatches"),
            ("--target t.ko --seed x a.ko", "--seed x: not a number"),
            ("--target t.ko --seed", "needs a value"),
            ("--faster a.ko", "--faster: not understood"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
