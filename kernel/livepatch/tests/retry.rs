// SPDX-License-Identifier: GPL-2.0-or-later

//! When the tasks that have not switched are looked at again, and when they are signaled.

#[kernel::macros::kunit_tests(rust_livepatch_retry)]
mod tests {
    use crate::{
        model::{
            enable::{
                self,
                try_complete, //
            },
            transition::{
                self,
                sched_switch,
                update, //
            },
            Event,
            PatchHost,
            TaskState,
            Way, //
        },
        tests::machine::{
            asleep_in,
            original,
            Entry,
            Function,
            Machine,
            Patch,
            Place,
            Task,
            ELSEWHERE,
            VMLINUX, //
        }, //
    };

    const PATCH: Patch = Patch(0);
    const FUNCTION: Function = Function(1);
    const TASKS: usize = 4;
    const LAST: Task = Task::Thread(TASKS - 1);

    /// `PATCH` is being enabled, and waits for that many tasks, the last ones.
    fn patching(waiting: usize) -> Machine {
        let machine = Machine::new(TASKS);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION])]);
        for number in TASKS - waiting..TASKS {
            machine.put(Task::Thread(number), asleep_in(original(FUNCTION)));
        }
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(machine.transition_patch(), Some(PATCH));
        let _ = machine.log();
        machine
    }

    #[test]
    fn signals_after_15_seconds_and_every_15_after() {
        for each_second in [false, true] {
            let machine = patching(1);
            machine.each_second.set(each_second);
            while machine.elapsed.get() < 60_000 {
                assert!(machine.try_again(PATCH));
                assert_eq!(machine.nudges_of(LAST), machine.elapsed.get() / 15_000);
            }
            assert_eq!(machine.nudges_of(Task::Thread(0)), 0);
            // The message comes once.
            assert!(machine.happened(&[Entry::Told(Event::Signaling)]));
        }
    }

    #[test]
    fn retries_come_less_and_less_often() {
        let machine = patching(1);
        let mut passes = 0;
        while machine.elapsed.get() < 1_280 {
            assert_eq!(machine.retry.get(), Some(machine.elapsed.get().max(10)));
            assert!(machine.try_again(PATCH));
            passes += 1;
        }
        assert_eq!(passes, 8);
        for _ in 0..3 {
            assert_eq!(machine.retry.get(), Some(1_000));
            assert!(machine.try_again(PATCH));
        }
    }

    #[test]
    fn retries_come_each_second_where_that_is_wanted() {
        let machine = patching(1);
        machine.each_second.set(true);
        for _ in 0..20 {
            assert!(machine.try_again(PATCH));
            assert_eq!(machine.retry.get(), Some(1_000));
        }
        // There is no other pass when the last task switches itself, either.
        update(&machine, LAST, Way::KernelExit);
        assert!(!machine.hurried.get());
    }

    /// A task runs, and does not leave the kernel or sleep.
    fn patching_with_one_running() -> Machine {
        let machine = Machine::new(TASKS);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION])]);
        machine.put(LAST, Place::Running);
        assert!(enable::enable(&machine, PATCH).is_ok());
        machine
    }

    #[test]
    fn task_that_runs_is_disturbed_when_it_has_had_its_time() {
        let machine = patching_with_one_running();
        assert_eq!(machine.kicks_of(LAST), 0);
        assert!(machine.try_again(PATCH));
        assert_eq!(machine.kicks_of(LAST), 1);
        assert_eq!(machine.transition_patch(), Some(PATCH));
        assert!(machine.try_again(PATCH));
        assert_eq!(machine.kicks_of(LAST), 1);
        assert!(machine.transition_patch().is_none());
        assert_eq!(machine.elapsed.get(), 20);
    }

    #[test]
    fn task_that_was_kicked_ends_it() {
        let machine = patching_with_one_running();
        assert!(machine.try_again(PATCH));
        update(&machine, LAST, Way::KernelExit);
        assert!(machine.hurried.get());
        try_complete(&machine, PATCH);
        assert!(machine.transition_patch().is_none());
    }

    #[test]
    fn task_is_not_disturbed_where_that_is_not_wanted() {
        for each_second in [false, true] {
            let machine = patching_with_one_running();
            machine.each_second.set(each_second);
            machine.undisturbed.set(true);
            for _ in 0..10 {
                assert!(machine.try_again(PATCH));
                assert_eq!(machine.transition_patch(), Some(PATCH));
            }
            assert!(!each_second || machine.kicks_of(LAST) == 0);
            machine.put(LAST, ELSEWHERE);
            assert!(machine.try_again(PATCH));
            assert!(machine.transition_patch().is_none());
        }
    }

    #[test]
    fn others_are_not_disturbed() {
        let machine = patching(1);
        while machine.elapsed.get() < 1_000 {
            assert!(machine.try_again(PATCH));
        }
        for number in 0..TASKS {
            assert_eq!(machine.kicks_of(Task::Thread(number)), 0);
        }
    }

    #[test]
    fn task_that_runs_in_a_function_that_changes_is_waited_for() {
        let machine = patching_with_one_running();
        let inside = original(FUNCTION).start;
        machine.put(LAST, Place::RunningIn(inside, inside));
        for _ in 0..5 {
            assert!(machine.try_again(PATCH));
            assert_eq!(machine.transition_patch(), Some(PATCH));
        }
        machine.put(LAST, Place::Running);
        assert!(machine.try_again(PATCH));
        assert!(machine.transition_patch().is_none());
    }

    #[test]
    fn reversal_gives_tasks_their_time_again() {
        let machine = patching_with_one_running();
        assert!(machine.try_again(PATCH));
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        update(&machine, Task::Thread(0), Way::KernelExit);
        try_complete(&machine, PATCH);
        assert_eq!(machine.kicks_of(LAST), 1);
    }

    #[test]
    fn last_straggler_that_switches_itself_asks_for_a_pass() {
        let machine = patching(2);
        update(&machine, Task::Thread(TASKS - 2), Way::KernelExit);
        assert!(!machine.hurried.get());
        update(&machine, LAST, Way::KernelExit);
        assert!(machine.hurried.get());
        try_complete(&machine, PATCH);
        assert!(machine.transition_patch().is_none());
    }

    #[test]
    fn before_they_are_counted_nobody_is_the_last() {
        let machine = Machine::new(TASKS);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION])]);
        transition::init(&machine, PATCH, TaskState::Patched);
        transition::start(&machine, PATCH);
        for number in 0..TASKS {
            update(&machine, Task::Thread(number), Way::KernelExit);
        }
        assert!(!machine.hurried.get());
    }

    #[test]
    fn reversal_asks_for_a_pass() {
        for each_second in [false, true] {
            let machine = patching(1);
            machine.each_second.set(each_second);
            assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
            assert_eq!(machine.hurried.get(), !each_second);
            machine.hurried.set(false);
            // Tasks that switch back meanwhile do not ask for a pass.
            update(&machine, Task::Thread(0), Way::KernelExit);
            update(&machine, Task::Thread(1), Way::KernelExit);
            assert!(!machine.hurried.get());
        }
    }

    #[test]
    fn straggler_that_switches_in_schedule_asks_for_a_pass() {
        let machine = patching(1);
        machine.set_current(LAST);
        // It does not ask for a pass as long as it has not switched.
        sched_switch(&machine);
        assert!(!machine.hurried.get());
        machine.put(LAST, ELSEWHERE);
        sched_switch(&machine);
        assert!(machine.hurried.get());
    }

    #[test]
    fn straggler_that_is_found_to_have_switched_is_not_waited_for() {
        let machine = patching(1);
        machine.leaving.set(Some(LAST));
        assert!(machine.try_again(PATCH));
        // The task does not ask for a pass itself while the tasks are being counted.
        assert!(!machine.hurried.get());
        assert_eq!(machine.retry.get(), Some(0));
        assert!(machine.try_again(PATCH));
        assert!(machine.transition_patch().is_none());
    }

    #[test]
    fn forced_transition_is_not_waited_for() {
        for each_second in [false, true] {
            let machine = patching(1);
            machine.each_second.set(each_second);
            assert!(enable::force(&machine, PATCH).is_ok());
            assert_eq!(machine.hurried.get(), !each_second);
        }
    }

    #[test]
    fn forced_transition_is_not_waited_for_if_a_straggler_is_gone() {
        let machine = patching(2);
        // The task ends without having switched, and counts as a straggler until the next pass.
        machine.set_listed(LAST, false);
        assert!(enable::force(&machine, PATCH).is_ok());
        assert!(machine.stragglers.get() > 0);
        assert!(machine.hurried.get());
        assert!(machine.try_again(PATCH));
        assert!(machine.transition_patch().is_none());
    }

    #[test]
    fn signaled_task_that_switches_ends_it() {
        let machine = patching(1);
        while machine.nudges_of(LAST) == 0 {
            assert!(machine.try_again(PATCH));
        }
        // The signal takes it to user space.
        update(&machine, LAST, Way::KernelExit);
        assert!(machine.try_again(PATCH));
        assert!(machine.transition_patch().is_none());
    }
}
