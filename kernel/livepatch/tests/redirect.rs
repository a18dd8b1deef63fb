// SPDX-License-Identifier: GPL-2.0-or-later

//! Which function a call reaches, for every stack depth, transition, task state, and nop.

#[kernel::macros::kunit_tests(rust_livepatch_redirect)]
mod tests {
    use crate::model::{
        redirect::{
            redirect,
            Stack, //
        },
        TaskState, //
    };
    use core::cell::Cell;

    #[derive(Clone, Copy)]
    struct Func {
        transition: bool,
        nop: bool,
    }

    /// A settled func, a func in transition, and the same as nops.
    const SETTLED: Func = func(false, false);
    const MOVING: Func = func(true, false);
    const NOP: Func = func(false, true);
    const MOVING_NOP: Func = func(true, true);

    const fn func(transition: bool, nop: bool) -> Func {
        Func { transition, nop }
    }

    /// A stack, the top first, as a task in some state finds it.
    struct Machine<'a> {
        funcs: &'a [Func],
        settled: Option<usize>,
        task: TaskState,
        target: TaskState,
        asked: Cell<bool>,
        barriers: Cell<u32>,
    }

    impl Stack for &Machine<'_> {
        type Func = usize;
        type Target = usize;

        fn settled(&self) -> Option<usize> {
            self.settled
        }

        fn target(&self, func: usize) -> Option<usize> {
            Some(func)
        }

        fn top(&self) -> Option<usize> {
            (!self.funcs.is_empty()).then_some(0)
        }

        fn below(&self, func: usize) -> Option<usize> {
            (func + 1 < self.funcs.len()).then_some(func + 1)
        }

        fn in_transition(&self, func: usize) -> bool {
            self.funcs.get(func).is_some_and(|f| f.transition)
        }

        fn is_nop(&self, func: usize) -> bool {
            self.funcs.get(func).is_some_and(|f| f.nop)
        }

        fn task_state(&self) -> TaskState {
            self.task
        }

        fn read_barrier(&self) {
            self.barriers.set(self.barriers.get() + 1);
        }

        fn target_of_idle(&self) -> TaskState {
            self.asked.set(true);
            self.target
        }
    }

    fn machine(funcs: &[Func], task: TaskState) -> Machine<'_> {
        Machine {
            funcs,
            settled: None,
            task,
            target: Patched,
            asked: Cell::new(false),
            barriers: Cell::new(0),
        }
    }

    fn reached(funcs: &[Func], task: TaskState) -> Option<usize> {
        redirect(&machine(funcs, task))
    }

    const ORIGINAL: Option<usize> = None;
    const TOP: Option<usize> = Some(0);
    const SECOND: Option<usize> = Some(1);

    use TaskState::{
        Idle,
        Patched,
        Unpatched, //
    };

    #[test]
    fn settled_stack_is_looked_at_no_further() {
        for task in [Idle, Unpatched, Patched] {
            let machine = Machine {
                settled: Some(7),
                ..machine(&[MOVING, SETTLED], task)
            };
            assert_eq!(redirect(&machine), Some(7));
            assert_eq!(machine.barriers.get(), 0);
            assert!(!machine.asked.get());
        }
    }

    #[test]
    fn no_func() {
        for task in [Idle, Unpatched, Patched] {
            assert_eq!(reached(&[], task), ORIGINAL);
        }
    }

    #[test]
    fn one_settled_func() {
        // A transition of another patch does not affect this function.
        for task in [Idle, Unpatched, Patched] {
            assert_eq!(reached(&[SETTLED], task), TOP);
            assert_eq!(reached(&[NOP], task), ORIGINAL);
        }
    }

    #[test]
    fn one_func_in_transition() {
        assert_eq!(reached(&[MOVING], Unpatched), ORIGINAL);
        assert_eq!(reached(&[MOVING], Patched), TOP);
        assert_eq!(reached(&[MOVING_NOP], Unpatched), ORIGINAL);
        assert_eq!(reached(&[MOVING_NOP], Patched), ORIGINAL);
    }

    #[test]
    fn two_funcs_settled() {
        for task in [Idle, Unpatched, Patched] {
            assert_eq!(reached(&[SETTLED, SETTLED], task), TOP);
            assert_eq!(reached(&[SETTLED, NOP], task), TOP);
            assert_eq!(reached(&[NOP, SETTLED], task), ORIGINAL);
            assert_eq!(reached(&[NOP, NOP], task), ORIGINAL);
        }
    }

    #[test]
    fn two_funcs_top_in_transition() {
        assert_eq!(reached(&[MOVING, SETTLED], Unpatched), SECOND);
        assert_eq!(reached(&[MOVING, SETTLED], Patched), TOP);
        assert_eq!(reached(&[MOVING, NOP], Unpatched), ORIGINAL);
        assert_eq!(reached(&[MOVING, NOP], Patched), TOP);
        assert_eq!(reached(&[MOVING_NOP, SETTLED], Unpatched), SECOND);
        assert_eq!(reached(&[MOVING_NOP, SETTLED], Patched), ORIGINAL);
        assert_eq!(reached(&[MOVING_NOP, NOP], Unpatched), ORIGINAL);
        assert_eq!(reached(&[MOVING_NOP, NOP], Patched), ORIGINAL);
    }

    #[test]
    fn two_funcs_lower_in_transition() {
        // An older patch is being disabled: the func on top hides it from all tasks.
        for task in [Unpatched, Patched] {
            assert_eq!(reached(&[SETTLED, MOVING], task), TOP);
            assert_eq!(reached(&[SETTLED, MOVING_NOP], task), TOP);
            assert_eq!(reached(&[NOP, MOVING], task), ORIGINAL);
        }
    }

    #[test]
    fn three_funcs() {
        for lowest in [SETTLED, NOP] {
            assert_eq!(reached(&[SETTLED, SETTLED, lowest], Idle), TOP);
            assert_eq!(reached(&[MOVING, SETTLED, lowest], Unpatched), SECOND);
            assert_eq!(reached(&[MOVING, SETTLED, lowest], Patched), TOP);
            assert_eq!(reached(&[MOVING, NOP, lowest], Unpatched), ORIGINAL);
            assert_eq!(reached(&[MOVING_NOP, SETTLED, lowest], Unpatched), SECOND);
            assert_eq!(reached(&[MOVING_NOP, SETTLED, lowest], Patched), ORIGINAL);
        }
    }

    /// The func that an idle task reaches while the transition goes to `target`.
    fn idle_reaches(funcs: &[Func], target: TaskState) -> Option<usize> {
        let machine = Machine {
            target,
            ..machine(funcs, Idle)
        };
        let func = redirect(&machine);
        assert!(machine.asked.get());
        func
    }

    #[test]
    fn idle_task_has_not_switched_while_patching() {
        // No walk over the tasks finds the task, so it goes on with the functions from before the
        // transition.
        assert_eq!(idle_reaches(&[MOVING], Patched), ORIGINAL);
        assert_eq!(idle_reaches(&[MOVING, SETTLED], Patched), SECOND);
        assert_eq!(idle_reaches(&[MOVING, NOP], Patched), ORIGINAL);
        assert_eq!(idle_reaches(&[MOVING_NOP, SETTLED], Patched), SECOND);
    }

    #[test]
    fn idle_task_has_not_switched_while_unpatching() {
        assert_eq!(idle_reaches(&[MOVING], Unpatched), TOP);
        assert_eq!(idle_reaches(&[MOVING, SETTLED], Unpatched), TOP);
        assert_eq!(idle_reaches(&[MOVING, NOP], Unpatched), TOP);
        assert_eq!(idle_reaches(&[MOVING_NOP, SETTLED], Unpatched), ORIGINAL);
    }

    #[test]
    fn target_does_not_matter_otherwise() {
        for task in [Unpatched, Patched] {
            for top in [SETTLED, MOVING, NOP, MOVING_NOP] {
                let funcs = [top, SETTLED];
                let fine = machine(&funcs, task);
                let _ = redirect(&fine);
                assert!(!fine.asked.get());
            }
        }
        for top in [SETTLED, NOP] {
            let funcs = [top, MOVING];
            let fine = machine(&funcs, Idle);
            let _ = redirect(&fine);
            assert!(!fine.asked.get());
        }
    }

    #[test]
    fn settled_func_costs_one_barrier() {
        let funcs = [SETTLED];
        let settled = machine(&funcs, Patched);
        let _ = redirect(&settled);
        assert_eq!(settled.barriers.get(), 1);
    }

    #[test]
    fn func_in_transition_costs_two_barriers() {
        let funcs = [MOVING];
        let moving = machine(&funcs, Patched);
        let _ = redirect(&moving);
        assert_eq!(moving.barriers.get(), 2);
    }
}
