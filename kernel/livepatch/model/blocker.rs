// SPDX-License-Identifier: GPL-2.0-or-later

//! Does a stack hold a function that is about to change?

/// The code of one function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Code {
    /// Its first address.
    pub(crate) start: usize,
    /// Its length in bytes.
    pub(crate) size: usize,
}

impl Code {
    /// Whether `address` lies in the function.
    ///
    /// A return address after a call that never returns can be the first byte of the next
    /// function; the C core has the same half-open range, and so has kallsyms.
    fn contains(self, address: usize) -> bool {
        address
            .checked_sub(self.start)
            .is_some_and(|offset| offset < self.size)
    }
}

/// The functions, of which a task must not be inside, that a func changes on the way to `target`.
///
/// Leaving a patch, the patch's own function goes away. Going to it, what is called until then is
/// replaced: the func below on the stack if there is one, or the original.
pub(crate) fn changing(patching: bool, new: Code, original: Code, below: Option<Code>) -> Code {
    if patching {
        below.unwrap_or(original)
    } else {
        new
    }
}

/// Where a task is that is in the ftrace handler of the function at `location`, in which a call
/// takes `call` bytes: it has the address after that on its stack.
///
/// The handler decides with preemption disabled. A task that is preempted when it enables it again
/// is going to run what was decided, of which its stack says nothing; this stands for that.
///
/// Where the call returns to elsewhere, as on LoongArch, the way through ftrace has to make the
/// stack unreliable. A BPF trampoline that is entered by a jump has nothing of the function on the
/// stack until it calls the function: `Documentation/livepatch/rust-core.rst` has the consequence.
pub(crate) fn in_handler(location: usize, call: usize) -> Code {
    Code {
        start: location.saturating_add(1),
        size: call,
    }
}

/// Code that changes, in an index of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changing<N> {
    /// Where it is.
    pub(crate) code: Code,
    /// Its place among the patch's funcs.
    pub(crate) order: usize,
    /// What messages call it.
    pub(crate) name: N,
}

/// Makes an index: sorts by address.
///
/// The ranges come from kallsyms, where a function ends at the latest where the next begins: two
/// of them are disjoint or begin at the same address, and then they are the same.
pub(crate) fn sort<N>(index: &mut [Changing<N>]) {
    index.sort_unstable_by_key(|changing| (changing.code.start, changing.order));
}

/// The name of a function in the index, made by [`sort`], that has an address of `stack` inside
/// it: the first in the order of the patch's funcs.
pub(crate) fn find_blocker<N: Copy>(stack: &[usize], index: &[Changing<N>]) -> Option<N> {
    stack
        .iter()
        .filter(|&&address| may_hold(address, index))
        .filter_map(|&address| find(address, index))
        .min_by_key(|changing| changing.order)
        .map(|changing| changing.name)
}

/// Whether `address` is not before all functions and not after them, as most of a stack is: what
/// changes is often in one module.
pub(crate) fn may_hold<N>(address: usize, index: &[Changing<N>]) -> bool {
    let (Some(first), Some(last)) = (index.first(), index.last()) else {
        return false;
    };
    first.code.start <= address && (address <= last.code.start || last.code.contains(address))
}

/// The first of the functions that have `address` inside them.
fn find<N>(address: usize, index: &[Changing<N>]) -> Option<&Changing<N>> {
    let after = index.partition_point(|changing| changing.code.start <= address);
    let start = index.get(after.checked_sub(1)?)?.code.start;
    let first = index.partition_point(|changing| changing.code.start < start);
    index
        .get(first)
        .filter(|changing| changing.code.contains(address))
}
