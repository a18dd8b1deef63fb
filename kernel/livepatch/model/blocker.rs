// SPDX-License-Identifier: GPL-2.0-or-later

//! Whether a stack holds a function that is about to change.

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

/// The code that a func takes out of use in a transition. A task that is inside it must not switch.
///
/// When unpatching, that is the patch's own function. When patching, it is the function that calls
/// have reached until then: the one of the func below on the stack, or the original function if
/// there is none.
pub(crate) fn changing(patching: bool, new: Code, original: Code, below: Option<Code>) -> Code {
    if patching {
        below.unwrap_or(original)
    } else {
        new
    }
}

/// The code that stands for the ftrace handler of the function at `location`. A task that is in the
/// handler has the address after the call of the handler on its stack. The call takes `call` bytes.
///
/// The handler chooses a function with preemption disabled. A task that is preempted when the
/// handler enables preemption again goes on to that function. Its stack does not show the function,
/// and the address after the call stands for it.
///
/// If the call returns to another address, as on LoongArch, the way through ftrace has to make the
/// stack unreliable. A BPF trampoline that is entered by a jump has nothing of the function on the
/// stack until it calls the function: `Documentation/livepatch/rust-core.rst` has the consequence.
pub(crate) fn in_handler(location: usize, call: usize) -> Code {
    Code {
        start: location.saturating_add(1),
        size: call,
    }
}

/// An entry of an index: code that changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changing<N> {
    /// The place of the code.
    pub(crate) code: Code,
    /// The place of the func among the patch's funcs.
    pub(crate) order: usize,
    /// The name of the func in messages.
    pub(crate) name: N,
}

/// Makes an index of the entries: sorts them by address.
///
/// The ranges come from kallsyms, in which a function ends no later than the next one begins. So
/// two ranges are disjoint, or they begin at the same address and are the same.
pub(crate) fn sort<N>(index: &mut [Changing<N>]) {
    index.sort_unstable_by_key(|changing| (changing.code.start, changing.order));
}

/// The name of the first func, in the order of the patch's funcs, with code that holds an address
/// of `stack`. [`sort`] has made the index.
pub(crate) fn find_blocker<N: Copy>(stack: &[usize], index: &[Changing<N>]) -> Option<N> {
    stack
        .iter()
        .filter(|&&address| may_hold(address, index))
        .filter_map(|&address| find(address, index))
        .min_by_key(|changing| changing.order)
        .map(|changing| changing.name)
}

/// Whether `address` is neither before all code in the index nor after it. This rules out most
/// addresses of a stack, because code that changes is often in one module.
pub(crate) fn may_hold<N>(address: usize, index: &[Changing<N>]) -> bool {
    let (Some(first), Some(last)) = (index.first(), index.last()) else {
        return false;
    };
    first.code.start <= address && (address <= last.code.start || last.code.contains(address))
}

/// The first of the entries with code that holds `address`.
fn find<N>(address: usize, index: &[Changing<N>]) -> Option<&Changing<N>> {
    let after = index.partition_point(|changing| changing.code.start <= address);
    let start = index.get(after.checked_sub(1)?)?.code.start;
    let first = index.partition_point(|changing| changing.code.start < start);
    index
        .get(first)
        .filter(|changing| changing.code.contains(address))
}
