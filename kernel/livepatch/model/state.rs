// SPDX-License-Identifier: GPL-2.0-or-later

//! System states: which patches get along.

/// Whether a new patch, which `replaces` the enabled ones or not, can deal with a state that one of
/// those has modified, in version `old`; `own` is the version that it has itself of that state.
///
/// If it replaces them it must know all their states; those that it shares with them it must know
/// at least as well.
pub(crate) fn is_compatible(replaces: bool, own: Option<u32>, old: u32) -> bool {
    match own {
        Some(own) => own >= old,
        None => !replaces,
    }
}
