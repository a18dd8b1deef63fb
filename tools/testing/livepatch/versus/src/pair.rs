// SPDX-License-Identifier: GPL-2.0

//! The two cores: each operation is done on both, and then they are compared.

use crate::{
    c::Core,
    history::{
        History,
        Operation,
        FUNCTIONS_EACH,
        MOST_THREADS,
        SLOTS,
        THREADS, //
    },
    lines,
    machine::{
        Errno,
        Function,
        Machine,
        Module,
        Patch,
        Task,
        CPUS,
        MODULES, //
    },
    model::{
        enable,
        modules,
        text,
        PatchHost, //
    },
};
use compare::same;
use std::{
    collections::BTreeSet,
    mem, //
};

mod compare;
pub(crate) mod names;
mod tasks;

type Checked<T = ()> = Result<T, String>;

/// A function that a task is in, and the patch that has the version; none for the original.
#[derive(Clone, Copy, Debug)]
struct Frame {
    function: usize,
    patch: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Doing {
    Sleeps,
    SleepsBlurred,
    Runs,
}

/// A task, as the history sees it.
#[derive(Clone, Debug)]
struct Tracked {
    exists: bool,
    frames: Vec<Frame>,
    doing: Doing,
}

pub(crate) struct Pair {
    rust: Machine,
    c: Core,
    /// Threads, and then the idle tasks.
    tasks: Vec<Tracked>,
    /// Children that are not yet on the task list, and their parents.
    children: Vec<(usize, usize)>,
    present: [bool; MODULES],
    online: [bool; CPUS],
    /// The modules for which each patch has objects.
    modules: Vec<Vec<usize>>,
    /// The functions that each patch changes.
    functions: Vec<BTreeSet<usize>>,
    /// Patches that the rules have freed, and whose modules they have not put.
    departing: BTreeSet<usize>,
    /// A task was in `__schedule()` since the last comparison.
    scheduled: bool,
    /// The transition was reversed, and no pass has come since then.
    reversed: bool,
}

fn home(function: usize) -> usize {
    function / FUNCTIONS_EACH
}

impl Pair {
    pub(crate) fn new() -> Self {
        let it = |exists| Tracked {
            exists,
            frames: Vec::new(),
            doing: Doing::Sleeps,
        };
        let threads = (0..MOST_THREADS).map(|number| it(number < THREADS));
        let mut present = [false; MODULES];
        present[0] = true;
        let rust = Machine::new(THREADS);
        rust.each_second.set(true);
        lines::listen(&rust);
        Self {
            rust,
            c: Core::new(THREADS),
            tasks: threads.chain((0..CPUS).map(|_| it(true))).collect(),
            children: Vec::new(),
            present,
            online: [true; CPUS],
            modules: vec![Vec::new(); SLOTS],
            functions: vec![BTreeSet::new(); SLOTS],
            departing: BTreeSet::new(),
            scheduled: false,
            reversed: false,
        }
    }

    /// Does the operations of a history, and then undoes their effects.
    pub(crate) fn live(mut self, history: &History) -> Checked {
        let mut result = Ok(());
        for (number, operation) in history.0.iter().enumerate() {
            result = self
                .step(operation)
                .map_err(|error| format!("operation {number}, {operation:?}: {error}"));
            if result.is_err() {
                break;
            }
        }
        let undone = self.undo();
        self.reset_c();
        result.and(undone)
    }

    /// Takes both cores back to their initial state, even after a failure. The next history uses
    /// the same C core.
    fn undo(&mut self) -> Checked {
        self.c.set_unwilling(-1);
        self.rust.unwilling.set(None);
        let mut result = Ok(());
        for task in 0..self.tasks.len() {
            result = result.and(self.step(&Operation::Leave { task }));
        }
        for _ in 0..2 {
            result = result.and(self.step(&Operation::Seconds(1)));
        }
        for patch in 0..SLOTS {
            let enabled = false;
            result = result.and(self.step(&Operation::Want { patch, enabled }));
        }
        for module in 1..MODULES {
            result = result.and(self.step(&Operation::Going { module }));
        }
        result.and(self.finish())
    }

    /// Takes the C core back to its initial state, even if it is not where the rules are.
    fn reset_c(&self) {
        for task in 0..self.tasks.len() {
            self.c.clear(names::number_in_c(task));
            self.c.set_running(names::number_in_c(task), false, false);
        }
        for _ in 0..2 * SLOTS {
            self.c.second();
            for patch in 0..SLOTS {
                if (0..)
                    .map(|place| self.c.patch_at(place))
                    .take_while(|&it| it >= 0)
                    .any(|it| it == patch as i32)
                {
                    self.c.write_enabled(patch, false);
                }
            }
        }
    }

    fn acts(&self, task: usize) -> bool {
        match task.checked_sub(MOST_THREADS) {
            // The first thread runs the kernel's own work.
            None => task != 0 && self.tasks[task].exists,
            Some(cpu) => self.online[cpu],
        }
    }

    fn installed(&self, patch: usize) -> bool {
        self.rust.patches().any(|it| it.0 == patch)
    }

    fn step(&mut self, operation: &Operation) -> Checked {
        use Operation::*;
        match *operation {
            Enable {
                patch,
                replaces,
                ref functions,
                ref others,
            } => self.enable(patch, replaces, functions, others)?,
            Want { patch, enabled } => {
                if self.installed(patch) {
                    self.want(patch, enabled)?;
                }
            }
            Reverse => {
                if let Some(patch) = self.rust.transition_patch() {
                    self.want(patch.0, !self.rust.enabled(patch))?;
                }
            }
            Force { patch } => {
                if self.installed(patch) {
                    let rust = enable::force(&self.rust, Patch(patch));
                    let c = self.c.write_force(patch);
                    same("force", number(rust), c)?;
                }
            }
            Coming { module } => {
                if !self.present[module] {
                    let rust = number(modules::coming(&self.rust, Module(module)));
                    let c = self.c.coming(module);
                    same("coming", rust, c)?;
                    self.present[module] = rust == 0;
                }
            }
            Going { module } => {
                if self.present[module] {
                    self.present[module] = false;
                    for task in 0..self.tasks.len() {
                        self.tasks[task]
                            .frames
                            .retain(|f| home(f.function) != module);
                        self.put(task);
                    }
                    modules::going(&self.rust, Module(module));
                    self.c.going(module);
                }
            }
            Unwilling { module } => {
                self.rust.unwilling.set(module.map(Module));
                self.c
                    .set_unwilling(module.map_or(-1, |module| module as i32));
            }
            Seconds(seconds) => (0..seconds).for_each(|_| self.second()),
            Call { task, function } => {
                if self.acts(task) && self.present[home(function)] {
                    let frame = Frame {
                        function,
                        patch: self.reached(task, function),
                    };
                    if self.tasks[task].frames.len() < 2 {
                        self.tasks[task].frames.push(frame);
                    }
                    self.put(task);
                }
            }
            Return { task } => self.act(task, |it| {
                it.frames.pop();
            }),
            Run { task } => self.act(task, |it| it.doing = Doing::Runs),
            Blur { task } => self.act(task, |it| it.doing = Doing::SleepsBlurred),
            Sleep { task } => self.act(task, |it| it.doing = Doing::Sleeps),
            Schedule { task } => self.schedule(task),
            Leave { task } => self.leave(task),
            Fork { parent } => {
                self.copy(parent);
                if let Some(newest) = self.children.pop() {
                    self.attach(newest);
                }
            }
            Copy { parent } => self.copy(parent),
            Attach => {
                if !self.children.is_empty() {
                    let oldest = self.children.remove(0);
                    self.attach(oldest);
                }
            }
            Exit { task } => {
                if task < MOST_THREADS && self.acts(task) {
                    self.rust.exit(Task::Thread(task));
                    self.c.exit(task);
                    self.tasks[task].exists = false;
                    self.tasks[task].frames.clear();
                }
            }
            Online { cpu, online } => {
                // The last online CPU stays online.
                if online || self.online.iter().filter(|&&on| on).count() > 1 {
                    self.act(MOST_THREADS + cpu, |it| {
                        it.frames.clear();
                        it.doing = Doing::Sleeps;
                    });
                    self.rust.set_online(cpu, online);
                    self.c.online(cpu, online);
                    self.online[cpu] = online;
                }
            }
        }
        self.c.work();
        text::let_go(&self.rust);
        self.compare()
    }

    fn second(&mut self) {
        // A transition is reversed just before the next pass. The C core counts passes from there
        // on, and the rules count time.
        if !mem::take(&mut self.reversed) {
            self.rust.elapsed.set(self.rust.elapsed.get() + 1000);
        }
        if let Some(patch) = self.rust.transition_patch() {
            if self.rust.retry.take().is_some() {
                enable::try_complete(&self.rust, patch);
            }
        }
        self.c.second();
    }

    fn enable(
        &mut self,
        patch: usize,
        replaces: bool,
        functions: &BTreeSet<usize>,
        others: &BTreeSet<usize>,
    ) -> Checked {
        let inside = |it: &Tracked| it.frames.iter().any(|frame| frame.patch == Some(patch));
        if self.installed(patch) || self.departing.contains(&patch) || self.tasks.iter().any(inside)
        {
            return Ok(());
        }
        let homes = functions.iter().map(|&function| home(function));
        let modules: BTreeSet<usize> = homes.chain(others.iter().copied()).collect();
        let objects: Vec<(Module, Vec<Function>)> = modules
            .iter()
            .map(|&module| {
                let own = functions.iter().filter(|&&f| home(f) == module);
                (Module(module), own.map(|&f| Function(f)).collect())
            })
            .collect();
        let objects: Vec<(Module, &[Function])> = objects
            .iter()
            .map(|(module, functions)| (*module, functions.as_slice()))
            .collect();
        self.rust.describe(Patch(patch), replaces, &objects);
        let mask = |numbers: &BTreeSet<usize>| numbers.iter().fold(0, |mask, n| mask | 1u64 << n);
        self.c
            .describe(patch, replaces, mask(&modules) as u32, mask(functions));
        self.modules[patch] = modules.into_iter().collect();
        self.functions[patch] = functions.clone();
        let rust = enable::enable(&self.rust, Patch(patch));
        match rust {
            Ok(()) => self.reversed = false,
            Err(_) => lines::refused(&self.rust, Patch(patch)),
        }
        same("enable", number(rust), self.c.enable(patch))
    }

    /// Whether a younger patch changes one of the patch's functions.
    fn is_covered(&self, patch: usize) -> bool {
        let younger = self.rust.patches().skip_while(|it| it.0 != patch).skip(1);
        let functions = |it: usize| &self.functions[it];
        let mut shared = younger.map(|it| functions(it.0).intersection(functions(patch)).count());
        shared.any(|count| count > 0)
    }

    fn want(&mut self, patch: usize, enabled: bool) -> Checked {
        if enabled && self.is_covered(patch) {
            // For tasks that switch to a patch below another, the C core looks for the function
            // that they must not be in beyond the end of a func stack.
            return Ok(());
        }
        let reverses = self.rust.transition_patch() == Some(Patch(patch));
        let rust = enable::set_enabled(&self.rust, Patch(patch), enabled);
        if rust.is_ok() {
            self.reversed = reverses;
        }
        let c = self.c.write_enabled(patch, enabled);
        same("enabled", number(rust), c)
    }
}

/// The value that a system call would return.
fn number(result: Result<(), Errno>) -> i32 {
    result.map_or_else(|Errno(number)| number, |()| 0)
}
