// SPDX-License-Identifier: GPL-2.0-or-later

//! How the tasks of a running system move from one set of functions to the other.
//!
//! A transition has a target state. [`init`] gives every task the opposite state, then lets every
//! func of the patch begin; [`start`] asks every task to switch. A task switches when its stack
//! holds no function that changes, checked while it is still ([`switch_task`]), or where it is in
//! no function at all: leaving the kernel and in the idle loop ([`update`]). [`pass`] looks at all
//! tasks until none is left, then [`complete`] makes the new state the only one. A transition can
//! turn round at any time before that ([`reverse`]), be given up before it started ([`cancel`]), or
//! be ended by force ([`force`]).
//!
//! A task runs [`update`] and [`sched_switch`] for itself, and [`fork`] for its child, without
//! `klp_mutex`. The callers of all other functions hold `klp_mutex`, except where these three call
//! them.

use super::{
    func::Change,
    host::TaskOf,
    insistence::Insistence,
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

/// More than twice the number of tasks that there can be.
const MANY: i32 = 1 << 29;

/// Prepares a transition to `target`: every task is in the opposite state, every func begins.
///
/// Nothing changes for any task yet. After this, the caller pushes the funcs or keeps them on their
/// stacks, and calls [`start`] or [`cancel`].
pub(crate) fn init<H: Host>(host: &H, patch: H::Patch, target: TaskState) {
    let tasks = host.tasks();
    host.expect(Expectation::NoTransition, tasks.target() == TaskState::Idle);
    host.set_transition_patch(Some(patch));
    host.tell(Event::Changed(Shown::Transition(patch)));

    // The target has no effect until tasks are asked to switch.
    host.set_target(target);
    host.tell(Event::Initializing(patch));

    let prepare = |task: TaskOf<'_, H>| {
        host.expect(
            Expectation::TaskIsIdle,
            tasks.state(task) == TaskState::Idle,
        );
        tasks.set_state(task, target.opposite());
    };
    host.for_each_task(prepare);
    host.for_each_idle_task(|task, _| prepare(task));

    // Orders the stores to the target and to the tasks' states before those to the funcs'
    // `transition`: pairs with the second read barrier in `redirect::decide()`. A handler that sees
    // a func in transition must not find a live task in the idle state, and must see the target if
    // the task is in its last `__schedule()`.
    host.write_barrier();

    // When patching, the handler does not see the funcs yet. When unpatching, it does, and from now
    // on it looks at the tasks. These are all in the patched state, so that calls reach the same
    // functions as before.
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

    // No task can be the last one until the first pass has counted the tasks.
    tasks.set_stragglers(MANY);

    // Orders four kinds of stores, which a task must see once it has switched, before the stores
    // to the tasks' pending flags: pairs with the test-and-clear in `update()` and the read barrier
    // in `sched_switch()`. They are
    // 1. the store to the target, in `init()` or `reverse()`: a task must not switch to another
    //    target;
    // 2. the stores to the funcs' `transition`, in `init()`: the task's handlers would take a func
    //    that is being removed for a settled one;
    // 3. the stores that put funcs on stacks, after `init()`: the task's handlers would find some
    //    of the funcs and not the others. A function that enters ftrace now orders its stores as
    //    well. If an older patch has it in ftrace already, only this barrier does;
    // 4. the stores that unsettle func stacks, in `settle::handle()`, which comes before `init()`:
    //    `redirect()` would take the old target for that of every task.
    host.write_barrier();

    let ask = |task: TaskOf<'_, H>| {
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
    let mut count = |task: TaskOf<'_, H>| {
        tally.tasks = tally.tasks.saturating_add(1);
        if tasks.state(task) != tasks.target() {
            tally.waiting = tally.waiting.saturating_add(1);
        }
    };
    host.for_each_task(&mut count);
    host.for_each_idle_task(|task, _| count(task));
    tally
}

/// Tries to switch the tasks that have not switched yet. If none is left, completes the transition;
/// otherwise arranges for another pass. Returns whether the transition is complete.
///
/// A scan first checks the stacks. That takes long, so tasks fork and exit meanwhile, and the scan
/// misses some. Then one short walk, during which no task forks or exits, counts the tasks that
/// have not switched. Every task is in that count, or in the target state for the rest of the
/// transition:
/// 1. no task goes back to the state that it has left;
/// 2. a task that is created later begins in the state of its parent, which was counted;
/// 3. a walk finds a task that exits until the task runs for the last time.
///
/// If the last of the remaining tasks switches itself, it asks for the other pass at once. Tasks
/// that do not switch themselves cannot ask. For these, passes come by themselves, often at first,
/// then less and less often.
pub(super) fn pass<H: Host>(host: &H, patch: H::Patch) -> bool {
    let tasks = host.tasks();
    host.expect(
        Expectation::TransitionToComplete,
        tasks.target() != TaskState::Idle,
    );

    let insistence = Insistence::of_pass(host);
    host.set_passes(host.passes().saturating_add(1));
    host.scan_tasks(|task| try_switch(host, task, insistence));

    // An offline CPU's idle task comes back to none of the functions on its stack, and no CPU comes
    // online meanwhile.
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

    // No task can be the last one while the tasks are being counted. A full barrier: orders the
    // load of the count before the loads of the tasks' states. Pairs with `switched_itself()`.
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
        // The remaining tasks have all switched since the walk has counted them.
        0
    } else {
        // Wait for as long as the transition has taken already, within limits.
        elapsed.clamp(SHORTEST_DELAY, LONGEST_DELAY)
    });
    false
}

/// Makes the target state the only state: no patch is in transition any more.
fn complete<H: Host>(host: &H, patch: H::Patch) {
    let tasks = host.tasks();
    let target = tasks.target();
    host.tell(Event::Completing(patch));

    // All tasks have switched, so none will look for functions on its stack.
    host.withdraw_index();

    if target == TaskState::Patched {
        if host.replaces(patch) {
            replace::unpatch_replaced(host, patch);
        }
    } else {
        // Every task uses the functions from before the patch, so the patch's funcs can go.
        let this = iter::once(patch);
        patch::unpatch_objects(host, this, Which::All, Circumstance::InTransition);

        // A handler that still sees a func of this patch must also see the func in transition.
        // Otherwise the handler would choose the func.
        host.reclaim();
    }

    change_funcs(host, patch, Change::End);

    if target == TaskState::Patched {
        // A handler that saw a func in transition has read the state of its task when this returns,
        // and the task becomes idle only after that. No handler sees a nop any more either. So the
        // nops can be released here, and callbacks find none of them in sysfs.
        host.reclaim();
        if host.replaces(patch) {
            host.release_nops(patch);
        }
    }

    let settle = |task: TaskOf<'_, H>| {
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

    // As in `reverse()`: the handlers of tasks in their last `__schedule()` must not see the new
    // target, because they take its opposite for the task's state.
    host.synchronize();
    host.set_target(TaskState::Unpatched);
    complete(host, patch);
}

/// Turns a transition round: tasks that have switched are asked to switch back.
pub(crate) fn reverse<H: Host>(host: &H, patch: H::Patch) {
    let tasks = host.tasks();
    host.tell(Event::Reversing(patch));

    // No task may switch to the old target from here on: neither a task that has yet to test its
    // flag, nor one that has tested it and is about to read the target. The wait also covers tasks
    // in their last `__schedule()`, whose state the handler takes for the opposite of the target.
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

    // The next pass that is arranged already may come as late as in a second.
    if !tasks.retries_each_second() {
        tasks.hurry();
    }
}

/// Forces the transition to end: every task is taken to be in the target state.
///
/// Tasks may be inside a function that changes, so the administrator is responsible for
/// consistency. The patches that the transition frees are marked as forced. Where stacks are not
/// reliable, the modules of such patches stay for ever: see [`super::text`].
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

/// Switches `task` if it has been asked to switch.
///
/// A task calls this for itself where it is in no function that could be patched: on the way out of
/// the kernel and in the idle loop. It has preemption disabled, so that
/// [`PatchHost::synchronize`](super::PatchHost::synchronize) waits for it. [`force`] calls this for
/// every task, be it running or not, with `klp_mutex` held.
pub(crate) fn update<T: TaskHost>(tasks: &T, task: T::Task<'_>, way: Way) {
    // A full barrier if the flag was set. It orders the load of the flag before the load of the
    // target, and before the loads in later handlers on this CPU: pairs with the write barrier in
    // `start()`.
    if tasks.test_and_clear_pending(task) {
        let target = tasks.target();
        tasks.set_state(task, target);
        tasks.report(task, Outcome::Switched(target, way));
        switched_itself(tasks);
    }
}

/// Counts a task that has switched itself out of the stragglers, and asks for a pass if it was the
/// last of them.
fn switched_itself<T: TaskHost>(tasks: &T) {
    // A full barrier: orders the store to the task's state before the count. Pairs with the first
    // `add_stragglers()` in `pass()`: a pass that sees this count sees the task's state, too.
    if tasks.add_stragglers(-1) <= 0 && !tasks.retries_each_second() {
        tasks.hurry();
    }
}

/// Lets the calling task switch, from `__schedule()`, if it has been asked to and its stack allows.
///
/// The caller has preemption disabled, so that [`synchronize`](super::PatchHost::synchronize) waits
/// for it. No other CPU checks this task's stack, because it runs.
pub(crate) fn sched_switch<T: TaskHost>(tasks: &T) {
    let task = tasks.current();
    if !tasks.pending(task) {
        return;
    }

    // Orders the load of the flag before the load of the target, and before the loads in the task's
    // later handlers: pairs with the write barrier in `start()`.
    tasks.read_barrier();

    // Only passes report that the task cannot switch. A kernel thread can go to sleep here many
    // times a second. If the thread prints to a console, each report gives it more to print, and
    // the console may never catch up.
    if switch_task(tasks, task, Way::Schedule).is_ok() {
        switched_itself(tasks);
    }
}

/// Gives `child`, which does not run yet, the state and the pending flag of its parent, the calling
/// task.
///
/// The caller holds `tasklist_lock`, which keeps out all walks over the task list, except for
/// scans: these take no lock. The parent cannot switch meanwhile: not itself, because it is here,
/// and not by a scan, because it is running and the caller has disabled preemption. The child's
/// flag was copied with the thread info a while ago, and the parent may have switched since.
///
/// A signal can still make the fork fail after this. The switch of a child that never runs is
/// traced then: there is no hook any later, and no walk finds the child.
pub(crate) fn fork<T: TaskHost>(tasks: &T, child: T::Task<'_>) {
    let parent = tasks.current();
    let (before, state) = (tasks.state(child), tasks.state(parent));
    tasks.set_pending(child, tasks.pending(parent));
    tasks.set_state(child, state);
    if state != before && state != TaskState::Idle && state == tasks.target() {
        tasks.report(child, Outcome::Switched(state, Way::Fork));
    }
}

/// Tries to switch `task` in a scan, and reports the reason if that fails.
fn try_switch<H: Host>(host: &H, task: TaskOf<'_, H>, insistence: Insistence) {
    let tasks = host.tasks();
    let mut result = switch_task(tasks, task, Way::StackCheck);
    if matches!(result, Err(Blocker::Running)) {
        match insistence {
            Insistence::None => {}
            Insistence::Kick => host.kick(task),
            Insistence::Preempt => {
                result = tasks
                    .in_place_of(task, |tasks, task| {
                        switch_task(tasks, task, Way::StackCheck)
                    })
                    .unwrap_or(result);
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
    task: T::Task<'_>,
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
fn switch<T: TaskHost>(tasks: &T, task: T::Task<'_>, way: Way) {
    let target = tasks.target();
    tasks.set_pending(task, false);
    if tasks.state(task) != target {
        tasks.set_state(task, target);
        tasks.report(task, Outcome::Switched(target, way));
    }
}

/// Wakes up the tasks that have not switched for a long time.
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
