// SPDX-License-Identifier: GPL-2.0-or-later

//! System states: whether patches are compatible.

/// Whether a new patch is compatible with a state that an enabled patch has modified, in version
/// `old`. `own` is the version of the state that the new patch has, if it has the state. `replaces`
/// tells whether the new patch replaces the enabled ones.
///
/// A patch that replaces others must have all their states. Any patch must have the states that it
/// shares with others in the same version or a later one.
pub(crate) fn is_compatible(replaces: bool, own: Option<u32>, old: u32) -> bool {
    match own {
        Some(own) => own >= old,
        None => !replaces,
    }
}
