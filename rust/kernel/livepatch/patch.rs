// SPDX-License-Identifier: GPL-2.0-or-later

//! Objects and funcs: onto the func stacks and into ftrace, and back.
//!
//! All functions of an object that nobody else patches enter ftrace in one update, and all that
//! nobody patches any more leave it in one. What callers and the log see is as if they had gone
//! one by one: an object is patched entirely or not at all, and the function that is refused is
//! named.

#![deny(unsafe_code)]

use super::{
    abi::{
        Func,
        Object,
        Patch, //
    },
    host::{
        self,
        klp_err,
        warn_on,
        Locked, //
    },
    model::func::Change,
    stacks::{
        self,
        FuncStack, //
    }, //
};
use crate::{
    prelude::*, //
};

/// What the patch is doing while one of its objects is patched or unpatched.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Circumstance {
    /// It is in transition: tasks differ in which functions they use.
    InTransition,
    /// It is settled, or replaced by one that is; no task is inside the functions.
    Settled,
}

impl Circumstance {
    /// That of `patch` now.
    pub(crate) fn of(patch: &Patch) -> Self {
        if host::in_transition(patch) {
            Self::InTransition
        } else {
            Self::Settled
        }
    }
}

/// Which funcs of an object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// All of them.
    All,
    /// Those that stand for the original function.
    Nops,
}

/// The functions that are to enter ftrace.
struct Entering<'a> {
    locations: KVec<usize>,
    funcs: KVec<(&'a Func, &'a FuncStack)>,
}

/// Patches all functions of a loaded object, or none. Sleeps.
pub(crate) fn patch_object(object: &Object, when: Circumstance, locked: &Locked) -> Result {
    if warn_on!(object.patched(locked)) {
        return Err(EINVAL);
    }
    if let Err(error) = push_funcs(object, when, locked) {
        unpatch_object(object, when, locked);
        return Err(error);
    }
    object.set_patched(true, locked);
    Ok(())
}

fn push_funcs(object: &Object, when: Circumstance, locked: &Locked) -> Result {
    let mut entering = Entering {
        locations: KVec::new(),
        funcs: KVec::new(),
    };
    let mut refused = None;
    let pushed = object.funcs(locked).try_for_each(|func| {
        let old = func.old_address(locked);
        if warn_on!(old.is_none()) {
            return Err(EINVAL);
        }
        let Some(location) = old.and_then(host::ftrace_location) else {
            refused = Some(func);
            return Err(EINVAL);
        };
        push_func(func, location, when, &mut entering, locked)
    });

    // The functions before one that failed would have been refused first.
    enter_ftrace(&mut entering, locked)?;

    if let Some(func) = refused {
        klp_err!("failed to find location for function '{}'\n", func.name());
    }
    pushed
}

fn push_func<'a>(
    func: &'a Func,
    location: usize,
    when: Circumstance,
    entering: &mut Entering<'a>,
    locked: &'a Locked,
) -> Result {
    let change = match when {
        Circumstance::InTransition => Change::Patch,
        Circumstance::Settled => Change::Arrive,
    };
    let stack = match stacks::find(location, locked) {
        Some(stack) => stack,
        None => stacks::insert(location, locked)?,
    };
    if !stack.traced(locked) && !entering.locations.contains(&location) {
        entering.locations.push(location, GFP_KERNEL)?;
        entering.funcs.push((func, stack), GFP_KERNEL)?;
    }
    if warn_on!(!func.change(change, locked)) {
        return Err(EINVAL);
    }
    stack.push(func, locked);
    Ok(())
}

/// What ftrace refused to do.
enum Refusal {
    Filter(Error),
    Register(Error),
}

/// Has ftrace call the handler for functions that it does not call it for yet.
fn enter_ftrace(entering: &mut Entering<'_>, locked: &Locked) -> Result {
    if entering.locations.is_empty() {
        return Ok(());
    }
    if add_locations(&mut entering.locations).is_ok() {
        for (_, stack) in &entering.funcs {
            stack.set_traced(locked);
        }
        return Ok(());
    }
    // One of them was refused: find out which.
    for (func, stack) in &entering.funcs {
        let (what, error) = match add_locations(&mut [stack.location()]) {
            Ok(()) => {
                stack.set_traced(locked);
                continue;
            }
            Err(Refusal::Filter(error)) => ("set ftrace filter", error),
            Err(Refusal::Register(error)) => ("register ftrace handler", error),
        };
        klp_err!(
            "failed to {} for function '{}' ({})\n",
            what,
            func.name(),
            error.to_errno()
        );
        return Err(error);
    }
    Ok(())
}

fn add_locations(locations: &mut [usize]) -> Result<(), Refusal> {
    let registered = host::ftrace_registered();
    host::set_ftrace_filter(locations, false).map_err(|error| {
        // Where the handler is registered already, the filter is where conflicts show.
        if registered && error == EBUSY {
            Refusal::Register(error)
        } else {
            Refusal::Filter(error)
        }
    })?;
    if !registered {
        host::register_ftrace().map_err(|error| {
            let _ = host::set_ftrace_filter(locations, true);
            Refusal::Register(error)
        })?;
    }
    Ok(())
}

/// Takes functions out of ftrace; `all` says that no other is left in it.
fn leave_ftrace(locations: &mut [usize], all: bool) -> Result {
    if !all {
        return host::set_ftrace_filter(locations, true);
    }
    // An empty filter would mean every function, so this comes first.
    host::unregister_ftrace()?;
    // Without memory, functions stay in the filter; called again, they find no stack.
    let _ = host::set_ftrace_filter(locations, true);
    Ok(())
}

/// Takes the funcs of an object off their stacks. Without effect on ftrace until [`settle`].
fn remove_funcs(object: &Object, which: Which, when: Circumstance, locked: &Locked) {
    let change = match when {
        Circumstance::InTransition => Change::Unpatch,
        Circumstance::Settled => Change::Leave,
    };
    for func in object.funcs(locked) {
        if which == Which::Nops && !func.is_nop() {
            continue;
        }
        if func.state(locked).patched && !warn_on!(!func.change(change, locked)) {
            stacks::remove(func, locked);
        }
    }
    if which == Which::All || object.is_nop_object() {
        object.set_patched(false, locked);
    }
}

/// Takes the functions that are left without a func out of ftrace.
fn settle(locked: &Locked) {
    // What cannot leave now, for want of memory, runs the original function, and is tried again.
    let result = stacks::shed(locked, leave_ftrace);
    warn_on!(result.is_err_and(|error| error != ENOMEM));
}

/// Unpatches those functions of an object that are patched. Sleeps.
pub(crate) fn unpatch_object(object: &Object, when: Circumstance, locked: &Locked) {
    remove_funcs(object, Which::All, when, locked);
    settle(locked);
}

/// Unpatches the objects of patches. Sleeps.
pub(crate) fn unpatch_objects<'a>(
    patches: impl Iterator<Item = &'a Patch>,
    which: Which,
    when: Circumstance,
    locked: &Locked,
) {
    for patch in patches {
        for object in patch.objects(locked) {
            if object.patched(locked) {
                remove_funcs(object, which, when, locked);
            }
        }
    }
    settle(locked);
}
