// SPDX-License-Identifier: GPL-2.0-or-later

//! Atomic replace: one patch takes the place of none, one, or many.

#[kernel::macros::kunit_tests(rust_livepatch_replace)]
mod tests {
    use crate::{
        model::{
            enable::{
                self,
                try_complete, //
            },
            modules,
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

    const FIRST: Patch = Patch(0);
    const SECOND: Patch = Patch(1);
    const ALL: Patch = Patch(2);
    const MODULE: Module = Module(1);
    const SHARED: Function = Function(0);
    const FIRSTS: Function = Function(1);
    const SECONDS: Function = Function(2);
    const DRIVERS: Function = Function(3);
    const TASK: Task = Task::Thread(0);
    const FREE: Task = Task::Thread(1);

    /// A machine with a replace patch for `SHARED`, described but not enabled.
    fn machine() -> Machine {
        let machine = Machine::new(2);
        machine.describe(ALL, true, &[(VMLINUX, &[SHARED])]);
        machine
    }

    fn add_first(machine: &Machine) {
        machine.describe(FIRST, false, &[(VMLINUX, &[SHARED, FIRSTS])]);
        assert!(enable::enable(machine, FIRST).is_ok());
    }

    fn add_second(machine: &Machine) {
        let objects: [(Module, &[Function]); 2] =
            [(VMLINUX, &[SHARED, SECONDS]), (MODULE, &[DRIVERS])];
        machine.describe(SECOND, false, &objects);
        assert!(enable::enable(machine, SECOND).is_ok());
    }

    fn freed(machine: &Machine) -> impl Iterator<Item = Patch> {
        machine.log().filter_map(|entry| match entry {
            Entry::Freed(patch) => Some(patch),
            _ => None,
        })
    }

    #[test]
    fn replaces_nothing() {
        let machine = machine();
        assert!(enable::enable(&machine, ALL).is_ok());
        assert_eq!(machine.reaches(TASK, SHARED), Some(ALL));
        assert_eq!(machine.extent(ALL), (1, 1));
        assert!(freed(&machine).next().is_none());
        assert!(machine.is_sane());
    }

    #[test]
    fn replaces_one() {
        let machine = machine();
        add_first(&machine);
        assert!(enable::enable(&machine, ALL).is_ok());
        assert_eq!(machine.reaches(TASK, SHARED), Some(ALL));
        assert_eq!(machine.reaches(TASK, FIRSTS), None);
        assert!(!machine.is_traced(FIRSTS));
        assert!(machine.patches().eq([ALL]));
        assert!(!machine.enabled(FIRST));
        assert!(freed(&machine).eq([FIRST]));
        assert!(machine.is_sane());
    }

    #[test]
    fn replaces_many() {
        let machine = machine();
        assert!(modules::coming(&machine, MODULE).is_ok());
        add_first(&machine);
        add_second(&machine);
        assert_eq!(machine.reaches(TASK, DRIVERS), Some(SECOND));
        let _ = machine.log();
        assert!(enable::enable(&machine, ALL).is_ok());
        assert_eq!(machine.reaches(TASK, SHARED), Some(ALL));
        for function in [FIRSTS, SECONDS, DRIVERS] {
            assert_eq!(machine.reaches(TASK, function), None);
            assert!(!machine.is_traced(function));
        }
        assert!(machine.patches().eq([ALL]));
        assert!(freed(&machine).eq([FIRST, SECOND]));
        assert!(machine.is_sane());
    }

    #[test]
    fn nops_are_there_for_the_transition_only() {
        let machine = machine();
        assert!(modules::coming(&machine, MODULE).is_ok());
        add_first(&machine);
        add_second(&machine);
        machine.put(TASK, asleep_in(replacement(SECOND, SHARED)));
        assert!(enable::enable(&machine, ALL).is_ok());
        // Two nops for vmlinux, one in an object of its own for the module.
        assert_eq!(machine.extent(ALL), (2, 4));
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, ALL);
        assert_eq!(machine.extent(ALL), (1, 1));
        assert!(machine.is_sane());
    }

    #[test]
    fn nop_sends_a_patched_task_to_the_original() {
        let machine = machine();
        add_first(&machine);
        machine.put(TASK, asleep_in(replacement(FIRST, SHARED)));
        assert!(enable::enable(&machine, ALL).is_ok());
        assert_eq!(machine.reaches(TASK, FIRSTS), Some(FIRST));
        assert_eq!(machine.reaches(FREE, FIRSTS), None);
        assert!(machine.is_sane());
    }

    #[test]
    fn replaced_patches_stay_enabled_until_it_is_done() {
        let machine = machine();
        add_first(&machine);
        machine.put(TASK, asleep_in(replacement(FIRST, SHARED)));
        assert!(enable::enable(&machine, ALL).is_ok());
        assert!(machine.enabled(FIRST));
        assert!(machine.patches().eq([FIRST, ALL]));
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, ALL);
        assert!(!machine.enabled(FIRST));
        assert!(!machine.is_published(FIRST));
    }

    #[test]
    fn reversed_replace_leaves_all_as_it_was() {
        let machine = machine();
        add_first(&machine);
        machine.put(TASK, asleep_in(replacement(FIRST, SHARED)));
        assert!(enable::enable(&machine, ALL).is_ok());
        assert!(enable::set_enabled(&machine, ALL, false).is_ok());
        try_complete(&machine, ALL);
        assert!(machine.patches().eq([FIRST]));
        assert!(machine.enabled(FIRST));
        assert_eq!(machine.reaches(TASK, SHARED), Some(FIRST));
        assert_eq!(machine.reaches(FREE, FIRSTS), Some(FIRST));
        assert!(machine.is_sane());
    }

    #[test]
    fn module_coming_in_the_middle_gets_both_and_keeps_none() {
        let machine = machine();
        add_second(&machine);
        machine.put(TASK, asleep_in(replacement(SECOND, SHARED)));
        assert!(enable::enable(&machine, ALL).is_ok());
        assert!(modules::coming(&machine, MODULE).is_ok());
        assert_eq!(machine.reaches(TASK, DRIVERS), Some(SECOND));
        assert_eq!(machine.reaches(FREE, DRIVERS), None);
        assert!(machine.is_sane());
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, ALL);
        assert!(!machine.is_traced(DRIVERS));
        assert!(machine.is_sane());
    }

    #[test]
    fn module_going_in_the_middle() {
        let machine = machine();
        assert!(modules::coming(&machine, MODULE).is_ok());
        add_second(&machine);
        machine.put(TASK, asleep_in(replacement(SECOND, SHARED)));
        assert!(enable::enable(&machine, ALL).is_ok());
        modules::going(&machine, MODULE);
        assert!(!machine.is_traced(DRIVERS));
        assert!(machine.is_sane());
        machine.put(TASK, ELSEWHERE);
        try_complete(&machine, ALL);
        assert!(machine.is_sane());
    }

    #[test]
    fn nop_is_held_up_by_what_it_replaces() {
        let machine = machine();
        add_first(&machine);
        machine.put(TASK, asleep_in(replacement(FIRST, FIRSTS)));
        assert!(enable::enable(&machine, ALL).is_ok());
        assert_eq!(machine.transition_patch(), Some(ALL));
        // The nop leads to the original function.
        machine.put(TASK, asleep_in(original(FIRSTS)));
        try_complete(&machine, ALL);
        assert_eq!(machine.transition_patch(), None);
    }

    #[test]
    fn whatever_fails_leaves_the_old_patches() {
        for step in 0.. {
            let machine = machine();
            assert!(modules::coming(&machine, MODULE).is_ok());
            add_first(&machine);
            add_second(&machine);
            machine.failing_after.set(Some(step));
            let result = enable::enable(&machine, ALL);
            if result.is_ok() {
                assert!(step > 10);
                break;
            }
            assert_eq!(result, Err(Errno(BROKEN)));
            assert!(machine.patches().eq([FIRST, SECOND]));
            assert_eq!(machine.reaches(TASK, SHARED), Some(SECOND));
            assert_eq!(machine.reaches(TASK, FIRSTS), Some(FIRST));
            assert_eq!(machine.reaches(TASK, DRIVERS), Some(SECOND));
            assert!(!machine.is_published(ALL));
            assert!(machine.is_sane());
        }
    }

    #[test]
    fn replacing_again_and_again() {
        let machine = machine();
        add_first(&machine);
        assert!(enable::enable(&machine, ALL).is_ok());
        machine.describe(FIRST, true, &[(VMLINUX, &[FIRSTS])]);
        assert!(enable::enable(&machine, FIRST).is_ok());
        assert_eq!(machine.reaches(TASK, SHARED), None);
        assert_eq!(machine.reaches(TASK, FIRSTS), Some(FIRST));
        assert!(machine.patches().eq([FIRST]));
        assert!(machine.is_sane());
    }
}
