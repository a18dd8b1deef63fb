// SPDX-License-Identifier: GPL-2.0

//! One case: one or two livepatches, and the module that they change. A seed and a number make it.

use crate::base::Base;
use crate::draft::{Draft, Tables};
use crate::mutate::{mutate, Done, Scope};
use crate::random::Random;

/// When the module that livepatches change is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Never,
    Before,
    After,
}

/// Whether the module leaves at the end, while livepatches change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Stays,
    Goes,
    Returns,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    pub name: Vec<u8>,
    pub file: Vec<u8>,
    /// The titles of the mutations in it.
    pub titles: Vec<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub modules: Vec<Module>,
    pub target: Target,
    pub then: Then,
    /// Decides, with the path of a file, which value is written to the file. The value does not
    /// depend on the set of files, because that set depends on the time.
    pub salt: u64,
    /// The kernel has no reason to refuse any of the modules.
    pub is_good: bool,
    /// A line that describes the case.
    pub text: String,
}

impl Case {
    pub fn new(bases: &[Base], seed: u64, number: u64, scope: Scope) -> Self {
        let mut random = Random::new(seed, number);
        let target = *random.pick(&[Target::Never, Target::Before, Target::After]);
        let then = match random.below(6) {
            _ if target == Target::Never => Then::Stays,
            0 => Then::Goes,
            1 => Then::Returns,
            _ => Then::Stays,
        };
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
            then,
            salt: random.next(),
            is_good: true,
            text: match then {
                Then::Stays => format!("target {target:?}"),
                _ => format!("target {target:?}, then it {then:?}"),
            },
        };
        let mut drafts = Vec::new();
        for base in bases.iter().cycle().skip(first).take(count) {
            let mut draft = Draft::new(base, &mut random);
            let done = mutate(&mut draft, scope, &mut random);
            let base = base.name.escape_ascii();
            case.text += &match done.as_slice() {
                [] => format!("; {base} as it is"),
                done => format!("; {base} with {}", in_words(done)),
            };
            case.is_good &= done.is_empty();
            let titles: Vec<_> = done.iter().map(|done| done.title).collect();
            drafts.push((draft, titles));
        }
        let all = drafts.iter_mut();
        let mut tables: Vec<_> = all.map(|(draft, _)| &mut draft.tables).collect();
        if scope == Scope::Clean {
            show_the_kernel_once(&mut tables);
        }
        case.is_good &= fit_together(&tables);
        let module = |(draft, titles): (Draft, _)| Module {
            name: draft.name.clone(),
            file: draft.finish(),
            titles,
        };
        case.modules = drafts.into_iter().map(module).collect();
        case
    }
}

fn in_words(done: &[Done]) -> String {
    let each = done
        .iter()
        .map(|Done { title, text }| format!("{title}: {text}"));
    each.collect::<Vec<_>>().join(", and ")
}

/// Makes no livepatch replace others if an object is named `vmlinux`, as sysfs names the kernel
/// proper. A livepatch that replaces others takes over their objects by their names, and so could
/// have two directories of that name. The kernel would warn about these, as it does about some
/// mutations of [`Scope::Beyond`].
fn show_the_kernel_once(all: &mut [&mut Tables]) {
    let mut objects = all
        .iter()
        .flat_map(|tables| tables.objects.iter().flatten());
    if objects.any(|object| object.name.as_deref() == Some(b"vmlinux")) {
        for tables in all {
            tables.replace = false;
        }
    }
}

/// Whether the states of all livepatches fit together, so that the core has no reason to refuse any
/// of them. A livepatch that replaces others must have all of their states, and no state may become
/// older.
fn fit_together(all: &[&mut Tables]) -> bool {
    let has_states = |tables: &&mut Tables| !tables.states.is_empty();
    let Some(first) = all.iter().position(has_states) else {
        return true;
    };
    let mut later = all[first + 1..].iter();
    later.all(|tables| tables.states.is_empty() && !tables.replace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tests::module;
    use crate::base::PATCH_REPLACE;
    use crate::draft::Object;
    use crate::elf::Elf;
    use std::collections::HashSet;

    #[test]
    fn a_seed_and_a_number_make_the_same_bytes() {
        let bases = [Base::parse(&module()).unwrap()];
        let case = |seed, number| Case::new(&bases, seed, number, Scope::Clean);
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
        let cases = (0..500).map(|n| Case::new(&bases, 1, n, Scope::Clean));
        let cases: Vec<_> = cases.collect();
        let good = cases.iter().filter(|case| case.is_good).count();
        assert!((5..100).contains(&good), "{good}");
        for target in [Target::Never, Target::Before, Target::After] {
            assert!(cases.iter().any(|case| case.target == target));
        }
        for then in [Then::Stays, Then::Goes, Then::Returns] {
            assert!(cases.iter().any(|case| case.then == then));
        }
    }

    #[test]
    fn states_of_the_livepatch_before() {
        let tables = |states: &[(u64, u32)], replace| Tables {
            states: states.to_vec(),
            replace,
            ..Tables::default()
        };
        let fit = |first: &Tables, second: &Tables| {
            fit_together(&[&mut first.clone(), &mut second.clone()])
        };
        let one = [(1, 0)];
        let (none, with) = (tables(&[], false), tables(&one, false));
        let (replaces, both) = (tables(&[], true), tables(&one, true));
        assert!(fit(&none, &with) && fit(&none, &both) && fit(&none, &replaces));
        assert!(fit(&replaces, &with) && fit(&with, &none));
        assert!(!fit(&with, &with) && !fit(&with, &replaces) && !fit(&with, &both));
        assert!(fit_together(&[&mut both.clone()]));
    }

    #[test]
    fn an_object_with_the_name_of_the_kernel() {
        let tables = |name: Option<&str>| Tables {
            replace: true,
            objects: Some(vec![Object {
                name: name.map(|name| name.as_bytes().to_vec()),
                ..Object::default()
            }]),
            ..Tables::default()
        };
        for (first, second, replace) in [
            (None, Some("vmlinux"), false),
            (Some("vmlinux"), None, false),
            (Some("vmlinux2"), None, true),
        ] {
            let (mut first, mut second) = (tables(first), tables(second));
            show_the_kernel_once(&mut [&mut first, &mut second]);
            assert_eq!((first.replace, second.replace), (replace, replace));
        }
    }

    #[test]
    fn no_case_replaces_an_object_with_the_name_of_the_kernel() {
        let base = Base::parse(&module()).unwrap();
        let (section, patch) = base.patch;
        let replace = (patch + PATCH_REPLACE) as usize;
        let bases = [base.clone(), base];
        let mut read = [0; 2];
        for number in 0..10_000 {
            let case = Case::new(&bases, 1, number, Scope::Clean);
            if !case.text.contains("object: \"vmlinux\"") {
                continue;
            }
            for (i, module) in case.modules.iter().enumerate() {
                // Another mutation may have spoilt the headers.
                if let Some(elf) = Elf::parse(&module.file) {
                    assert_eq!(elf.sections[section].data[replace], 0, "{}", case.text);
                    read[i] += 1;
                }
            }
        }
        assert!(read[0] > 0 && read[1] > 0, "{read:?}");
    }
}
