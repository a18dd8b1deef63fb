// SPDX-License-Identifier: GPL-2.0-or-later

//! A simulated machine for the rules to run on: a few patches, functions, tasks and modules, with
//! everything that happens to them in plain sight.
//!
//! One thread drives it, so that a test determines each event and the order of events. It allocates
//! nothing. The same file is compiled into the kernel, and in user space, where the machine is
//! larger.

mod ask;
mod code;
pub(crate) mod look;
pub(crate) mod notify;
mod patches;
mod place;
mod sane;
mod sites;
mod tasks;
mod text;
mod trace;

pub(crate) use code::{
    helper,
    original,
    replacement, //
};
pub(crate) use place::{
    asleep_in,
    asleep_in_call,
    Place,
    ELSEWHERE, //
};

use crate::model::{
    blocker::Code,
    func::FuncState,
    Callback,
    Event,
    Refusal,
    TaskState,
    Way, //
};
use core::cell::{
    Cell,
    RefCell, //
};
use sites::CallSite;

// These are small, because the kernel's tests have the machine on their stacks.
#[cfg(CONFIG_KUNIT)]
mod size {
    pub(crate) const TASKS: usize = 4;
    pub(crate) const CPUS: usize = 2;
    pub(crate) const PATCHES: usize = 3;
    pub(crate) const OBJECTS: usize = 2;
    pub(crate) const FUNCS: usize = 3;
    pub(crate) const MODULES: usize = 3;
    pub(crate) const FUNCTIONS: usize = 4;
    pub(crate) const LOG: usize = 20;
}
#[cfg(not(CONFIG_KUNIT))]
mod size {
    pub(crate) const TASKS: usize = 256;
    pub(crate) const CPUS: usize = 4;
    pub(crate) const PATCHES: usize = 8;
    pub(crate) const OBJECTS: usize = 4;
    pub(crate) const FUNCS: usize = 64;
    pub(crate) const MODULES: usize = 4;
    pub(crate) const FUNCTIONS: usize = 64;
    pub(crate) const LOG: usize = 256;
}
pub(crate) use self::trace::Traced;
pub(crate) use size::*;

/// A patch, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Patch(pub(crate) usize);

/// An object of a patch, by its place there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Object(pub(crate) Patch, pub(crate) usize);

/// A func of an object, by its place there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Func(pub(crate) Object, pub(crate) usize);

/// The code that an object stands for: vmlinux or a module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Module(pub(crate) usize);

/// The kernel itself.
pub(crate) const VMLINUX: Module = Module(0);

/// A function of the kernel, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Function(pub(crate) usize);

/// A task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Task {
    /// A thread of a process.
    Thread(usize),
    /// The idle task of a CPU.
    Idle(usize),
}

/// The error of the machine when a test makes it fail.
pub(crate) const BROKEN: i32 = -5;
pub(crate) const EINVAL: i32 = -22;
pub(crate) const EBUSY: i32 = -16;

/// An error, as the kernel numbers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Errno(pub(crate) i32);

impl From<Refusal> for Errno {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid => Self(EINVAL),
            Refusal::Busy => Self(EBUSY),
        }
    }
}

/// The events of patches and transitions that the rules report.
pub(crate) type Told = Event<Patch, Object, Errno>;

/// An entry of the log of the machine, which is in the order of the events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    /// The rules have reported an event that is logged.
    Told(Told),
    /// A callback was run.
    Called(Object, Callback),
    /// That many functions have entered ftrace together.
    Entered(usize),
    /// That many functions have left ftrace together.
    Left(usize),
    /// A patch was freed.
    Freed(Patch),
    /// The reference to its module was dropped.
    Put(Patch),
}

#[derive(Clone, Copy)]
struct FuncData {
    function: Function,
    state: FuncState,
    nop: bool,
}

#[derive(Clone, Copy)]
struct ObjectData {
    module: Module,
    loaded: bool,
    patched: bool,
    dynamic: bool,
    owes: bool,
    /// The patch's relocations for the module are written.
    relocated: bool,
    funcs: [FuncData; FUNCS],
    count: usize,
}

#[derive(Clone, Copy)]
struct PatchData {
    replaces: bool,
    enabled: bool,
    forced: bool,
    published: bool,
    /// There is a reference to its module.
    held: bool,
    objects: [ObjectData; OBJECTS],
    count: usize,
}

/// Whether there is a thread, and which list has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// There is none.
    None,
    /// It is a copy that has not run yet, on no list.
    Unlisted,
    /// It is on the task list.
    Listed,
    /// It exits, and is on the list of tasks that do.
    Exiting,
    /// It is on no list any more: preemption stays disabled until it is dead.
    Ending,
}

impl Presence {
    /// Whether walks over the tasks find the thread.
    fn is_visited(self) -> bool {
        matches!(self, Self::Listed | Self::Exiting)
    }
}

#[derive(Clone, Copy)]
struct TaskData {
    presence: Presence,
    state: TaskState,
    pending: bool,
    place: Place,
    /// How often it was sent through the kernel's exit.
    kicks: u64,
    nudges: u64,
    /// It has switched, and the rules have not reported that yet.
    untold: bool,
    /// How it switched, the last time.
    way: Option<Way>,
    /// The last look that has seen it outside of a patch's text.
    look: u32,
    function: Option<usize>, // The one that a kernel thread was created to run.
}

/// The entry of an index for a function: the code that changes when patching, and when unpatching.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Indexed {
    order: usize,
    patching: Code,
    unpatching: Code,
}

/// One func stack, the first func at the bottom.
#[derive(Clone, Copy)]
struct FuncStack {
    funcs: [Option<Func>; PATCHES],
    len: usize,
    traced: bool,
    /// The func that the handler chooses for every task.
    settled: Option<Func>,
    site: CallSite,
}

struct State {
    patches: [PatchData; PATCHES],
    order: [Patch; PATCHES],
    installed: usize,
    transition: Option<Patch>,
    target: TaskState,
    threads: [TaskData; TASKS],
    idle: [TaskData; CPUS],
    online: [bool; CPUS],
    current: Task,
    stacks: [FuncStack; FUNCTIONS],
    patchable: [bool; MODULES],
    index: Option<[Option<Indexed>; FUNCTIONS]>,
    /// Handlers may still see a func that is off its stack, or in a transition that is over.
    unreclaimed: bool,
    departing: [Patch; PATCHES],
    departing_count: usize,
    look: text::Look,
    /// The task that has lost its CPU to the look at its stack.
    taken: Option<Task>,
    log: [Option<Entry>; LOG],
    logged: usize,
    traces: [Option<Traced>; trace::TRACES],
    notices: notify::Notices,
}

/// The machine.
pub(crate) struct Machine {
    state: RefCell<State>,
    /// The architecture has reliable stacks.
    pub(crate) reliable_stacks: Cell<bool>,
    /// Another pass has been asked for, after so many milliseconds.
    pub(crate) retry: Cell<Option<u64>>,
    /// Another pass has been asked for at once.
    pub(crate) hurried: Cell<bool>,
    /// Only one pass each second.
    pub(crate) each_second: Cell<bool>,
    /// Milliseconds since the transition started.
    pub(crate) elapsed: Cell<u64>,
    pub(crate) passes: Cell<u64>,
    pub(crate) rounds_of_nudges: Cell<u64>,
    pub(crate) stragglers: Cell<i32>,
    pub(crate) sched_switching: Cell<bool>,
    /// The rules have broken an invariant.
    pub(crate) warned: Cell<bool>,
    /// How many times a task was reported that could not switch.
    pub(crate) reports: Cell<usize>,
    /// A pre-patch callback of this module fails.
    pub(crate) unwilling: Cell<Option<Module>>,
    /// ftrace has shut itself down: functions jump where they do.
    pub(crate) ftrace_is_dead: Cell<bool>,
    /// Functions do not jump: the architecture cannot.
    pub(crate) never_jumps: Cell<bool>,
    /// How many times ftrace follows the settled words before it fails once.
    pub(crate) follow_fails_after: Cell<Option<u32>>,
    /// ftrace has failed to follow since all stacks were settled.
    missed: Cell<bool>,
    /// How many calls that can fail succeed before one fails.
    pub(crate) failing_after: Cell<Option<u32>>,
    /// An idle CPU was woken.
    pub(crate) woken: Cell<Option<Task>>,
    /// A task that leaves the kernel when the next pass has looked at it.
    pub(crate) leaving: Cell<Option<Task>>,
    /// Called during the next wait for runnable tasks.
    pub(crate) during_wait: Cell<Option<fn(&Machine)>>,
    /// A child that is on the task list when a scan has visited the others, and its parent.
    pub(crate) attaching: Cell<Option<(Task, Task)>>,
    /// Called when a scan has visited the tasks.
    pub(crate) scanned: Cell<Option<fn(&Machine)>>,
    /// A task that is on another CPU whenever it is looked for on one.
    pub(crate) evasive: Cell<Option<Task>>,
    /// No CPU may be disturbed.
    pub(crate) undisturbed: Cell<bool>,
    /// Called for each entry of the log and each task that cannot switch, when that happens.
    pub(crate) listener: Cell<Option<look::Listener>>,
}

impl Machine {
    /// A machine with so many tasks and no module. All tasks sleep in code that no patch changes.
    pub(crate) fn new(tasks: usize) -> Self {
        let func = FuncData {
            function: Function(0),
            state: FuncState::new(false, false),
            nop: false,
        };
        let object = ObjectData {
            module: VMLINUX,
            loaded: false,
            patched: false,
            dynamic: false,
            owes: false,
            relocated: false,
            funcs: [func; FUNCS],
            count: 0,
        };
        let patch = PatchData {
            replaces: false,
            enabled: false,
            forced: false,
            published: false,
            held: false,
            objects: [object; OBJECTS],
            count: 0,
        };
        let task = TaskData {
            presence: Presence::None,
            state: TaskState::Idle,
            pending: false,
            place: ELSEWHERE,
            kicks: 0,
            nudges: 0,
            untold: false,
            way: None,
            look: 0,
            function: None,
        };
        let stack = FuncStack {
            funcs: [None; PATCHES],
            len: 0,
            traced: false,
            settled: None,
            site: CallSite::new(),
        };
        let mut threads = [task; TASKS];
        for thread in threads.iter_mut().take(tasks) {
            thread.presence = Presence::Listed;
        }
        Self {
            state: RefCell::new(State {
                patches: [patch; PATCHES],
                order: [Patch(0); PATCHES],
                installed: 0,
                transition: None,
                target: TaskState::Idle,
                threads,
                idle: [task; CPUS],
                online: [true; CPUS],
                current: Task::Thread(0),
                stacks: [stack; FUNCTIONS],
                patchable: [false; MODULES],
                index: None,
                unreclaimed: false,
                departing: [Patch(0); PATCHES],
                departing_count: 0,
                look: text::Look::default(),
                taken: None,
                log: [None; LOG],
                logged: 0,
                traces: [None; trace::TRACES],
                notices: notify::Notices::NONE,
            }),
            reliable_stacks: Cell::new(true),
            retry: Cell::new(None),
            hurried: Cell::new(false),
            each_second: Cell::new(false),
            elapsed: Cell::new(0),
            passes: Cell::new(0),
            rounds_of_nudges: Cell::new(0),
            stragglers: Cell::new(0),
            sched_switching: Cell::new(false),
            warned: Cell::new(false),
            reports: Cell::new(0),
            unwilling: Cell::new(None),
            ftrace_is_dead: Cell::new(false),
            never_jumps: Cell::new(false),
            follow_fails_after: Cell::new(None),
            missed: Cell::new(false),
            failing_after: Cell::new(None),
            woken: Cell::new(None),
            leaving: Cell::new(None),
            during_wait: Cell::new(None),
            attaching: Cell::new(None),
            scanned: Cell::new(None),
            undisturbed: Cell::new(false),
            listener: Cell::new(None),
            evasive: Cell::new(None),
        }
    }

    /// Describes a patch: the functions that it changes in each module.
    pub(crate) fn describe(
        &self,
        patch: Patch,
        replaces: bool,
        objects: &[(Module, &[Function])],
    ) -> Patch {
        let mut state = self.state.borrow_mut();
        let data = &mut state.patches[patch.0];
        data.replaces = replaces;
        data.enabled = false;
        data.forced = false;
        data.published = false;
        data.held = true;
        data.count = objects.len();
        for (object, &(module, functions)) in data.objects.iter_mut().zip(objects) {
            object.module = module;
            object.loaded = module == VMLINUX;
            object.patched = false;
            object.dynamic = false;
            object.owes = false;
            object.relocated = false;
            object.count = functions.len();
            for (func, &function) in object.funcs.iter_mut().zip(functions) {
                func.function = function;
                func.state = FuncState::new(false, false);
                func.nop = false;
            }
        }
        patch
    }

    fn object<R>(&self, object: Object, look: impl FnOnce(&mut ObjectData) -> R) -> R {
        let mut state = self.state.borrow_mut();
        look(&mut state.patches[object.0 .0].objects[object.1])
    }

    fn func<R>(&self, func: Func, look: impl FnOnce(&mut FuncData) -> R) -> R {
        self.object(func.0, |object| look(&mut object.funcs[func.1]))
    }

    fn patch<R>(&self, patch: Patch, look: impl FnOnce(&mut PatchData) -> R) -> R {
        look(&mut self.state.borrow_mut().patches[patch.0])
    }

    fn task<R>(&self, task: Task, look: impl FnOnce(&mut TaskData) -> R) -> R {
        let mut state = self.state.borrow_mut();
        look(match task {
            Task::Thread(number) => &mut state.threads[number],
            Task::Idle(cpu) => &mut state.idle[cpu],
        })
    }

    fn record(&self, entry: Entry) {
        self.hear(look::Heard::Logged(entry));
        let mut state = self.state.borrow_mut();
        let next = state.logged;
        if let Some(place) = state.log.get_mut(next) {
            *place = Some(entry);
        }
        state.logged += 1;
    }

    /// A call that fails if a test has arranged for that.
    fn attempt(&self) -> Result<(), Errno> {
        match self.failing_after.get() {
            Some(0) => {
                self.failing_after.set(None);
                Err(Errno(BROKEN))
            }
            Some(n) => {
                self.failing_after.set(Some(n - 1));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether walks over the tasks find the task.
    fn is_visited(&self, task: Task) -> bool {
        match task {
            Task::Thread(_) => self.task(task, |task| task.presence.is_visited()),
            Task::Idle(_) => true,
        }
    }
}
