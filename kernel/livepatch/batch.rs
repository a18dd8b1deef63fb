// SPDX-License-Identifier: GPL-2.0-or-later

//! Functions enter ftrace, and leave it, together.

use crate::edge::{
    abi::Func,
    ftrace::{
        self,
        FtraceError,
        Ops, //
    },
    func_stacks::{
        self,
        FuncStack, //
    },
    log::{
        warn_on_once,
        Text, //
    },
    mutex::Locked,
    tasks, //
};
use kernel::{
    prelude::*,
    sync::Arc,
    warn_on, //
};

/// The functions that are to enter ftrace.
#[derive(Default)]
pub(crate) struct Batch<'a> {
    /// The `ftrace_ops` by which the functions enter ftrace, or `None` while there are none.
    ops: Option<Arc<Ops>>,
    locations: KVVec<usize>,
    funcs: KVVec<(&'a Func, &'a FuncStack)>,
    /// A func that changes a function which ftrace cannot reach. It is the last func of the batch,
    /// because the rules stop at it.
    unreachable: Option<&'a Func>,
}

impl<'a> Batch<'a> {
    /// Returns the stack of the function that `func` changes, a new one if there is none. If ftrace
    /// does not call the handler for the function yet, the batch notes the function. The address of
    /// the function must have been found before.
    pub(crate) fn stack(&mut self, func: &'a Func, locked: &'a Locked) -> Result<&'a FuncStack> {
        let old = func.old_address(locked);
        if warn_on!(old.is_none()) {
            return Err(EINVAL);
        }
        let Some(location) = old.and_then(ftrace::location) else {
            self.unreachable = Some(func);
            return Err(EINVAL);
        };
        let stack = match func_stacks::find(location, locked) {
            Some(stack) => stack,
            None => func_stacks::insert(location, locked)?,
        };
        if stack.ops(locked).is_none() {
            // Reserve all memory before anything is noted. A function that is noted in part would
            // enter ftrace and never leave it, or leave it without having entered.
            self.locations.reserve(1, GFP_KERNEL)?;
            self.funcs.reserve(1, GFP_KERNEL)?;
            let ops = match self.ops.take() {
                Some(ops) => ops,
                None => Ops::new()?,
            };
            self.ops = Some(ops.clone());
            self.locations.push(location, GFP_KERNEL)?;
            self.funcs.push((func, stack), GFP_KERNEL)?;
            stack.set_ops(Some(ops), locked);
        }
        Ok(stack)
    }

    /// Finds the function that ftrace has refused: the first that ftrace does not take together
    /// with all those before it.
    ///
    /// Each try waits for RCU tasks. So there are no tries if the error is not about a function,
    /// for example if memory is short: then the result is the first function, which stands for all
    /// of them.
    fn find_refused(
        &mut self,
        mut why: FtraceError,
        locked: &Locked,
    ) -> Option<(&'a Func, FtraceError)> {
        let (mut taken, mut refused) = (0, self.locations.len());
        while why.is_of_a_function() && taken < refused.saturating_sub(1) {
            let middle = taken.midpoint(refused);
            match try_out(self.locations.get_mut(..middle)?, locked) {
                Ok(()) => taken = middle,
                Err(reason) if reason.is_of_a_function() => (refused, why) = (middle, reason),
                Err(_) => break,
            }
        }
        let (func, _) = self.funcs.get(taken)?;
        Some((func, why))
    }
}

fn try_out(locations: &mut [usize], locked: &Locked) -> Result<(), FtraceError> {
    let ops = Ops::new().map_err(FtraceError::Filter)?;
    ops.enter(locations, locked)?;
    ops.leave(locked).map_err(FtraceError::Register)
}

/// Makes ftrace call the handler for the functions of a batch. Sleeps.
pub(crate) fn enter(mut batch: Batch<'_>, locked: &Locked) -> Result {
    let entered = match &batch.ops {
        Some(ops) => ops.enter(&mut batch.locations, locked),
        None => Ok(()),
    };
    if let Err(why) = entered {
        for (_, stack) in &batch.funcs {
            stack.set_ops(None, locked);
        }
        return Err(report(batch.find_refused(why, locked)));
    }
    if let Some(func) = batch.unreachable {
        pr_err!(
            "failed to find location for function '{}'\n",
            Text(func.name())
        );
    }
    Ok(())
}

/// Logs which function ftrace has refused, and returns the error.
fn report(refused: Option<(&Func, FtraceError)>) -> Error {
    let Some((func, why)) = refused else {
        return EINVAL;
    };
    let (what, error) = match why {
        FtraceError::Filter(error) => ("set ftrace filter", error),
        FtraceError::Register(error) => ("register ftrace handler", error),
    };
    pr_err!(
        "failed to {} for function '{}' ({})\n",
        what,
        Text(func.name()),
        error.to_errno()
    );
    error
}

/// The time in milliseconds after which the core tries again to take functions out of ftrace.
const RETRY_DELAY: u32 = 1_000;

/// Takes the functions that are left without a func out of ftrace. Sleeps.
///
/// When this returns, every task that was ready to run when such a function lost its last func has
/// gone to sleep or to user space. The caller can go on to free the things that only these tasks
/// used.
///
/// If memory is short, or if ftrace has just forgotten a function that was to stay, functions stay
/// in ftrace: they run their original code, a work item tries again later, and this returns
/// `false`. It returns `true` if all have left, or if ftrace has shut itself down and lets none
/// leave.
pub(crate) fn leave(locked: &Locked) -> bool {
    // The rules have unsettled these stacks already, except for those of functions that ftrace has
    // forgotten.
    func_stacks::all(locked)
        .filter(|stack| stack.is_empty(locked))
        .for_each(|stack| stack.set_settled(None, locked));
    let mut awaited = true;
    let result = take_out(locked, &mut awaited);
    func_stacks::shed(locked);
    if !awaited {
        tasks::wait_for_runnable_tasks();
    }
    let later = can_leave_later(result);
    if later {
        ftrace::leave_later(RETRY_DELAY);
    }
    warn_on_once!(result.is_err() && !later);
    !later
}

/// Returns whether the functions can leave later: memory was short, or ftrace has just forgotten a
/// function that was to stay.
fn can_leave_later(result: Result) -> bool {
    matches!(result, Err(ENOMEM | EINVAL))
}

/// Takes functions out of ftrace, those that have entered together in one step. That needs memory
/// only if some of them stay.
///
/// Sets `awaited` to `false` unless ftrace has waited for the tasks that were on their way through
/// these functions. ftrace waits if all functions that have entered together leave, and does not
/// wait if some of them stay.
///
/// If ftrace has shut itself down, it lets no function leave. Then the stacks forget the
/// `ftrace_ops`, which ftrace keeps: a func that is pushed later must not take its function for one
/// that has entered ftrace.
fn take_out(locked: &Locked, awaited: &mut bool) -> Result {
    let mut result = Ok(());
    let is_left = |stack: &&FuncStack| stack.is_empty(locked);
    // A function that ftrace has forgotten, such as an init function of vmlinux, leaves together
    // with any other.
    let is_forgotten =
        |stack: &&FuncStack| ftrace::location(stack.location()) != Some(stack.location());
    let leaves = |stack: &&FuncStack| is_left(stack) || is_forgotten(stack);
    while let Some(ops) = func_stacks::all(locked)
        .filter(is_left)
        .find_map(|stack| stack.ops(locked))
    {
        let together = || together(&ops, locked);
        let all = together().all(|stack| leaves(&stack));
        let left = if all {
            ops.leave(locked)
        } else {
            warn_on_once!(together().filter(is_left).any(|stack| is_forgotten(&stack)));
            keep(&ops, together().filter(|stack| !leaves(stack)), locked)
        };
        *awaited = all && left.is_ok();
        match left {
            Err(_) if can_leave_later(left) => return left,
            Err(_) => result = left,
            Ok(()) => {}
        }
        for stack in together().filter(leaves) {
            stack.set_ops(None, locked);
        }
    }
    result
}

/// The func stacks of the functions that have entered ftrace together.
fn together<'a>(ops: &'a Arc<Ops>, locked: &'a Locked) -> impl Iterator<Item = &'a FuncStack> + 'a {
    let same = |other: Arc<Ops>| Arc::ptr_eq(ops, &other);
    func_stacks::all(locked).filter(move |stack| stack.ops(locked).is_some_and(same))
}

/// Makes ftrace follow the settled stacks: their functions jump past the handler, and all other
/// functions call it. When this returns, every CPU executes the new instructions. Sleeps, and needs
/// no memory.
///
/// # Errors
///
/// [`ENODEV`] if ftrace has shut itself down.
pub(crate) fn follow_settled(locked: &Locked) -> Result {
    while let Some(stack) = func_stacks::all(locked).find(|stack| stack.is_news(locked)) {
        let Some(ops) = stack.ops(locked) else {
            // The function is not in ftrace.
            stack.set_told(true, locked);
            continue;
        };
        let set_told = |told| together(&ops, locked).for_each(|stack| stack.set_told(told, locked));
        // If ftrace shuts itself down in the middle, only some of the functions jump. Their stacks
        // stay news then, so that the next call asks ftrace again.
        set_told(false);
        ops.jump(locked)?;
        set_told(true);
    }
    Ok(())
}

fn keep<'a>(ops: &Ops, staying: impl Iterator<Item = &'a FuncStack>, locked: &Locked) -> Result {
    let mut locations = KVVec::new();
    for stack in staying {
        locations.push(stack.location(), GFP_KERNEL)?;
    }
    ops.keep(&mut locations, locked)
}
