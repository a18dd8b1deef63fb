// SPDX-License-Identifier: GPL-2.0-or-later

//! The events that a tracer receives.

#[kernel::macros::kunit_tests(rust_livepatch_trace)]
mod tests {
    use crate::{
        model::{
            enable::{
                self,
                try_complete, //
            },
            transition::{
                fork,
                sched_switch,
                update, //
            },
            Event,
            PatchHost,
            Tally,
            Way, //
        },
        tests::machine::{
            asleep_in,
            original,
            replacement,
            Function,
            Machine,
            Patch,
            Place,
            Task,
            CPUS,
            ELSEWHERE,
            VMLINUX, //
        }, //
    };

    const PATCH: Patch = Patch(0);
    const NEXT: Patch = Patch(1);
    const FUNCTION: Function = Function(1);
    const TASK: Task = Task::Thread(1);
    const WORKER: Task = Task::Thread(0);
    const THREADS: usize = 3;

    /// All tasks of the machine, and that many of them that are waited for.
    fn tally(waiting: usize) -> Tally {
        Tally {
            waiting: waiting as u32,
            tasks: (THREADS + CPUS) as u32,
        }
    }

    fn all() -> Tally {
        tally(THREADS + CPUS)
    }

    /// `PATCH` is being enabled. All have switched but `TASK`, which is in the function.
    fn patching() -> Machine {
        let machine = Machine::new(THREADS);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION])]);
        machine.put(TASK, asleep_in(original(FUNCTION)));
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(machine.transition_patch(), Some(PATCH));
        machine
    }

    #[test]
    fn patching_is_traced() {
        let machine = patching();
        assert!(machine.was_traced(&[
            (Event::Enabled(PATCH), None),
            (Event::Starting(PATCH), Some(all())),
        ]));
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, PATCH);
        assert!(machine.was_traced(&[(Event::Switched(PATCH), Some(tally(0)))]));
    }

    #[test]
    fn unpatching_is_traced() {
        let machine = patching();
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, PATCH);
        let _ = machine.was_traced(&[]);
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert!(machine.was_traced(&[
            (Event::Disabled(PATCH), None),
            (Event::Starting(PATCH), Some(all())),
            (Event::Switched(PATCH), Some(tally(0))),
        ]));
    }

    #[test]
    fn reversal_is_traced() {
        let machine = patching();
        let _ = machine.was_traced(&[]);
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert!(machine.was_traced(&[
            (Event::Reversing(PATCH), Some(tally(1))),
            (Event::Disabled(PATCH), None),
            // The other tasks have to switch back.
            (Event::Starting(PATCH), Some(tally(THREADS + CPUS - 1))),
        ]));

        // The transition turns round once more, and all tasks are still where they were.
        assert!(enable::set_enabled(&machine, PATCH, true).is_ok());
        assert!(machine.was_traced(&[
            (Event::Reversing(PATCH), Some(tally(THREADS + CPUS - 1))),
            (Event::Enabled(PATCH), None),
            (Event::Starting(PATCH), Some(tally(1))),
        ]));
    }

    #[test]
    fn force_is_traced() {
        let machine = patching();
        let _ = machine.was_traced(&[]);
        assert!(enable::force(&machine, PATCH).is_ok());
        assert!(machine.was_traced(&[(Event::Forcing(PATCH), Some(tally(1)))]));
        assert_eq!(machine.way_of(TASK), Some(Way::Forced));
        assert_eq!(machine.way_of(WORKER), Some(Way::StackCheck));
        assert!(machine.is_sane());
    }

    #[test]
    fn replacement_is_traced() {
        let machine = patching();
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, PATCH);
        let _ = machine.was_traced(&[]);
        machine.describe(NEXT, true, &[(VMLINUX, &[FUNCTION])]);
        assert!(enable::enable(&machine, NEXT).is_ok());
        assert!(machine.was_traced(&[
            (Event::Enabled(NEXT), None),
            (Event::Starting(NEXT), Some(all())),
            (Event::Switched(NEXT), Some(tally(0))),
            (
                Event::Replaced {
                    patch: PATCH,
                    by: NEXT
                },
                None
            ),
        ]));
    }

    #[test]
    fn what_is_refused_is_not_traced() {
        let machine = Machine::new(THREADS);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION])]);
        machine.unwilling.set(Some(VMLINUX));
        assert!(enable::enable(&machine, PATCH).is_err());
        assert!(machine.was_traced(&[]));
        assert_eq!(machine.way_of(TASK), None);
        assert!(machine.is_sane());
    }

    #[test]
    fn stack_check() {
        let machine = patching();
        assert_eq!(machine.way_of(TASK), None);
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, PATCH);
        assert_eq!(machine.way_of(TASK), Some(Way::StackCheck));
        assert_eq!(machine.way_of(Task::Idle(1)), Some(Way::StackCheck));
        assert!(machine.is_sane());
    }

    #[test]
    fn schedule() {
        let machine = patching();
        machine.set_current(TASK);
        sched_switch(&machine);
        assert_eq!(machine.way_of(TASK), None);
        machine.put(TASK, ELSEWHERE);
        sched_switch(&machine);
        assert_eq!(machine.way_of(TASK), Some(Way::Schedule));
        assert!(machine.is_sane());
    }

    #[test]
    fn blocked_task_is_reported_once_in_each_pass() {
        let machine = patching();
        for pass in 1..=3 {
            assert_eq!(machine.reports.get(), pass);
            // A kernel thread can go to sleep in the function many times before the next pass.
            machine.set_current(TASK);
            for _ in 0..10 {
                sched_switch(&machine);
            }
            machine.set_current(WORKER);
            assert_eq!(machine.reports.get(), pass);
            try_complete(&machine, PATCH);
        }
        machine.put(TASK, ELSEWHERE);
        machine.reports.set(0);
        try_complete(&machine, PATCH);
        assert_eq!(machine.transition_patch(), None);
        assert_eq!(machine.reports.get(), 0);
    }

    #[test]
    fn kernel_exit() {
        let machine = patching();
        update(&machine, TASK, Way::KernelExit);
        assert_eq!(machine.way_of(TASK), Some(Way::KernelExit));
        // This task has switched before, and its switch is not traced again.
        update(&machine, WORKER, Way::KernelExit);
        assert_eq!(machine.way_of(WORKER), Some(Way::StackCheck));
        assert!(machine.is_sane());
    }

    #[test]
    fn offline() {
        let machine = Machine::new(THREADS);
        machine.put(Task::Idle(1), Place::Unreliable);
        machine.set_online(1, false);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION])]);
        machine.put(TASK, asleep_in(original(FUNCTION)));
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(machine.way_of(Task::Idle(1)), Some(Way::Offline));
        assert_eq!(machine.way_of(Task::Idle(0)), Some(Way::StackCheck));
        // Another pass, which looks at the others, does not trace it again.
        try_complete(&machine, PATCH);
        assert!(machine.is_sane());
    }

    /// A child of `parent` that was copied while `PATCH` was settled.
    fn copied_before(parent: Task) -> (Machine, Task) {
        let machine = patching();
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, PATCH);
        let child = machine.copy_thread(parent);
        machine.task_is_new(child);
        machine.put(TASK, asleep_in(replacement(PATCH, FUNCTION)));
        machine.set_listed(child, false);
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        machine.set_current(parent);
        fork(&machine, child);
        machine.set_listed(child, true);
        (machine, child)
    }

    #[test]
    fn fork_of_a_parent_that_has_switched_since() {
        let (machine, child) = copied_before(WORKER);
        assert_eq!(machine.way_of(child), Some(Way::Fork));
        assert!(machine.is_sane());
    }

    #[test]
    fn fork_of_a_parent_that_was_asked_since() {
        let (machine, child) = copied_before(TASK);
        assert_eq!(machine.way_of(child), None);
        assert!(machine.is_sane());
    }

    #[test]
    fn fork_of_a_parent_that_had_switched() {
        let machine = patching();
        let child = machine.copy_thread(WORKER);
        machine.task_is_new(child);
        machine.set_current(WORKER);
        fork(&machine, child);
        assert_eq!(machine.way_of(child), None);
        assert!(machine.is_sane());
    }

    #[test]
    fn fork_over_the_end_of_a_transition() {
        let machine = patching();
        let child = machine.copy_thread(TASK);
        machine.task_is_new(child);
        machine.set_listed(child, false);
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, PATCH);
        assert_eq!(machine.transition_patch(), None);
        machine.set_current(TASK);
        fork(&machine, child);
        machine.set_listed(child, true);
        assert_eq!(machine.way_of(child), None);
        assert!(machine.is_sane());
    }

    #[test]
    fn task_that_switches_itself_while_it_is_looked_at() {
        let machine = patching();
        machine.put(TASK, ELSEWHERE);
        machine.leaving.set(Some(TASK));
        // The pass finds the task asleep and switches it. When the task leaves the kernel
        // afterwards, it does not switch again.
        try_complete(&machine, PATCH);
        assert_eq!(machine.way_of(TASK), Some(Way::StackCheck));
        assert!(machine.is_sane());
    }
}
