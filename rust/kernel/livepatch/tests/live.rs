// SPDX-License-Identifier: GPL-2.0-or-later

//! Functions of this kernel, patched through the real ftrace.
//!
//! There is no module here, and no transition: the tests make objects by hand and push them onto
//! the func stacks, as a patch would. What the handler does with them is real.

#[kernel::macros::kunit_tests(rust_livepatch_live)]
mod tests {
    use crate::{
        bindings,
        livepatch::{
            abi::{
                Func,
                Object,
                Patch, //
            },
            host::{
                self,
                Locked,
                TaskRef, //
            },
            index,
            model::{
                func::Change,
                patch::{
                    patch_object,
                    unpatch_object,
                    Circumstance, //
                },
                stack::Code,
                PatchHost,
                TaskState, //
            },
            patch::Kernel, //
        },
        prelude::*, //
    };

    extern "C" fn ten(value: i32) -> i32 {
        value + 10
    }

    extern "C" fn hundred(value: i32) -> i32 {
        value + 100
    }

    fn target(value: i32) -> i32 {
        // SAFETY: No requirements.
        unsafe { bindings::klp_kunit_target(value) }
    }

    fn other_target(value: i32) -> i32 {
        // SAFETY: No requirements.
        unsafe { bindings::klp_kunit_other_target(value) }
    }

    type Replacement = extern "C" fn(i32) -> i32;
    type Target = unsafe extern "C" fn(i32) -> i32;

    const TARGET: Target = bindings::klp_kunit_target;
    const OTHER: Target = bindings::klp_kunit_other_target;

    /// What a livepatch module would have.
    struct Livepatch {
        patch: bindings::klp_patch,
        objects: [bindings::klp_object; 2],
        funcs: [bindings::klp_func; 3],
    }

    impl Livepatch {
        /// A patch of vmlinux; a function that is replaced by nothing gets a nop.
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
            this.view().init(locked);
            for (func, (target, _)) in this.object(locked).funcs(locked).zip(changes) {
                let start = *target as usize;
                func.set_original(Code { start, size: 1 }, locked);
            }
            Ok(this)
        }

        fn view(&self) -> &Patch {
            // SAFETY: What is looked at is filled in, and in its place in a box.
            unsafe { &*(&raw const self.patch).cast() }
        }

        fn object<'a>(&self, _: &'a Locked) -> &'a Object {
            // SAFETY: As above; the tests keep it until the object is unpatched.
            unsafe { &*(&raw const self.objects[0]).cast() }
        }

        fn change(&self, change: Change, locked: &Locked) {
            for func in self.object(locked).funcs(locked) {
                assert!(Func::change(func, change, locked));
            }
        }
    }

    fn apply(livepatch: &Livepatch, locked: &Locked) {
        let kernel = Kernel(locked);
        let applied = patch_object(&kernel, livepatch.object(locked), Circumstance::Settled);
        assert!(applied.is_ok());
    }

    fn revert(livepatch: &Livepatch, locked: &Locked) {
        let kernel = Kernel(locked);
        unpatch_object(&kernel, livepatch.object(locked), Circumstance::Settled);
        kernel.reclaim();
    }

    #[test]
    fn call_is_redirected_and_reverted() -> Result {
        let locked = host::lock();
        assert_eq!(target(1), 2);
        let livepatch = Livepatch::new(&[(TARGET, Some(ten))], &locked)?;
        apply(&livepatch, &locked);
        assert_eq!(target(1), 11);
        assert_eq!(other_target(1), 3);
        revert(&livepatch, &locked);
        assert_eq!(target(1), 2);
        Ok(())
    }

    #[test]
    fn functions_of_an_object_change_together() -> Result {
        let locked = host::lock();
        let livepatch = Livepatch::new(&[(TARGET, Some(ten)), (OTHER, Some(hundred))], &locked)?;
        apply(&livepatch, &locked);
        assert_eq!(target(1), 11);
        assert_eq!(other_target(1), 101);
        revert(&livepatch, &locked);
        assert_eq!(target(1), 2);
        assert_eq!(other_target(1), 3);
        Ok(())
    }

    #[test]
    fn latest_patch_is_on_top() -> Result {
        let locked = host::lock();
        let first = Livepatch::new(&[(TARGET, Some(ten))], &locked)?;
        let second = Livepatch::new(&[(TARGET, Some(hundred))], &locked)?;
        apply(&first, &locked);
        apply(&second, &locked);
        assert_eq!(target(1), 101);
        revert(&second, &locked);
        assert_eq!(target(1), 11);
        revert(&first, &locked);
        assert_eq!(target(1), 2);
        Ok(())
    }

    #[test]
    fn lower_patch_leaves_without_a_trace() -> Result {
        let locked = host::lock();
        let first = Livepatch::new(&[(TARGET, Some(ten))], &locked)?;
        let second = Livepatch::new(&[(TARGET, Some(hundred))], &locked)?;
        apply(&first, &locked);
        apply(&second, &locked);
        revert(&first, &locked);
        assert_eq!(target(1), 101);
        revert(&second, &locked);
        assert_eq!(target(1), 2);
        Ok(())
    }

    #[test]
    fn nop_runs_the_original() -> Result {
        let locked = host::lock();
        let first = Livepatch::new(&[(TARGET, Some(ten))], &locked)?;
        let nop = Livepatch::new(&[(TARGET, None)], &locked)?;
        apply(&first, &locked);
        apply(&nop, &locked);
        assert_eq!(target(1), 2);
        revert(&nop, &locked);
        assert_eq!(target(1), 11);
        revert(&first, &locked);
        Ok(())
    }

    #[test]
    fn in_transition_the_task_decides() -> Result {
        let locked = host::lock();
        let kernel = Kernel(&locked);
        let task = TaskRef::current();
        let first = Livepatch::new(&[(TARGET, Some(ten))], &locked)?;
        let second = Livepatch::new(&[(TARGET, Some(hundred))], &locked)?;
        apply(&first, &locked);

        task.set_state(TaskState::Unpatched);
        second.change(Change::Begin, &locked);
        let when = Circumstance::InTransition;
        assert!(patch_object(&kernel, second.object(&locked), when).is_ok());
        assert_eq!(target(1), 11);
        task.set_state(TaskState::Patched);
        assert_eq!(target(1), 101);
        task.set_state(TaskState::Unpatched);
        assert_eq!(target(1), 11);

        unpatch_object(&kernel, second.object(&locked), when);
        kernel.reclaim();
        second.change(Change::End, &locked);
        task.set_state(TaskState::Idle);
        assert_eq!(target(1), 11);
        revert(&first, &locked);
        assert_eq!(target(1), 2);
        Ok(())
    }

    #[test]
    fn patching_can_be_repeated() -> Result {
        let locked = host::lock();
        let livepatch = Livepatch::new(&[(TARGET, Some(ten))], &locked)?;
        for _ in 0..5 {
            apply(&livepatch, &locked);
            assert_eq!(target(1), 11);
            revert(&livepatch, &locked);
            assert_eq!(target(1), 2);
        }
        Ok(())
    }

    /// Where the call of the handler of a function returns to.
    fn after_handler(target: Target) -> usize {
        let location = host::ftrace_location(target as usize).unwrap_or_default();
        location + bindings::MCOUNT_INSN_SIZE as usize
    }

    #[test]
    fn stack_shows_who_is_in_a_handler() {
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
        let locked = host::lock();
        let kernel = Kernel(&locked);
        let livepatch = Livepatch::new(&[(TARGET, Some(ten))], &locked)?;
        apply(&livepatch, &locked);
        kernel.publish_index(livepatch.view())?;
        let blocks = |target, caller, runnable| {
            index::find_blocker(target, &[after_handler(caller)], runnable).is_some()
        };
        for target in [TaskState::Patched, TaskState::Unpatched] {
            assert!(blocks(target, TARGET, true));
            assert!(!blocks(target, TARGET, false));
            assert!(!blocks(target, OTHER, true));
        }
        kernel.withdraw_index();
        revert(&livepatch, &locked);
        Ok(())
    }
}
