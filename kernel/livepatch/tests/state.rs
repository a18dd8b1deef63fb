// SPDX-License-Identifier: GPL-2.0-or-later

//! Whether patches are compatible, for every combination of replace, presence, and version.

#[kernel::macros::kunit_tests(rust_livepatch_state)]
mod tests {
    use crate::model::state::is_compatible;

    #[test]
    fn unknown_state_is_fine_unless_replacing() {
        assert!(is_compatible(false, None, 1));
        assert!(!is_compatible(true, None, 1));
        assert!(is_compatible(false, None, 0));
        assert!(!is_compatible(true, None, 0));
    }

    #[test]
    fn same_version_is_fine() {
        assert!(is_compatible(false, Some(1), 1));
        assert!(is_compatible(true, Some(1), 1));
    }

    #[test]
    fn newer_version_is_fine() {
        assert!(is_compatible(false, Some(2), 1));
        assert!(is_compatible(true, Some(2), 1));
        assert!(is_compatible(true, Some(u32::MAX), 0));
    }

    #[test]
    fn older_version_is_not() {
        assert!(!is_compatible(false, Some(1), 2));
        assert!(!is_compatible(true, Some(1), 2));
        assert!(!is_compatible(false, Some(0), u32::MAX));
    }
}
