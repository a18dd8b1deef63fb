// SPDX-License-Identifier: GPL-2.0

//! What live patching promises.
//!
//! Nothing here knows of func stacks, func states or nops. There is a list of patches in the order
//! of their loading; a task uses those that are settled, and the one in transition or not; a call
//! reaches the newest version that the task uses. A task changes sides only when it is inside no
//! version that it would change for another.

use std::collections::{
    BTreeMap,
    BTreeSet, //
};

use crate::{
    machine::{
        CPUS,
        FUNCTIONS,
        MODULES, //
    },
    operation::{
        Who,
        FUNCTIONS_EACH,
        THREADS, //
    }, //
};

/// Whose code for a function: a patch's, or the kernel's own.
pub(crate) type Version = Option<usize>;

/// The module that a function belongs to.
pub(crate) fn home(function: usize) -> usize {
    function / FUNCTIONS_EACH
}

/// A patch that is enabled or in transition.
#[derive(Clone, Debug)]
pub(crate) struct Installed {
    pub(crate) patch: usize,
    pub(crate) replaces: bool,
    pub(crate) enabled: bool,
    pub(crate) functions: BTreeSet<usize>,
    /// The modules that it has objects for.
    pub(crate) modules: BTreeSet<usize>,
}

/// The transition that goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transition {
    pub(crate) patch: usize,
    /// Towards the patch, or away from it.
    pub(crate) patching: bool,
    /// Tells it from others before.
    pub(crate) number: usize,
}

/// A function that a task is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) function: usize,
    pub(crate) version: Version,
    /// The task has jumped on from there, to code of the same patch that is no func's.
    pub(crate) jumped: bool,
    /// The administrator has switched the task over it by force.
    pub(crate) forced: bool,
    /// The side on which it was seen, in which transition.
    pub(crate) side: Option<(usize, bool)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doing {
    Sleeps,
    SleepsBlurred,
    Runs,
    /// It is ready to run, on its way into the last of its frames.
    Arrives,
}

/// How far a task is on its way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    Lives,
    /// Off the task list.
    Exits,
    /// In its last moments, in which no transition finds it.
    Ends,
}

#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// While there is a transition: it uses the patch.
    pub(crate) uses: bool,
    pub(crate) frames: Vec<Frame>,
    pub(crate) doing: Doing,
    pub(crate) life: Life,
}

impl Task {
    pub(crate) fn new(uses: bool) -> Self {
        Self {
            uses,
            frames: Vec::new(),
            doing: Doing::Sleeps,
            life: Life::Lives,
        }
    }

    /// Whether the task can run code of this patch, if only when it returns.
    pub(crate) fn is_inside(&self, patch: usize) -> bool {
        self.frames.iter().any(|frame| frame.version == Some(patch))
    }
}

/// What a pass over the tasks has come to.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// Those that did not switch.
    pub(crate) left: Vec<Who>,
    /// The patches that the end of the transition has made useless, in order.
    pub(crate) freed: Vec<usize>,
}

/// The state of the world.
pub(crate) struct Promise {
    pub(crate) installed: Vec<Installed>,
    pub(crate) transition: Option<Transition>,
    pub(crate) tasks: BTreeMap<Who, Task>,
    pub(crate) present: [bool; MODULES],
    pub(crate) online: [bool; CPUS],
    /// Patches whose transition was forced.
    pub(crate) forced: BTreeSet<usize>,
    /// Patches that are over, and whose modules stay for now, in order.
    pub(crate) departing: Vec<usize>,
    transitions: usize,
    /// How many passes there were since the transition was started or turned round.
    passes: usize,
}

impl Promise {
    pub(crate) fn new() -> Self {
        let threads = (0..THREADS).map(Who::Thread);
        let idle = (0..CPUS).map(Who::Idle);
        let mut present = [false; MODULES];
        present[0] = true;
        Self {
            installed: Vec::new(),
            transition: None,
            tasks: threads
                .chain(idle)
                .map(|who| (who, Task::new(false)))
                .collect(),
            present,
            online: [true; CPUS],
            forced: BTreeSet::new(),
            departing: Vec::new(),
            transitions: 0,
            passes: 0,
        }
    }

    /// Whether no other CPU is online.
    pub(crate) fn is_last_cpu(&self, cpu: usize) -> bool {
        let others = (0..CPUS).filter(|&other| other != cpu);
        !others.into_iter().any(|other| self.online[other])
    }

    pub(crate) fn find(&self, patch: usize) -> Option<&Installed> {
        self.installed.iter().find(|i| i.patch == patch)
    }

    /// The patches that were there before this one.
    pub(crate) fn older(&self, patch: usize) -> impl DoubleEndedIterator<Item = &Installed> {
        let place = self.installed.iter().position(|i| i.patch == patch);
        self.installed[..place.unwrap_or(0)].iter()
    }

    /// Which version of a function is called by who uses the patch in transition, or does not.
    pub(crate) fn version(&self, uses: bool, function: usize) -> Version {
        if !self.present[home(function)] {
            return None;
        }
        let mut version = None;
        for installed in &self.installed {
            if self.transition.is_some_and(|t| t.patch == installed.patch) {
                if !uses {
                    continue;
                }
                if installed.replaces {
                    version = None;
                }
            }
            if installed.functions.contains(&function) {
                version = Some(installed.patch);
            }
        }
        version
    }

    /// Whether a task that is in this version would be in the wrong place on the other side.
    fn changes(&self, frame: &Frame) -> bool {
        let function = frame.function;
        if frame.jumped {
            return false;
        }
        let Some(transition) = self.transition else {
            return false;
        };
        let Some(installed) = self.find(transition.patch) else {
            return false;
        };
        let own = installed.functions.contains(&function);
        let before = self
            .older(transition.patch)
            .rfind(|older| older.functions.contains(&function))
            .map(|older| older.patch);
        if !self.present[home(function)] || !(own || installed.replaces && before.is_some()) {
            return false;
        }
        let after = own.then_some(transition.patch);
        // What goes away when patching is the version before; when unpatching, the patch's.
        frame.version == if transition.patching { before } else { after }
    }

    /// Whether a task that is looked at while it sleeps cannot switch.
    pub(crate) fn holds_up(&self, who: Who) -> bool {
        let task = &self.tasks[&who];
        task.doing == Doing::SleepsBlurred || task.frames.iter().any(|frame| self.changes(frame))
    }

    /// Whether a task has to switch.
    pub(crate) fn has_to_switch(&self, who: Who) -> bool {
        let task = &self.tasks[&who];
        task.life != Life::Ends && self.transition.is_some_and(|t| t.patching != task.uses)
    }

    pub(crate) fn switch(&mut self, who: Who) {
        if let (Some(t), Some(task)) = (self.transition, self.tasks.get_mut(&who)) {
            task.uses = t.patching;
        }
    }

    /// A transition starts: all tasks are on the side where they were.
    pub(crate) fn start(&mut self, patch: usize, patching: bool) {
        self.transitions += 1;
        self.passes = 0;
        self.transition = Some(Transition {
            patch,
            patching,
            number: self.transitions,
        });
        for task in self.tasks.values_mut() {
            task.uses = !patching;
        }
        self.set_enabled(patch, patching);
    }

    pub(crate) fn reverse(&mut self) {
        if let Some(t) = &mut self.transition {
            self.passes = 0;
            t.patching = !t.patching;
            let t = *t;
            self.set_enabled(t.patch, t.patching);
        }
    }

    fn set_enabled(&mut self, patch: usize, enabled: bool) {
        for installed in &mut self.installed {
            if installed.patch == patch {
                installed.enabled = enabled;
            }
        }
    }

    /// Every task is looked at: exactly those that are in the way stay, and if there is none the
    /// transition is over.
    ///
    /// A task that is created while the others are looked at is like its parent.
    pub(crate) fn pass(&mut self, leaving: Option<Who>, forked: Option<(Who, Who)>) -> Passed {
        let mut passed = Passed::default();
        // From the third pass on, something else runs in place of those that run.
        let preempts = self.passes >= 2;
        self.passes += 1;
        let everybody: Vec<Who> = self.tasks.keys().copied().collect();
        for who in everybody {
            if !self.has_to_switch(who) {
                continue;
            }
            let is_thread = matches!(who, Who::Thread(_));
            let runs = self.tasks[&who].doing == Doing::Runs && !(preempts && is_thread);
            if runs || self.holds_up(who) {
                passed.left.push(who);
            } else {
                self.switch(who);
            }
        }
        if let Some((child, parent)) = forked {
            self.fork(child, parent);
            if self.has_to_switch(child) {
                passed.left.push(child);
            }
        }
        if let Some(who) = leaving {
            self.leave(who);
        }
        if passed.left.is_empty() {
            passed.freed = self.complete();
        }
        passed
    }

    fn complete(&mut self) -> Vec<usize> {
        let Some(t) = self.transition.take() else {
            return Vec::new();
        };
        let useless: Vec<usize> = if !t.patching {
            vec![t.patch]
        } else if self.find(t.patch).is_some_and(|i| i.replaces) {
            self.older(t.patch).map(|i| i.patch).collect()
        } else {
            Vec::new()
        };
        self.installed.retain(|i| !useless.contains(&i.patch));
        useless
    }

    /// Every task is taken to have switched.
    pub(crate) fn force(&mut self) {
        let Some(t) = self.transition else {
            return;
        };
        let everybody: Vec<Who> = self.tasks.keys().copied().collect();
        for who in everybody {
            if self.has_to_switch(who) {
                let mut frames = self.tasks[&who].frames.clone();
                for frame in &mut frames {
                    frame.forced |= self.changes(frame);
                }
                self.switch(who);
                if let Some(task) = self.tasks.get_mut(&who) {
                    task.frames = frames;
                }
            }
        }
        if !t.patching {
            self.forced.insert(t.patch);
        } else if self.find(t.patch).is_some_and(|i| i.replaces) {
            // The younger ones as well, which only a disabled patch that was turned round has.
            let others = self.installed.iter().map(|i| i.patch);
            self.forced.extend(others.filter(|&patch| patch != t.patch));
        }
    }

    /// A task is created.
    pub(crate) fn fork(&mut self, child: Who, parent: Who) {
        let uses = self.tasks[&parent].uses;
        self.tasks.insert(child, Task::new(uses));
    }

    /// A task is in no function of the kernel any more.
    pub(crate) fn leave(&mut self, who: Who) {
        if let Some(task) = self.tasks.get_mut(&who) {
            task.frames.clear();
            task.doing = Doing::Sleeps;
            self.switch(who);
        }
    }

    /// A module is gone: nobody is in its functions.
    pub(crate) fn lose(&mut self, module: usize) {
        self.present[module] = false;
        for task in self.tasks.values_mut() {
            task.frames
                .retain(|frame| frame.jumped || home(frame.function) != module);
            if task.frames.is_empty() && task.doing == Doing::Arrives {
                task.doing = Doing::Sleeps;
            }
        }
    }

    /// Patches are over. They depart, and idle tasks are in none of their functions.
    pub(crate) fn depart(&mut self, patches: &[usize]) {
        self.departing.extend(patches);
        for cpu in 0..CPUS {
            if let Some(task) = self.tasks.get_mut(&Who::Idle(cpu)) {
                let gone = |frame: &Frame| frame.version.is_some_and(|p| patches.contains(&p));
                task.frames.retain(|frame| !gone(frame));
            }
        }
    }

    /// The tasks that a patch's module must not go for.
    pub(crate) fn inside(&self, patch: usize) -> impl Iterator<Item = &Task> {
        let tasks = self.tasks.values();
        tasks.filter(move |task| task.is_inside(patch))
    }

    /// Whether the handler is called for a function.
    pub(crate) fn is_traced(&self, function: usize) -> bool {
        self.present[home(function)]
            && self
                .installed
                .iter()
                .any(|i| i.functions.contains(&function))
    }

    /// Functions that somebody changes.
    pub(crate) fn traced(&self) -> impl Iterator<Item = usize> + '_ {
        (0..FUNCTIONS).filter(|&function| self.is_traced(function))
    }

    /// Whether it makes a difference for a function which side one is on.
    pub(crate) fn differs(&self, function: usize) -> bool {
        self.version(true, function) != self.version(false, function)
    }
}
