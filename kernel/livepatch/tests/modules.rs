// SPDX-License-Identifier: GPL-2.0-or-later

//! Modules that come and go, at every point of a patch's life.

#[kernel::macros::kunit_tests(rust_livepatch_modules)]
mod tests {
    use crate::{
        model::{
            enable::{
                self,
                try_complete, //
            },
            modules,
            transition::switch_task,
            Blocker,
            Callback,
            Event,
            PatchHost,
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
            Module,
            Object,
            Patch,
            Task,
            BROKEN,
            ELSEWHERE,
            VMLINUX, //
        }, //
    };

    const PATCH: Patch = Patch(0);
    const SECOND: Patch = Patch(1);
    const KERNEL: Object = Object(PATCH, 0);
    const DRIVER: Object = Object(PATCH, 1);
    const MODULE: Module = Module(1);
    const OTHER: Module = Module(2);
    const FUNCTION: Function = Function(0);
    const DRIVERS: Function = Function(1);
    const TASK: Task = Task::Thread(0);

    fn describe(machine: &Machine, patch: Patch) {
        let objects: [(Module, &[Function]); 2] = [(VMLINUX, &[FUNCTION]), (MODULE, &[DRIVERS])];
        machine.describe(patch, false, &objects);
    }

    /// A patch to vmlinux and to a module that is not loaded, settled.
    fn settled() -> Machine {
        let machine = Machine::new(2);
        describe(&machine, PATCH);
        assert!(enable::enable(&machine, PATCH).is_ok());
        let _ = machine.log();
        machine
    }

    /// The same, being enabled; `TASK` is in the old function.
    fn patching() -> Machine {
        let machine = Machine::new(2);
        describe(&machine, PATCH);
        machine.put(TASK, asleep_in(original(FUNCTION)));
        assert!(enable::enable(&machine, PATCH).is_ok());
        let _ = machine.log();
        machine
    }

    /// The same, being disabled; `TASK` is in the new function.
    fn unpatching() -> Machine {
        let machine = settled();
        machine.put(TASK, asleep_in(replacement(PATCH, FUNCTION)));
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        let _ = machine.log();
        machine
    }

    fn finish(machine: &Machine) {
        machine.put(TASK, ELSEWHERE);
        try_complete(machine, PATCH);
    }

    fn callbacks(machine: &Machine) -> impl Iterator<Item = Callback> {
        machine.log().filter_map(|entry| match entry {
            Entry::Called(DRIVER, callback) => Some(callback),
            _ => None,
        })
    }

    #[test]
    fn coming_before_the_patch() {
        let machine = Machine::new(2);
        describe(&machine, PATCH);
        assert!(modules::coming(&machine, MODULE).is_ok());
        assert!(machine.happened(&[]));
        assert!(enable::enable(&machine, PATCH).is_ok());
        assert_eq!(machine.reaches(TASK, DRIVERS), Some(PATCH));
        assert!(machine.is_sane());
    }

    #[test]
    fn coming_under_a_settled_patch() {
        let machine = settled();
        assert!(modules::coming(&machine, MODULE).is_ok());
        assert_eq!(machine.reaches(TASK, DRIVERS), Some(PATCH));
        assert!(machine.is_sane());
        assert!(machine.happened(&[
            Entry::Told(Event::Applying(PATCH, DRIVER)),
            Entry::Called(DRIVER, Callback::PrePatch),
            Entry::Entered(1),
            Entry::Called(DRIVER, Callback::PostPatch),
        ]));
    }

    #[test]
    fn coming_while_patching() {
        let machine = patching();
        assert!(modules::coming(&machine, MODULE).is_ok());
        // A task that has not switched uses the module's own function.
        assert_eq!(machine.reaches(TASK, DRIVERS), None);
        assert_eq!(machine.reaches(Task::Thread(1), DRIVERS), Some(PATCH));
        assert!(machine.is_sane());
        assert!(callbacks(&machine).eq([Callback::PrePatch]));
        finish(&machine);
        assert_eq!(machine.reaches(TASK, DRIVERS), Some(PATCH));
        assert!(callbacks(&machine).eq([Callback::PostPatch]));
        assert!(machine.is_sane());
    }

    #[test]
    fn coming_while_patching_is_looked_for_on_stacks() {
        let machine = patching();
        assert!(modules::coming(&machine, MODULE).is_ok());
        machine.put(TASK, asleep_in(original(DRIVERS)));
        assert_eq!(
            switch_task(&machine, TASK, Way::StackCheck),
            Err(Blocker::SleepsOn(DRIVERS))
        );
    }

    #[test]
    fn coming_while_unpatching() {
        let machine = unpatching();
        assert!(modules::coming(&machine, MODULE).is_ok());
        assert_eq!(machine.reaches(TASK, DRIVERS), Some(PATCH));
        assert_eq!(machine.reaches(Task::Thread(1), DRIVERS), None);
        assert!(machine.is_sane());
        finish(&machine);
        assert_eq!(machine.reaches(TASK, DRIVERS), None);
        assert!(!machine.is_traced(DRIVERS));
        assert!(callbacks(&machine).eq([Callback::PrePatch, Callback::PostUnpatch]));
        assert!(machine.is_sane());
    }

    #[test]
    fn coming_after_a_reversal() {
        let machine = patching();
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert!(modules::coming(&machine, MODULE).is_ok());
        assert!(machine.is_sane());
        finish(&machine);
        assert!(!machine.is_traced(DRIVERS));
        assert!(machine.is_sane());
    }

    #[test]
    fn coming_after_the_patch_is_gone() {
        let machine = settled();
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        let _ = machine.log();
        assert!(modules::coming(&machine, MODULE).is_ok());
        assert!(machine.happened(&[]));
        assert_eq!(machine.reaches(TASK, DRIVERS), None);
    }

    #[test]
    fn going_under_a_settled_patch() {
        let machine = settled();
        assert!(modules::coming(&machine, MODULE).is_ok());
        let _ = machine.log();
        modules::going(&machine, MODULE);
        assert!(!machine.is_traced(DRIVERS));
        assert!(machine.enabled(PATCH));
        assert!(machine.is_sane());
        assert!(machine.happened(&[
            Entry::Called(DRIVER, Callback::PreUnpatch),
            Entry::Told(Event::Reverting(PATCH, DRIVER)),
            Entry::Left(1),
            Entry::Called(DRIVER, Callback::PostUnpatch),
        ]));
    }

    #[test]
    fn going_while_patching() {
        let machine = patching();
        assert!(modules::coming(&machine, MODULE).is_ok());
        modules::going(&machine, MODULE);
        assert!(machine.is_sane());
        // The object was never reported patched, so the callback before unpatching does not run.
        assert!(callbacks(&machine).eq([Callback::PrePatch, Callback::PostUnpatch]));
        finish(&machine);
        assert!(callbacks(&machine).next().is_none());
        assert!(machine.is_sane());
    }

    #[test]
    fn going_while_unpatching() {
        let machine = settled();
        assert!(modules::coming(&machine, MODULE).is_ok());
        machine.put(TASK, asleep_in(replacement(PATCH, FUNCTION)));
        let _ = machine.log();
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        modules::going(&machine, MODULE);
        assert!(machine.is_sane());
        finish(&machine);
        assert!(callbacks(&machine).eq([Callback::PreUnpatch, Callback::PostUnpatch]));
        assert!(machine.is_sane());
    }

    #[test]
    fn going_after_a_reversal() {
        let machine = patching();
        assert!(modules::coming(&machine, MODULE).is_ok());
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        modules::going(&machine, MODULE);
        assert!(machine.is_sane());
        finish(&machine);
        assert!(machine.is_sane());
    }

    #[test]
    fn coming_back() {
        let machine = settled();
        for _ in 0..3 {
            assert!(modules::coming(&machine, MODULE).is_ok());
            assert_eq!(machine.reaches(TASK, DRIVERS), Some(PATCH));
            assert!(machine.is_sane());
            modules::going(&machine, MODULE);
            assert_eq!(machine.reaches(TASK, DRIVERS), None);
            assert!(machine.is_sane());
        }
    }

    #[test]
    fn module_that_nobody_patches() {
        let machine = settled();
        assert!(modules::coming(&machine, OTHER).is_ok());
        modules::going(&machine, OTHER);
        assert!(machine.happened(&[]));
    }

    #[test]
    fn every_patch_is_applied_in_order() {
        let machine = settled();
        describe(&machine, SECOND);
        assert!(enable::enable(&machine, SECOND).is_ok());
        assert!(modules::coming(&machine, MODULE).is_ok());
        assert_eq!(machine.reaches(TASK, DRIVERS), Some(SECOND));
        assert!(enable::set_enabled(&machine, SECOND, false).is_ok());
        assert_eq!(machine.reaches(TASK, DRIVERS), Some(PATCH));
        assert!(machine.is_sane());
    }

    #[test]
    fn unwilling_patch_refuses_the_module() {
        let machine = settled();
        machine.unwilling.set(Some(MODULE));
        assert_eq!(modules::coming(&machine, MODULE), Err(Errno(BROKEN)));
        assert!(!machine.is_patchable(MODULE));
        assert!(machine.is_sane());
        assert!(machine.happened(&[
            Entry::Told(Event::Applying(PATCH, DRIVER)),
            Entry::Called(DRIVER, Callback::PrePatch),
            Entry::Told(Event::PrePatchFailed(DRIVER)),
            Entry::Told(Event::Refusing(PATCH, DRIVER)),
        ]));
        // The patch goes on without the module.
        assert_eq!(machine.reaches(TASK, FUNCTION), Some(PATCH));
        assert!(machine.patched(KERNEL));
    }

    /// A module is refused at each step that can fail; earlier patches are taken off it again.
    fn refused_at_every_step(machine: impl Fn() -> Machine, steps: u32) {
        for step in 0..steps {
            let machine = machine();
            machine.failing_after.set(Some(step));
            assert_eq!(modules::coming(&machine, MODULE), Err(Errno(BROKEN)));
            assert!(!machine.is_patchable(MODULE));
            assert!(!machine.is_traced(DRIVERS));
            assert_eq!(machine.reaches(TASK, DRIVERS), None);
            assert!(machine.is_sane());
        }
        let machine = machine();
        machine.failing_after.set(Some(steps));
        assert!(modules::coming(&machine, MODULE).is_ok());
    }

    #[test]
    fn refused_under_a_settled_patch() {
        // These steps can fail: to resolve the object, to find the stack, to enter ftrace.
        refused_at_every_step(settled, 3);
    }

    #[test]
    fn refused_while_patching() {
        // Here the step that makes the index can fail as well.
        refused_at_every_step(patching, 4);
    }

    #[test]
    fn refused_by_the_second_patch() {
        let both = || {
            let machine = settled();
            describe(&machine, SECOND);
            assert!(enable::enable(&machine, SECOND).is_ok());
            machine
        };
        // The second patch finds the function in ftrace already.
        refused_at_every_step(both, 5);
    }

    /// The module is refused at each of the `steps` that can fail, and can then be loaded.
    fn comes_after_it_was_refused(machine: &Machine, steps: u32) {
        for step in 0..steps {
            machine.failing_after.set(Some(step));
            assert!(modules::coming(machine, MODULE).is_err());
            assert!(!machine.is_relocated(DRIVER));
            assert!(machine.is_sane());
        }
        machine.unwilling.set(Some(MODULE));
        assert!(modules::coming(machine, MODULE).is_err());
        assert!(!machine.is_relocated(DRIVER));
        machine.unwilling.set(None);
        assert!(modules::coming(machine, MODULE).is_ok());
        assert!(machine.is_relocated(DRIVER));
        assert!(machine.is_sane());
    }

    #[test]
    fn refused_module_can_come_under_a_settled_patch() {
        comes_after_it_was_refused(&settled(), 3);
    }

    #[test]
    fn refused_module_can_come_while_patching() {
        comes_after_it_was_refused(&patching(), 4);
    }

    #[test]
    fn going_without_memory_for_an_index() {
        let machine = patching();
        assert!(modules::coming(&machine, MODULE).is_ok());
        machine.failing_after.set(Some(0));
        modules::going(&machine, MODULE);
        assert!(machine.is_sane());
        finish(&machine);
        assert!(machine.is_sane());
    }
}
