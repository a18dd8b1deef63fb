// SPDX-License-Identifier: GPL-2.0-or-later

//! When the code of a livepatch can go.
//!
//! The transition that takes a patch's funcs off the func stacks waits until no task is inside
//! them. That is not the whole of the livepatch's code. A new function can end in a jump to another
//! one, a sibling call, and then a task is in the other and its stack does not show the first. A
//! task can also be in a function of the kernel then, which calls back or uses the livepatch's
//! data. A task can be on its way into a new function, in a handler or a trampoline of ftrace. A
//! transition can be forced. So the livepatch's module stays, the patch *departs*, until
//!
//! 1. every task that was ready to run when the patch began to depart has gone to sleep or to user
//!    space since then. This is for tasks that are on their way into a new function, or that were
//!    preempted where their stack does not show it, whether the task list still has them or not;
//! 2. every task has been seen outside of the livepatch's text, when it was still or in user space.
//!    This is for tasks that sleep there.
//!
//! Both begin when the funcs are off the stacks, so that no task gets there by a call, and a task
//! that was outside once stays outside. The order matters: in the first step a task may go to
//! sleep in the text, where the second step finds it. A kernel thread that was created to run a new
//! function is inside until it ends: its stack does not show that before the function begins.
//!
//! Interrupts need neither. They do not sleep in a function, and a patch begins to depart after
//! [`PatchHost::reclaim`], which waits for them. It also waits for idle tasks that are on their way
//! into a new function, because these cannot be preempted. But an idle task is off its CPU in the
//! middle of its loop, and a livepatch can replace the functions of that. So they need the second
//! step. An offline CPU's idle task does not come back: it begins anew when the CPU comes online.
//!
//! [`PatchHost::reclaim`]: super::PatchHost::reclaim

use super::{
    Blocker,
    TaskHost,
    TextHost, //
};

/// Lets go of the modules of departing patches in which no task is found any more. Sleeps.
///
/// Returns whether some are left. The caller tries again later for these.
pub(crate) fn let_go<H: TextHost>(host: &H) -> bool {
    // A patch that begins to depart during the wait needs a wait of its own. It is not in this
    // count.
    let count = host.count_departing();
    host.wait_for_runnable_tasks();

    let reliable = host.tasks().have_reliable_stack();
    let mut left = false;
    for _ in 0..count {
        let Some(patch) = host.first_departing() else {
            break;
        };
        // Without reliable stacks a look proves nothing, now or later. The transition has waited
        // for the patch's funcs, unless it was forced: then the module stays for ever.
        if !reliable {
            host.remove_departing(patch);
            if !host.forced(patch) {
                host.put_module(patch);
            }
            continue;
        }
        match look_for(host, patch) {
            Occupancy::Deserted => {
                // Another patch can come to have the address of this one.
                host.end_look();
                host.remove_departing(patch);
                host.put_module(patch);
            }
            Occupancy::Inhabited => {
                host.remove_departing(patch);
                host.add_departing(patch);
                left = true;
            }
            // A look for another patch would forget which tasks were seen outside of this one. The
            // tasks that were not seen would hold up the other as well. So this one stays first.
            Occupancy::Unknown => return true,
        }
    }
    left
}

/// Whether tasks are in a livepatch's text.
enum Occupancy {
    /// Every task was seen outside.
    Deserted,
    /// A task was found inside.
    Inhabited,
    /// No task was found inside, and some were not seen.
    Unknown,
}

/// Looks for tasks in a patch's text.
fn look_for<H: TextHost>(host: &H, patch: H::Patch) -> Occupancy {
    // A task that was outside once stays outside. So the look for one patch goes on where the last
    // one ended: of tasks that run most of the time on CPUs that must not be disturbed, each is
    // found asleep or in user space once, and not all in one look.
    if !host.is_sought(patch) {
        host.begin_look(patch);
    }
    let mut inside = false;
    let mut look = |task: <H::Tasks as TaskHost>::Task<'_>| {
        if inside || host.seen_outside(task) {
            return;
        }
        let whereabouts = match look_at(host, patch, task) {
            // The task runs, so look at it while something else has its CPU.
            Whereabouts::Unknown => host.in_place_of(patch, task, look_at),
            known => Some(known),
        };
        match whereabouts {
            Some(Whereabouts::Outside) => host.set_seen_outside(task),
            Some(Whereabouts::Inside) => inside = true,
            Some(Whereabouts::Unknown) | None => {}
        }
    };
    host.scan_tasks(&mut look);
    host.for_each_idle_task(&mut look);
    if inside {
        return Occupancy::Inhabited;
    }

    // The scan may have missed a task that was created meanwhile, unless the parent was seen
    // outside. It may also have missed a task that has changed its CPU. The parent of a kernel
    // thread is not the task that asked for the thread. The asking task waits in the text until the
    // thread has its function. So the function shows that such a thread is inside.
    let mut unseen = false;
    host.for_each_task(|task| {
        unseen |= !host.seen_outside(task);
        inside |= host.is_made_for(patch, task);
    });
    host.for_each_idle_task(|task| unseen |= !host.seen_outside(task));
    if inside {
        Occupancy::Inhabited
    } else if unseen {
        Occupancy::Unknown
    } else {
        Occupancy::Deserted
    }
}

/// Where a task is, with respect to a livepatch's text.
enum Whereabouts {
    /// It is not in there, and nothing on its stack leads there.
    Outside,
    /// It is in there, or can come back.
    Inside,
    /// It runs, and is not known to be in user space.
    Unknown,
}

fn look_at<H: TextHost>(
    host: &H,
    patch: H::Patch,
    task: <H::Tasks as TaskHost>::Task<'_>,
) -> Whereabouts {
    let tasks = host.tasks();
    let mut inside = false;
    let looked = tasks.with_task_still(task, || {
        inside = if tasks.runs_elsewhere(task) {
            host.returns_from_user_space(patch, task)
                .ok_or(Blocker::Running)?
        } else {
            host.is_in_text(patch, task)
        };
        Ok(())
    });
    match looked {
        Ok(()) if inside => Whereabouts::Inside,
        Ok(()) => Whereabouts::Outside,
        Err(_) => Whereabouts::Unknown,
    }
}
