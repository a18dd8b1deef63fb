// SPDX-License-Identifier: GPL-2.0-or-later

//! Calls are the same for every task between transitions, and then functions jump.

#[kernel::macros::kunit_tests(rust_livepatch_settle)]
mod tests {
    use crate::{
        model::{
            enable::{
                self,
                try_complete, //
            },
            modules,
            Event,
            PatchHost, //
        },
        tests::machine::{
            asleep_in,
            original,
            replacement,
            Entry,
            Errno,
            Function,
            Machine,
            Module,
            Patch,
            Task,
            BROKEN,
            ELSEWHERE,
            VMLINUX, //
        }, //
    };

    const PATCH: Patch = Patch(0);
    const NEXT: Patch = Patch(1);
    const MODULE: Module = Module(1);
    const FUNCTION: Function = Function(0);
    const SECOND: Function = Function(1);
    const TASK: Task = Task::Thread(0);

    /// `PATCH` is enabled and settled.
    fn settled() -> Machine {
        let machine = Machine::new(2);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION])]);
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(machine.jump(FUNCTION), Some(PATCH));
        machine
    }

    /// `PATCH` is being enabled: a task sleeps in the function.
    fn blocked() -> Machine {
        let machine = Machine::new(2);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION])]);
        machine.put(TASK, asleep_in(original(FUNCTION)));
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(machine.transition_patch(), Some(PATCH));
        machine
    }

    #[test]
    fn function_jumps_when_its_patch_is_complete() {
        let machine = blocked();
        assert_eq!(machine.jump(FUNCTION), None);
        assert_eq!(machine.settled(FUNCTION), None);
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, PATCH);
        assert_eq!(machine.jump(FUNCTION), Some(PATCH));
        assert!(machine.is_sane());
    }

    #[test]
    fn function_is_handled_while_its_patch_is_disabled() {
        let machine = settled();
        machine.put(TASK, asleep_in(replacement(PATCH, FUNCTION)));
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert_eq!(machine.jump(FUNCTION), None);
        assert_eq!(machine.reaches(TASK, FUNCTION), Some(PATCH));
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, PATCH);
        assert_eq!(machine.reaches(TASK, FUNCTION), None);
        assert!(machine.is_sane());
    }

    #[test]
    fn reversal_ends_in_a_jump() {
        let machine = settled();
        machine.put(TASK, asleep_in(replacement(PATCH, FUNCTION)));
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert!(enable::set_enabled(&machine, PATCH, true).is_ok());
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, PATCH);
        assert_eq!(machine.jump(FUNCTION), Some(PATCH));
        assert!(machine.is_sane());
    }

    #[test]
    fn force_ends_in_a_jump() {
        let machine = blocked();
        assert!(enable::force(&machine, PATCH).is_ok());
        try_complete(&machine, PATCH);
        assert_eq!(machine.jump(FUNCTION), Some(PATCH));
        assert!(machine.is_sane());
    }

    #[test]
    fn other_functions_jump_during_a_transition() {
        let machine = settled();
        machine.describe(NEXT, false, &[(VMLINUX, &[SECOND])]);
        machine.put(TASK, asleep_in(original(SECOND)));
        assert!(enable::enable(&machine, NEXT).is_ok());
        assert_eq!(machine.jump(FUNCTION), Some(PATCH));
        assert_eq!(machine.jump(SECOND), None);
        assert!(machine.is_sane());
    }

    #[test]
    fn function_of_two_patches_jumps_to_the_later() {
        let machine = settled();
        machine.describe(NEXT, false, &[(VMLINUX, &[FUNCTION])]);
        machine.put(TASK, asleep_in(replacement(PATCH, FUNCTION)));
        assert!(enable::enable(&machine, NEXT).is_ok());
        assert_eq!(machine.jump(FUNCTION), None);
        assert_eq!(machine.reaches(TASK, FUNCTION), Some(PATCH));
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, NEXT);
        assert_eq!(machine.jump(FUNCTION), Some(NEXT));
        assert!(enable::set_enabled(&machine, NEXT, false).is_ok());
        assert_eq!(machine.jump(FUNCTION), Some(PATCH));
        assert!(machine.is_sane());
    }

    #[test]
    fn nop_is_no_place_to_jump_to() {
        let machine = settled();
        machine.describe(NEXT, true, &[(VMLINUX, &[SECOND])]);
        machine.put(TASK, asleep_in(original(SECOND)));
        assert!(enable::enable(&machine, NEXT).is_ok());
        assert_eq!(machine.jump(FUNCTION), None);
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, NEXT);
        assert_eq!(machine.jump(FUNCTION), None);
        assert_eq!(machine.jump(SECOND), Some(NEXT));
        assert!(machine.is_sane());
    }

    #[test]
    fn module_comes_and_goes() {
        let machine = Machine::new(2);
        machine.describe(PATCH, false, &[(MODULE, &[FUNCTION])]);
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert!(modules::coming(&machine, MODULE).is_ok());
        assert_eq!(machine.jump(FUNCTION), Some(PATCH));
        modules::going(&machine, MODULE);
        assert_eq!(machine.jump(FUNCTION), None);
        assert!(machine.is_sane());
    }

    #[test]
    fn module_comes_during_a_transition() {
        let machine = Machine::new(2);
        let objects: [(Module, &[Function]); 2] = [(VMLINUX, &[FUNCTION]), (MODULE, &[SECOND])];
        machine.describe(PATCH, false, &objects);
        machine.put(TASK, asleep_in(original(FUNCTION)));
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert!(modules::coming(&machine, MODULE).is_ok());
        assert_eq!(machine.jump(SECOND), None);
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, PATCH);
        assert_eq!(machine.jump(SECOND), Some(PATCH));
        assert!(machine.is_sane());
    }

    #[test]
    fn without_jumps_the_handler_says_the_same() {
        let machine = Machine::new(2);
        machine.never_jumps.set(true);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION])]);
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(machine.jump(FUNCTION), None);
        assert_eq!(machine.settled(FUNCTION), Some(PATCH));
        assert_eq!(machine.reaches(TASK, FUNCTION), Some(PATCH));
        assert!(machine.is_sane());
    }

    #[test]
    fn nothing_begins_where_a_function_cannot_stop_jumping() {
        let machine = settled();
        machine.ftrace_is_dead.set(true);
        let refused = enable::set_enabled(&machine, PATCH, false);
        assert_eq!(refused, Err(Errno(BROKEN)));
        assert!(machine.enabled(PATCH));
        assert_eq!(machine.transition_patch(), None);
        assert_eq!(machine.jump(FUNCTION), Some(PATCH));

        machine.describe(NEXT, false, &[(VMLINUX, &[FUNCTION])]);
        assert_eq!(enable::enable(&machine, NEXT), Err(Errno(BROKEN)));
        assert_eq!(machine.transition_patch(), None);
        assert_eq!(machine.reaches(TASK, FUNCTION), Some(PATCH));
    }

    #[test]
    fn function_jumps_again_when_there_is_no_memory_to_disable_its_patch() {
        let machine = settled();
        machine.failing_after.set(Some(0));
        let refused = enable::set_enabled(&machine, PATCH, false);
        assert_eq!(refused, Err(Errno(BROKEN)));
        assert_eq!(machine.jump(FUNCTION), Some(PATCH));
        assert!(machine.is_sane());
    }

    #[test]
    fn another_user_of_ftrace_has_the_handler_called() {
        let machine = settled();
        machine.set_shared(FUNCTION, true);
        assert_eq!(machine.jump(FUNCTION), None);
        assert_eq!(machine.reaches(TASK, FUNCTION), Some(PATCH));
        machine.set_shared(FUNCTION, false);
        assert_eq!(machine.jump(FUNCTION), Some(PATCH));
        assert!(machine.is_sane());
    }

    #[test]
    fn function_settles_while_another_user_of_ftrace_has_it() {
        let machine = blocked();
        machine.set_shared(FUNCTION, true);
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, PATCH);
        assert_eq!(machine.jump(FUNCTION), None);
        assert_eq!(machine.settled(FUNCTION), Some(PATCH));
        assert!(machine.is_sane());
        machine.set_shared(FUNCTION, false);
        assert_eq!(machine.jump(FUNCTION), Some(PATCH));
        assert!(machine.is_sane());
    }

    #[test]
    fn function_does_not_jump_when_another_user_of_ftrace_goes_in_a_transition() {
        let machine = settled();
        machine.set_shared(FUNCTION, true);
        machine.put(TASK, asleep_in(replacement(PATCH, FUNCTION)));
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        machine.set_shared(FUNCTION, false);
        assert_eq!(machine.jump(FUNCTION), None);
        assert!(machine.is_sane());
    }

    #[test]
    fn function_that_cannot_settle_is_handled() {
        let machine = blocked();
        machine.put(TASK, ELSEWHERE);
        machine.follow_fails_after.set(Some(0));
        try_complete(&machine, PATCH);
        assert_eq!(machine.jump(FUNCTION), None);
        assert_eq!(machine.reaches(TASK, FUNCTION), Some(PATCH));
        assert!(machine.is_sane());
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert_eq!(machine.reaches(TASK, FUNCTION), None);
        assert!(machine.is_sane());
    }

    #[test]
    fn function_that_cannot_be_handled_stays_as_it_is() {
        let machine = settled();
        machine.describe(NEXT, false, &[(VMLINUX, &[FUNCTION, SECOND])]);
        machine.follow_fails_after.set(Some(0));
        let _ = machine.log();
        assert_eq!(enable::enable(&machine, NEXT), Err(Errno(BROKEN)));
        assert!(machine.happened(&[
            Entry::Told(Event::Enabling(NEXT)),
            Entry::Told(Event::EnableFailed(NEXT)),
        ]));
        assert_eq!(machine.transition_patch(), None);
        assert_eq!(machine.reaches(TASK, FUNCTION), Some(PATCH));
        assert_eq!(machine.reaches(TASK, SECOND), None);
        assert!(machine.is_sane());
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert_eq!(machine.reaches(TASK, FUNCTION), None);
        assert!(machine.is_sane());
    }

    #[test]
    fn ftrace_dies_during_a_transition() {
        let machine = blocked();
        machine.ftrace_is_dead.set(true);
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, PATCH);
        assert_eq!(machine.transition_patch(), None);
        assert_eq!(machine.jump(FUNCTION), None);
        assert_eq!(machine.reaches(TASK, FUNCTION), Some(PATCH));
        assert!(machine.is_sane());
    }

    #[test]
    fn module_goes_when_its_function_cannot_stop_jumping() {
        let machine = Machine::new(2);
        machine.describe(PATCH, false, &[(MODULE, &[FUNCTION])]);
        assert!(modules::coming(&machine, MODULE).is_ok());
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(machine.jump(FUNCTION), Some(PATCH));
        machine.ftrace_is_dead.set(true);
        modules::going(&machine, MODULE);
        machine.lose_site(FUNCTION);
        assert_eq!(machine.settled(FUNCTION), None);
        assert!(machine.is_sane());
    }
}
