// SPDX-License-Identifier: GPL-2.0-or-later

//! The func stacks, as the ftrace handler finds and reads them.
//!
//! Each patched function has a stack of the funcs that change it, the latest on top. The table
//! finds a function's stack by its ftrace location. Both are changed under `klp_mutex` and read by
//! the handler, on any CPU, with nothing but preemption disabled; what the handler can have seen
//! is freed after [`tasks::synchronize()`].
//!
//! The handler may call nothing that can be traced. That is why shared words are loaded and stored
//! as volatile here, which is what `READ_ONCE()` and `WRITE_ONCE()` are, and not through the
//! `kernel` crate's atomics: those call C functions.
//!
//! [`tasks::synchronize()`]: tasks::synchronize

use crate::{
    edge::{
        abi::Func,
        ftrace::Ops,
        log::warn_on_once,
        mutex::Locked,
        retired::{
            Link,
            Retired, //
        },
        tasks::{
            self,
            TaskRef, //
        }, //
    },
    model::{
        redirect,
        TaskState, //
    },
};
use core::{
    cell::{
        Cell,
        UnsafeCell, //
    },
    ptr, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::Arc, //
};

const BUCKET_BITS: u32 = 10;
const BUCKETS: usize = 1 << BUCKET_BITS;

/// The funcs that change one function.
///
/// # Invariants
///
/// `funcs` is the head of an initialized list of funcs, linked by their `stack_node`; `next` is
/// null or points to another stack of the same bucket.
pub(crate) struct FuncStack {
    /// The next stack of the bucket. Written under `klp_mutex`, read by the handler.
    next: UnsafeCell<*mut FuncStack>,
    /// The function's ftrace location: what the handler is called with.
    location: usize,
    /// By what ftrace calls the handler for the function, if it does. Used under `klp_mutex`.
    ops: Cell<Option<Arc<Ops>>>,
    /// Written under `klp_mutex`, read by the handler.
    funcs: UnsafeCell<bindings::list_head>,
}

/// The first stack of each bucket.
struct Table([UnsafeCell<*mut FuncStack>; BUCKETS]);

// SAFETY: The heads are single words, written under `klp_mutex` and always loaded whole; a stack
// that has been reached stays until the reader is done, see `shed()`.
unsafe impl Sync for Table {}

static TABLE: Table = Table([const { UnsafeCell::new(ptr::null_mut()) }; BUCKETS]);

/// The head of the bucket that a location belongs to.
#[inline(always)]
fn bucket(location: usize) -> *mut *mut FuncStack {
    // Fibonacci hashing: functions are aligned, so the lowest bits say little.
    let hash = location.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as usize);
    let index = hash >> (usize::BITS - BUCKET_BITS);
    // The shift leaves `BUCKET_BITS` bits; the mask shows the compiler that it does.
    TABLE.0[index & (BUCKETS - 1)].get()
}

/// The stack for a location.
///
/// # Safety
///
/// `klp_mutex` is held or preemption is disabled, for as long as `'a`.
#[inline(always)]
unsafe fn lookup<'a>(location: usize) -> Option<&'a FuncStack> {
    // SAFETY: A bucket's head and a stack's `next` are null or point to a stack that lives as long
    // as a reader may be here, by the safety requirement and `shed()`. The loads depend on each
    // other, and pair with the write barrier in `insert()`.
    unsafe {
        let mut stack = bucket(location).read_volatile();
        while let Some(found) = stack.as_ref() {
            if found.location == location {
                return Some(found);
            }
            stack = found.next.get().read_volatile();
        }
    }
    None
}

/// The stack for a function's ftrace location.
pub(crate) fn find(location: usize, _: &Locked) -> Option<&FuncStack> {
    // SAFETY: `Locked` shows that the mutex is held.
    unsafe { lookup(location) }
}

/// Makes an empty stack for a location that has none.
pub(crate) fn insert(location: usize, _: &Locked) -> Result<&FuncStack> {
    let head = bucket(location);
    // SAFETY: The head is valid, and only written under the mutex, which `Locked` shows is held.
    let next = unsafe { *head };
    let stack = KBox::new(
        FuncStack {
            next: UnsafeCell::new(next),
            location,
            ops: Cell::new(None),
            funcs: UnsafeCell::new(pin_init::zeroed()),
        },
        GFP_KERNEL,
    )?;
    let stack = KBox::into_raw(stack);
    // INVARIANT: The list is initialized here, before anybody else knows of it.
    // SAFETY: The stack was just allocated.
    unsafe { bindings::INIT_LIST_HEAD((*stack).funcs.get()) };
    // Orders the stores to the stack before the one that publishes it: pairs with the dependent
    // loads in `lookup()`.
    kernel::sync::barrier::smp_mb(kernel::sync::barrier::Write);
    // SAFETY: As for the load above. The stack is retired by `shed()` alone, under the mutex.
    unsafe {
        head.write_volatile(stack);
        Ok(&*stack)
    }
}

impl FuncStack {
    /// Puts a func on top; the handler may see it at once.
    pub(crate) fn push(&self, func: &Func, _: &Locked) {
        // SAFETY: The list is initialized by the type invariants, the func is on no stack, and
        // `Locked` excludes other writers. The function orders the stores to the func before the
        // one that publishes it.
        unsafe { bindings::klp_list_add_rcu(func.stack_node(), self.funcs.get()) };
    }

    /// Whether no func is left.
    pub(crate) fn is_empty(&self, _: &Locked) -> bool {
        // SAFETY: The list is initialized by the type invariants, and `Locked` excludes writers.
        unsafe { ptr::eq((*self.funcs.get()).next, self.funcs.get()) }
    }

    /// By what ftrace calls the handler for the function, or is about to.
    pub(crate) fn ops(&self, _: &Locked) -> Option<Arc<Ops>> {
        let ops = self.ops.take();
        self.ops.set(ops.clone());
        ops
    }

    /// Sets what [`FuncStack::ops`] returns.
    pub(crate) fn set_ops(&self, ops: Option<Arc<Ops>>, _: &Locked) {
        self.ops.set(ops);
    }

    /// The function's ftrace location.
    pub(crate) fn location(&self) -> usize {
        self.location
    }
}

/// The func below this one on the stack for `location`.
pub(crate) fn below<'a>(func: &Func, location: usize, locked: &'a Locked) -> Option<&'a Func> {
    let stack = find(location, locked)?;
    following(stack, func.stack_node())
}

/// Takes a func off its stack. A handler may still use it until
/// [`tasks::synchronize()`](tasks::synchronize).
pub(crate) fn remove(func: &Func, _: &Locked) {
    // SAFETY: The func is on a stack, and `Locked` excludes other writers.
    unsafe { bindings::klp_list_del_rcu(func.stack_node()) };
}

/// The first stack that does nothing of those that `from` or what follows it in its bucket points
/// to.
///
/// # Safety
///
/// `from` is a bucket's head or a stack's `next`, and the mutex is held.
unsafe fn first_idle(
    mut from: *mut *mut FuncStack,
    locked: &Locked,
) -> Option<*mut *mut FuncStack> {
    // SAFETY: By the safety requirement, every pointer in the chain is valid.
    unsafe {
        while let Some(stack) = (*from).as_ref() {
            if stack.is_empty(locked) && stack.ops(locked).is_none() {
                return Some(from);
            }
            from = stack.next.get();
        }
    }
    None
}

/// All stacks.
pub(crate) fn all(_: &Locked) -> impl Iterator<Item = &FuncStack> {
    TABLE.0.iter().flat_map(|head| {
        let mut next: *const UnsafeCell<*mut FuncStack> = head;
        core::iter::from_fn(move || {
            // SAFETY: The heads and what they lead to are valid, and `Locked` excludes writers.
            let stack = unsafe { (*(*next).get()).as_ref() }?;
            next = &raw const stack.next;
            Some(stack)
        })
    })
}

/// Takes the stacks that are empty and that ftrace does not call the handler for off the table.
/// They go to [`RETIRED`].
pub(crate) fn shed(locked: &Locked) {
    for head in &TABLE.0 {
        let mut from = head.get();
        // SAFETY: `from` starts at a head and goes on to the `next` of stacks that stay; `Locked`
        // excludes other writers. Stores are whole words, for the handler's sake. A stack comes
        // from `insert()`, and handlers have preemption disabled.
        unsafe {
            while let Some(link) = first_idle(from, locked) {
                let stack = *link;
                link.write_volatile(*(*stack).next.get());
                RETIRED.push(stack, locked);
                from = link;
            }
        }
    }
}

/// Stacks that no handler finds any more.
pub(crate) static RETIRED: Retired<FuncStack> = Retired::new();

// SAFETY: A retired stack is empty, and a handler that may still be using it looks at its `next`
// and at the `next` of its list alone: the other word of the list is free.
unsafe impl Link for FuncStack {
    unsafe fn link(this: *mut Self) -> *mut *mut Self {
        // SAFETY: By the safety requirement.
        unsafe { (&raw mut (*(*this).funcs.get()).prev).cast() }
    }
}

/// The func that follows a node of a stack, if that is not the last.
#[inline(always)]
fn following<'a>(stack: &'a FuncStack, node: *mut bindings::list_head) -> Option<&'a Func> {
    // SAFETY: `node` is the stack's head or the node of a func that was on it when the section
    // began that the caller is in, under the mutex or without preemption: it and what it points to
    // live until that ends.
    unsafe {
        let next = (&raw const (*node).next).read_volatile();
        (next != stack.funcs.get()).then(|| Func::from_stack_node(next))
    }
}

/// What the handler sees of a stack and of the calling task.
struct View<'a> {
    stack: &'a FuncStack,
    task: TaskRef,
}

impl<'a> redirect::Stack for View<'a> {
    type Func = &'a Func;

    #[inline(always)]
    fn top(&self) -> Option<&'a Func> {
        following(self.stack, self.stack.funcs.get())
    }

    #[inline(always)]
    fn below(&self, func: &'a Func) -> Option<&'a Func> {
        following(self.stack, func.stack_node())
    }

    #[inline(always)]
    fn in_transition(&self, func: &'a Func) -> bool {
        func.in_transition()
    }

    #[inline(always)]
    fn is_nop(&self, func: &'a Func) -> bool {
        func.is_nop()
    }

    #[inline(always)]
    fn task_state(&self) -> TaskState {
        self.task.state()
    }

    #[inline(always)]
    fn read_barrier(&self) {
        // On x86, loads are not reordered with loads, so that `smp_rmb()` is `barrier()` there.
        #[cfg(CONFIG_X86)]
        kernel::sync::barrier::barrier();
        // SAFETY: No requirements; and it cannot be traced.
        #[cfg(not(CONFIG_X86))]
        unsafe {
            bindings::klp_smp_rmb()
        };
    }

    #[cold]
    fn target_of_idle(&self) -> TaskState {
        warn_on_once!(!self.task.is_exiting());
        // SAFETY: It is one word, which lives for ever, and this is `READ_ONCE()`.
        TaskState::from_raw(unsafe { tasks::TARGET.as_ptr().read_volatile() })
    }
}

/// The address at which a call of the function at `location` is to go on, or `None` for where it
/// was going.
///
/// # Safety
///
/// Preemption is disabled, and `task` is the current task.
#[inline(always)]
pub(crate) unsafe fn redirect(location: usize, task: TaskRef) -> Option<usize> {
    // SAFETY: Preemption is disabled until this returns.
    let stack = unsafe { lookup(location) }?;
    redirect::redirect(&View { stack, task }).map(Func::new_address)
}
