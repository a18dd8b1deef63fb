// SPDX-License-Identifier: GPL-2.0

//! The two cores: each operation is done on both, and then they are compared.

use crate::{
    c::{
        self,
        Core, //
    },
    history::{
        History,
        Operation,
        FUNCTIONS_EACH,
        MOST_THREADS,
        SLOTS,
        THREADS, //
    },
    machine::{
        asleep_in,
        asleep_in_call,
        original,
        replacement,
        Errno,
        Function,
        Machine,
        Module,
        Patch,
        Place,
        Task,
        CPUS,
        ELSEWHERE,
        MODULES, //
    },
    model::{
        blocker::Code,
        enable,
        modules,
        text,
        transition,
        PatchHost,
        Way, //
    },
};
use compare::same;
use std::collections::BTreeSet;

mod compare;

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
}

fn home(function: usize) -> usize {
    function / FUNCTIONS_EACH
}

/// The name of a task on the machine of the rules, and in C.
fn names(task: usize) -> (Task, usize) {
    match task.checked_sub(MOST_THREADS) {
        None => (Task::Thread(task), task),
        Some(cpu) => (Task::Idle(cpu), c::TASKS + cpu),
    }
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
        Self {
            rust,
            c: Core::new(THREADS),
            tasks: threads.chain((0..CPUS).map(|_| it(true))).collect(),
            children: Vec::new(),
            present,
            online: [true; CPUS],
            modules: vec![Vec::new(); SLOTS],
            functions: vec![BTreeSet::new(); SLOTS],
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
            result = result.and(self.step(&Operation::Second));
        }
        for patch in 0..SLOTS {
            let enabled = false;
            result = result.and(self.step(&Operation::Want { patch, enabled }));
        }
        for module in 1..MODULES {
            result = result.and(self.step(&Operation::Going { module }));
        }
        result.and(same(
            || "a patch is left".into(),
            false,
            self.c.patch_at(0) >= 0,
        ))
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
                    same(|| "force".into(), number(rust), c)?;
                }
            }
            Coming { module } => {
                if !self.present[module] {
                    let rust = number(modules::coming(&self.rust, Module(module)));
                    let c = self.c.coming(module);
                    same(|| "coming".into(), rust, c)?;
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
            Second => {
                self.rust.elapsed.set(self.rust.elapsed.get() + 1000);
                if let Some(patch) = self.rust.transition_patch() {
                    if self.rust.retry.take().is_some() {
                        enable::try_complete(&self.rust, patch);
                    }
                }
                self.c.second();
            }
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

    fn enable(
        &mut self,
        patch: usize,
        replaces: bool,
        functions: &BTreeSet<usize>,
        others: &BTreeSet<usize>,
    ) -> Checked {
        let inside = |it: &Tracked| it.frames.iter().any(|frame| frame.patch == Some(patch));
        if self.installed(patch)
            || self.rust.is_held(Patch(patch)) && !self.modules[patch].is_empty()
            || self.tasks.iter().any(inside)
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
        same(|| "enable".into(), number(rust), self.c.enable(patch))
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
        let rust = enable::set_enabled(&self.rust, Patch(patch), enabled);
        let c = self.c.write_enabled(patch, enabled);
        same(|| "enabled".into(), number(rust), c)
    }

    fn reached(&self, task: usize, function: usize) -> Option<usize> {
        if !self.rust.is_traced(Function(function)) {
            return None;
        }
        let (task, _) = names(task);
        self.rust
            .reaches(task, Function(function))
            .map(|patch| patch.0)
    }

    fn act(&mut self, task: usize, what: impl FnOnce(&mut Tracked)) {
        if self.acts(task) {
            what(&mut self.tasks[task]);
            self.put(task);
        }
    }

    /// Puts the task where it is on both machines.
    fn put(&self, task: usize) {
        let it = &self.tasks[task];
        let code = |frame: &Frame| -> Code {
            let function = Function(frame.function);
            match frame.patch {
                Some(patch) => replacement(Patch(patch), function),
                None => original(function),
            }
        };
        let address = |frame: &Frame| code(frame).start + 4;
        let place = match (it.doing, it.frames.as_slice()) {
            (Doing::Runs, []) => Place::Running,
            (Doing::Runs, [outer, .., inner]) => Place::RunningIn(address(outer), address(inner)),
            (Doing::Runs, [only]) => Place::RunningIn(address(only), address(only)),
            (Doing::SleepsBlurred, _) => Place::Unreliable,
            (Doing::Sleeps, []) => ELSEWHERE,
            (Doing::Sleeps, [only]) => asleep_in(code(only)),
            (Doing::Sleeps, [outer, .., inner]) => asleep_in_call(code(outer), code(inner)),
        };
        let (rust, c) = names(task);
        self.rust.put(rust, place);
        self.c.clear(c);
        for frame in &it.frames {
            let patch = frame.patch.map_or(-1, |patch| patch as i32);
            self.c.push(c, frame.function, patch);
        }
        self.c
            .set_running(c, it.doing == Doing::Runs, it.doing == Doing::SleepsBlurred);
    }

    fn schedule(&mut self, task: usize) {
        if !self.acts(task) || !self.rust.sched_switching.get() {
            return;
        }
        self.act(task, |it| {
            if it.doing == Doing::Runs {
                it.doing = Doing::Sleeps;
            }
        });
        let (rust, c) = names(task);
        self.rust.set_current(rust);
        transition::sched_switch(&self.rust);
        self.rust.set_current(Task::Thread(0));
        self.c.schedule(c);
    }

    fn leave(&mut self, task: usize) {
        if !self.acts(task) {
            return;
        }
        self.act(task, |it| {
            it.frames.clear();
            it.doing = Doing::Sleeps;
        });
        let (rust, c) = names(task);
        let way = match rust {
            Task::Thread(_) => Way::KernelExit,
            Task::Idle(_) => Way::IdleLoop,
        };
        transition::update(&self.rust, rust, way);
        self.c.leave(c);
    }

    fn copy(&mut self, parent: usize) {
        let threads = self.tasks.iter().take(MOST_THREADS).filter(|it| it.exists);
        let full = threads.count() + self.children.len() == MOST_THREADS;
        if parent >= MOST_THREADS || !self.acts(parent) || full {
            return;
        }
        if let Task::Thread(child) = self.rust.copy_thread(Task::Thread(parent)) {
            self.rust.set_listed(Task::Thread(child), false);
            self.c.copy(child, parent);
            self.children.push((child, parent));
        }
    }

    fn attach(&mut self, (child, parent): (usize, usize)) {
        if !self.acts(parent) {
            // A parent that has exited cannot finish a fork, so the child is discarded.
            self.rust.exit(Task::Thread(child));
            return;
        }
        self.rust.attach(Task::Thread(child), Task::Thread(parent));
        self.c.attach(child, parent);
        self.tasks[child] = Tracked {
            exists: true,
            frames: Vec::new(),
            doing: Doing::Sleeps,
        };
        self.put(child);
    }
}

/// The value that a system call would return.
fn number(result: Result<(), Errno>) -> i32 {
    result.map_or_else(|Errno(number)| number, |()| 0)
}
