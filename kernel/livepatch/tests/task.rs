// SPDX-License-Identifier: GPL-2.0-or-later

//! How one task switches, and why it does not.

#[kernel::macros::kunit_tests(rust_livepatch_task)]
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
                switch_task,
                update, //
            },
            Blocker,
            PatchHost,
            TaskState::{
                self,
                Idle,
                Patched,
                Unpatched, //
            },
            Way, //
        },
        tests::machine::{
            asleep_in,
            asleep_in_call,
            original,
            replacement,
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
    const NEXT: Patch = Patch(1);
    const FUNCTION: Function = Function(1);
    const OTHER: Function = Function(2);
    const TASK: Task = Task::Thread(1);
    const WORKER: Task = Task::Thread(0);
    const ENDED: Task = Task::Thread(2);

    /// A machine on which `patch` is in transition and `TASK`, being in `place`, has not switched.
    fn held_up(patch: Patch, place: Place, machine: Machine) -> Machine {
        machine.describe(patch, false, &[(VMLINUX, &[FUNCTION])]);
        machine.put(TASK, place);
        assert!(enable::enable(&machine, patch).is_ok());
        assert_eq!(machine.state_of(TASK), Unpatched);
        assert!(machine.is_pending(TASK));
        machine
    }

    /// `PATCH` is being enabled, and `TASK` is in the function that it changes.
    fn patching() -> Machine {
        held_up(PATCH, asleep_in(original(FUNCTION)), Machine::new(3))
    }

    /// `PATCH` is enabled and settled.
    fn settled() -> Machine {
        let machine = Machine::new(3);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION])]);
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert!(machine.is_sane());
        machine
    }

    /// `PATCH` is being disabled, and `TASK` is in its function.
    fn unpatching() -> Machine {
        let machine = settled();
        machine.put(TASK, asleep_in(replacement(PATCH, FUNCTION)));
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert_eq!(machine.state_of(TASK), Patched);
        machine
    }

    fn has_switched(machine: &Machine, task: Task, to: TaskState) -> bool {
        machine.state_of(task) == to && !machine.is_pending(task)
    }

    #[test]
    fn states_are_what_patch_state_shows() {
        for (raw, state) in [(-1, Idle), (0, Unpatched), (1, Patched)] {
            assert_eq!(TaskState::from_raw(raw), state);
            assert_eq!(state as i32, raw);
        }
    }

    #[test]
    fn stack_check_patches() {
        let machine = patching();
        machine.put(TASK, ELSEWHERE);
        assert_eq!(switch_task(&machine, TASK, Way::StackCheck), Ok(()));
        assert!(has_switched(&machine, TASK, Patched));
        assert_eq!(machine.reaches(TASK, FUNCTION), Some(PATCH));
    }

    #[test]
    fn stack_check_unpatches() {
        let machine = unpatching();
        machine.put(TASK, ELSEWHERE);
        assert_eq!(switch_task(&machine, TASK, Way::StackCheck), Ok(()));
        assert!(has_switched(&machine, TASK, Unpatched));
        assert_eq!(machine.reaches(TASK, FUNCTION), None);
    }

    #[test]
    fn kernel_exit_patches() {
        let machine = patching();
        update(&machine, TASK, Way::KernelExit);
        assert!(has_switched(&machine, TASK, Patched));
        assert!(machine.is_sane());
    }

    #[test]
    fn kernel_exit_unpatches() {
        let machine = unpatching();
        update(&machine, TASK, Way::KernelExit);
        assert!(has_switched(&machine, TASK, Unpatched));
        assert!(machine.is_sane());
    }

    #[test]
    fn kernel_exit_changes_nothing_once_switched() {
        let machine = patching();
        update(&machine, TASK, Way::KernelExit);
        update(&machine, TASK, Way::KernelExit);
        assert!(has_switched(&machine, TASK, Patched));
    }

    #[test]
    fn kernel_exit_changes_nothing_without_transition() {
        let machine = settled();
        update(&machine, TASK, Way::KernelExit);
        assert!(has_switched(&machine, TASK, Idle));
    }

    #[test]
    fn idle_loop_patches() {
        let machine = Machine::new(3);
        machine.put(Task::Idle(1), Place::Running);
        let machine = held_up(PATCH, asleep_in(original(FUNCTION)), machine);
        assert_eq!(machine.state_of(Task::Idle(1)), Unpatched);
        update(&machine, Task::Idle(1), Way::IdleLoop);
        assert!(has_switched(&machine, Task::Idle(1), Patched));
    }

    #[test]
    fn idle_loop_unpatches() {
        let machine = settled();
        machine.put(Task::Idle(1), Place::Running);
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert_eq!(machine.state_of(Task::Idle(1)), Patched);
        update(&machine, Task::Idle(1), Way::IdleLoop);
        assert!(has_switched(&machine, Task::Idle(1), Unpatched));
    }

    #[test]
    fn schedule_patches() {
        let machine = patching();
        machine.put(TASK, ELSEWHERE);
        machine.set_current(TASK);
        sched_switch(&machine);
        assert!(has_switched(&machine, TASK, Patched));
    }

    #[test]
    fn schedule_unpatches() {
        let machine = unpatching();
        machine.put(TASK, ELSEWHERE);
        machine.set_current(TASK);
        sched_switch(&machine);
        assert!(has_switched(&machine, TASK, Unpatched));
    }

    #[test]
    fn schedule_inside_changing_function_does_not_switch() {
        let machine = patching();
        machine.set_current(TASK);
        sched_switch(&machine);
        assert_eq!(machine.state_of(TASK), Unpatched);
        assert!(machine.is_pending(TASK));
    }

    #[test]
    fn schedule_switches_only_who_was_asked() {
        let machine = patching();
        machine.put(TASK, ELSEWHERE);
        machine.set_current(WORKER);
        sched_switch(&machine);
        assert!(has_switched(&machine, WORKER, Patched));
        assert_eq!(machine.state_of(TASK), Unpatched);
    }

    #[test]
    fn running_elsewhere_is_refused() {
        let machine = held_up(PATCH, Place::Running, Machine::new(3));
        assert_eq!(
            switch_task(&machine, TASK, Way::StackCheck),
            Err(Blocker::Running)
        );
        assert_eq!(machine.state_of(TASK), Unpatched);
    }

    #[test]
    fn running_caller_is_not_elsewhere() {
        let machine = held_up(PATCH, Place::Running, Machine::new(3));
        machine.set_current(TASK);
        assert_eq!(switch_task(&machine, TASK, Way::StackCheck), Ok(()));
    }

    #[test]
    fn unreliable_stack_is_refused() {
        let machine = held_up(PATCH, Place::Unreliable, Machine::new(3));
        assert_eq!(
            switch_task(&machine, TASK, Way::StackCheck),
            Err(Blocker::UnreliableStack)
        );
        assert_eq!(machine.state_of(TASK), Unpatched);
    }

    #[test]
    fn no_stack_is_trusted_where_none_is_reliable() {
        let machine = Machine::new(3);
        machine.reliable_stacks.set(false);
        let machine = held_up(PATCH, ELSEWHERE, machine);
        assert_eq!(
            switch_task(&machine, TASK, Way::StackCheck),
            Err(Blocker::NoReliableStack)
        );
        update(&machine, TASK, Way::KernelExit);
        assert!(has_switched(&machine, TASK, Patched));
    }

    #[test]
    fn patching_is_refused_on_the_old_function() {
        let machine = patching();
        assert_eq!(
            switch_task(&machine, TASK, Way::StackCheck),
            Err(Blocker::SleepsOn(FUNCTION))
        );
        assert_eq!(machine.state_of(TASK), Unpatched);
        assert_eq!(machine.reaches(TASK, FUNCTION), None);
    }

    #[test]
    fn patching_is_not_refused_on_the_new_function() {
        let machine = patching();
        machine.put(TASK, asleep_in(replacement(PATCH, FUNCTION)));
        assert_eq!(switch_task(&machine, TASK, Way::StackCheck), Ok(()));
    }

    #[test]
    fn unpatching_is_refused_on_the_new_function() {
        let machine = unpatching();
        assert_eq!(
            switch_task(&machine, TASK, Way::StackCheck),
            Err(Blocker::SleepsOn(FUNCTION))
        );
        assert_eq!(machine.state_of(TASK), Patched);
        assert_eq!(machine.reaches(TASK, FUNCTION), Some(PATCH));
    }

    #[test]
    fn unpatching_is_not_refused_on_the_old_function() {
        let machine = unpatching();
        machine.put(TASK, asleep_in(original(FUNCTION)));
        assert_eq!(switch_task(&machine, TASK, Way::StackCheck), Ok(()));
    }

    #[test]
    fn patching_is_refused_on_the_previous_patchs_function() {
        let place = asleep_in(replacement(PATCH, FUNCTION));
        let machine = held_up(NEXT, place, settled());
        assert_eq!(
            switch_task(&machine, TASK, Way::StackCheck),
            Err(Blocker::SleepsOn(FUNCTION))
        );
        assert_eq!(machine.reaches(TASK, FUNCTION), Some(PATCH));
        // The original function is not the one that is replaced here.
        machine.put(TASK, asleep_in(original(FUNCTION)));
        assert_eq!(switch_task(&machine, TASK, Way::StackCheck), Ok(()));
        assert_eq!(machine.reaches(TASK, FUNCTION), Some(NEXT));
    }

    #[test]
    fn switched_task_is_not_looked_at() {
        let machine = patching();
        machine.put(WORKER, asleep_in(original(FUNCTION)));
        assert_eq!(switch_task(&machine, WORKER, Way::StackCheck), Ok(()));
        assert!(has_switched(&machine, WORKER, Patched));
    }

    #[test]
    fn refused_when_a_function_that_changes_has_called_another() {
        let place = asleep_in_call(original(FUNCTION), original(OTHER));
        let machine = held_up(PATCH, place, Machine::new(3));
        let refused = Err(Blocker::SleepsOn(FUNCTION));
        assert_eq!(switch_task(&machine, TASK, Way::StackCheck), refused);
    }

    #[test]
    fn fork_before_transition() {
        let machine = settled();
        machine.set_current(WORKER);
        let child = machine.copy_thread(WORKER);
        fork(&machine, child);
        assert!(has_switched(&machine, child, Idle));
    }

    #[test]
    fn fork_of_unpatched_task_during_transition() {
        let machine = patching();
        machine.set_current(TASK);
        let child = machine.copy_thread(TASK);
        fork(&machine, child);
        assert_eq!(machine.state_of(child), Unpatched);
        assert!(machine.is_pending(child));
        // The child is in the place of its parent: both hold the transition up, and both let it go
        // on.
        try_complete(&machine, PATCH);
        assert_eq!(machine.transition_patch(), Some(PATCH));
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, PATCH);
        assert_eq!(machine.transition_patch(), Some(PATCH));
        machine.put(child, ELSEWHERE);
        try_complete(&machine, PATCH);
        assert_eq!(machine.transition_patch(), None);
    }

    #[test]
    fn fork_of_patched_task_during_transition() {
        let machine = patching();
        machine.set_current(WORKER);
        let child = machine.copy_thread(WORKER);
        fork(&machine, child);
        assert!(has_switched(&machine, child, Patched));
    }

    #[test]
    fn fork_of_task_that_has_switched_since_it_was_copied() {
        let machine = patching();
        let child = machine.copy_thread(TASK);
        assert!(machine.is_pending(child));
        machine.set_current(TASK);
        update(&machine, TASK, Way::KernelExit);
        fork(&machine, child);
        assert!(has_switched(&machine, child, Patched));
    }

    #[test]
    fn fork_of_task_that_was_asked_since_it_was_copied() {
        let machine = settled();
        let child = machine.copy_thread(TASK);
        machine.put(TASK, asleep_in(replacement(PATCH, FUNCTION)));
        // The child is not on the task list while the transition begins.
        machine.set_listed(child, false);
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        machine.set_listed(child, true);
        machine.set_current(TASK);
        fork(&machine, child);
        assert_eq!(machine.state_of(child), Patched);
        assert!(machine.is_pending(child));
    }

    #[test]
    fn fork_after_transition() {
        let machine = patching();
        update(&machine, TASK, Way::KernelExit);
        try_complete(&machine, PATCH);
        machine.set_current(TASK);
        let child = machine.copy_thread(TASK);
        fork(&machine, child);
        assert!(has_switched(&machine, child, Idle));
        assert!(machine.is_sane());
    }

    #[test]
    fn task_that_exits_is_waited_for() {
        let machine = Machine::new(3);
        machine.begin_exit(TASK);
        let machine = held_up(PATCH, asleep_in(original(FUNCTION)), machine);
        assert_eq!(machine.reaches(TASK, FUNCTION), None);
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, PATCH);
        assert_eq!(machine.transition_patch(), None);
        assert!(machine.is_sane());
    }

    #[test]
    fn task_that_has_ended_goes_on_as_before_while_patching() {
        let machine = Machine::new(3);
        machine.begin_exit(ENDED);
        machine.end_exit(ENDED);
        let machine = held_up(PATCH, asleep_in(original(FUNCTION)), machine);
        assert_eq!(machine.state_of(ENDED), Idle);
        assert_eq!(machine.reaches(ENDED, FUNCTION), None);
        assert!(machine.is_sane());
    }

    #[test]
    fn task_that_has_ended_goes_on_as_before_while_unpatching() {
        let machine = settled();
        machine.begin_exit(ENDED);
        machine.end_exit(ENDED);
        machine.put(TASK, asleep_in(replacement(PATCH, FUNCTION)));
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert_eq!(machine.state_of(ENDED), Idle);
        assert_eq!(machine.reaches(ENDED, FUNCTION), Some(PATCH));
        assert!(machine.is_sane());
    }

    #[test]
    fn task_that_has_ended_is_dead_before_a_reversal() {
        // Otherwise its handlers would take the new target for the one that the transition has
        // begun with.
        let machine = Machine::new(3);
        machine.begin_exit(ENDED);
        machine.end_exit(ENDED);
        let machine = held_up(PATCH, asleep_in(original(FUNCTION)), machine);
        assert!(!machine.is_dead(ENDED));
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert!(machine.is_dead(ENDED));
    }

    #[test]
    fn task_that_is_idle_for_no_reason_is_warned_of() {
        let machine = Machine::new(3);
        machine.set_listed(ENDED, false);
        let machine = held_up(PATCH, asleep_in(original(FUNCTION)), machine);
        machine.set_listed(ENDED, true);
        assert!(!machine.warned.get());
        assert_eq!(machine.reaches(ENDED, FUNCTION), None);
        assert!(machine.warned.get());
    }

    #[test]
    fn online_idle_task_is_checked_and_woken() {
        let machine = Machine::new(3);
        machine.put(Task::Idle(1), Place::Running);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION])]);
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(machine.woken.get(), Some(Task::Idle(1)));
        assert_eq!(machine.transition_patch(), Some(PATCH));
        update(&machine, Task::Idle(1), Way::IdleLoop);
        try_complete(&machine, PATCH);
        assert_eq!(machine.transition_patch(), None);
    }

    #[test]
    fn offline_idle_task_is_switched_unseen() {
        let machine = Machine::new(3);
        machine.put(Task::Idle(1), Place::Unreliable);
        machine.set_online(1, false);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION])]);
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(machine.transition_patch(), None);
        assert_eq!(machine.woken.get(), None);
        assert!(machine.is_sane());
    }

    #[test]
    fn cpu_that_comes_online_is_waited_for() {
        let machine = patching();
        machine.set_online(1, false);
        try_complete(&machine, PATCH);
        assert!(has_switched(&machine, Task::Idle(1), Patched));
        machine.set_online(1, true);
        update(&machine, TASK, Way::KernelExit);
        try_complete(&machine, PATCH);
        assert_eq!(machine.transition_patch(), None);
    }

    #[test]
    fn kernel_thread_switches_by_its_stack() {
        // A kernel thread never leaves the kernel: a pass switches it while it sleeps, or it
        // switches itself in `__schedule()`.
        let machine = patching();
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, PATCH);
        assert_eq!(machine.transition_patch(), None);
        assert!(machine.is_sane());
    }
}
