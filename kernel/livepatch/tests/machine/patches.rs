// SPDX-License-Identifier: GPL-2.0-or-later

//! The patches of the machine, as the rules see them.

use super::{
    code::is_replacement,
    Entry,
    Errno,
    Func,
    FuncData,
    Function,
    Machine,
    Module,
    Object,
    Patch,
    Presence,
    Told,
    BROKEN,
    FUNCTIONS,
    VMLINUX, //
};
use crate::model::{
    func::{
        Change,
        FuncState, //
    },
    Callback,
    Event,
    Expectation,
    ModuleHost,
    PatchHost,
    Shown, //
};

impl PatchHost for Machine {
    type Patch = Patch;
    type Object = Object;
    type Func = Func;
    type Functions = [bool; FUNCTIONS];
    type Stack = Function;
    type Batch = usize;
    type Error = Errno;

    fn patches(&self) -> impl Iterator<Item = Patch> {
        let state = self.state.borrow();
        let (order, installed) = (state.order, state.installed);
        order.into_iter().take(installed)
    }

    fn add_patch(&self, patch: Patch) {
        let mut state = self.state.borrow_mut();
        let end = state.installed;
        state.order[end] = patch;
        state.installed += 1;
    }

    fn transition_patch(&self) -> Option<Patch> {
        self.state.borrow().transition
    }

    fn set_transition_patch(&self, patch: Option<Patch>) {
        let before = self.transition_patch();
        if let Some(changed) = patch.or(before).filter(|_| patch != before) {
            self.note_change(Shown::Transition(changed));
        }
        self.state.borrow_mut().transition = patch;
    }

    fn replaces(&self, patch: Patch) -> bool {
        self.patch(patch, |patch| patch.replaces)
    }

    fn enabled(&self, patch: Patch) -> bool {
        self.patch(patch, |patch| patch.enabled)
    }

    fn set_enabled(&self, patch: Patch, enabled: bool) {
        if self.enabled(patch) != enabled {
            self.note_change(Shown::Enabled(patch));
        }
        self.patch(patch, |patch| patch.enabled = enabled);
    }

    fn set_forced(&self, patch: Patch) {
        self.patch(patch, |patch| patch.forced = true);
    }

    fn publish_patch(&self, patch: Patch) -> Result<(), Errno> {
        self.attempt()?;
        self.patch(patch, |patch| patch.published = true);
        Ok(())
    }

    fn release_patch(&self, patch: Patch) {
        self.expect_reclaimed();
        self.must_hold(!self.objects(patch).any(|object| self.patched(object)));
        self.patch(patch, |patch| {
            patch.published = false;
            patch.count = 0;
        });
        let mut state = self.state.borrow_mut();
        let installed = state.installed;
        if let Some(place) = state.order[..installed].iter().position(|&p| p == patch) {
            state.order.copy_within(place + 1..installed, place);
            state.installed -= 1;
        }
    }

    fn free_later(&self, patch: Patch) {
        self.record(Entry::Freed(patch));
        self.depart(patch);
    }

    fn objects(&self, patch: Patch) -> impl Iterator<Item = Object> {
        let mut next = 0;
        core::iter::from_fn(move || {
            let object = Object(patch, next);
            next += 1;
            (next <= self.patch(patch, |patch| patch.count)).then_some(object)
        })
    }

    fn same_object(&self, one: Object, other: Object) -> bool {
        self.object(one, |object| object.module) == self.object(other, |object| object.module)
    }

    fn add_nop_object(&self, patch: Patch, like: Object) -> Result<Object, Errno> {
        self.attempt()?;
        let module = self.object(like, |object| object.module);
        let place = self.patch(patch, |patch| {
            let place = patch.count;
            patch.count += 1;
            let object = &mut patch.objects[place];
            object.module = module;
            object.loaded = module == VMLINUX;
            object.patched = false;
            object.dynamic = true;
            object.owes = false;
            object.relocated = false;
            object.count = 0;
            place
        });
        Ok(Object(patch, place))
    }

    fn is_nop_object(&self, object: Object) -> bool {
        self.object(object, |object| object.dynamic)
    }

    fn loaded(&self, object: Object) -> bool {
        self.object(object, |object| object.loaded)
    }

    fn patched(&self, object: Object) -> bool {
        self.object(object, |object| object.patched)
    }

    fn set_patched(&self, object: Object, patched: bool) {
        if self.patched(object) != patched {
            self.note_change(Shown::Patched(object));
        }
        self.object(object, |object| object.patched = patched);
    }

    fn publish_object(&self, _: Patch, object: Object) -> Result<(), Errno> {
        self.attempt()?;
        let module = self.object(object, |object| object.module);
        let loaded = module == VMLINUX || self.is_patchable(module);
        self.object(object, |object| object.loaded = loaded);
        Ok(())
    }

    fn resolve(&self, _: Patch, object: Object) -> Result<(), Errno> {
        self.attempt()?;
        // x86 refuses to write a relocation where one is written already.
        self.must_hold(!self.is_relocated(object));
        self.object(object, |object| object.relocated = object.module != VMLINUX);
        Ok(())
    }

    fn call(&self, object: Object, callback: Callback) -> Result<(), Errno> {
        // The callback after patching must find only the patch's own funcs in sysfs, and no nops.
        let has_nops = self.funcs(object).any(|func| self.is_nop(func));
        self.must_hold(callback != Callback::PostPatch || !has_nops);
        if self.is_nop_object(object) {
            return Ok(());
        }
        // Two of the callbacks run while the object is patched, and two while it is not.
        let patched = matches!(callback, Callback::PostPatch | Callback::PreUnpatch);
        self.must_hold(self.patched(object) == patched);
        if callback == Callback::PostUnpatch {
            self.expect_reclaimed();
            self.expect_arrived(object);
        }
        self.record(Entry::Called(object, callback));
        let module = self.object(object, |object| object.module);
        if callback == Callback::PrePatch && self.unwilling.get() == Some(module) {
            return Err(Errno(BROKEN));
        }
        Ok(())
    }

    fn owes_post_unpatch(&self, object: Object) -> bool {
        self.object(object, |object| object.owes)
    }

    fn set_owes_post_unpatch(&self, object: Object, owes: bool) {
        self.object(object, |object| object.owes = owes);
    }

    fn funcs(&self, object: Object) -> impl Iterator<Item = Func> {
        let mut next = 0;
        core::iter::from_fn(move || {
            let func = Func(object, next);
            next += 1;
            (next <= self.object(object, |object| object.count)).then_some(func)
        })
    }

    fn functions(&self, object: Object) -> Result<[bool; FUNCTIONS], Errno> {
        self.attempt()?;
        let mut functions = [false; FUNCTIONS];
        for func in self.funcs(object) {
            functions[self.func(func, |func| func.function).0] = true;
        }
        Ok(functions)
    }

    fn among(&self, functions: &[bool; FUNCTIONS], func: Func) -> bool {
        functions[self.func(func, |func| func.function).0]
    }

    fn add_nop(&self, object: Object, like: Func) -> Result<(), Errno> {
        self.attempt()?;
        let function = self.func(like, |func| func.function);
        self.object(object, |object| {
            object.funcs[object.count] = FuncData {
                function,
                state: FuncState::new(false, false),
                nop: true,
            };
            object.count += 1;
        });
        Ok(())
    }

    fn release_nops(&self, patch: Patch) {
        self.expect_reclaimed();
        self.patch(patch, |patch| {
            // Nops and their objects come last in both arrays.
            let objects = &mut patch.objects[..patch.count];
            let own = objects.iter().filter(|object| !object.dynamic).count();
            for object in objects {
                let funcs = &object.funcs[..object.count];
                object.count = funcs.iter().filter(|func| !func.nop).count();
            }
            patch.count = own;
        });
    }

    fn is_nop(&self, func: Func) -> bool {
        self.func(func, |func| func.nop)
    }

    fn publish_func(&self, _: Object, _: Func) -> Result<(), Errno> {
        self.attempt()
    }

    fn func_state(&self, func: Func) -> FuncState {
        self.func(func, |func| func.state)
    }

    fn change(&self, func: Func, change: Change) -> bool {
        self.expect_handled(func, self.func(func, |func| func.function));
        if self.func_state(func).patched() {
            match change {
                Change::Begin => self.must_hold(!self.task_is_idle()),
                // Handlers may have seen the func in transition.
                Change::End => self.state.borrow_mut().unreclaimed = true,
                _ => {}
            }
        }
        self.func(func, |func| match func.state.after(change) {
            Ok(state) => {
                func.state = state;
                true
            }
            Err(_) => false,
        })
    }

    fn stack(&self, func: Func, batch: &mut usize) -> Result<Function, Errno> {
        self.attempt()?;
        let function = self.func(func, |func| func.function);
        let mut state = self.state.borrow_mut();
        let stack = &mut state.stacks[function.0];
        if !stack.traced {
            stack.traced = true;
            *batch += 1;
        }
        Ok(function)
    }

    fn stacks(&self) -> impl Iterator<Item = Function> {
        (0..FUNCTIONS).map(Function)
    }

    fn stack_of(&self, func: Func) -> Option<Function> {
        let loaded = self.object(func.0, |object| object.loaded);
        loaded.then(|| self.func(func, |func| func.function))
    }

    fn top(&self, function: Function) -> Option<Func> {
        let state = self.state.borrow();
        let stack = &state.stacks[function.0];
        stack.funcs[..stack.len].last().copied().flatten()
    }

    fn set_settled(&self, function: Function, func: Option<Func>) {
        if let Some(func) = func {
            self.must_hold(!self.is_nop(func) && !self.func_state(func).transition());
            self.must_hold(self.top(function) == Some(func));
            self.must_hold(self.transition_patch().is_none());
        }
        self.state.borrow_mut().stacks[function.0].settled = func;
    }

    fn follow_settled(&self) -> Result<(), Errno> {
        self.tell_ftrace()
    }

    fn push(&self, func: Func, change: Change, function: Function) -> bool {
        if !self.change(func, change) {
            return false;
        }
        self.expect_handled(func, function);
        let mut state = self.state.borrow_mut();
        let stack = &mut state.stacks[function.0];
        stack.funcs[stack.len] = Some(func);
        stack.len += 1;
        true
    }

    fn pop(&self, func: Func, change: Change) -> bool {
        if !self.change(func, change) {
            return false;
        }
        let function = self.func(func, |func| func.function);
        self.expect_handled(func, function);
        let mut state = self.state.borrow_mut();
        state.unreclaimed = true;
        let stack = &mut state.stacks[function.0];
        let len = stack.len;
        match stack.funcs[..len].iter().position(|f| *f == Some(func)) {
            Some(place) => {
                stack.funcs.copy_within(place + 1..len, place);
                stack.len -= 1;
            }
            None => self.warned.set(true),
        }
        true
    }

    fn enter_ftrace(&self, batch: usize) -> Result<(), Errno> {
        if batch != 0 {
            self.attempt()?;
            if self.ftrace_is_dead.get() {
                return Err(Errno(BROKEN));
            }
            self.record(Entry::Entered(batch));
        }
        Ok(())
    }

    fn leave_ftrace(&self) {
        let mut left = 0;
        for function in (0..FUNCTIONS).map(Function) {
            let leaves = {
                let stack = &mut self.state.borrow_mut().stacks[function.0];
                stack.traced && core::mem::replace(&mut stack.traced, stack.len != 0)
            };
            if leaves && !self.is_traced(function) {
                self.let_tasks_arrive(|address| is_replacement(function, address));
                left += 1;
            }
        }
        if left != 0 {
            self.record(Entry::Left(left));
        }
    }

    fn publish_index(&self, patch: Patch) -> Result<(), Errno> {
        self.attempt()?;
        let mut index = [None; FUNCTIONS];
        let mut order = 0;
        for object in self.objects(patch).filter(|&object| self.patched(object)) {
            for func in self.funcs(object) {
                let function = self.func(func, |func| func.function);
                index[function.0] = Some(self.changing(func, function, order));
                order += 1;
            }
        }
        self.state.borrow_mut().index = Some(index);
        Ok(())
    }

    fn withdraw_index(&self) {
        self.state.borrow_mut().index = None;
    }

    fn synchronize(&self) {
        // A thread that does not enable preemption again is dead now.
        for thread in &mut self.state.borrow_mut().threads {
            if thread.presence == Presence::Ending {
                thread.presence = Presence::None;
            }
        }
    }

    fn reclaim(&self) {
        self.synchronize();
        self.state.borrow_mut().unreclaimed = false;
    }

    fn tell(&self, event: Told) {
        match event {
            Event::Enabled(_) | Event::Disabled(_) | Event::Replaced { .. } => {
                self.keep_trace(event, None);
            }
            Event::Switched(_) => self.count_and_trace(event),
            Event::Changed(shown) => self.told_of_change(shown),
            Event::Reached(patch, stage) => self.told_of_stage(patch, stage),
            Event::Starting(_) | Event::Reversing(_) | Event::Forcing(_) => {
                self.count_and_trace(event);
                self.record(Entry::Told(event));
            }
            _ => self.record(Entry::Told(event)),
        }
    }

    fn expect(&self, _: Expectation, holds: bool) {
        self.must_hold(holds);
    }
}

impl ModuleHost for Machine {
    type Module = Module;

    fn is_module(&self, object: Object, module: Module) -> bool {
        module != VMLINUX && self.object(object, |object| object.module) == module
    }

    fn set_patchable(&self, module: Module, patchable: bool) {
        self.state.borrow_mut().patchable[module.0] = patchable;
    }

    fn attach(&self, object: Object, _: Module) {
        self.object(object, |object| object.loaded = true);
    }

    fn clear_relocations(&self, _: Patch, object: Object) {
        self.expect_reclaimed();
        self.must_hold(!self.patched(object));
        self.must_hold(self.is_relocated(object));
        self.object(object, |object| object.relocated = false);
    }

    fn detach(&self, object: Object) {
        self.expect_reclaimed();
        self.must_hold(!self.patched(object));
        self.must_hold(!self.is_relocated(object));
        self.object(object, |object| object.loaded = false);
    }
}
