// SPDX-License-Identifier: GPL-2.0-or-later

//! Patches are enabled, objects and funcs are patched: the two are never confused.

#[kernel::macros::kunit_tests(rust_livepatch_patch)]
mod tests {
    use crate::{
        model::{
            enable::{
                self,
                try_complete, //
            },
            modules,
            patch::{
                patch_object,
                Circumstance, //
            },
            Callback,
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
            Object,
            Patch,
            Task,
            BROKEN,
            EINVAL,
            ELSEWHERE,
            VMLINUX, //
        }, //
    };

    const PATCH: Patch = Patch(0);
    const KERNEL: Object = Object(PATCH, 0);
    const DRIVER: Object = Object(PATCH, 1);
    const MODULE: Module = Module(1);
    const FUNCTION: Function = Function(0);
    const SECOND: Function = Function(1);
    const THIRD: Function = Function(2);
    const TASK: Task = Task::Thread(0);

    /// A patch with two functions of vmlinux and one of a module.
    fn machine() -> Machine {
        let machine = Machine::new(2);
        let objects: [(Module, &[Function]); 2] =
            [(VMLINUX, &[FUNCTION, SECOND]), (MODULE, &[THIRD])];
        machine.describe(PATCH, false, &objects);
        machine
    }

    /// Whether the patch is enabled, whether the object is patched, and whether the patch is in
    /// transition.
    fn state(machine: &Machine, object: Object) -> (bool, bool, bool) {
        (
            machine.enabled(PATCH),
            machine.patched(object),
            machine.transition_patch() == Some(PATCH),
        )
    }

    #[test]
    fn neither_enabled_nor_patched() {
        assert_eq!(state(&machine(), KERNEL), (false, false, false));
    }

    #[test]
    fn enabled_and_patched() {
        let machine = machine();
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(state(&machine, KERNEL), (true, true, false));
    }

    #[test]
    fn enabled_but_not_patched_while_the_module_is_not_there() {
        let machine = machine();
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(state(&machine, DRIVER), (true, false, false));
        assert!(machine.is_sane());
    }

    #[test]
    fn enabled_and_patched_in_transition() {
        let machine = machine();
        machine.put(TASK, asleep_in(original(FUNCTION)));
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(state(&machine, KERNEL), (true, true, true));
        assert_eq!(state(&machine, DRIVER), (true, false, true));
    }

    #[test]
    fn disabled_but_patched_in_transition() {
        let machine = machine();
        assert!(enable::enable(&machine, PATCH).is_ok());
        machine.put(TASK, asleep_in(replacement(PATCH, FUNCTION)));
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert_eq!(state(&machine, KERNEL), (false, true, true));
        assert_eq!(state(&machine, DRIVER), (false, false, true));
    }

    #[test]
    fn nothing_is_patched_once_disabled() {
        let machine = machine();
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert_eq!(state(&machine, KERNEL), (false, false, false));
        // A patch cannot be disabled, patched, and not in transition: nothing would ever remove its
        // funcs.
        assert_eq!(machine.log().last(), Some(Entry::Freed(PATCH)));
    }

    #[test]
    fn a_loaded_object_of_an_enabled_patch_is_patched() {
        let machine = machine();
        assert!(modules::coming(&machine, MODULE).is_ok());
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(state(&machine, DRIVER), (true, true, false));
        assert_eq!(machine.reaches(TASK, THIRD), Some(PATCH));
    }

    #[test]
    fn functions_of_an_object_enter_and_leave_ftrace_together() {
        let machine = machine();
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert!(machine.log().any(|entry| entry == Entry::Entered(2)));
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert!(machine.log().any(|entry| entry == Entry::Left(2)));
    }

    #[test]
    fn patching_twice_is_refused() {
        let machine = machine();
        assert!(enable::enable(&machine, PATCH).is_ok());
        let refused = patch_object(&machine, KERNEL, Circumstance::Settled);
        assert_eq!(refused, Err(Errno(EINVAL)));
        assert!(machine.warned.replace(false));
        assert!(machine.is_sane());
    }

    #[test]
    fn post_unpatch_is_owed_only_after_pre_patch() {
        let machine = machine();
        assert!(modules::coming(&machine, MODULE).is_ok());
        machine.unwilling.set(Some(MODULE));
        assert_eq!(enable::enable(&machine, PATCH), Err(Errno(BROKEN)));
        let mut callbacks = machine.log().filter_map(|entry| match entry {
            Entry::Called(object, callback) => Some((object, callback)),
            _ => None,
        });
        assert_eq!(callbacks.next(), Some((KERNEL, Callback::PrePatch)));
        assert_eq!(callbacks.next(), Some((DRIVER, Callback::PrePatch)));
        assert_eq!(callbacks.next(), Some((KERNEL, Callback::PostUnpatch)));
        assert_eq!(callbacks.next(), None);
        assert!(machine.is_sane());
    }

    #[test]
    fn whatever_fails_leaves_nothing_behind() {
        let mut failures = 0;
        loop {
            let machine = machine();
            assert!(modules::coming(&machine, MODULE).is_ok());
            machine.failing_after.set(Some(failures));
            let result = enable::enable(&machine, PATCH);
            if result.is_ok() {
                break;
            }
            failures += 1;
            assert_eq!(result, Err(Errno(BROKEN)));
            assert!(machine.is_sane());
            assert!(!machine.is_published(PATCH));
            assert!(machine.patches().next().is_none());
            for function in [FUNCTION, SECOND, THIRD] {
                assert!(!machine.is_traced(function));
                assert_eq!(machine.reaches(TASK, function), None);
            }
        }
        // These steps can fail: to publish and to resolve, to find stacks, to enter ftrace twice,
        // and to make the index.
        assert_eq!(failures, 14);
    }

    #[test]
    fn what_fails_waits_for_threads_that_end() {
        let machine = machine();
        assert!(modules::coming(&machine, MODULE).is_ok());
        machine.begin_exit(TASK);
        machine.end_exit(TASK);
        machine.failing_after.set(Some(13));
        assert!(enable::enable(&machine, PATCH).is_err());
        assert!(machine.is_sane());
        assert!(machine.is_dead(TASK));
    }

    #[test]
    fn object_that_cannot_be_patched_is_named() {
        let machine = machine();
        // Eight steps succeed before that: to publish the patch, two objects and three funcs, to
        // resolve one object, and to find one stack.
        machine.failing_after.set(Some(8));
        assert!(enable::enable(&machine, PATCH).is_err());
        let named = Entry::Told(Event::PatchFailed(KERNEL));
        assert!(machine.log().any(|entry| entry == named));
    }

    #[test]
    fn disabling_that_fails_changes_nothing() {
        let machine = machine();
        assert!(enable::enable(&machine, PATCH).is_ok());
        let _ = machine.log();
        machine.failing_after.set(Some(0));
        let result = enable::set_enabled(&machine, PATCH, false);
        assert_eq!(result, Err(Errno(BROKEN)));
        assert_eq!(state(&machine, KERNEL), (true, true, false));
        assert!(machine.is_sane());
        assert!(machine.happened(&[]));
    }

    #[test]
    fn retry_completes_what_a_task_held_up() {
        let machine = machine();
        machine.put(TASK, asleep_in(original(SECOND)));
        assert!(enable::enable(&machine, PATCH).is_ok());
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, PATCH);
        assert_eq!(state(&machine, KERNEL), (true, true, false));
        assert!(machine.is_sane());
    }
}
