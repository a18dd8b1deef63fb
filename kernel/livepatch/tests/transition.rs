// SPDX-License-Identifier: GPL-2.0-or-later

//! How all tasks move from one set of functions to the other.

#[kernel::macros::kunit_tests(rust_livepatch_transition)]
mod tests {
    use crate::{
        model::{
            enable::{
                self,
                try_complete, //
            },
            transition::update,
            Callback,
            Event,
            PatchHost,
            TaskHost,
            TaskState::{
                Idle,
                Patched,
                Unpatched, //
            },
            Way, //
        },
        tests::machine::{
            asleep_in,
            original,
            replacement,
            Entry,
            Errno,
            Function,
            Machine,
            Object,
            Patch,
            Place,
            Task,
            Told,
            EBUSY,
            EINVAL,
            ELSEWHERE,
            VMLINUX, //
        }, //
    };

    const PATCH: Patch = Patch(0);
    const OTHER: Patch = Patch(1);
    const OBJECT: Object = Object(PATCH, 0);
    const FUNCTION: Function = Function(1);
    const TASKS: usize = 4;
    const LAST: Task = Task::Thread(TASKS - 1);

    fn machine() -> Machine {
        let machine = Machine::new(TASKS);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION])]);
        machine.describe(OTHER, false, &[(VMLINUX, &[FUNCTION])]);
        machine
    }

    fn thread(number: usize) -> Task {
        Task::Thread(number)
    }

    /// `PATCH` is being enabled, and the tasks from number `switched` on have not switched.
    fn patching(switched: usize) -> Machine {
        let machine = machine();
        for number in switched..TASKS {
            machine.put(thread(number), asleep_in(original(FUNCTION)));
        }
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(machine.transition_patch(), Some(PATCH));
        let _ = machine.log();
        machine
    }

    /// `PATCH` is being disabled, and the tasks from number `switched` on have not switched.
    fn unpatching(switched: usize) -> Machine {
        let machine = machine();
        assert!(enable::enable(&machine, PATCH).is_ok());
        for number in switched..TASKS {
            machine.put(thread(number), asleep_in(replacement(PATCH, FUNCTION)));
        }
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert_eq!(machine.transition_patch(), Some(PATCH));
        let _ = machine.log();
        machine
    }

    fn release_all(machine: &Machine) {
        (0..TASKS).for_each(|number| machine.put(thread(number), ELSEWHERE));
    }

    fn is_settled(machine: &Machine) -> bool {
        let served = (0..TASKS).all(|n| machine.reaches(thread(n), FUNCTION) == Some(PATCH));
        served
            && machine.enabled(PATCH)
            && machine.transition_patch().is_none()
            && machine.is_sane()
    }

    fn is_gone(machine: &Machine) -> bool {
        let served = (0..TASKS).all(|n| machine.reaches(thread(n), FUNCTION).is_none());
        served
            && !machine.is_published(PATCH)
            && !machine.is_traced(FUNCTION)
            && machine.patches().next().is_none()
            && machine.is_sane()
    }

    fn said(event: fn(Patch) -> Told) -> Entry {
        Entry::Told(event(PATCH))
    }

    const fn called(callback: Callback) -> Entry {
        Entry::Called(OBJECT, callback)
    }

    #[test]
    fn patching_completes_at_first_try() {
        let machine = machine();
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert!(is_settled(&machine));
        assert_eq!(machine.retry.get(), None);
        assert!(!machine.sched_switching.get());
        assert!(machine.happened(&[
            Entry::Told(Event::Enabling(PATCH)),
            said(Event::Initializing),
            called(Callback::PrePatch),
            Entry::Entered(1),
            said(Event::Starting),
            said(Event::Completing),
            called(Callback::PostPatch),
            said(Event::Complete),
        ]));
    }

    #[test]
    fn unpatching_completes_at_first_try() {
        let machine = machine();
        assert!(enable::enable(&machine, PATCH).is_ok());
        let _ = machine.log();
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert!(is_gone(&machine));
        assert!(machine.happened(&[
            said(Event::Initializing),
            called(Callback::PreUnpatch),
            said(Event::Starting),
            said(Event::Completing),
            Entry::Left(1),
            called(Callback::PostUnpatch),
            said(Event::Complete),
            Entry::Freed(PATCH),
        ]));
    }

    #[test]
    fn patching_waits_for_stragglers() {
        let machine = patching(2);
        assert!(machine.enabled(PATCH));
        assert!(machine.sched_switching.get());
        assert_eq!(machine.reaches(thread(0), FUNCTION), Some(PATCH));
        assert_eq!(machine.reaches(thread(2), FUNCTION), None);
        assert_eq!(machine.reaches(LAST, FUNCTION), None);
        assert!(machine.is_sane());

        assert!(machine.try_again(PATCH));
        machine.put(thread(2), ELSEWHERE);
        assert!(machine.try_again(PATCH));
        assert_eq!(machine.reaches(thread(2), FUNCTION), Some(PATCH));
        assert_eq!(machine.reaches(LAST, FUNCTION), None);

        machine.put(LAST, ELSEWHERE);
        assert!(machine.try_again(PATCH));
        assert!(is_settled(&machine));
        assert!(!machine.sched_switching.get());
    }

    #[test]
    fn unpatching_waits_for_stragglers() {
        let machine = unpatching(2);
        assert!(!machine.enabled(PATCH));
        assert!(machine.patched(OBJECT));
        assert_eq!(machine.reaches(thread(0), FUNCTION), None);
        assert_eq!(machine.reaches(LAST, FUNCTION), Some(PATCH));
        release_all(&machine);
        assert!(machine.try_again(PATCH));
        assert!(is_gone(&machine));
    }

    #[test]
    fn straggler_that_switches_itself_is_enough() {
        let machine = patching(TASKS - 1);
        update(&machine, LAST, Way::KernelExit);
        assert_eq!(machine.transition_patch(), Some(PATCH));
        assert!(machine.try_again(PATCH));
        assert!(is_settled(&machine));
    }

    /// Reverses patching when some tasks have switched. Then all of them switch back.
    fn reverse_patching(switched: usize) {
        let machine = patching(switched);
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert!(!machine.enabled(PATCH));
        assert!(machine.is_sane());
        for number in 0..TASKS {
            // Tasks that had switched are asked to switch back. The others are in the target state
            // already.
            assert_eq!(machine.is_pending(thread(number)), number < switched);
        }
        // The others sleep in the original function, which stays.
        assert!(machine.try_again(PATCH));
        assert!(is_gone(&machine));
    }

    #[test]
    fn patching_reversed_before_any_task() {
        reverse_patching(0);
    }

    #[test]
    fn patching_reversed_with_some_tasks() {
        reverse_patching(2);
    }

    #[test]
    fn patching_reversed_with_all_tasks_but_one() {
        reverse_patching(TASKS - 1);
    }

    /// Reverses unpatching when some tasks have switched. Then all of them switch back.
    fn reverse_unpatching(switched: usize) {
        let machine = unpatching(switched);
        assert!(enable::set_enabled(&machine, PATCH, true).is_ok());
        assert!(machine.enabled(PATCH));
        assert!(machine.is_sane());
        for number in 0..TASKS {
            assert_eq!(machine.is_pending(thread(number)), number < switched);
        }
        assert!(machine.try_again(PATCH));
        assert!(is_settled(&machine));
    }

    #[test]
    fn unpatching_reversed_before_any_task() {
        reverse_unpatching(0);
    }

    #[test]
    fn unpatching_reversed_with_some_tasks() {
        reverse_unpatching(2);
    }

    #[test]
    fn unpatching_reversed_with_all_tasks_but_one() {
        reverse_unpatching(TASKS - 1);
    }

    #[test]
    fn reversal_says_so() {
        let machine = patching(TASKS - 1);
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert!(machine.happened(&[said(Event::Reversing), said(Event::Starting)]));
        assert_eq!(machine.target(), Unpatched);
    }

    #[test]
    fn reversed_twice_is_as_before() {
        let machine = patching(TASKS - 1);
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert!(enable::set_enabled(&machine, PATCH, true).is_ok());
        assert_eq!(machine.target(), Patched);
        assert_eq!(machine.state_of(LAST), Unpatched);
        assert!(machine.is_pending(LAST));
        machine.put(LAST, ELSEWHERE);
        assert!(machine.try_again(PATCH));
        assert!(is_settled(&machine));
    }

    #[test]
    fn reversal_counts_from_the_beginning() {
        let machine = patching(0);
        for _ in 0..10 {
            assert!(machine.try_again(PATCH));
        }
        assert!(machine.elapsed.get() > 0);
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert_eq!(machine.elapsed.get(), 0);
    }

    #[test]
    fn wanting_what_is_already_so_is_refused() {
        let machine = patching(0);
        let refused = enable::set_enabled(&machine, PATCH, true);
        assert_eq!(refused, Err(Errno(EINVAL)));
        assert!(machine.happened(&[]));
    }

    #[test]
    fn canceled_before_it_starts() {
        let machine = machine();
        machine.unwilling.set(Some(VMLINUX));
        assert!(enable::enable(&machine, PATCH).is_err());
        assert!(is_gone(&machine));
        assert!(machine.happened(&[
            Entry::Told(Event::Enabling(PATCH)),
            said(Event::Initializing),
            called(Callback::PrePatch),
            Entry::Told(Event::PrePatchFailed(OBJECT)),
            Entry::Told(Event::EnableFailed(PATCH)),
            said(Event::Canceling),
            said(Event::Completing),
            said(Event::Complete),
        ]));
    }

    #[test]
    fn forced_patching_completes_whatever_tasks_do() {
        let machine = patching(0);
        assert!(enable::force(&machine, PATCH).is_ok());
        assert_eq!(machine.reaches(LAST, FUNCTION), Some(PATCH));
        assert!(machine.try_again(PATCH));
        assert!(is_settled(&machine));
        // No patch is freed, so none is marked as forced.
        assert!(!machine.is_forced(PATCH));
    }

    #[test]
    fn forced_unpatching_keeps_the_patch_in_memory() {
        let machine = unpatching(0);
        assert!(enable::force(&machine, PATCH).is_ok());
        assert!(machine.try_again(PATCH));
        assert!(is_gone(&machine));
        assert!(machine.is_forced(PATCH));
    }

    #[test]
    fn forced_replacing_keeps_what_is_replaced_in_memory() {
        let machine = machine();
        assert!(enable::enable(&machine, PATCH).is_ok());
        machine.describe(OTHER, true, &[(VMLINUX, &[FUNCTION])]);
        machine.put(LAST, asleep_in(replacement(PATCH, FUNCTION)));
        assert!(enable::enable(&machine, OTHER).is_ok());
        assert!(enable::force(&machine, OTHER).is_ok());
        try_complete(&machine, OTHER);
        assert!(machine.is_forced(PATCH));
        assert!(!machine.is_forced(OTHER));
        assert!(machine.patches().eq([OTHER]));
        assert!(machine.is_sane());
    }

    #[test]
    fn forcing_without_transition_is_refused() {
        let machine = machine();
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(enable::force(&machine, PATCH), Err(Errno(EINVAL)));
        assert!(!machine.is_forced(PATCH));
    }

    #[test]
    fn forcing_another_patch_is_refused() {
        let machine = machine();
        assert!(enable::enable(&machine, OTHER).is_ok());
        machine.put(LAST, asleep_in(replacement(OTHER, FUNCTION)));
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(enable::force(&machine, OTHER), Err(Errno(EINVAL)));
        assert_eq!(machine.transition_patch(), Some(PATCH));
    }

    #[test]
    fn second_patch_is_refused_meanwhile() {
        let machine = patching(TASKS - 1);
        assert_eq!(enable::enable(&machine, OTHER), Err(Errno(EBUSY)));
        assert!(!machine.is_published(OTHER));
        assert!(machine.patches().eq([PATCH]));
        assert_eq!(machine.transition_patch(), Some(PATCH));
        assert!(machine.is_sane());
        // The rules have logged nothing, and have done nothing that would have to be undone.
        assert!(machine.happened(&[]));
    }

    #[test]
    fn disabling_another_patch_is_refused_meanwhile() {
        let machine = machine();
        assert!(enable::enable(&machine, OTHER).is_ok());
        machine.put(LAST, asleep_in(replacement(OTHER, FUNCTION)));
        assert!(enable::enable(&machine, PATCH).is_ok());
        let refused = enable::set_enabled(&machine, OTHER, false);
        assert_eq!(refused, Err(Errno(EBUSY)));
        assert!(machine.enabled(OTHER));
        assert!(machine.is_sane());
    }

    #[test]
    fn disabled_patch_cannot_be_enabled_again() {
        let machine = machine();
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        let refused = enable::set_enabled(&machine, PATCH, true);
        assert_eq!(refused, Err(Errno(EINVAL)));
    }

    #[test]
    fn tasks_are_idle_before_and_after() {
        let machine = machine();
        assert_eq!(machine.state_of(LAST), Idle);
        assert_eq!(machine.target(), Idle);
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(machine.state_of(LAST), Idle);
        assert_eq!(machine.state_of(Task::Idle(0)), Idle);
        assert_eq!(machine.target(), Idle);
    }

    #[test]
    fn stacked_patches_are_disabled_in_any_order() {
        for first in [PATCH, OTHER] {
            let machine = machine();
            assert!(enable::enable(&machine, PATCH).is_ok());
            assert!(enable::enable(&machine, OTHER).is_ok());
            assert_eq!(machine.reaches(LAST, FUNCTION), Some(OTHER));
            let second = if first == PATCH { OTHER } else { PATCH };
            assert!(enable::set_enabled(&machine, first, false).is_ok());
            assert_eq!(machine.reaches(LAST, FUNCTION), Some(second));
            assert!(machine.is_sane());
            assert!(enable::set_enabled(&machine, second, false).is_ok());
            assert!(is_gone(&machine));
        }
    }

    #[test]
    fn running_task_holds_it_up() {
        let machine = machine();
        machine.put(LAST, Place::Running);
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(machine.transition_patch(), Some(PATCH));
        update(&machine, LAST, Way::KernelExit);
        assert!(machine.try_again(PATCH));
        assert!(is_settled(&machine));
    }
}
