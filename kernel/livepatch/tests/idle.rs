// SPDX-License-Identifier: GPL-2.0-or-later

//! Idle tasks are waited for when the module of a livepatch goes.

#[kernel::macros::kunit_tests(rust_livepatch_idle)]
mod tests {
    use crate::{
        model::{
            enable::{
                self,
                try_complete, //
            },
            text::let_go,
            PatchHost, //
        },
        tests::machine::{
            asleep_in,
            helper,
            replacement,
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
    /// The idle task of the second CPU.
    const IDLE: Task = Task::Idle(1);

    /// `PATCH` departs while `IDLE` is in `place`. If that holds the transition up, it was forced.
    fn departing(place: Place) -> Machine {
        let machine = Machine::new(3);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION])]);
        assert!(enable::enable(&machine, PATCH).is_ok());
        machine.put(IDLE, place);
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        if machine.transition_patch().is_some() {
            // The CPU can be busy for ever.
            assert!(enable::force(&machine, PATCH).is_ok());
            try_complete(&machine, PATCH);
        }
        let _ = machine.log();
        machine
    }

    fn stays(machine: &Machine) {
        for _ in 0..2 {
            assert!(let_go(machine));
            assert!(machine.is_held(PATCH));
        }
    }

    fn goes(machine: &Machine) {
        assert!(!let_go(machine));
        assert!(machine.happened(&[Entry::Put(PATCH)]));
        assert!(machine.is_sane());
    }

    #[test]
    fn task_that_is_off_its_cpu_inside_is_waited_for() {
        for inside in [replacement(PATCH, FUNCTION), helper(PATCH)] {
            let machine = departing(asleep_in(inside));
            stays(&machine);
            machine.put(IDLE, ELSEWHERE);
            goes(&machine);
        }
    }

    #[test]
    fn task_that_runs_inside_is_found_in_its_place() {
        let inside = replacement(PATCH, FUNCTION).start;
        let machine = departing(Place::RunningIn(inside, inside));
        stays(&machine);
        machine.put(IDLE, Place::Running);
        goes(&machine);
    }

    #[test]
    fn task_that_runs_when_it_is_looked_for_is_looked_for_again() {
        let machine = departing(Place::Running);
        machine.evasive.set(Some(IDLE));
        stays(&machine);
        machine.evasive.set(None);
        goes(&machine);
    }

    #[test]
    fn task_of_an_offline_cpu_is_not_waited_for() {
        let machine = departing(Place::Running);
        machine.evasive.set(Some(IDLE));
        machine.set_online(1, false);
        goes(&machine);
    }

    #[test]
    fn task_of_a_cpu_that_comes_online_is_looked_at() {
        let machine = departing(asleep_in(helper(PATCH)));
        machine.set_online(1, false);
        machine
            .scanned
            .set(Some(|machine| machine.set_online(1, true)));
        stays(&machine);
        machine.put(IDLE, ELSEWHERE);
        goes(&machine);
    }
}
