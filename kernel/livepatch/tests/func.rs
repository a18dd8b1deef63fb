// SPDX-License-Identifier: GPL-2.0-or-later

//! The legal edges of a func, and all others.

#[kernel::macros::kunit_tests(rust_livepatch_func)]
mod tests {
    use crate::model::func::{
        Change,
        FuncState,
        Illegal, //
    };

    const UNPATCHED: FuncState = state(false, false);
    const IN_BETWEEN: FuncState = state(false, true);
    const PARTLY_VISIBLE: FuncState = state(true, true);
    const PATCHED: FuncState = state(true, false);

    const STATES: [FuncState; 4] = [UNPATCHED, IN_BETWEEN, PARTLY_VISIBLE, PATCHED];
    const CHANGES: [Change; 6] = [
        Change::Begin,
        Change::End,
        Change::Patch,
        Change::Unpatch,
        Change::Arrive,
        Change::Leave,
    ];

    const fn state(patched: bool, transition: bool) -> FuncState {
        FuncState::new(patched, transition)
    }

    /// Whether some change leads from one state to the other.
    fn reachable(from: FuncState, to: FuncState) -> bool {
        CHANGES.iter().any(|&change| from.after(change) == Ok(to))
    }

    #[test]
    fn patching_begins() {
        assert_eq!(UNPATCHED.after(Change::Begin), Ok(IN_BETWEEN));
    }

    #[test]
    fn patching_reaches_the_stack() {
        assert_eq!(IN_BETWEEN.after(Change::Patch), Ok(PARTLY_VISIBLE));
    }

    #[test]
    fn patching_ends() {
        assert_eq!(PARTLY_VISIBLE.after(Change::End), Ok(PATCHED));
    }

    #[test]
    fn unpatching_begins() {
        assert_eq!(PATCHED.after(Change::Begin), Ok(PARTLY_VISIBLE));
    }

    #[test]
    fn unpatching_leaves_the_stack() {
        assert_eq!(PARTLY_VISIBLE.after(Change::Unpatch), Ok(IN_BETWEEN));
    }

    #[test]
    fn unpatching_ends() {
        assert_eq!(IN_BETWEEN.after(Change::End), Ok(UNPATCHED));
    }

    #[test]
    fn object_arrives_under_settled_patch() {
        assert_eq!(UNPATCHED.after(Change::Arrive), Ok(PATCHED));
        // A func cannot arrive under a patch in transition, or twice.
        assert_eq!(IN_BETWEEN.after(Change::Arrive), Err(Illegal));
        assert_eq!(PARTLY_VISIBLE.after(Change::Arrive), Err(Illegal));
        assert_eq!(PATCHED.after(Change::Arrive), Err(Illegal));
    }

    #[test]
    fn object_leaves_settled_patch() {
        assert_eq!(PATCHED.after(Change::Leave), Ok(UNPATCHED));
        // A func cannot leave under a patch in transition, or twice.
        assert_eq!(PARTLY_VISIBLE.after(Change::Leave), Err(Illegal));
        assert_eq!(IN_BETWEEN.after(Change::Leave), Err(Illegal));
        assert_eq!(UNPATCHED.after(Change::Leave), Err(Illegal));
    }

    #[test]
    fn unpatched_never_becomes_partly_visible_at_once() {
        assert!(!reachable(UNPATCHED, PARTLY_VISIBLE));
    }

    #[test]
    fn partly_visible_never_becomes_unpatched_at_once() {
        assert!(!reachable(PARTLY_VISIBLE, UNPATCHED));
    }

    #[test]
    fn in_between_never_becomes_patched_at_once() {
        assert!(!reachable(IN_BETWEEN, PATCHED));
    }

    #[test]
    fn patched_never_becomes_in_between_at_once() {
        assert!(!reachable(PATCHED, IN_BETWEEN));
    }

    #[test]
    fn eight_edges_and_no_more() {
        let mut edges = 0;
        for from in STATES {
            for to in STATES {
                if reachable(from, to) {
                    edges += 1;
                }
            }
        }
        assert_eq!(edges, 8);
    }

    #[test]
    fn no_change_keeps_the_state() {
        for from in STATES {
            assert!(!reachable(from, from));
        }
    }

    #[test]
    fn beginning_twice_is_refused() {
        assert_eq!(IN_BETWEEN.after(Change::Begin), Err(Illegal));
        assert_eq!(PARTLY_VISIBLE.after(Change::Begin), Err(Illegal));
    }

    #[test]
    fn ending_what_has_not_begun_is_refused() {
        assert_eq!(UNPATCHED.after(Change::End), Err(Illegal));
        assert_eq!(PATCHED.after(Change::End), Err(Illegal));
    }

    #[test]
    fn patching_outside_a_transition_is_refused() {
        assert_eq!(UNPATCHED.after(Change::Patch), Err(Illegal));
        assert_eq!(PATCHED.after(Change::Patch), Err(Illegal));
        assert_eq!(PATCHED.after(Change::Unpatch), Err(Illegal));
        assert_eq!(UNPATCHED.after(Change::Unpatch), Err(Illegal));
    }

    #[test]
    fn patching_reverses_before_the_stack() {
        let begun = UNPATCHED.after(Change::Begin).unwrap_or(PATCHED);
        assert_eq!(begun.after(Change::End), Ok(UNPATCHED));
    }

    #[test]
    fn patching_reverses_on_the_stack() {
        let visible = IN_BETWEEN.after(Change::Patch).unwrap_or(PATCHED);
        assert_eq!(visible.after(Change::Unpatch), Ok(IN_BETWEEN));
    }

    #[test]
    fn unpatching_reverses_on_the_stack() {
        let visible = PATCHED.after(Change::Begin).unwrap_or(UNPATCHED);
        assert_eq!(visible.after(Change::End), Ok(PATCHED));
    }

    #[test]
    fn unpatching_reverses_off_the_stack() {
        let off = PARTLY_VISIBLE.after(Change::Unpatch).unwrap_or(PATCHED);
        assert_eq!(off.after(Change::Patch), Ok(PARTLY_VISIBLE));
    }
}
