// SPDX-License-Identifier: GPL-2.0-or-later

//! How the tasks of a running system move from one set of functions to the other.
//!
//! A transition has a target state. [`init`] gives every task the opposite state, then lets every
//! func of the patch begin; [`start`] asks every task to switch. A task switches when its stack
//! holds no function that changes, checked while it is still ([`switch_task`]), or where it is in
//! no function at all: leaving the kernel and in the idle loop ([`update`]).
//! [`try_complete`] walks over all tasks until none is left, then [`complete`] makes the new state
//! the only one. A transition can turn round at any time before that ([`reverse`]), be given up
//! before it started ([`cancel`]), or be ended without regard to what the tasks do ([`force`]).
//!
//! The functions that a task runs on itself are [`update`], [`sched_switch`] and [`fork`];
//! they hold no `klp_mutex`. All others do.

use super::{
    Blocker,
    Event,
    Host,
    Outcome,
    TaskHost,
    TaskState, //
};

/// Passes after which the remaining tasks are woken, and again after as many more. A pass is made
/// each second.
const SIGNALS_TIMEOUT: u32 = 15;

/// Prepares a transition to `target`: every task is in the opposite state, every func begins.
///
/// Nothing has changed for any task yet. To be followed by pushing or keeping the funcs, and by
/// [`start`] or [`cancel`].
pub(crate) fn init<H: Host>(host: &H, target: TaskState) {
    let tasks = host.tasks();
    host.expect(tasks.target() == TaskState::Idle);

    // Without effect until tasks are asked to switch.
    host.set_target(target);
    host.say(Event::Initializing);

    let prepare = |task| {
        host.expect(tasks.state(task) == TaskState::Idle);
        tasks.set_state(task, target.opposite());
    };
    host.for_each_task(prepare);
    host.for_each_idle_task(|task, _| prepare(task));

    // Orders the stores to the tasks' states before those to the funcs' `transition`: pairs with
    // the second read barrier in `redirect()`, which must not find a task idle.
    host.write_barrier();

    // When patching, the handler does not see the funcs yet; when unpatching it does, and from now
    // on looks at the tasks, which all say what the handler did before.
    host.begin_funcs();
}

/// Asks every task that is not in the target state to switch to it.
pub(crate) fn start<H: Host>(host: &H) {
    let tasks = host.tasks();
    host.expect(tasks.target() != TaskState::Idle);
    host.say(Event::Starting);

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
    host.set_attempts(0);
}

/// Tries to switch the tasks that have not yet; completes the transition if none is left, or
/// arranges for another try.
pub(crate) fn try_complete<H: Host>(host: &H) {
    let tasks = host.tasks();
    host.expect(tasks.target() != TaskState::Idle);

    let mut done = true;
    host.for_each_task(|task| done &= try_switch(tasks, task));

    // An offline CPU's idle task runs nothing, and no CPU comes online meanwhile.
    host.with_cpus_fixed(|| {
        host.for_each_idle_task(|task, online| {
            if online {
                if !try_switch(tasks, task) {
                    done = false;
                    host.wake_idle(task);
                }
            } else if tasks.state(task) != tasks.target() {
                switch(tasks, task);
            }
        });
    });

    if done {
        host.set_sched_switching(false);
        complete(host, Outcome::Completed);
        return;
    }

    let attempts = host.attempts();
    if attempts != 0 && attempts % SIGNALS_TIMEOUT == 0 {
        wake_stragglers(host);
    }
    host.set_attempts(attempts.wrapping_add(1));
    host.retry_later();
}

/// Makes the target state the only one.
fn complete<H: Host>(host: &H, outcome: Outcome) {
    let tasks = host.tasks();
    let target = tasks.target();
    host.say(Event::Completing);

    if target == TaskState::Patched {
        if host.replaces() {
            host.unpatch_replaced();
        }
    } else {
        // Every task uses the functions from before, so the new ones can go.
        host.unpatch();

        // A handler that still sees a func of this patch must also see it in transition, or it
        // would choose it.
        host.synchronize();
    }

    host.end_funcs();

    if target == TaskState::Patched {
        // A handler that saw a func in transition has looked at its task before that becomes idle.
        host.synchronize();
    }

    let settle = |task| {
        host.expect(!tasks.pending(task));
        tasks.set_state(task, TaskState::Idle);
    };
    host.for_each_task(settle);
    host.for_each_idle_task(|task, _| settle(task));

    host.post_callbacks(target);
    host.say(Event::Complete);
    host.set_target(TaskState::Idle);
    host.finish(outcome);
}

/// Gives up a transition between [`init`] and [`start`]: no task has switched.
pub(crate) fn cancel<H: Host>(host: &H) {
    let tasks = host.tasks();
    if tasks.target() != TaskState::Patched {
        host.expect(false);
        return;
    }
    host.say(Event::Canceling);
    host.set_target(TaskState::Unpatched);
    complete(host, Outcome::Canceled);
}

/// Turns a transition round: tasks that have switched are asked to switch back.
pub(crate) fn reverse<H: Host>(host: &H) {
    let tasks = host.tasks();
    host.say(Event::Reversing);

    // Nobody may switch to the old target from here on: neither those who have yet to look at
    // their flag, nor those who have already and are about to read the target.
    host.for_each_task(|task| tasks.set_pending(task, false));
    host.for_each_idle_task(|task, _| tasks.set_pending(task, false));
    host.synchronize();

    host.set_enabled(!host.enabled());
    host.set_target(tasks.target().opposite());

    start(host);
}

/// Ends the transition by decree: every task is taken to be in the target state.
///
/// Tasks may be inside a function that changes, so consistency is the administrator's business;
/// the patches that would be freed stay for ever.
pub(crate) fn force<H: Host>(host: &H) {
    let tasks = host.tasks();
    host.say(Event::Forcing);
    host.for_each_task(|task| update(tasks, task));
    host.for_each_idle_task(|task, _| update(tasks, task));
    host.mark_forced(tasks.target());
}

/// Switches `task`, which is the caller's own or does not run, if it has been asked to.
///
/// Called where a task is in no function that could be patched: on the way out of the kernel and
/// in the idle loop. The caller has preemption disabled, so that [`Host::synchronize`] waits for
/// it.
pub(crate) fn update<T: TaskHost>(tasks: &T, task: T::Task) {
    // The test-and-clear is a full barrier if the flag was set. It orders the load of the flag
    // before the load of the target, and before the loads of func stacks and funcs' `transition` in
    // handlers that the task runs later: pairs with the write barrier in `start()`.
    if tasks.test_and_clear_pending(task) {
        tasks.set_state(task, tasks.target());
    }
}

/// Lets the calling task switch, from `__schedule()`, if it has been asked to and its stack allows.
///
/// The caller has preemption disabled: [`Host::synchronize`] waits for it, and no other CPU checks
/// this task's stack, because it runs.
pub(crate) fn sched_switch<T: TaskHost>(tasks: &T) {
    let task = tasks.current();
    if !tasks.pending(task) {
        return;
    }

    // Orders the load of the flag before the load of the target, and before the loads of func
    // stacks and funcs' `transition` in handlers that the task runs later: pairs with the write
    // barrier in `start()`.
    tasks.read_barrier();

    try_switch(tasks, task);
}

/// A task forks: `child`, which does not run yet, starts where its parent `current` is.
///
/// Serialised with the walks over the task list by the caller's `tasklist_lock`; `current` cannot
/// switch itself meanwhile, being here. The flag was copied with the thread info a while ago, and
/// the parent may have switched since.
pub(crate) fn fork<T: TaskHost>(tasks: &T, child: T::Task) {
    let parent = tasks.current();
    tasks.set_pending(child, tasks.pending(parent));
    tasks.set_state(child, tasks.state(parent));
}

/// Tries to switch `task` and tells the log why not.
fn try_switch<T: TaskHost>(tasks: &T, task: T::Task) -> bool {
    match switch_task(tasks, task) {
        Ok(()) => true,
        Err(why) => {
            tasks.report_blocker(task, why);
            false
        }
    }
}

/// Switches `task` to the target state if its stack, looked at while it is still, allows.
pub(crate) fn switch_task<T: TaskHost>(tasks: &T, task: T::Task) -> Result<(), Blocker<T::Name>> {
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
        switch(tasks, task);
        Ok(())
    })
}

/// Switches a task that is known to be still.
fn switch<T: TaskHost>(tasks: &T, task: T::Task) {
    tasks.set_pending(task, false);
    tasks.set_state(task, tasks.target());
}

/// Wakes the tasks that have not switched after all this time.
///
/// A task may switch between the look at its flag and the wake-up; it is then woken for nothing.
fn wake_stragglers<H: Host>(host: &H) {
    let tasks = host.tasks();
    if host.attempts() == SIGNALS_TIMEOUT {
        host.say(Event::Signaling);
    }
    host.for_each_task(|task| {
        if tasks.pending(task) {
            host.nudge(task);
        }
    });
}
