// SPDX-License-Identifier: GPL-2.0-or-later

//! Livepatch modules stay as long as a task can be in their text.
//!
//! When they can go is decided in [`model::text`]; here is how this kernel finds out where its
//! tasks are.
//!
//! [`model::text`]: super::model::text

use crate::{
    edge::{
        abi::Patch,
        kallsyms,
        mutex,
        patches,
        tasks::{
            self,
            TaskRef, //
        },
        work, //
    },
    model::{
        self,
        TextHost, //
    },
    transition::Tasks, //
};
use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// The shortest and the longest time between two looks at the tasks, in milliseconds. The time
/// doubles with each look, because a task that sleeps in a livepatch may do so for days.
const SHORTEST_DELAY: u32 = 20;
const LONGEST_DELAY: u32 = 5_000;

/// The time until the next look, in milliseconds. Used under `klp_mutex`.
static DELAY: Atomic<u32> = Atomic::new(SHORTEST_DELAY);

/// The number of the latest look. Used by the work alone, which does not run twice at a time.
static LOOK: Atomic<usize> = Atomic::new(0);

/// Lets go of the module of a released patch when no task can be in it any more. Sleeps. The patch,
/// and its module, may be gone afterwards.
pub(crate) fn depart(patch: &Patch) {
    let locked = mutex::lock();
    patches::DEPARTING.add(patch, &locked);
    DELAY.store(SHORTEST_DELAY, Relaxed);
    work::let_go_later(0);
}

/// The work that lets go of modules. Sleeps.
pub(crate) fn work() {
    if !model::text::let_go(&Texts) {
        return;
    }
    // With the mutex held, so that a patch that begins to depart now is not made to wait longer.
    let _locked = mutex::lock();
    let delay = DELAY.load(Relaxed);
    DELAY.store(delay.saturating_mul(2).min(LONGEST_DELAY), Relaxed);
    work::let_go_later(delay);
}

/// The texts of livepatches, and the tasks that may be in them.
struct Texts;

impl TextHost for Texts {
    type Patch = &'static Patch;
    type Tasks = Tasks;

    fn tasks(&self) -> &Tasks {
        &Tasks
    }

    fn count_departing(&self) -> usize {
        patches::DEPARTING.iter(&mutex::lock()).count()
    }

    fn take_departing(&self) -> Option<&'static Patch> {
        patches::take_departing(&mutex::lock())
    }

    fn add_departing(&self, patch: &'static Patch) {
        patches::DEPARTING.add(patch, &mutex::lock());
    }

    fn put_module(&self, patch: &'static Patch) {
        patch.module().put();
    }

    fn forced(&self, patch: &'static Patch) -> bool {
        patch.forced()
    }

    fn wait_for_runnable_tasks(&self) {
        tasks::wait_for_runnable_tasks();
    }

    fn for_each_task(&self, visit: impl FnMut(TaskRef)) {
        tasks::for_each_task(visit);
    }

    fn scan_tasks(&self, visit: impl FnMut(TaskRef)) {
        tasks::scan_tasks(visit);
    }

    fn in_place_of<R: Send>(
        &self,
        patch: &'static Patch,
        task: TaskRef,
        body: fn(&Self, &'static Patch, TaskRef) -> R,
    ) -> Option<R> {
        tasks::in_place_of(task, move |task| body(&Texts, patch, task))
    }

    fn begin_look(&self) {
        LOOK.store(LOOK.load(Relaxed).wrapping_add(1), Relaxed);
    }

    fn seen_outside(&self, task: TaskRef) -> bool {
        task.look() == LOOK.load(Relaxed)
    }

    fn set_seen_outside(&self, task: TaskRef) {
        task.set_look(LOOK.load(Relaxed));
    }

    fn is_in_text(&self, patch: &'static Patch, task: TaskRef) -> bool {
        let text = patch.module().text();

        // This work is in the kernel's own code.
        if task.is_current() {
            return false;
        }
        // The module's own threads are the module's business: its callback after unpatching stops
        // them, or its exit function.
        if task.thread_function().is_some_and(|f| text.contains(&f)) {
            return false;
        }

        // The return address of a call at the very end of the text is the end.
        let called = task.with_stack(|stack| {
            let returns = |&address: &usize| text.start <= address && address <= text.end;
            stack.iter().any(returns)
        });
        match called {
            Ok(true) => true,
            // A function that the livepatch has jumped to may have been given one of its own to
            // call: its address is somewhere. It is never that of a new function, which handlers
            // leave on stacks.
            Ok(false) => task.points_into(&text, |address| {
                kallsyms::is_function(address) && !is_new_function(patch, address)
            }),
            // However the stack is to be read, an address that leads into the text is on it.
            Err(_) => task.points_into(&text, |_| true),
        }
    }
}

fn is_new_function(patch: &Patch, address: usize) -> bool {
    let funcs = patch
        .declared_objects()
        .flat_map(|object| object.declared_funcs());
    funcs
        .filter(|func| !func.is_nop())
        .any(|func| func.new_address() == address)
}
