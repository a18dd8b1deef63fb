// SPDX-License-Identifier: GPL-2.0

//! One case: one or two livepatches, and the module that they change. A seed and a number make it.

use crate::base::Base;
use crate::draft::Draft;
use crate::mutate::{mutate, Scope};
use crate::random::Random;

/// When the module that livepatches change is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Never,
    Before,
    After,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    pub name: Vec<u8>,
    pub file: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub modules: Vec<Module>,
    pub target: Target,
    /// The kernel has no reason to refuse any of it.
    pub is_good: bool,
    /// A line that tells the case.
    pub text: String,
}

impl Case {
    pub fn new(bases: &[Base], seed: u64, number: u64, scope: Scope) -> (Self, Random) {
        let mut random = Random::new(seed, number);
        let target = *random.pick(&[Target::Never, Target::Before, Target::After]);
        // Two modules of one name would be refused.
        let count = if random.one_in(6) {
            bases.len().min(2)
        } else {
            1
        };
        let first = random.below(bases.len());
        let mut case = Self {
            modules: Vec::new(),
            target,
            is_good: true,
            text: format!("target {target:?}"),
        };
        let mut with_states = 0;
        for base in bases.iter().cycle().skip(first).take(count) {
            let mut draft = Draft::new(base, &mut random);
            let done = mutate(&mut draft, scope, &mut random);
            let base = base.name.escape_ascii();
            case.text += &match done.as_slice() {
                [] => format!("; {base} as it is"),
                done => format!("; {base} with {}", done.join(", and ")),
            };
            case.is_good &= done.is_empty();
            with_states += u32::from(!draft.tables.states.is_empty());
            case.modules.push(Module {
                name: draft.name.clone(),
                file: draft.finish(),
            });
        }
        // The second of two may be older than the first.
        case.is_good &= with_states < 2;
        (case, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tests::module;
    use std::collections::HashSet;

    #[test]
    fn a_seed_and_a_number_make_the_same_bytes() {
        let bases = [Base::parse(&module()).unwrap()];
        let case = |seed, number| Case::new(&bases, seed, number, Scope::Clean).0;
        let mut texts = HashSet::new();
        for number in 0..200 {
            assert_eq!(case(1, number), case(1, number));
            assert!(!case(1, number).text.contains('\n'));
            texts.insert(case(1, number).text);
        }
        assert!(texts.len() > 150, "{}", texts.len());
        assert_ne!(case(1, 0), case(2, 0));
    }

    #[test]
    fn some_cases_are_good_and_all_kinds_come() {
        let bases = [Base::parse(&module()).unwrap()];
        let cases = (0..500).map(|n| Case::new(&bases, 1, n, Scope::Clean).0);
        let cases: Vec<_> = cases.collect();
        let good = cases.iter().filter(|case| case.is_good).count();
        assert!((5..100).contains(&good), "{good}");
        for target in [Target::Never, Target::Before, Target::After] {
            assert!(cases.iter().any(|case| case.target == target));
        }
    }
}
