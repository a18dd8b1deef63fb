// SPDX-License-Identifier: GPL-2.0-or-later

//! This kernel, as the rules see it: its patches, their objects and funcs, and the func stacks.
//!
//! The rules in [`model::patch`], [`model::enable`], [`model::replace`] and [`model::modules`]
//! decide which steps are taken. This file takes each of these steps in this kernel.
//!
//! [`model::patch`]: super::model::patch
//! [`model::enable`]: super::model::enable
//! [`model::replace`]: super::model::replace
//! [`model::modules`]: super::model::modules

use crate::{
    batch,
    edge::{
        abi::{
            Func,
            Module,
            Object,
            Patch, //
        },
        func_stacks::{
            self,
            FuncStack, //
        },
        index,
        mutex::Locked,
        patches,
        reclaim,
        tasks,
        work, //
    },
    model::{
        func::{
            Change,
            FuncState, //
        },
        patch::Which,
        Callback,
        Event,
        Expectation,
        ModuleHost,
        PatchHost,
        Refusal, //
    },
    objects,
    relocs,
    report, //
};
use core::ffi::CStr;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    warn_on, //
};

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Invalid => EINVAL,
            Refusal::Busy => EBUSY,
        }
    }
}

/// A function of an object: its name, and its position among the symbols of that name.
type Function<'a> = (&'a CStr, usize);

fn function(func: &Func) -> Function<'_> {
    // Position 0 demands a unique name, and means the same function as position 1.
    (func.name(), func.position().max(1))
}

/// This kernel, with `klp_mutex` held.
#[derive(Clone, Copy)]
pub(crate) struct Kernel<'a>(pub(crate) &'a Locked);

impl<'a> PatchHost for Kernel<'a> {
    type Patch = &'a Patch;
    type Object = &'a Object;
    type Func = &'a Func;
    type Functions = KVVec<Function<'a>>;
    type Stack = &'a FuncStack;
    type Batch = batch::Batch<'a>;
    type Error = Error;

    fn patches(&self) -> impl Iterator<Item = &'a Patch> {
        patches::INSTALLED.iter(self.0)
    }

    fn add_patch(&self, patch: &'a Patch) {
        patches::INSTALLED.add(patch, self.0);
    }

    fn transition_patch(&self) -> Option<&'a Patch> {
        patches::transition_patch(self.0)
    }

    fn set_transition_patch(&self, patch: Option<&'a Patch>) {
        patches::set_transition_patch(patch, self.0);
    }

    fn replaces(&self, patch: &'a Patch) -> bool {
        patch.replaces()
    }

    fn enabled(&self, patch: &'a Patch) -> bool {
        patch.enabled()
    }

    fn set_enabled(&self, patch: &'a Patch, enabled: bool) {
        patch.set_enabled(enabled, self.0);
    }

    fn set_forced(&self, patch: &'a Patch) {
        patch.set_forced(self.0);
    }

    fn publish_patch(&self, patch: &'a Patch) -> Result {
        patch.publish()
    }

    #[expect(unsafe_code, reason = "the rules decide when nothing is in use")]
    fn release_patch(&self, patch: &'a Patch) {
        patches::remove(patch, self.0);
        // SAFETY: The rules release a patch when its funcs are off the stacks and no handler uses
        // them any more. They do not use its objects and funcs any more either.
        unsafe { patch.release(Which::All, self.0) };
    }

    fn free_later(&self, patch: &'a Patch) {
        work::queue_free(patch);
    }

    fn objects(&self, patch: &'a Patch) -> impl Iterator<Item = &'a Object> {
        patch.objects(self.0)
    }

    fn same_object(&self, one: &'a Object, other: &'a Object) -> bool {
        one.name() == other.name()
    }

    fn add_nop_object(&self, patch: &'a Patch, like: &'a Object) -> Result<&'a Object> {
        patch.add_nop_object(like.name(), self.0)
    }

    fn is_nop_object(&self, object: &'a Object) -> bool {
        object.is_nop_object()
    }

    fn loaded(&self, object: &'a Object) -> bool {
        object.is_loaded(self.0)
    }

    fn patched(&self, object: &'a Object) -> bool {
        object.patched(self.0)
    }

    fn set_patched(&self, object: &'a Object, patched: bool) {
        object.set_patched(patched, self.0);
    }

    fn publish_object(&self, patch: &'a Patch, object: &'a Object) -> Result {
        objects::publish(patch, object, self.0)
    }

    fn resolve(&self, patch: &'a Patch, object: &'a Object) -> Result {
        objects::resolve(patch, object, self.0)
    }

    fn call(&self, object: &'a Object, callback: Callback) -> Result {
        object.call(callback, self.0)
    }

    fn owes_post_unpatch(&self, object: &'a Object) -> bool {
        object.owes_post_unpatch(self.0)
    }

    fn set_owes_post_unpatch(&self, object: &'a Object, owes: bool) {
        object.set_owes_post_unpatch(owes, self.0);
    }

    fn funcs(&self, object: &'a Object) -> impl Iterator<Item = &'a Func> {
        object.funcs(self.0)
    }

    fn functions(&self, object: &'a Object) -> Result<KVVec<Function<'a>>> {
        let mut functions = KVVec::new();
        for func in object.funcs(self.0) {
            functions.push(function(func), GFP_KERNEL)?;
        }
        functions.sort_unstable();
        Ok(functions)
    }

    fn among(&self, functions: &KVVec<Function<'a>>, func: &'a Func) -> bool {
        functions.binary_search(&function(func)).is_ok()
    }

    fn add_nop(&self, object: &'a Object, like: &'a Func) -> Result {
        object.add_nop(like, self.0)
    }

    #[expect(unsafe_code, reason = "the rules decide when nothing is in use")]
    fn release_nops(&self, patch: &'a Patch) {
        // SAFETY: The rules release nops when they are off the stacks and no handler uses them any
        // more, and have no reference to an object or a func then.
        unsafe { patch.release(Which::Nops, self.0) };
    }

    fn is_nop(&self, func: &'a Func) -> bool {
        func.is_nop()
    }

    fn publish_func(&self, object: &'a Object, func: &'a Func) -> Result {
        objects::publish_func(object, func)
    }

    fn func_state(&self, func: &'a Func) -> FuncState {
        func.state(self.0)
    }

    fn change(&self, func: &'a Func, change: Change) -> bool {
        func.change_transition(change, self.0)
    }

    fn stack(&self, func: &'a Func, batch: &mut batch::Batch<'a>) -> Result<&'a FuncStack> {
        batch.stack(func, self.0)
    }

    fn stacks(&self) -> impl Iterator<Item = &'a FuncStack> {
        func_stacks::all(self.0)
    }

    fn stack_of(&self, func: &'a Func) -> Option<&'a FuncStack> {
        func_stacks::of_function(func.old_address(self.0)?, self.0)
    }

    fn top(&self, stack: &'a FuncStack) -> Option<&'a Func> {
        stack.top(self.0)
    }

    fn set_settled(&self, stack: &'a FuncStack, func: Option<&'a Func>) {
        stack.set_settled(func.map(Func::new_address), self.0);
    }

    fn follow_settled(&self) -> Result {
        batch::follow_settled(self.0)
    }

    fn push(&self, func: &'a Func, change: Change, stack: &'a FuncStack) -> bool {
        stack.push(func, change, self.0)
    }

    fn pop(&self, func: &'a Func, change: Change) -> bool {
        func_stacks::remove(func, change, self.0)
    }

    fn enter_ftrace(&self, batch: batch::Batch<'a>) -> Result {
        batch::enter(batch, self.0)
    }

    fn leave_ftrace(&self) {
        batch::leave(self.0);
    }

    fn publish_index(&self, patch: &'a Patch) -> Result {
        index::publish(patch, self.0)
    }

    fn withdraw_index(&self) {
        index::withdraw(self.0);
    }

    fn synchronize(&self) {
        tasks::synchronize(self.0);
    }

    #[expect(unsafe_code, reason = "the rules decide when nothing is in use")]
    fn reclaim(&self) {
        // SAFETY: The rules use a func stack, or the name of a func from an index, only in the step
        // that has found it. So they have no reference to the things that this frees.
        unsafe { reclaim::reclaim(self.0) };
    }

    fn tell(&self, event: Event<&'a Patch, &'a Object, Error>) {
        report::event(self, event);
    }

    fn expect(&self, what: Expectation, holds: bool) {
        // A bit for each expectation. `klp_mutex` protects it.
        static WARNED: Atomic<u64> = Atomic::new(0);

        if holds {
            return;
        }
        let warned = WARNED.load(Relaxed);
        let this = 1_u64.wrapping_shl(what as u32);
        if warned & this == 0 {
            WARNED.store(warned | this, Relaxed);
            pr_warn!("unexpected: not {what:?}\n");
            warn_on!(true);
        }
    }
}

impl<'a> ModuleHost for Kernel<'a> {
    type Module = &'a Module;

    fn is_module(&self, object: &'a Object, module: &'a Module) -> bool {
        object.name() == Some(module.name())
    }

    fn set_patchable(&self, module: &'a Module, patchable: bool) {
        module.set_patchable(patchable, self.0);
    }

    #[expect(unsafe_code, reason = "the life of the module")]
    fn attach(&self, object: &'a Object, module: &'a Module) {
        // SAFETY: The rules attach the module that is coming. They detach it before it goes: when
        // the module loader calls `klp_module_going()`, or at once if they refuse the module.
        unsafe { object.set_module(module, self.0) };
    }

    fn clear_relocations(&self, patch: &'a Patch, object: &'a Object) {
        relocs::clear_for_object(patch, object);
    }

    fn detach(&self, object: &'a Object) {
        object.clear_module(self.0);
        for func in object.funcs(self.0) {
            func.clear_original(self.0);
        }
    }
}
