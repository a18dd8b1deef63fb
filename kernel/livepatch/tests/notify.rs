// SPDX-License-Identifier: GPL-2.0-or-later

//! Notifications of processes that wait for a patch.
//!
//! The machine checks in every test that each change of a value is reported, once and before the
//! next one.

#[kernel::macros::kunit_tests(rust_livepatch_notify)]
mod tests {
    use crate::{
        model::{
            enable::{
                self,
                try_complete, //
            },
            modules,
            PatchHost,
            Stage, //
        },
        tests::machine::{
            asleep_in,
            notify::Uevent,
            original,
            Function,
            Machine,
            Module,
            Object,
            Patch,
            Task,
            ELSEWHERE,
            VMLINUX, //
        }, //
    };

    const PATCH: Patch = Patch(0);
    const NEXT: Patch = Patch(1);
    const DRIVER: Object = Object(PATCH, 1);
    const MODULE: Module = Module(1);
    const FUNCTION: Function = Function(0);
    const DRIVERS: Function = Function(1);
    const TASK: Task = Task::Thread(1);

    /// A uevent that comes while the transition of `PATCH` runs.
    fn running(stage: Stage, patching: bool) -> Uevent {
        Uevent {
            patch: PATCH,
            stage,
            patching,
            running: true,
        }
    }

    /// The uevent that comes when a transition is over.
    fn completed(patch: Patch, patching: bool) -> Uevent {
        Uevent {
            patch,
            stage: Stage::Completed,
            patching,
            running: false,
        }
    }

    /// `PATCH` is being enabled, and waits for `TASK`.
    fn patching() -> Machine {
        let machine = Machine::new(3);
        let objects: [(Module, &[Function]); 2] = [(VMLINUX, &[FUNCTION]), (MODULE, &[DRIVERS])];
        machine.describe(PATCH, false, &objects);
        machine.put(TASK, asleep_in(original(FUNCTION)));
        assert!(enable::enable(&machine, PATCH).is_ok());
        machine
    }

    fn finish(machine: &Machine) {
        machine.put(TASK, ELSEWHERE);
        try_complete(machine, PATCH);
    }

    #[test]
    fn start_and_end() {
        let machine = patching();
        assert!(machine.were_sent(&[running(Stage::Started, true)]));
        // Another look at the tasks sends no uevent.
        try_complete(&machine, PATCH);
        assert!(machine.were_sent(&[]));
        finish(&machine);
        assert!(machine.were_sent(&[completed(PATCH, true)]));
        assert!(machine.is_sane());

        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        let expected = [running(Stage::Started, false), completed(PATCH, false)];
        assert!(machine.were_sent(&expected));
        assert!(machine.is_sane());
    }

    #[test]
    fn reversal() {
        let machine = patching();
        let _ = machine.were_sent(&[]);
        assert!(enable::set_enabled(&machine, PATCH, false).is_ok());
        assert!(machine.were_sent(&[running(Stage::Reversed, false)]));
        assert!(enable::set_enabled(&machine, PATCH, true).is_ok());
        assert!(machine.were_sent(&[running(Stage::Reversed, true)]));
        finish(&machine);
        assert!(machine.were_sent(&[completed(PATCH, true)]));
        assert!(machine.is_sane());
    }

    #[test]
    fn force() {
        let machine = patching();
        let _ = machine.were_sent(&[]);
        assert!(enable::force(&machine, PATCH).is_ok());
        assert!(machine.were_sent(&[running(Stage::Forced, true)]));
        try_complete(&machine, PATCH);
        assert!(machine.were_sent(&[completed(PATCH, true)]));
        assert!(machine.is_sane());
    }

    /// The patch that is replaced has no transition, and so no uevent. It becomes disabled.
    #[test]
    fn replacement() {
        let machine = patching();
        finish(&machine);
        let _ = machine.were_sent(&[]);
        machine.describe(NEXT, true, &[(VMLINUX, &[FUNCTION])]);
        assert!(enable::enable(&machine, NEXT).is_ok());
        let started = Uevent {
            patch: NEXT,
            ..running(Stage::Started, true)
        };
        assert!(machine.were_sent(&[started, completed(NEXT, true)]));
        assert!(!machine.enabled(PATCH));
        assert!(machine.is_sane());
    }

    /// No transition has begun, so there is no uevent that it ends.
    #[test]
    fn refused_patch() {
        let machine = Machine::new(3);
        machine.describe(PATCH, false, &[(VMLINUX, &[FUNCTION])]);
        machine.unwilling.set(Some(VMLINUX));
        assert!(enable::enable(&machine, PATCH).is_err());
        assert!(machine.were_sent(&[]));
        assert!(machine.is_sane());
    }

    #[test]
    fn module_that_comes_and_goes() {
        let machine = patching();
        let _ = machine.were_sent(&[]);
        assert!(modules::coming(&machine, MODULE).is_ok());
        assert!(machine.patched(DRIVER));
        modules::going(&machine, MODULE);
        assert!(!machine.patched(DRIVER));
        finish(&machine);
        assert!(modules::coming(&machine, MODULE).is_ok());
        assert!(machine.patched(DRIVER));
        modules::going(&machine, MODULE);
        assert!(machine.were_sent(&[completed(PATCH, true)]));
        assert!(machine.is_sane());
    }
}
