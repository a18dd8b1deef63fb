// SPDX-License-Identifier: GPL-2.0-or-later

//! How the tasks of a running system move from one set of functions to the other.
//!
//! A transition has a target state. [`init`] gives every task the opposite state, then lets every
//! func of the patch begin; [`start`] asks every task to switch. A task switches when its stack
//! holds no function that changes, checked while it is still ([`switch_task`]), or where it is in
//! no function at all: leaving the kernel and in the idle loop ([`update`]).
//! [`pass`] looks at all tasks until none is left, then [`complete`] makes the new state
//! the only one. A transition can turn round at any time before that ([`reverse`]), be given up
//! before it started ([`cancel`]), or be ended without regard to what the tasks do ([`force`]).
//!
//! The functions that a task runs on itself are [`update`], [`sched_switch`] and [`fork`];
//! they hold no `klp_mutex`. All others do.

use super::{
    func::Change,
    patch::{
        self,
        Circumstance,
        Which, //
    },
    replace,
    settle,
    Blocker,
    Callback,
    Event,
    Expectation,
    Host,
    Outcome,
    Shown,
    Stage,
    Tally,
    TaskHost,
    TaskState,
    Way, //
};
use core::iter;

/// Milliseconds after which the remaining tasks are nudged, and again after as many more.
const NUDGE_INTERVAL: u64 = 15_000;

/// The longest time between two passes over the tasks, in milliseconds.
const LONGEST_DELAY: u64 = 1_000;

/// The shortest time between two passes over the tasks, in milliseconds.
const SHORTEST_DELAY: u64 = 10;

/// More than there can be tasks, also twice.
const MANY: i32 = 1 << 29;

/// Prepares a transition to `target`: every task is in the opposite state, every func begins.
///
/// Nothing has changed for any task yet. To be followed by pushing or keeping the funcs, and by
/// [`start`] or [`cancel`].
pub(crate) fn init<H: Host>(host: &H, patch: H::Patch, target: TaskState) {
    let tasks = host.tasks();
    host.expect(Expectation::NoTransition, tasks.target() == TaskState::Idle);
    host.set_transition_patch(Some(patch));
    host.tell(Event::Changed(Shown::Transition(patch)));

    // Without effect until tasks are asked to switch.
    host.set_target(target);
    host.tell(Event::Initializing(patch));

    let prepare = |task| {
        host.expect(
            Expectation::TaskIsIdle,
            tasks.state(task) == TaskState::Idle,
        );
        tasks.set_state(task, target.opposite());
    };
    host.for_each_task(prepare);
    host.for_each_idle_task(|task, _| prepare(task));

    // Orders the stores to the tasks' states before those to the funcs' `transition`: pairs with
    // the second read barrier in `redirect::decide()`, which must not find a task idle.
    host.write_barrier();

    // When patching, the handler does not see the funcs yet; when unpatching it does, and from now
    // on looks at the tasks, which all say what the handler did before.
    change_funcs(host, patch, Change::Begin);
}

fn change_funcs<H: Host>(host: &H, patch: H::Patch, change: Change) {
    for object in host.objects(patch) {
        for func in host.funcs(object) {
            let legal = host.change(func, change);
            host.expect(Expectation::FuncInTransition, legal);
        }
    }
}

/// Asks every task that is not in the target state to switch to it.
pub(crate) fn start<H: Host>(host: &H, patch: H::Patch) {
    let tasks = host.tasks();
    host.expect(
        Expectation::TransitionToStart,
        tasks.target() != TaskState::Idle,
    );
    host.tell(Event::Starting(patch));

    // Until the first pass has counted them, nobody is the last.
    tasks.set_stragglers(MANY);

    // Orders all that a task must see once it has switched before the stores to the tasks' pending
    // flags: pairs with the test-and-clear in `update()` and the read barrier in `sched_switch()`.
    // That is
    // 1. the store to the target, in `init()` or `reverse()`: a task must not switch to another;
    // 2. the stores to the funcs' `transition`, in `init()`: the task's handlers would take a func
    //    that is being removed for a settled one;
    // 3. the stores that put funcs on stacks, after `init()`: the task's handlers would find some
    //    of the funcs and not the others. Where a function enters ftrace as well, that orders, too;
    //    where an older patch has it there already, nothing else does.
    host.write_barrier();

    let ask = |task| {
        if tasks.state(task) != tasks.target() {
            tasks.set_pending(task, true);
        }
    };
    host.for_each_task(ask);
    host.for_each_idle_task(|task, _| ask(task));

    host.set_sched_switching(true);
    host.restart_clock();
}

/// Counts the tasks, for a host that reports how far a transition is.
pub(crate) fn tally<H: Host>(host: &H) -> Tally {
    let tasks = host.tasks();
    let mut tally = Tally::default();
    let mut count = |task| {
        tally.tasks = tally.tasks.saturating_add(1);
        if tasks.state(task) != tasks.target() {
            tally.waiting = tally.waiting.saturating_add(1);
        }
    };
    host.for_each_task(&mut count);
    host.for_each_idle_task(|task, _| count(task));
    tally
}

/// How a pass deals with a task that runs, and whose stack it cannot look at.
#[derive(Clone, Copy)]
enum Insistence {
    /// It does nothing. Most tasks switch soon, when they leave the kernel or go to sleep.
    None,
    /// It sends the task through the way out of the kernel, if the task runs in user space.
    Kick,
    /// It takes the task's CPU for a moment, and looks at the stack then. That is for tasks that
    /// stay in the kernel.
    Preempt,
}

impl Insistence {
    /// Only tasks that have had their time are disturbed. Later passes are further and further
    /// apart, and so is what a task has to suffer that is inside a function that changes.
    fn of_pass<H: Host>(host: &H) -> Self {
        match host.passes() {
            _ if host.tasks().retries_each_second() => Self::None,
            0 => Self::None,
            1 => Self::Kick,
            _ => Self::Preempt,
        }
    }
}

/// Tries to switch the tasks that have not yet; completes the transition if none is left, or
/// arranges for another pass. Returns whether the transition is complete.
///
/// Looking at stacks takes long. It is done while tasks fork and exit, so that some are missed.
/// Then, in one short walk that keeps them from that, the tasks are counted that have not switched.
/// Every task is in that count, or in the target state for the rest of the transition:
/// 1. no task goes back to the state that it has left;
/// 2. a task that is created later begins in the state of its parent, which was counted;
/// 3. a task that exits stays among those that are walked over until it runs for the last time.
///
/// The last of the tasks that are left, when it switches itself, asks for that other try at once.
/// Those that cannot ask are found by looking again: often at first, then less and less so.
pub(super) fn pass<H: Host>(host: &H, patch: H::Patch) -> bool {
    let tasks = host.tasks();
    host.expect(
        Expectation::TransitionToComplete,
        tasks.target() != TaskState::Idle,
    );

    let insistence = Insistence::of_pass(host);
    host.set_passes(host.passes().saturating_add(1));
    host.scan_tasks(|task| try_switch(host, task, insistence));

    // An offline CPU's idle task runs nothing, and no CPU comes online meanwhile.
    host.with_cpus_fixed(|| {
        host.for_each_idle_task(|task, online| {
            if !online {
                switch(tasks, task, Way::Offline);
            } else if let Err(why) = switch_task(tasks, task, Way::StackCheck) {
                tasks.report(task, Outcome::Blocked(why));
                host.wake_idle(task);
            }
        });
    });

    // As long as they are being counted, nobody is the last.
    let before = tasks.add_stragglers(MANY).wrapping_sub(MANY);
    let left = tally(host).waiting;
    let counted = i32::try_from(left)
        .unwrap_or(MANY)
        .wrapping_sub(before)
        .wrapping_sub(MANY);
    let waiting = tasks.add_stragglers(counted);

    if left == 0 {
        host.set_sched_switching(false);
        host.tell(Event::Switched(patch));
        complete(host, patch);
        host.tell(Event::Reached(patch, Stage::Completed));
        return true;
    }

    let elapsed = host.elapsed();
    if elapsed / NUDGE_INTERVAL > host.nudges() {
        wake_stragglers(host);
        host.set_nudges(elapsed / NUDGE_INTERVAL);
    }
    host.retry_after(if tasks.retries_each_second() {
        LONGEST_DELAY
    } else if waiting <= 0 {
        // They have all switched since they were looked at.
        0
    } else {
        // As long as it has taken already, within limits.
        elapsed.clamp(SHORTEST_DELAY, LONGEST_DELAY)
    });
    false
}

/// Makes the target state the only one: no patch is in transition any more.
fn complete<H: Host>(host: &H, patch: H::Patch) {
    let tasks = host.tasks();
    let target = tasks.target();
    host.tell(Event::Completing(patch));

    // No task has yet to switch, so none will look for functions on its stack.
    host.withdraw_index();

    if target == TaskState::Patched {
        if host.replaces(patch) {
            replace::unpatch_replaced(host, patch);
        }
    } else {
        // Every task uses the functions from before, so the new ones can go.
        let this = iter::once(patch);
        patch::unpatch_objects(host, this, Which::All, Circumstance::InTransition);

        // A handler that still sees a func of this patch must also see it in transition, or it
        // would choose it.
        host.reclaim();
    }

    change_funcs(host, patch, Change::End);

    if target == TaskState::Patched {
        // A handler that saw a func in transition has looked at its task before that becomes idle.
        // No handler sees a nop any more, so that callbacks find none of them in sysfs.
        host.reclaim();
        if host.replaces(patch) {
            host.release_nops(patch);
        }
    }

    let settle = |task| {
        host.expect(Expectation::NoTaskIsPending, !tasks.pending(task));
        tasks.set_state(task, TaskState::Idle);
    };
    host.for_each_task(settle);
    host.for_each_idle_task(|task, _| settle(task));

    for object in host.objects(patch) {
        if host.loaded(object) {
            match target {
                TaskState::Patched => patch::call(host, object, Callback::PostPatch),
                TaskState::Unpatched => patch::post_unpatch(host, object),
                TaskState::Idle => {}
            }
        }
    }
    host.tell(Event::Complete(patch));
    host.set_target(TaskState::Idle);
    host.set_transition_patch(None);
    host.tell(Event::Changed(Shown::Transition(patch)));
    settle::settle(host);
}

/// Gives up a transition between [`init`] and [`start`]: no task has switched.
pub(crate) fn cancel<H: Host>(host: &H, patch: H::Patch) {
    if host.tasks().target() != TaskState::Patched {
        host.expect(Expectation::TransitionToCancel, false);
        return;
    }
    host.tell(Event::Canceling(patch));
    host.set_target(TaskState::Unpatched);
    complete(host, patch);
}

/// Turns a transition round: tasks that have switched are asked to switch back.
pub(crate) fn reverse<H: Host>(host: &H, patch: H::Patch) {
    let tasks = host.tasks();
    host.tell(Event::Reversing(patch));

    // No task may switch to the old target from here on: neither one that has yet to look at its
    // flag, nor one that has already and is about to read the target. The wait also covers tasks in
    // their last `__schedule()`, for which the opposite of the target is the side that they are on.
    host.for_each_task(|task| tasks.set_pending(task, false));
    host.for_each_idle_task(|task, _| tasks.set_pending(task, false));
    host.synchronize();

    let enabled = !host.enabled(patch);
    host.tell(match enabled {
        true => Event::Enabled(patch),
        false => Event::Disabled(patch),
    });
    patch::set_enabled(host, patch, enabled);
    host.set_target(tasks.target().opposite());
    start(host, patch);
    host.tell(Event::Reached(patch, Stage::Reversed));

    // The pass that is arranged already may be a second away.
    if !tasks.retries_each_second() {
        tasks.hurry();
    }
}

/// Ends the transition by decree: every task is taken to be in the target state.
///
/// Tasks may be inside a function that changes, so consistency is the administrator's business;
/// the patches that would be freed stay for ever.
pub(crate) fn force<H: Host>(host: &H, patch: H::Patch) {
    let tasks = host.tasks();
    host.tell(Event::Forcing(patch));
    host.for_each_task(|task| update(tasks, task, Way::Forced));
    host.for_each_idle_task(|task, _| update(tasks, task, Way::Forced));

    if tasks.target() == TaskState::Unpatched {
        host.set_forced(patch);
    } else if host.replaces(patch) {
        for other in host.patches().filter(|&other| other != patch) {
            host.set_forced(other);
        }
    }
    host.tell(Event::Reached(patch, Stage::Forced));

    // The last task to be switched asks for a pass as well, but only if the count of stragglers is
    // exact. It is too high if a task has ended without having switched.
    if !tasks.retries_each_second() {
        tasks.hurry();
    }
}

/// Switches `task`, which is the caller's own or does not run, if it has been asked to.
///
/// Called where a task is in no function that could be patched: on the way out of the kernel and
/// in the idle loop. The caller has preemption disabled, so that
/// [`PatchHost::synchronize`](super::PatchHost::synchronize) waits for it.
pub(crate) fn update<T: TaskHost>(tasks: &T, task: T::Task, way: Way) {
    // A full barrier if the flag was set. It orders the load of the flag before
    // 1. the load of the target,
    // 2. the loads in a handler that runs later on this CPU:
    // pairs with the write barrier in `start()`.
    if tasks.test_and_clear_pending(task) {
        let target = tasks.target();
        tasks.set_state(task, target);
        tasks.report(task, Outcome::Switched(target, way));
        switched_itself(tasks);
    }
}

/// A task that may have been found not to have switched has done so now.
fn switched_itself<T: TaskHost>(tasks: &T) {
    // A full barrier: who sees that this was the last one sees its state, too.
    if tasks.add_stragglers(-1) <= 0 && !tasks.retries_each_second() {
        tasks.hurry();
    }
}

/// Lets the calling task switch, from `__schedule()`, if it has been asked to and its stack allows.
///
/// The caller has preemption disabled:
/// [`PatchHost::synchronize`](super::PatchHost::synchronize) waits for it. No other CPU checks
/// this task's stack, because it runs.
pub(crate) fn sched_switch<T: TaskHost>(tasks: &T) {
    let task = tasks.current();
    if !tasks.pending(task) {
        return;
    }

    // Orders the load of the flag before the load of the target, and before the loads in the task's
    // later handlers: pairs with the write barrier in `start()`.
    tasks.read_barrier();

    // Only passes report the task if it cannot switch: a kernel thread can go to sleep here many
    // times a second, and a console may not even keep up with one that prints to it.
    if switch_task(tasks, task, Way::Schedule).is_ok() {
        switched_itself(tasks);
    }
}

/// A task forks: `child`, which does not run yet, starts where its parent `current` is.
///
/// Serialised with the walks over the task list by the caller's `tasklist_lock`; `current` cannot
/// switch itself meanwhile, being here. The flag was copied with the thread info a while ago, and
/// the parent may have switched since.
///
/// A signal can still make the fork fail after this. The switch of a child that never runs is
/// traced then: there is no hook any later, and no walk finds the child.
pub(crate) fn fork<T: TaskHost>(tasks: &T, child: T::Task) {
    let parent = tasks.current();
    let (before, state) = (tasks.state(child), tasks.state(parent));
    tasks.set_pending(child, tasks.pending(parent));
    tasks.set_state(child, state);
    if state != before && state != TaskState::Idle && state == tasks.target() {
        tasks.report(child, Outcome::Switched(state, Way::Fork));
    }
}

/// Tries to switch `task` in a scan, and reports why it cannot.
fn try_switch<H: Host>(host: &H, task: <H::Tasks as TaskHost>::Task, insistence: Insistence) {
    let tasks = host.tasks();
    let mut result = switch_task(tasks, task, Way::StackCheck);
    if matches!(result, Err(Blocker::Running)) {
        match insistence {
            Insistence::None => {}
            Insistence::Kick => host.kick(task),
            Insistence::Preempt => {
                let look = |tasks: &H::Tasks, task| switch_task(tasks, task, Way::StackCheck);
                result = tasks.in_place_of(task, look).unwrap_or(result);
            }
        }
    }
    if let Err(why) = result {
        tasks.report(task, Outcome::Blocked(why));
    }
}

/// Switches `task` to the target state if its stack, looked at while it is still, allows.
pub(crate) fn switch_task<T: TaskHost>(
    tasks: &T,
    task: T::Task,
    way: Way,
) -> Result<(), Blocker<T::Name>> {
    if tasks.state(task) == tasks.target() {
        return Ok(());
    }
    if !tasks.have_reliable_stack() {
        return Err(Blocker::NoReliableStack);
    }
    tasks.with_task_still(task, || {
        if tasks.runs_elsewhere(task) {
            return Err(Blocker::Running);
        }
        tasks.check_stack(task)?;
        switch(tasks, task, way);
        Ok(())
    })
}

/// Switches a task that is known to be still, unless it has done so itself.
fn switch<T: TaskHost>(tasks: &T, task: T::Task, way: Way) {
    let target = tasks.target();
    tasks.set_pending(task, false);
    if tasks.state(task) != target {
        tasks.set_state(task, target);
        tasks.report(task, Outcome::Switched(target, way));
    }
}

/// Wakes the tasks that have not switched after all this time.
///
/// A task may switch between the look at its flag and the wake-up; it is then woken for nothing.
fn wake_stragglers<H: Host>(host: &H) {
    let tasks = host.tasks();
    if host.nudges() == 0 {
        host.tell(Event::Signaling);
    }
    host.for_each_task(|task| {
        if tasks.pending(task) {
            host.nudge(task);
        }
    });
}
