// SPDX-License-Identifier: GPL-2.0-or-later

//! Functions of this kernel, patched through the real ftrace.
//!
//! There is no module here, and no transition: the tests make objects by hand and push them onto
//! the func stacks, as a patch would. The handler that then redirects calls is the real one.
//!
//! A test that fails returns, and so leaves everything as it was: KUnit's assertions would end the
//! thread with `klp_mutex` held.

#[kernel::macros::kunit_tests(rust_livepatch_live)]
mod tests {
    use crate::{
        edge::{
            abi::{
                Object,
                Patch, //
            },
            ftrace,
            index,
            mutex::{
                self,
                Locked,
                LockedGuard, //
            },
            patches,
            tasks::TaskRef, //
        },
        model::{
            blocker::Code,
            func::Change,
            patch::{
                patch_object,
                unpatch_object,
                Circumstance, //
            },
            PatchHost,
            TaskState, //
        },
        patch::Kernel, //
    };
    use kernel::{
        bindings,
        prelude::*, //
    };

    /// Returns from a test that fails.
    macro_rules! check {
        ($what:expr) => {
            if !$what {
                pr_err!("{}:{}: not {}\n", file!(), line!(), stringify!($what));
                return Err(EINVAL);
            }
        };
    }

    extern "C" fn ten(value: i32) -> i32 {
        value + 10
    }

    extern "C" fn hundred(value: i32) -> i32 {
        value + 100
    }

    fn target(value: i32) -> i32 {
        // SAFETY: The function has no preconditions: it and its replacements only add.
        unsafe { bindings::klp_kunit_target(value) }
    }

    fn other_target(value: i32) -> i32 {
        // SAFETY: The function has no preconditions: it and its replacements only add.
        unsafe { bindings::klp_kunit_other_target(value) }
    }

    type Replacement = extern "C" fn(i32) -> i32;
    type Target = unsafe extern "C" fn(i32) -> i32;

    const TARGET: Target = bindings::klp_kunit_target;
    const OTHER: Target = bindings::klp_kunit_other_target;

    /// The structures that a livepatch module defines.
    struct Livepatch {
        patch: bindings::klp_patch,
        objects: [bindings::klp_object; 2],
        funcs: [bindings::klp_func; 3],
    }

    impl Livepatch {
        /// A patch of vmlinux. A function without a replacement gets a nop.
        fn new(
            changes: &[(Target, Option<Replacement>)],
            locked: &Locked,
        ) -> Result<KBox<Livepatch>> {
            let mut this = KBox::new(
                Livepatch {
                    patch: pin_init::zeroed(),
                    objects: pin_init::zeroed(),
                    funcs: pin_init::zeroed(),
                },
                GFP_KERNEL,
            )?;
            for (func, (target, new)) in this.funcs.iter_mut().zip(changes) {
                func.old_name = c"klp_kunit_target".as_char_ptr();
                func.new_func = new.map_or(core::ptr::null_mut(), |new| new as *mut _);
                func.nop = new.is_none();
                func.old_func = *target as *mut _;
            }
            this.objects[0].funcs = this.funcs.as_mut_ptr();
            this.patch.objs = this.objects.as_mut_ptr();
            // SAFETY: The patch was just made, and is only used here.
            unsafe { this.view().init(locked) };
            for (func, (target, _)) in this.object().funcs(locked).zip(changes) {
                let start = *target as usize;
                func.set_original(Code { start, size: 1 }, locked);
            }
            Ok(this)
        }

        fn view(&self) -> &Patch {
            // INVARIANT: `new()` has filled in the fields that the tests use, and `self` is in a
            // box, where the arrays stay. The last object and the last func are zero.
            // SAFETY: `patch` lives as long as `self`, and the view is transparent.
            unsafe { &*(&raw const self.patch).cast() }
        }

        fn object(&self) -> &Object {
            // INVARIANT: As for the patch.
            // SAFETY: The first object lives as long as `self`, and the view is transparent.
            unsafe { &*(&raw const self.objects[0]).cast() }
        }

        fn change(&self, change: Change, locked: &Locked) -> Result {
            for func in self.object().funcs(locked) {
                check!(func.change_transition(change, locked));
            }
            Ok(())
        }
    }

    /// A livepatch that is applied until this is dropped.
    struct Applied<'a> {
        livepatch: &'a Livepatch,
        locked: &'a Locked,
        when: Circumstance,
    }

    fn apply_when<'a>(
        livepatch: &'a Livepatch,
        locked: &'a Locked,
        when: Circumstance,
    ) -> Result<Applied<'a>> {
        patch_object(&Kernel(locked), livepatch.object(), when)?;
        Ok(Applied {
            livepatch,
            locked,
            when,
        })
    }

    fn apply<'a>(livepatch: &'a Livepatch, locked: &'a Locked) -> Result<Applied<'a>> {
        apply_when(livepatch, locked, Circumstance::Settled)
    }

    impl Drop for Applied<'_> {
        fn drop(&mut self) {
            let kernel = Kernel(self.locked);
            unpatch_object(&kernel, self.livepatch.object(), self.when);
            kernel.reclaim();
        }
    }

    /// The calling task takes part in a transition until this is dropped.
    struct Switching;

    impl Drop for Switching {
        fn drop(&mut self) {
            TaskRef::current().set_state(TaskState::Idle);
        }
    }

    /// Takes `klp_mutex`. Fails if a patch is in transition, because KUnit can run a test at any
    /// time, through debugfs.
    fn lock() -> Result<LockedGuard> {
        let locked = mutex::lock();
        if patches::transition_patch(&locked).is_some() {
            return Err(EBUSY);
        }
        Ok(locked)
    }

    #[test]
    fn call_is_redirected_and_reverted() -> Result {
        let locked = lock()?;
        check!(target(1) == 2);
        let livepatch = Livepatch::new(&[(TARGET, Some(ten))], &locked)?;
        let applied = apply(&livepatch, &locked)?;
        check!(target(1) == 11);
        check!(other_target(1) == 3);
        drop(applied);
        check!(target(1) == 2);
        Ok(())
    }

    #[test]
    fn functions_of_an_object_change_together() -> Result {
        let locked = lock()?;
        let livepatch = Livepatch::new(&[(TARGET, Some(ten)), (OTHER, Some(hundred))], &locked)?;
        let applied = apply(&livepatch, &locked)?;
        check!(target(1) == 11);
        check!(other_target(1) == 101);
        drop(applied);
        check!(target(1) == 2);
        check!(other_target(1) == 3);
        Ok(())
    }

    #[test]
    fn latest_patch_is_on_top() -> Result {
        let locked = lock()?;
        let first = Livepatch::new(&[(TARGET, Some(ten))], &locked)?;
        let second = Livepatch::new(&[(TARGET, Some(hundred))], &locked)?;
        let applied_first = apply(&first, &locked)?;
        let applied_second = apply(&second, &locked)?;
        check!(target(1) == 101);
        drop(applied_second);
        check!(target(1) == 11);
        drop(applied_first);
        check!(target(1) == 2);
        Ok(())
    }

    #[test]
    fn lower_patch_leaves_without_a_trace() -> Result {
        let locked = lock()?;
        let first = Livepatch::new(&[(TARGET, Some(ten))], &locked)?;
        let second = Livepatch::new(&[(TARGET, Some(hundred))], &locked)?;
        let applied_first = apply(&first, &locked)?;
        let applied_second = apply(&second, &locked)?;
        drop(applied_first);
        check!(target(1) == 101);
        drop(applied_second);
        check!(target(1) == 2);
        Ok(())
    }

    #[test]
    fn nop_runs_the_original() -> Result {
        let locked = lock()?;
        let first = Livepatch::new(&[(TARGET, Some(ten))], &locked)?;
        let nop = Livepatch::new(&[(TARGET, None)], &locked)?;
        let applied_first = apply(&first, &locked)?;
        let applied_nop = apply(&nop, &locked)?;
        check!(target(1) == 2);
        drop(applied_nop);
        check!(target(1) == 11);
        drop(applied_first);
        Ok(())
    }

    #[test]
    fn in_transition_the_task_decides() -> Result {
        let locked = lock()?;
        let task = TaskRef::current();
        let first = Livepatch::new(&[(TARGET, Some(ten))], &locked)?;
        let second = Livepatch::new(&[(TARGET, Some(hundred))], &locked)?;
        let applied_first = apply(&first, &locked)?;

        let switching = Switching;
        task.set_state(TaskState::Unpatched);
        second.change(Change::Begin, &locked)?;
        let applied_second = apply_when(&second, &locked, Circumstance::InTransition)?;
        check!(target(1) == 11);
        task.set_state(TaskState::Patched);
        check!(target(1) == 101);
        task.set_state(TaskState::Unpatched);
        check!(target(1) == 11);

        drop(applied_second);
        second.change(Change::End, &locked)?;
        drop(switching);
        check!(target(1) == 11);
        drop(applied_first);
        check!(target(1) == 2);
        Ok(())
    }

    #[test]
    fn patching_can_be_repeated() -> Result {
        let locked = lock()?;
        let livepatch = Livepatch::new(&[(TARGET, Some(ten))], &locked)?;
        for _ in 0..5 {
            let applied = apply(&livepatch, &locked)?;
            check!(target(1) == 11);
            drop(applied);
            check!(target(1) == 2);
        }
        Ok(())
    }

    /// The address to which the call of a function's handler returns.
    fn after_handler(target: Target) -> usize {
        let location = ftrace::location(target as usize).unwrap_or_default();
        location + bindings::MCOUNT_INSN_SIZE as usize
    }

    #[test]
    fn stack_shows_who_is_in_a_handler() {
        // There the unwinder stops on the way through ftrace, and the stack is not reliable.
        if cfg!(CONFIG_LOONGARCH) {
            return;
        }
        let mut stack = [0; 64];
        let size = stack.len() as u32;
        // SAFETY: The array has that many elements.
        let depth = unsafe { bindings::klp_kunit_stack_in_handler(stack.as_mut_ptr(), size) };
        assert!(depth > 0);
        assert!(stack.contains(&after_handler(TARGET)));
        assert!(!stack.contains(&after_handler(OTHER)));
    }

    #[test]
    fn who_can_be_in_a_handler_does_not_switch() -> Result {
        let locked = lock()?;
        let kernel = Kernel(&locked);
        let livepatch = Livepatch::new(&[(TARGET, Some(ten))], &locked)?;
        let _applied = apply(&livepatch, &locked)?;
        kernel.publish_index(livepatch.view())?;
        let blocks = |target, caller, runnable| {
            // SAFETY: The mutex is held, and the name is dropped at once.
            unsafe { index::find_blocker(target, &[after_handler(caller)], runnable) }.is_some()
        };
        let states = [TaskState::Patched, TaskState::Unpatched];
        let preempted = states.map(|target| blocks(target, TARGET, true));
        let asleep = states.map(|target| blocks(target, TARGET, false));
        let elsewhere = states.map(|target| blocks(target, OTHER, true));
        kernel.withdraw_index();
        check!(preempted == [true; 2]);
        check!(asleep == [false; 2]);
        check!(elsewhere == [false; 2]);
        Ok(())
    }
}
