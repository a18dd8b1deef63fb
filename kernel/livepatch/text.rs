// SPDX-License-Identifier: GPL-2.0-or-later

//! Livepatch modules stay as long as a task is found in their text.
//!
//! [`model::text`] decides when a module can go. This file finds out where the tasks of this kernel
//! are.
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

/// The time until the next look, in milliseconds. `klp_mutex` protects it.
static DELAY: Atomic<u32> = Atomic::new(SHORTEST_DELAY);

/// The number of the latest look, and the address of the patch that it is for, or 0. Only the work
/// uses them, and the work does not run twice at a time.
static LOOK: Atomic<usize> = Atomic::new(0);
static SOUGHT: Atomic<usize> = Atomic::new(0);

/// Lets go of the module of a released patch when no task is found in it any more. Sleeps. The
/// patch and its module may be gone when this returns.
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
    // A patch that begins to depart resets the delay with the mutex held. Hold it here as well, so
    // that such a patch does not have to wait for a delay that has grown before.
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

    fn first_departing(&self) -> Option<&'static Patch> {
        patches::first_departing(&mutex::lock())
    }

    fn remove_departing(&self, patch: &'static Patch) {
        patches::remove(patch, &mutex::lock());
    }

    fn add_departing(&self, patch: &'static Patch) {
        patches::DEPARTING.add(patch, &mutex::lock());
    }

    #[expect(unsafe_code, reason = "the life of the module")]
    fn put_module(&self, patch: &'static Patch) {
        // SAFETY: `enable_patch()` has taken the reference. The rules put the module of a patch
        // once, after they have taken it off the list, and do not use the patch any more.
        unsafe { patch.module().put() };
    }

    fn forced(&self, patch: &'static Patch) -> bool {
        patch.forced()
    }

    fn wait_for_runnable_tasks(&self) {
        tasks::wait_for_runnable_tasks();
    }

    fn for_each_task(&self, visit: impl FnMut(TaskRef<'_>)) {
        tasks::for_each_task(visit);
    }

    fn scan_tasks(&self, visit: impl FnMut(TaskRef<'_>)) {
        tasks::scan_tasks(visit);
    }

    fn for_each_idle_task(&self, mut visit: impl FnMut(TaskRef<'_>)) {
        tasks::with_cpus_fixed(|| {
            tasks::for_each_idle_task(|task, online| {
                if online {
                    visit(task);
                }
            });
        });
    }

    fn in_place_of<R: Send>(
        &self,
        patch: &'static Patch,
        task: TaskRef<'_>,
        body: fn(&Self, &'static Patch, TaskRef<'_>) -> R,
    ) -> Option<R> {
        tasks::in_place_of(task, move |task| body(&Texts, patch, task))
    }

    fn is_sought(&self, patch: &'static Patch) -> bool {
        SOUGHT.load(Relaxed) == core::ptr::from_ref(patch).addr()
    }

    fn begin_look(&self, patch: &'static Patch) {
        SOUGHT.store(core::ptr::from_ref(patch).addr(), Relaxed);
        LOOK.store(LOOK.load(Relaxed).wrapping_add(1), Relaxed);
    }

    fn end_look(&self) {
        SOUGHT.store(0, Relaxed);
    }

    fn seen_outside(&self, task: TaskRef<'_>) -> bool {
        task.look() == LOOK.load(Relaxed)
    }

    fn set_seen_outside(&self, task: TaskRef<'_>) {
        task.set_look(LOOK.load(Relaxed));
    }

    fn returns_from_user_space(&self, patch: &'static Patch, task: TaskRef<'_>) -> Option<bool> {
        task.restarts_in(&patch.module().text())
    }

    #[expect(unsafe_code, reason = "the rules keep the task still")]
    fn is_in_text(&self, patch: &'static Patch, task: TaskRef<'_>) -> bool {
        let text = patch.module().text();

        // The core does not wait for the module's own threads: the module's callback after
        // unpatching stops them, or its exit function does. A thread that was created to run a new
        // function belongs to the code that is patched, and the module does not stop it. If the
        // thread counted as outside, so would its children.
        let is_own = |f| text.contains(&f) && !is_new_function(patch, f);
        if task.thread_function().is_some_and(is_own) {
            return false;
        }

        // A call at the very end of the text returns to the address where the text ends.
        let returns = |&address: &usize| text.start <= address && address <= text.end;
        // SAFETY: The rules call this inside `with_task_still()`, with preemption disabled.
        let called = unsafe { task.with_stack(|stack| stack.iter().any(returns)) };
        match called {
            Ok(true) => true,
            // The task is this work. It runs the kernel's own code, and has called none of the
            // livepatch's. Only if the transition was forced can a new function have called it,
            // and only an unreliable stack hides such a function.
            Ok(false) if task.is_current() => false,
            Err(_) if task.is_current() => patch.forced(),
            // An idle task goes off its CPU in its loop alone. So it comes back to no function but
            // those on its stack.
            Ok(false) if task.is_idle() => false,
            // The task may be in a function of the kernel that the livepatch has jumped to and has
            // given one of its own functions to call. The address of that function is on the stack
            // or in a register then. An address of a new function proves nothing, because handlers
            // leave those on stacks.
            Ok(false) => {
                let wanted =
                    |address| kallsyms::is_function(address) && !is_new_function(patch, address);
                // SAFETY: The task is still, as above. It does not run: it is not the caller, and
                // the rules have seen that it runs on no other CPU.
                let returns = unsafe { task.points_into(&text, wanted) };
                // SAFETY: The same is true here.
                returns || unsafe { uses_data(patch, task) }
            }
            // The stack is not reliable. But if the task can come back to the text, an address in
            // the text is on its stack or in its registers, unless a tracer keeps it.
            Err(_) => {
                // SAFETY: The task is still, and does not run, as above.
                let hides_returns = unsafe { task.hides_returns() };
                // SAFETY: The same is true here.
                let returns = hides_returns || unsafe { task.points_into(&text, |_| true) };
                // SAFETY: The same is true here.
                returns || unsafe { uses_data(patch, task) }
            }
        }
    }

    fn is_made_for(&self, patch: &'static Patch, task: TaskRef<'_>) -> bool {
        // All forks wait meanwhile, so look through the functions only if one can be meant.
        let text = patch.module().text();
        let is_new = |f| text.contains(&f) && is_new_function(patch, f);
        task.thread_function().is_some_and(is_new)
    }
}

/// Whether the task may be in a function of the kernel that the livepatch has jumped to and has
/// given some of its data, such as a format or a mutex. Words that an earlier call has left on the
/// stack count as well. Addresses in the structures that describe the livepatch do not: handlers
/// and system calls leave them on stacks, and the core waits for their users by other means.
///
/// # Safety
///
/// The caller keeps the task still, and the task does not run.
#[expect(unsafe_code, reason = "looks at a task that is still")]
unsafe fn uses_data(patch: &Patch, task: TaskRef<'_>) -> bool {
    let wanted = |address| !is_description(patch, address);
    let mut data = patch.module().data();
    // SAFETY: The task is still, and does not run, by the safety requirement.
    data.any(|region| unsafe { task.points_into(&region, wanted) })
}

/// Whether this is an address in one of the structures of a livepatch that the kernel uses.
fn is_description(patch: &Patch, address: usize) -> bool {
    fn is_in<T>(structure: &T, address: usize) -> bool {
        address.wrapping_sub(core::ptr::from_ref(structure).addr()) < size_of::<T>()
    }

    is_in(patch.module(), address)
        || is_in(patch, address)
        || patch.declared_objects().any(|object| {
            is_in(object, address) || object.declared_funcs().any(|func| is_in(func, address))
        })
}

fn is_new_function(patch: &Patch, address: usize) -> bool {
    let funcs = patch
        .declared_objects()
        .flat_map(|object| object.declared_funcs());
    funcs
        .filter(|func| !func.is_nop())
        .any(|func| func.new_address() == address)
}
