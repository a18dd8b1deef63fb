// SPDX-License-Identifier: GPL-2.0-or-later

//! Functions enter ftrace, and leave it, together.

#![deny(unsafe_code)]

use super::{
    abi::Func,
    host::{
        self,
        klp_err,
        warn_on,
        Locked,
        Text, //
    },
    stacks::{
        self,
        FuncStack,
        Leaving, //
    }, //
};
use crate::prelude::*;

/// The functions that are to enter ftrace.
#[derive(Default)]
pub(crate) struct Batch<'a> {
    locations: KVec<usize>,
    funcs: KVec<(&'a Func, &'a FuncStack)>,
    /// A func that ftrace cannot reach; there is none after it.
    unreachable: Option<&'a Func>,
}

impl<'a> Batch<'a> {
    /// The stack of the function that `func` changes, which must have been found; noted here if
    /// ftrace does not call the handler for it yet.
    pub(crate) fn stack(&mut self, func: &'a Func, locked: &'a Locked) -> Result<&'a FuncStack> {
        let old = func.old_address(locked);
        if warn_on!(old.is_none()) {
            return Err(EINVAL);
        }
        let Some(location) = old.and_then(host::ftrace_location) else {
            self.unreachable = Some(func);
            return Err(EINVAL);
        };
        let stack = match stacks::find(location, locked) {
            Some(stack) => stack,
            None => stacks::insert(location, locked)?,
        };
        if !stack.traced(locked) {
            // Both or none: what is in the one alone would enter ftrace and never leave.
            self.locations.reserve(1, GFP_KERNEL)?;
            self.funcs.reserve(1, GFP_KERNEL)?;
            self.locations.push(location, GFP_KERNEL)?;
            self.funcs.push((func, stack), GFP_KERNEL)?;
            stack.set_traced(true, locked);
        }
        Ok(stack)
    }
}

/// What ftrace refused to do.
enum Refusal {
    Filter(Error),
    Register(Error),
}

/// Has ftrace call the handler for the functions of a batch.
pub(crate) fn enter(mut batch: Batch<'_>, locked: &Locked) -> Result {
    if !batch.locations.is_empty() && add_locations(&mut batch.locations).is_err() {
        enter_one_by_one(&batch, locked)?;
    }
    if let Some(func) = batch.unreachable {
        klp_err!(
            "failed to find location for function '{}'\n",
            Text(func.name())
        );
    }
    Ok(())
}

/// One function of a batch was refused: finds out which.
fn enter_one_by_one(batch: &Batch<'_>, locked: &Locked) -> Result {
    for (_, stack) in &batch.funcs {
        stack.set_traced(false, locked);
    }
    for (func, stack) in &batch.funcs {
        let (what, error) = match add_locations(&mut [stack.location()]) {
            Ok(()) => {
                stack.set_traced(true, locked);
                continue;
            }
            Err(Refusal::Filter(error)) => ("set ftrace filter", error),
            Err(Refusal::Register(error)) => ("register ftrace handler", error),
        };
        klp_err!(
            "failed to {} for function '{}' ({})\n",
            what,
            Text(func.name()),
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
            // Nothing else is in it. ftrace may have looked at it, for a moment.
            host::synchronize();
            host::clear_ftrace_filter();
            Refusal::Register(error)
        })?;
    }
    Ok(())
}

/// Milliseconds until functions that could not leave ftrace are tried again.
const RETRY_DELAY: u64 = 1_000;

/// Takes the functions that are left without a func out of ftrace. Sleeps.
///
/// What cannot leave now, for want of memory, runs the original function, and is tried again later.
/// Returns whether there is nothing of that kind.
pub(crate) fn leave(locked: &Locked) -> bool {
    let result = stacks::shed(locked, remove_locations);
    let short = result == Err(ENOMEM);
    if short {
        host::retry_transition(RETRY_DELAY);
    }
    warn_on!(result.is_err() && !short);
    !short
}

/// Takes functions out of ftrace. Only for a part of them does that need memory.
fn remove_locations(leaving: Leaving<'_>) -> Result {
    match leaving {
        Leaving::Some(locations) => host::set_ftrace_filter(locations, true),
        Leaving::All => {
            // An empty filter would mean every function, so this comes first.
            host::unregister_ftrace()?;
            host::clear_ftrace_filter();
            Ok(())
        }
    }
}
