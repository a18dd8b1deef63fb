// SPDX-License-Identifier: GPL-2.0

//! The two cores: each operation is done on both, and then they are compared.

use crate::{
    c::Core,
    edge::{
        shadow_table,
        Versions, //
    },
    history::{
        History,
        Operation,
        Variable,
        FUNCTIONS_EACH,
        IDS,
        MOST_THREADS,
        SLOTS,
        THREADS, //
    },
    lines,
    machine::{
        Machine,
        Module,
        CPUS,
        MODULES, //
    },
    model::{
        text,
        PatchHost, //
    },
    tally::Tally, //
};
use std::{
    cell::Cell,
    collections::BTreeSet,
    env,
    mem, //
};

mod compare;
mod data;
mod failing;
pub(crate) mod names;
mod needed;
mod orders;
mod tasks;

pub(crate) use self::needed::NEEDED;

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
    /// The C core does not look beyond the end of a func stack.
    fixed: bool,
    /// The order of lines does not count in the next comparison.
    unordered: bool,
    /// A shadow variable exists, and there was no memory to make it once more.
    unwarned: bool,
    /// The number of shadow variables that were asked for.
    made: u64,
    /// The states of each patch.
    states: Vec<Versions>,
    tally: Tally,
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
        shadow_table::clear();
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
            fixed: env::var_os("KLP_FIXED").is_some_and(|it| it == "1"),
            unordered: false,
            unwarned: false,
            made: 0,
            states: vec![Versions::new(); SLOTS],
            tally: Tally::default(),
        }
    }

    /// Does the operations of a history, and then undoes their effects.
    ///
    /// If that fails, `spoiled` tells whether the C core keeps something of the history. Then no
    /// other history can be compared.
    pub(crate) fn live(mut self, history: &History, spoiled: &Cell<bool>) -> Checked<Tally> {
        let mut result = Ok(());
        for (number, operation) in history.0.iter().enumerate() {
            result = self
                .step(operation)
                .map_err(|error| format!("operation {number}, {operation:?}: {error}"));
            if result.is_err() {
                break;
            }
        }
        // What happens from here on is the same after every history.
        let tally = mem::take(&mut self.tally);
        let undone = self.undo();
        self.reset_c();
        spoiled.set(!self.is_c_new());
        result.and(undone)?;
        Ok(tally)
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
            result = result.and(self.step(&Operation::Want {
                patch,
                enabled: false,
                fails: None,
            }));
        }
        for module in 1..MODULES {
            let fails = None;
            result = result.and(self.step(&Operation::Going { module, fails }));
        }
        for id in 1..=IDS {
            result = result.and(self.step(&Operation::Shadow {
                object: 0,
                id,
                what: Variable::FreeAll,
                no_memory: false,
            }));
        }
        result.and(self.finish())
    }

    /// Takes the C core back to its initial state, even if it is not where the rules are.
    fn reset_c(&self) {
        for task in 0..self.tasks.len() {
            self.c.clear(names::number_in_c(task));
            self.c.set_running(names::number_in_c(task), false, false);
        }
        (1..=IDS).for_each(|id| self.c.shadow_free_all(id));
        for _ in 0..2 * SLOTS {
            self.c.second();
            for patch in 0..SLOTS {
                let mut patches = (0..SLOTS).map(|place| self.c.patch_at(place));
                if patches.any(|it| it == patch as i32) {
                    self.c.write_enabled(patch, false);
                }
            }
        }
    }

    fn step(&mut self, operation: &Operation) -> Checked {
        use Operation::*;
        match *operation {
            Enable {
                patch,
                replaces,
                ref functions,
                ref others,
                ref states,
                fails,
            } => {
                if self.can_describe(patch) {
                    self.functions[patch] = functions.clone();
                    let homes = functions.iter().map(|&function| home(function));
                    let modules: BTreeSet<usize> = homes.chain(others.iter().copied()).collect();
                    self.modules[patch] = modules.into_iter().collect();
                    self.states[patch] = states.clone();
                    self.enable(patch, replaces, fails)?;
                }
            }
            Want {
                patch,
                enabled,
                fails,
            } => self.want(patch, enabled, fails)?,
            Reverse => {
                if let Some(patch) = self.rust.transition_patch() {
                    self.want(patch.0, !self.rust.enabled(patch), None)?;
                }
            }
            Force { patch } => {
                let transition = self.rust.transition_patch().map(|patch| patch.0);
                if let Some(patch) = patch.or(transition) {
                    self.force(patch)?;
                }
            }
            Coming { module, fails } => self.coming(module, fails)?,
            Going { module, fails } => self.going(module, fails),
            Unwilling { module } => {
                self.rust.unwilling.set(module.map(Module));
                self.c
                    .set_unwilling(module.map_or(-1, |module| module as i32));
            }
            Seconds(seconds) => (0..seconds).for_each(|_| self.second()),
            Call { task, function } => self.call(task, function),
            Linger {
                task,
                changed,
                again,
            } => self.linger(task, changed, again)?,
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
            Shadow {
                object,
                id,
                what,
                no_memory,
            } => self.variable(object, id, what, no_memory)?,
            Exit { task } => self.exit(task),
            Online { cpu, online } => self.bring(cpu, online),
        }
        self.c.work();
        text::let_go(&self.rust);
        self.compare()
    }
}
