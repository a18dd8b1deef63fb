// SPDX-License-Identifier: GPL-2.0-or-later

//! When the module of a livepatch can go.

#[kernel::macros::kunit_tests(rust_livepatch_text)]
mod tests {
    use crate::{
        model::{
            enable::{
                self,
                try_complete, //
            },
            text::let_go,
            Callback,
            TextHost, //
        },
        tests::machine::{
            asleep_in,
            asleep_in_call,
            helper,
            original,
            replacement,
            Entry,
            Function,
            Machine,
            Object,
            Patch,
            Place,
            Task,
            ELSEWHERE,
            VMLINUX, //
        }, //
    };

    const PATCH: Patch = Patch(0);
    const OTHER: Patch = Patch(1);
    const FUNCTION: Function = Function(1);
    const NEXT: Function = Function(2);
    /// The task that most tests put somewhere.
    const TASK: Task = Task::Thread(1);
    /// Another task, which a scan visits after `TASK`.
    const FIRST: Task = Task::Thread(2);
    const CHILD: Task = Task::Thread(3);

    /// `PATCH` is enabled, and so is `OTHER`, which changes another function.
    fn enabled() -> Machine {
        let machine = Machine::new(3);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION])]);
        machine.describe(OTHER, false, &[(VMLINUX, &[NEXT])]);
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert!(enable::enable(&machine, OTHER).is_ok());
        machine
    }

    fn disable(machine: &Machine, patch: Patch) {
        assert!(enable::set_enabled(machine, patch, false).is_ok());
        let _ = machine.log();
    }

    /// `PATCH` departs while `TASK` is in `place`, which does not hold the transition up.
    fn departing(place: Place) -> Machine {
        let machine = enabled();
        machine.put(TASK, place);
        disable(&machine, PATCH);
        assert!(machine.is_held(PATCH));
        machine
    }

    /// The same, but the transition was forced.
    fn forced(place: Place) -> Machine {
        let machine = enabled();
        machine.put(TASK, place);
        disable(&machine, PATCH);
        assert!(enable::force(&machine, PATCH).is_ok());
        try_complete(&machine, PATCH);
        let _ = machine.log();
        machine
    }

    /// A look at the tasks finds one in the text of `PATCH`, and a later look does not.
    fn stays_until_it_has_left(machine: &Machine) {
        for _ in 0..2 {
            assert!(let_go(machine));
            assert!(machine.is_held(PATCH));
        }
        machine.put(TASK, ELSEWHERE);
        goes(machine);
    }

    /// A look at the tasks finds none in the text of `PATCH`.
    fn goes(machine: &Machine) {
        assert!(!let_go(machine));
        assert!(machine.happened(&[Entry::Put(PATCH)]));
        assert!(!machine.is_held(PATCH));
        assert!(machine.is_sane());
    }

    #[test]
    fn module_stays_while_its_patch_is_enabled() {
        let machine = enabled();
        let _ = machine.log();
        assert!(!let_go(&machine));
        assert!(machine.is_held(PATCH));
        assert!(machine.happened(&[]));
    }

    #[test]
    fn module_goes_when_no_task_is_inside() {
        goes(&departing(ELSEWHERE));
    }

    #[test]
    fn module_stays_while_its_transition_lasts() {
        let machine = departing(asleep_in(replacement(PATCH, FUNCTION)));
        assert!(!let_go(&machine));
        assert!(machine.is_held(PATCH));
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, PATCH);
        let _ = machine.log();
        goes(&machine);
    }

    #[test]
    fn task_asleep_inside_is_waited_for() {
        // The new function has jumped there, so that the transition did not wait for the task.
        stays_until_it_has_left(&departing(asleep_in(helper(PATCH))));
    }

    #[test]
    fn look_ends_when_a_task_is_inside() {
        let machine = departing(asleep_in(helper(PATCH)));
        assert!(let_go(&machine));
        // A scan comes to this task after the one that is inside.
        assert!(!machine.seen_outside(FIRST));
    }

    #[test]
    fn task_that_will_return_inside_is_waited_for() {
        let place = asleep_in_call(helper(PATCH), original(NEXT));
        stays_until_it_has_left(&departing(place));
    }

    #[test]
    fn task_that_was_called_back_is_waited_for() {
        // The new function has jumped to a function of the kernel, to which it has passed a
        // function of the patch.
        let place = asleep_in_call(original(NEXT), helper(PATCH));
        stays_until_it_has_left(&departing(place));
    }

    #[test]
    fn task_in_another_patch_is_not_waited_for() {
        goes(&departing(asleep_in(helper(OTHER))));
    }

    #[test]
    fn task_with_an_unreliable_stack_is_not_waited_for() {
        // No word on the stack leads into the text.
        let machine = enabled();
        disable(&machine, PATCH);
        machine.put(TASK, Place::Unreliable);
        goes(&machine);
    }

    #[test]
    fn task_with_an_address_on_an_unreliable_stack_is_waited_for() {
        let machine = enabled();
        machine.put(TASK, asleep_in(helper(PATCH)));
        disable(&machine, PATCH);
        let inside = helper(PATCH).start;
        machine.put(TASK, Place::UnreliableIn(original(NEXT).start, inside));
        stays_until_it_has_left(&machine);
    }

    #[test]
    fn task_that_runs_is_looked_at_in_its_place() {
        for task in [FIRST, TASK] {
            let machine = departing(ELSEWHERE);
            machine.put(task, Place::Running);
            goes(&machine);
        }
    }

    #[test]
    fn task_that_runs_inside_is_found_in_its_place() {
        let machine = departing(asleep_in(helper(PATCH)));
        let inside = helper(PATCH).start;
        machine.put(TASK, Place::RunningIn(inside, inside));
        stays_until_it_has_left(&machine);
    }

    #[test]
    fn task_that_is_on_another_cpu_when_it_is_looked_for_is_looked_for_again() {
        let machine = departing(ELSEWHERE);
        machine.put(TASK, Place::Running);
        machine.evasive.set(Some(TASK));
        assert!(let_go(&machine));
        assert!(machine.is_held(PATCH));
        machine.evasive.set(None);
        goes(&machine);
    }

    #[test]
    fn task_that_was_seen_outside_is_not_looked_at_again() {
        // The task sleeps when the scan looks at it. After that, it cannot be looked at.
        let machine = departing(ELSEWHERE);
        machine.evasive.set(Some(FIRST));
        machine
            .scanned
            .set(Some(|machine| machine.put(FIRST, Place::Running)));
        goes(&machine);
    }

    #[test]
    fn task_on_a_cpu_that_must_not_be_disturbed_is_waited_for() {
        for place in [ELSEWHERE, Place::UserSpace(original(FUNCTION).start)] {
            let machine = departing(ELSEWHERE);
            machine.put(TASK, Place::Running);
            machine.undisturbed.set(true);
            assert!(let_go(&machine));
            assert!(machine.is_held(PATCH));
            machine.put(TASK, place);
            goes(&machine);
        }
    }

    #[test]
    fn task_that_can_restart_in_one_patch_holds_no_other_up() {
        let machine = departing(ELSEWHERE);
        disable(&machine, OTHER);
        machine.put(TASK, Place::UserSpace(helper(PATCH).start));
        machine.undisturbed.set(true);
        assert!(let_go(&machine));
        assert!(machine.happened(&[Entry::Put(OTHER)]));
        assert!(machine.is_held(PATCH));
        machine.put(TASK, ELSEWHERE);
        goes(&machine);
    }

    #[test]
    fn tasks_that_never_sleep_together_are_seen_in_several_looks() {
        let machine = departing(ELSEWHERE);
        machine.undisturbed.set(true);
        machine.put(TASK, Place::Running);
        assert!(let_go(&machine));
        assert!(machine.is_held(PATCH));
        machine.put(TASK, ELSEWHERE);
        machine.put(FIRST, Place::Running);
        goes(&machine);
    }

    #[test]
    fn look_at_another_patch_waits_until_one_is_over() {
        let machine = departing(ELSEWHERE);
        disable(&machine, OTHER);
        machine.undisturbed.set(true);
        machine.put(TASK, Place::Running);
        assert!(let_go(&machine));
        // A task that this look has seen outside counts as seen in the next.
        machine.put(TASK, ELSEWHERE);
        machine.put(FIRST, Place::Running);
        assert!(let_go(&machine));
        assert!(machine.happened(&[Entry::Put(PATCH)]));
        assert!(machine.is_held(OTHER));
        machine.put(FIRST, ELSEWHERE);
        assert!(!let_go(&machine));
        assert!(machine.happened(&[Entry::Put(OTHER)]));
        assert!(machine.is_sane());
    }

    #[test]
    fn thread_made_for_one_patch_holds_no_other_up() {
        let machine = departing(ELSEWHERE);
        let thread = machine.create_thread(FIRST, replacement(PATCH, FUNCTION).start);
        disable(&machine, OTHER);
        assert!(let_go(&machine));
        assert!(machine.happened(&[Entry::Put(OTHER)]));
        assert!(machine.is_held(PATCH));
        machine.set_listed(thread, false);
        goes(&machine);
    }

    #[test]
    fn task_that_was_seen_outside_of_a_patch_is_looked_for_when_that_departs_again() {
        let machine = departing(ELSEWHERE);
        goes(&machine);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION])]);
        assert!(enable::enable(&machine, PATCH).is_ok());
        machine.put(TASK, asleep_in(helper(PATCH)));
        disable(&machine, PATCH);
        stays_until_it_has_left(&machine);
    }

    #[test]
    fn child_of_a_task_that_was_seen_outside_is_outside() {
        let machine = departing(ELSEWHERE);
        machine.evasive.set(Some(CHILD));
        machine.scanned.set(Some(|machine| {
            let child = machine.copy_thread(FIRST);
            machine.set_listed(child, true);
            machine.put(child, Place::Running);
        }));
        goes(&machine);
    }

    #[test]
    fn thread_that_has_not_begun_to_run_a_new_function_is_waited_for() {
        let machine = departing(ELSEWHERE);
        let thread = machine.create_thread(FIRST, replacement(PATCH, FUNCTION).start);
        for _ in 0..2 {
            assert!(let_go(&machine));
            assert!(machine.is_held(PATCH));
        }
        machine.set_listed(thread, false);
        goes(&machine);
    }

    #[test]
    fn thread_that_a_task_inside_has_created_is_waited_for() {
        // Another task than the creator is the parent, and was seen outside before.
        let machine = departing(asleep_in(helper(PATCH)));
        machine.put(FIRST, ELSEWHERE);
        assert!(let_go(&machine));
        machine.put(TASK, Place::Running);
        machine.evasive.set(Some(TASK));
        assert!(let_go(&machine));
        assert!(machine.seen_outside(FIRST));
        let thread = machine.create_thread(FIRST, replacement(PATCH, FUNCTION).start);
        assert!(machine.seen_outside(thread));
        machine.put(TASK, ELSEWHERE);
        assert!(let_go(&machine));
        assert!(machine.is_held(PATCH));
        machine.set_listed(thread, false);
        goes(&machine);
    }

    #[test]
    fn thread_of_another_patch_is_not_waited_for() {
        let machine = departing(ELSEWHERE);
        machine.create_thread(FIRST, replacement(OTHER, NEXT).start);
        goes(&machine);
    }

    #[test]
    fn child_of_a_task_that_was_not_seen_is_looked_at() {
        let machine = departing(asleep_in(helper(PATCH)));
        let inside = helper(PATCH).start;
        machine.put(TASK, Place::RunningIn(inside, inside));
        machine.evasive.set(Some(TASK));
        machine.scanned.set(Some(|machine| {
            let child = machine.copy_thread(TASK);
            machine.set_listed(child, true);
            machine.put(child, asleep_in(helper(PATCH)));
            // The parent ends, so that only the child shows that the parent was inside.
            machine.set_listed(TASK, false);
        }));
        assert!(let_go(&machine));
        assert!(machine.is_held(PATCH));
        machine.put(CHILD, ELSEWHERE);
        goes(&machine);
    }

    #[test]
    fn task_that_was_seen_outside_of_one_text_is_looked_for_in_the_next() {
        let machine = departing(asleep_in(helper(OTHER)));
        disable(&machine, OTHER);
        assert!(let_go(&machine));
        assert!(machine.happened(&[Entry::Put(PATCH)]));
        assert!(machine.is_held(OTHER));
        machine.put(TASK, ELSEWHERE);
        assert!(!let_go(&machine));
        assert!(machine.happened(&[Entry::Put(OTHER)]));
        assert!(machine.is_sane());
    }

    #[test]
    fn patch_that_is_held_up_holds_no_other_up() {
        let machine = departing(asleep_in(helper(PATCH)));
        disable(&machine, OTHER);
        assert!(let_go(&machine));
        assert!(machine.happened(&[Entry::Put(OTHER)]));
        stays_until_it_has_left(&machine);
    }

    #[test]
    fn task_on_its_way_is_found_where_it_goes_to_sleep() {
        // The stack of the task does not show where it goes. The wait comes before the look.
        let machine = departing(ELSEWHERE);
        machine.put(TASK, Place::Arriving(helper(PATCH).start));
        stays_until_it_has_left(&machine);
    }

    #[test]
    fn task_on_its_way_is_waited_for_until_it_has_been_there() {
        let machine = departing(ELSEWHERE);
        machine.put(TASK, Place::Arriving(helper(PATCH).start));
        machine
            .during_wait
            .set(Some(|machine| machine.put(TASK, ELSEWHERE)));
        goes(&machine);
    }

    #[test]
    fn patch_that_departs_during_the_wait_has_a_wait_of_its_own() {
        let machine = departing(ELSEWHERE);
        machine.during_wait.set(Some(|machine| {
            disable(machine, OTHER);
            machine.put(TASK, Place::Arriving(helper(OTHER).start));
        }));
        assert!(!let_go(&machine));
        assert!(machine.happened(&[Entry::Put(PATCH)]));
        assert!(machine.is_held(OTHER));
        assert!(let_go(&machine));
        assert!(machine.is_held(OTHER));
        machine.put(TASK, ELSEWHERE);
        assert!(!let_go(&machine));
        assert!(machine.happened(&[Entry::Put(OTHER)]));
        assert!(machine.is_sane());
    }

    #[test]
    fn task_that_exits_is_waited_for() {
        let machine = enabled();
        machine.put(TASK, asleep_in(helper(PATCH)));
        machine.begin_exit(TASK);
        disable(&machine, PATCH);
        stays_until_it_has_left(&machine);
    }

    #[test]
    fn task_that_has_ended_is_not_waited_for() {
        let machine = departing(asleep_in(helper(PATCH)));
        machine.begin_exit(TASK);
        assert!(let_go(&machine));
        machine.put(TASK, ELSEWHERE);
        machine.end_exit(TASK);
        goes(&machine);
    }

    #[test]
    fn forced_patch_goes_when_no_task_is_inside() {
        let machine = forced(asleep_in(replacement(PATCH, FUNCTION)));
        assert!(machine.is_forced(PATCH));
        stays_until_it_has_left(&machine);
    }

    #[test]
    fn forced_patch_stays_where_no_stack_is_reliable() {
        let machine = forced(asleep_in(replacement(PATCH, FUNCTION)));
        machine.reliable_stacks.set(false);
        machine.put(TASK, ELSEWHERE);
        // No later look would prove more, so there is none.
        assert!(!let_go(&machine));
        assert!(machine.is_held(PATCH));
        // A patch that was not forced goes, because its transition has waited until every task was
        // outside.
        machine.reliable_stacks.set(true);
        disable(&machine, OTHER);
        machine.reliable_stacks.set(false);
        assert!(!let_go(&machine));
        assert!(machine.happened(&[Entry::Put(OTHER)]));
        assert!(machine.is_held(PATCH));
    }

    #[test]
    fn replaced_patches_go_one_by_one() {
        let machine = enabled();
        let latest = Patch(2);
        machine.describe(latest, true, &[(VMLINUX, &[FUNCTION])]);
        machine.put(TASK, asleep_in(helper(PATCH)));
        assert!(enable::enable(&machine, latest).is_ok());
        let _ = machine.log();
        assert!(let_go(&machine));
        assert!(machine.happened(&[Entry::Put(OTHER)]));
        stays_until_it_has_left(&machine);
        assert!(machine.is_held(latest));
    }

    #[test]
    fn last_callback_comes_after_tasks_on_their_way() {
        // One function of the patch leaves ftrace. The other stays for a patch that changes it too.
        let machine = Machine::new(3);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION, NEXT])]);
        machine.describe(OTHER, false, &[(VMLINUX, &[NEXT])]);
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert!(enable::enable(&machine, OTHER).is_ok());
        machine.put(TASK, Place::Arriving(replacement(PATCH, FUNCTION).start));
        disable(&machine, PATCH);
        assert!(enable::force(&machine, PATCH).is_ok());
        let _ = machine.log();
        try_complete(&machine, PATCH);
        let mut log = machine.log();
        assert!(log.any(|entry| entry == Entry::Left(1)));
        assert!(log.any(|e| e == Entry::Called(Object(PATCH, 0), Callback::PostUnpatch)));
        assert!(machine.is_traced(NEXT));
        assert!(machine.is_sane());
        stays_until_it_has_left(&machine);
    }
}
