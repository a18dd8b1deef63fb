// SPDX-License-Identifier: GPL-2.0

//! The promises of live patching about tasks and functions.
//!
//! This file has no func stacks, func states or nops. It has a list of patches in the order of
//! their loading. A task uses all settled patches, and the one in transition if it has switched to
//! it. A call reaches the newest version among the patches that the task uses. A task switches only
//! while it is inside no function that would change its version.

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

/// The version of a function: the patch that has it, or `None` for the original function.
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
    /// The modules for which the patch has objects.
    pub(crate) modules: BTreeSet<usize>,
}

/// The transition that runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transition {
    pub(crate) patch: usize,
    /// True if tasks switch to the patch, false if they switch away from it.
    pub(crate) patching: bool,
    /// Distinguishes the transition from earlier ones.
    pub(crate) number: usize,
}

/// A function that a task is in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) function: usize,
    pub(crate) version: Version,
    /// The task has jumped on to a function of the same patch that replaces none.
    pub(crate) jumped: bool,
    /// The task was inside the function when the administrator switched it by force.
    pub(crate) forced: bool,
    /// The number of the transition in which the task was last seen inside, and whether it was
    /// patched then.
    pub(crate) side: Option<(usize, bool)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doing {
    Sleeps,
    SleepsBlurred,
    Runs,
    /// The task is ready to run, on its way into the last of its frames.
    Arrives,
}

/// Whether a task has begun to exit, and how far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    Lives,
    /// The task is off the task list.
    Exits,
    /// The task is off all lists, so that no transition finds it. It dies soon.
    Ends,
}

#[derive(Clone, Debug)]
pub(crate) struct Task {
    /// The task uses the patch in transition. The field has a meaning only during a transition.
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

    /// Whether the task can run code of this patch, even if only when it returns.
    pub(crate) fn is_inside(&self, patch: usize) -> bool {
        self.frames.iter().any(|frame| frame.version == Some(patch))
    }
}

/// The result of a pass over the tasks.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// The tasks that did not switch.
    pub(crate) left: Vec<Who>,
    /// The patches that are over with the end of the transition, in order.
    pub(crate) freed: Vec<usize>,
}

/// The state that live patching promises.
pub(crate) struct Promise {
    pub(crate) installed: Vec<Installed>,
    pub(crate) transition: Option<Transition>,
    pub(crate) tasks: BTreeMap<Who, Task>,
    pub(crate) present: [bool; MODULES],
    pub(crate) online: [bool; CPUS],
    /// Patches in which a forced transition may have left tasks: the patch itself if it was being
    /// disabled, or all that it has replaced.
    pub(crate) forced: BTreeSet<usize>,
    /// Patches that are over and have modules that are still held, in order.
    pub(crate) departing: Vec<usize>,
    transitions: usize,
    /// The number of passes since the transition was started or reversed.
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

    /// The patches that were installed before this one.
    pub(crate) fn older(&self, patch: usize) -> impl DoubleEndedIterator<Item = &Installed> {
        let place = self.installed.iter().position(|i| i.patch == patch);
        self.installed[..place.unwrap_or(0)].iter()
    }

    /// The version that a task calls, if it `uses` the patch in transition or if it does not.
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

    /// Whether a task must not switch in this frame, because the frame's version is the one that
    /// the transition takes away.
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
        // Patching takes the version before away, unpatching takes the patch's.
        frame.version == if transition.patching { before } else { after }
    }

    /// Whether a task that does not run is prevented from switching by its stack.
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

    /// A transition starts. No task has switched yet.
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

    /// A pass looks at every task. Exactly the tasks that cannot switch are left. If there is none,
    /// the transition is over.
    ///
    /// A task that is created during the pass begins in the state of its parent.
    pub(crate) fn pass(&mut self, leaving: Option<Who>, forked: Option<(Who, Who)>) -> Passed {
        let mut passed = Passed::default();
        // From the third pass on, a stopper thread preempts running threads to look at them.
        let preempts = self.passes >= 2;
        self.passes += 1;
        let all: Vec<Who> = self.tasks.keys().copied().collect();
        for who in all {
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

    /// The administrator forces the transition: every task counts as switched.
    pub(crate) fn force(&mut self) {
        let Some(t) = self.transition else {
            return;
        };
        let all: Vec<Who> = self.tasks.keys().copied().collect();
        for who in all {
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
            // These include younger patches. A patch in transition has younger ones only if it was
            // being disabled and the administrator has reversed that.
            let others = self.installed.iter().map(|i| i.patch);
            self.forced.extend(others.filter(|&patch| patch != t.patch));
        }
    }

    /// A task is created.
    pub(crate) fn fork(&mut self, child: Who, parent: Who) {
        let uses = self.tasks[&parent].uses;
        self.tasks.insert(child, Task::new(uses));
    }

    /// A task leaves all functions of the kernel, and switches.
    pub(crate) fn leave(&mut self, who: Who) {
        if let Some(task) = self.tasks.get_mut(&who) {
            task.frames.clear();
            task.doing = Doing::Sleeps;
            self.switch(who);
        }
    }

    /// A module is gone: no task is in its functions.
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

    /// Patches that are over depart. Idle tasks are in none of their functions any more.
    pub(crate) fn depart(&mut self, patches: &[usize]) {
        self.departing.extend(patches);
        for cpu in 0..CPUS {
            if let Some(task) = self.tasks.get_mut(&Who::Idle(cpu)) {
                let gone = |frame: &Frame| frame.version.is_some_and(|p| patches.contains(&p));
                task.frames.retain(|frame| !gone(frame));
            }
        }
    }

    /// The tasks inside a patch, for which its module has to stay.
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

    /// The functions that installed patches change.
    pub(crate) fn traced(&self) -> impl Iterator<Item = usize> + '_ {
        (0..FUNCTIONS).filter(|&function| self.is_traced(function))
    }

    /// Whether switched tasks call another version of a function than tasks that have not switched.
    pub(crate) fn differs(&self, function: usize) -> bool {
        self.version(true, function) != self.version(false, function)
    }
}
