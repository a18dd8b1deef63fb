// SPDX-License-Identifier: GPL-2.0-or-later

//! The func stacks, as the ftrace handler finds and reads them.
//!
//! Each patched function has a stack of the funcs that change it, the latest on top. The table
//! finds a function's stack by its ftrace location. Writers of both hold `klp_mutex`. The handler
//! reads them on any CPU, with only preemption disabled. Memory that the handler can have seen is
//! freed after [`tasks::synchronize()`].
//!
//! This file loads and stores shared words as volatile, as `READ_ONCE()` and `WRITE_ONCE()` do. An
//! atomic load would call a helper in C for each of the words that the handler reads, unless the
//! kernel is built with `RUST_INLINE_HELPERS=y`. On arm64 with LTO, C's `READ_ONCE()` is a
//! load-acquire, so that the compiler keeps dependent loads in order. Rust code takes no part in
//! LTO (`-Clto=n`).
//!
//! [`tasks::synchronize()`]: tasks::synchronize

use crate::{
    edge::{
        abi::Func,
        ftrace::{
            self,
            Ops, //
        },
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
        func::Change,
        redirect,
        TaskState, //
    },
};
use core::{
    cell::{
        Cell,
        UnsafeCell, //
    },
    iter,
    num::NonZeroUsize,
    ptr, //
};
use kernel::{
    bindings,
    prelude::*,
    sync::{
        atomic::Relaxed,
        barrier::{
            smp_mb,
            Read,
            Write, //
        },
        Arc, //
    }, //
};

const BUCKET_BITS: u32 = 10;
const BUCKETS: usize = 1 << BUCKET_BITS;

/// The beginning of a bucket or of the chain of all stacks, or the link from a stack to the next
/// one: a pointer to a stack, or null.
///
/// Writers hold `klp_mutex`. The word is always loaded and stored whole.
///
/// # Invariants
///
/// The pointer is null, or [`insert`] has made the stack that it points to. When neither a bucket
/// nor the chain of all stacks leads to a stack any more, the stack lives until
/// [`tasks::synchronize`] has returned.
#[repr(transparent)]
struct StackLink(UnsafeCell<*mut FuncStack>);

// SAFETY: The word is written under `klp_mutex`, and always loaded and stored whole. A stack that
// it leads to may be used by any number of CPUs.
unsafe impl Sync for StackLink {}

impl StackLink {
    const fn null() -> Self {
        // INVARIANT: The pointer is null.
        Self(UnsafeCell::new(ptr::null_mut()))
    }

    /// The pointer. Loads through the result depend on this load, which pairs with the write
    /// barrier in [`insert`].
    #[inline(always)]
    fn load(&self) -> *mut FuncStack {
        // SAFETY: `self` is a reference to the word, and writers store it whole.
        unsafe { self.0.get().read_volatile() }
    }

    /// Sets the pointer; the handler may follow it at once.
    ///
    /// # Safety
    ///
    /// `stack` is as the invariants demand, and complete.
    unsafe fn store(&self, stack: *mut FuncStack, _: &Locked) {
        // INVARIANT: By the safety requirement.
        // SAFETY: `self` is a reference to the word, `Locked` excludes other writers, and readers
        // load it whole.
        unsafe { self.0.get().write_volatile(stack) };
    }

    /// The stack that the link leads to.
    ///
    /// # Safety
    ///
    /// `klp_mutex` is held or preemption is disabled, for as long as `'a`.
    #[inline(always)]
    unsafe fn follow<'a>(&self) -> Option<&'a FuncStack> {
        // SAFETY: By the type invariants the pointer is null, or the stack lives, after it was
        // shed, until `tasks::synchronize()` has returned. That waits for a caller with preemption
        // disabled. Holders of the mutex alone shed a stack, and free it in `reclaim()`, which
        // demands that no reference to it is left. So the stack lives as long as `'a`.
        unsafe { self.load().as_ref() }
    }

    /// The stack that the link leads to, for holders of the mutex.
    fn stack<'a>(&self, _: &'a Locked) -> Option<&'a FuncStack> {
        // SAFETY: `Locked` shows that the mutex is held for as long as `'a`.
        unsafe { self.follow() }
    }
}

/// The funcs that change one function.
///
/// # Invariants
///
/// `funcs` is the head of an initialized list. Its nodes are the `stack_node` of funcs, which live
/// as long as they are on the list and, after that, until [`tasks::synchronize`] has returned.
pub(crate) struct FuncStack {
    /// The next stack of the bucket.
    next: StackLink,
    /// The next stack in the chain of all stacks. `klp_mutex` protects it.
    sibling: StackLink,
    /// The function's ftrace location: the address that the handler is called with.
    location: usize,
    /// The `ftrace_ops` by which ftrace calls the handler for the function, if it does. `klp_mutex`
    /// protects it.
    ops: Cell<Option<Arc<Ops>>>,
    /// The address at which all calls of the function go on, or 0 if the handler has to look at
    /// `funcs`. Writers hold `klp_mutex`. The handler reads it.
    settled: UnsafeCell<usize>,
    /// The value of `settled` that ftrace follows, or `None` if ftrace may follow it in part.
    /// `klp_mutex` protects it.
    told: Cell<Option<Option<NonZeroUsize>>>,
    /// The list of funcs, the latest first. Writers hold `klp_mutex`. The handler reads it.
    funcs: UnsafeCell<bindings::list_head>,
}

/// The first stack of each bucket.
static TABLE: [StackLink; BUCKETS] = [const { StackLink::null() }; BUCKETS];

/// The bucket that a location belongs to.
#[inline(always)]
fn bucket(location: usize) -> &'static StackLink {
    // Fibonacci hashing: functions are aligned, so the lowest bits of locations hardly differ.
    let hash = location.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as usize);
    let index = hash >> (usize::BITS - BUCKET_BITS);
    // The shift leaves `BUCKET_BITS` bits; the mask shows the compiler that it does.
    &TABLE[index & (BUCKETS - 1)]
}

/// The chain of all stacks, for walks: there are few stacks and many buckets. `klp_mutex` protects
/// it.
static ALL: StackLink = StackLink::null();

/// All stacks.
pub(crate) fn all(locked: &Locked) -> impl Iterator<Item = &FuncStack> {
    iter::successors(ALL.stack(locked), |stack| stack.sibling.stack(locked))
}

/// Whether there is no stack at all.
pub(crate) fn are_none(locked: &Locked) -> bool {
    ALL.stack(locked).is_none()
}

/// The stack for a function's ftrace location.
pub(crate) fn find(location: usize, locked: &Locked) -> Option<&FuncStack> {
    let mut stack = bucket(location).stack(locked)?;
    while stack.location != location {
        stack = stack.next.stack(locked)?;
    }
    Some(stack)
}

/// The stack of the function at `start`, if it has one.
pub(crate) fn of_function(start: usize, locked: &Locked) -> Option<&FuncStack> {
    // If no function is patched, there is no stack to look for.
    if are_none(locked) {
        return None;
    }
    find(ftrace::location(start)?, locked)
}

/// Makes an empty stack for a location that has none.
pub(crate) fn insert(location: usize, locked: &Locked) -> Result<&FuncStack> {
    let bucket = bucket(location);
    let stack = KBox::new(
        FuncStack {
            // INVARIANT: The link leads to the rest of the bucket, as the bucket does.
            next: StackLink(UnsafeCell::new(bucket.load())),
            // INVARIANT: The link leads to the rest of the chain, as its beginning does.
            sibling: StackLink(UnsafeCell::new(ALL.load())),
            location,
            ops: Cell::new(None),
            settled: UnsafeCell::new(0),
            told: Cell::new(Some(None)),
            funcs: UnsafeCell::new(pin_init::zeroed()),
        },
        GFP_KERNEL,
    )?;
    let stack = KBox::into_raw(stack);
    // INVARIANT: The list is empty, and initialized before the stack can be found.
    // SAFETY: `stack` was just allocated, and there is no other pointer to it.
    unsafe { bindings::INIT_LIST_HEAD((*stack).funcs.get()) };
    // Orders the stores to the stack before the one that publishes it: pairs with the dependent
    // loads in `redirect()`.
    smp_mb(Write);
    // SAFETY: The stack is complete. `shed()` alone takes it off the table, and retires it.
    unsafe { bucket.store(stack, locked) };
    // SAFETY: The same is true of the chain of all.
    unsafe { ALL.store(stack, locked) };
    // SAFETY: The stack is on the table. Holders of the mutex alone shed it, and free it in
    // `reclaim()`, which demands that no reference to it is left.
    Ok(unsafe { &*stack })
}

impl FuncStack {
    /// Puts a func on top by [`Change::Patch`] or [`Change::Arrive`], if the state table allows
    /// that. Returns whether it was legal; if so, the handler may see the func at once.
    pub(crate) fn push(&self, func: &Func, change: Change, locked: &Locked) -> bool {
        let puts = matches!(change, Change::Patch | Change::Arrive);
        if !puts || !func.change(change, locked) {
            return false;
        }
        self.set_settled(None, locked);
        // SAFETY: `funcs` is the head of an initialized list by the type invariants. The func was
        // not patched, and so its node is on no list by the invariants of `Func`. `Locked` excludes
        // other writers. The function orders the stores to the func before the one that publishes
        // it.
        unsafe { bindings::klp_list_add_rcu(func.stack_node(), self.funcs.get()) };
        true
    }

    /// Whether no func is left.
    pub(crate) fn is_empty(&self, _: &Locked) -> bool {
        let head = self.funcs.get();
        // SAFETY: `head` is that of an initialized list by the type invariants, and `Locked`
        // excludes writers.
        ptr::eq(unsafe { (*head).next }, head)
    }

    /// The func that follows a node of the stack, or `None` after the last.
    ///
    /// # Safety
    ///
    /// `klp_mutex` is held or preemption is disabled, for as long as `'a`. `node` is the head of
    /// the stack, or the node of a func that was on the stack when that section began or later.
    #[inline(always)]
    unsafe fn following<'a>(&self, node: *mut bindings::list_head) -> Option<&'a Func> {
        // SAFETY: `node` is valid by the safety requirement and the type invariants. Writers store
        // its `next` whole, and leave it as it is when they take the node off.
        let next = unsafe { (&raw const (*node).next).read_volatile() };
        // SAFETY: If `next` is not the head, it is the `stack_node` of a func by the type
        // invariants. The func lives as long as `'a`: see `StackLink::follow()`.
        (next != self.funcs.get()).then(|| unsafe { Func::from_stack_node(next) })
    }

    /// The `ftrace_ops` by which ftrace calls the handler for the function, or is about to.
    pub(crate) fn ops(&self, _: &Locked) -> Option<Arc<Ops>> {
        let ops = self.ops.take();
        self.ops.set(ops.clone());
        ops
    }

    /// Sets the `ftrace_ops` that [`FuncStack::ops`] returns.
    pub(crate) fn set_ops(&self, ops: Option<Arc<Ops>>, _: &Locked) {
        self.ops.set(ops);
    }

    /// The address at which all calls of the function go on, if there is one.
    #[inline(always)]
    pub(crate) fn settled(&self) -> Option<NonZeroUsize> {
        // SAFETY: `self` is a reference to the word, and writers store it whole.
        NonZeroUsize::new(unsafe { self.settled.get().read_volatile() })
    }

    /// Sets the address that [`FuncStack::settled`] returns. The handler may see it at once.
    pub(crate) fn set_settled(&self, target: Option<usize>, _: &Locked) {
        let target = target.and_then(NonZeroUsize::new);
        // Handlers on all CPUs load the cache line that a store would take from them.
        if target == self.settled() {
            return;
        }
        // SAFETY: `self` is a reference to the word, `Locked` excludes other writers, and readers
        // load it whole.
        unsafe {
            self.settled
                .get()
                .write_volatile(target.map_or(0, NonZeroUsize::get))
        };
    }

    /// Whether ftrace has yet to follow [`FuncStack::settled`].
    pub(crate) fn is_news(&self, _: &Locked) -> bool {
        self.told.get() != Some(self.settled())
    }

    /// Notes whether ftrace follows [`FuncStack::settled`]. It does not while ftrace is being asked
    /// to.
    pub(crate) fn set_told(&self, told: bool, _: &Locked) {
        self.told.set(told.then(|| self.settled()));
    }

    /// The func on top.
    pub(crate) fn top<'a>(&self, _: &'a Locked) -> Option<&'a Func> {
        // SAFETY: `Locked` shows that the mutex is held, and this is the stack's head.
        unsafe { self.following(self.funcs.get()) }
    }

    /// The function's ftrace location.
    pub(crate) fn location(&self) -> usize {
        self.location
    }
}

/// The func below this one on the stack for `location`.
pub(crate) fn below<'a>(func: &Func, location: usize, locked: &'a Locked) -> Option<&'a Func> {
    let stack = find(location, locked)?;
    // SAFETY: `above` was found on the stack, and `Locked` shows that the mutex is held.
    let next = |above: &&'a Func| unsafe { stack.following(above.stack_node()) };
    let mut funcs = iter::successors(stack.top(locked), next);
    funcs.find(|&above| ptr::eq(above, func))?;
    funcs.next()
}

/// Takes a func off its stack by [`Change::Unpatch`] or [`Change::Leave`], if the state table
/// allows that. Returns whether it was legal; if so, a handler may still use the func until
/// [`tasks::synchronize()`](tasks::synchronize) has returned.
pub(crate) fn remove(func: &Func, change: Change, locked: &Locked) -> bool {
    let takes = matches!(change, Change::Unpatch | Change::Leave);
    if !takes || !func.change(change, locked) {
        return false;
    }
    // SAFETY: The func was patched, and so its node is on the list of a stack by the invariants of
    // `Func`. `Locked` excludes other writers.
    unsafe { bindings::klp_list_del_rcu(func.stack_node()) };
    true
}

/// Takes a stack off the table if it is empty and ftrace does not call the handler for its
/// function. The stack goes to [`RETIRED`].
pub(crate) fn shed(locked: &Locked) {
    let mut link = &ALL;
    while let Some(stack) = link.stack(locked) {
        if !stack.is_empty(locked) || stack.ops(locked).is_some() {
            link = &stack.sibling;
            continue;
        }
        let mut before = bucket(stack.location);
        while let Some(other) = before.stack(locked).filter(|&other| !ptr::eq(other, stack)) {
            before = &other.next;
        }
        let shed = link.load();
        // SAFETY: `next` leads to the rest of the bucket, which is complete.
        unsafe { before.store(stack.next.load(), locked) };
        // SAFETY: `sibling` leads to the rest of the chain, which is complete.
        unsafe { link.store(stack.sibling.load(), locked) };
        // SAFETY: The stack was a box in `insert()`, and nothing leads to it any more. Handlers
        // that have found it have preemption disabled.
        unsafe { RETIRED.push(shed, locked) };
    }
}

/// Stacks that no handler finds any more.
pub(super) static RETIRED: Retired<FuncStack> = Retired::new();

// SAFETY: A retired stack is empty, and a handler that may still be using it looks at its `next`
// and at the `next` of its list alone: the other word of the list is free.
unsafe impl Link for FuncStack {
    unsafe fn link(this: *mut Self) -> *mut *mut Self {
        // SAFETY: `this` points to a stack by the safety requirement. Nothing is loaded.
        unsafe { (&raw mut (*(*this).funcs.get()).prev).cast() }
    }
}

/// A stack and the calling task, as the handler sees them.
///
/// # Invariants
///
/// Preemption is disabled for as long as `'a`. The rules of redirection ask for the funcs of
/// `stack` alone.
#[derive(Clone, Copy)]
struct View<'a> {
    stack: &'a FuncStack,
    task: TaskRef<'a>,
}

impl<'a> redirect::Stack for View<'a> {
    type Func = &'a Func;
    type Target = NonZeroUsize;

    #[inline(always)]
    fn settled(&self) -> Option<NonZeroUsize> {
        self.stack.settled()
    }

    #[inline(always)]
    fn target(&self, func: &'a Func) -> Option<NonZeroUsize> {
        NonZeroUsize::new(func.new_address())
    }

    #[inline(always)]
    fn top(&self) -> Option<&'a Func> {
        // SAFETY: Preemption is disabled by the type invariants, and this is the stack's head.
        unsafe { self.stack.following(self.stack.funcs.get()) }
    }

    #[inline(always)]
    fn below(&self, func: &'a Func) -> Option<&'a Func> {
        // SAFETY: Preemption is disabled by the type invariants, and `func` was found on the stack.
        unsafe { self.stack.following(func.stack_node()) }
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
        // The compiler keeps the order of volatile loads, and x86 that of all loads. The barrier
        // would be the call of a helper that returns at once.
        if !cfg!(CONFIG_X86) {
            smp_mb(Read);
        }
    }

    #[cold]
    fn target_of_idle(&self) -> TaskState {
        warn_on_once!(!self.task.is_exiting());
        TaskState::from_raw(tasks::TARGET.load(Relaxed))
    }
}

/// The address at which a call of the function at `location` is to go on, or `None` for the
/// function itself.
///
/// # Safety
///
/// Preemption is disabled, and `task` is the current task.
#[inline(always)]
pub(crate) unsafe fn redirect(location: usize, task: TaskRef<'_>) -> Option<NonZeroUsize> {
    // SAFETY: Preemption is disabled until this returns, by the safety requirement.
    let stack = unsafe { bucket(location).follow() }?;
    if stack.location != location {
        // SAFETY: The caller meets the same requirements.
        return unsafe { redirect_further(stack, location, task) };
    }
    // INVARIANT: The view is dropped before this returns, with preemption still disabled.
    redirect::redirect(View { stack, task })
}

/// Does the same for a function with a stack that comes after `stack`, the first of the bucket. Not
/// inlined, so that calls of other functions pay nothing for it.
///
/// # Safety
///
/// As for [`redirect()`].
#[inline(never)]
unsafe fn redirect_further(
    mut stack: &FuncStack,
    location: usize,
    task: TaskRef<'_>,
) -> Option<NonZeroUsize> {
    while stack.location != location {
        // SAFETY: Preemption is disabled until this returns, by the safety requirement.
        stack = unsafe { stack.next.follow() }?;
    }
    // INVARIANT: The view is dropped before this returns, with preemption still disabled.
    redirect::redirect(View { stack, task })
}
