// SPDX-License-Identifier: GPL-2.0

//! The outcomes of a run: by kind of attempt, and by mutation.

use std::collections::BTreeMap;
use std::io;

use crate::mutate::{self, Fate, Scope};

/// The outcomes of the attempts, by kind and error, which is 0 for success.
#[derive(Debug, Default)]
pub struct Counts(BTreeMap<(&'static str, i32), u64>);

impl Counts {
    pub fn add(&mut self, attempt: &'static str, result: &io::Result<()>) -> i32 {
        let error = match result {
            Ok(()) => 0,
            Err(error) => error.raw_os_error().unwrap_or(-1),
        };
        *self.0.entry((attempt, error)).or_default() += 1;
        error
    }

    /// The number of attempts of a kind that succeeded, and of those that did not.
    pub fn of(&self, attempt: &str) -> (u64, u64) {
        let all = self.0.iter().filter(|((kind, _), _)| *kind == attempt);
        all.fold((0, 0), |(good, bad), ((_, error), count)| match error {
            0 => (good + count, bad),
            _ => (good, bad + count),
        })
    }

    /// A line for each kind of attempt.
    pub fn table(&self) -> String {
        let mut kinds: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for ((kind, error), count) in &self.0 {
            let error = match error {
                0 => "ok".to_owned(),
                error => io::Error::from_raw_os_error(*error).to_string(),
            };
            kinds
                .entry(kind)
                .or_default()
                .push(format!("{error}: {count}"));
        }
        let lines = kinds.into_iter();
        lines
            .map(|(kind, counts)| format!("#   {kind}: {}\n", counts.join(", ")))
            .collect()
    }
}

/// The title of the modules without a mutation.
const NONE: &str = "none";

/// A run of so many cases must have made each mutation.
const ENOUGH: u64 = 2000;

/// The livepatches with a mutation.
#[derive(Clone, Copy, Debug, Default)]
struct Title {
    loaded: u64,
    refused: u64,
    /// Those that were loaded, and have no other mutation.
    alone: u64,
}

/// The livepatches with each mutation.
#[derive(Debug, Default)]
pub struct Titles(BTreeMap<&'static str, Title>);

impl Titles {
    /// Counts a livepatch with these mutations.
    pub fn add(&mut self, titles: &[&'static str], is_loaded: bool) {
        let titles = match titles {
            [] => &[NONE],
            titles => titles,
        };
        for title in titles {
            let count = self.0.entry(title).or_default();
            count.loaded += u64::from(is_loaded);
            count.refused += u64::from(!is_loaded);
            count.alone += u64::from(is_loaded && titles.len() == 1);
        }
    }

    /// A line for each mutation.
    pub fn table(&self) -> String {
        let line = |(title, count): (&&str, &Title)| {
            let Title {
                loaded, refused, ..
            } = count;
            format!("#   mutation {title}: {loaded} loaded, {refused} refused\n")
        };
        self.0.iter().map(line).collect()
    }

    /// The faults of a run of `cases` cases: a mutation that was not made; one of which the core
    /// has seen nothing, because the kernel has refused all livepatches with it; and one that the
    /// kernel must refuse, and has accepted.
    pub fn faults(&self, scope: Scope, cases: u64) -> Vec<String> {
        let fault = |(title, fate)| {
            let count = self.0.get(title).copied().unwrap_or_default();
            let Title {
                loaded, refused, ..
            } = count;
            match fate {
                Fate::Refused if count.alone > 0 => {
                    Some(format!("{title} was loaded {} times", count.alone))
                }
                _ if cases < ENOUGH => None,
                _ if loaded + refused == 0 => Some(format!("{title} was not tried")),
                Fate::Loads if loaded == 0 => {
                    Some(format!("{title} was refused {refused} times of {refused}"))
                }
                _ => None,
            }
        };
        let all = [(NONE, Fate::Loads)].into_iter();
        let all = all.chain(mutate::titles(scope));
        all.filter_map(fault).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EINVAL: i32 = 22;
    const ENOEXEC: i32 = 8;

    #[test]
    fn counts_of_errors() {
        let mut counts = Counts::default();
        let error = |number| Err(io::Error::from_raw_os_error(number));
        assert_eq!(counts.add("livepatch", &Ok(())), 0);
        assert_eq!(counts.add("livepatch", &error(EINVAL)), EINVAL);
        counts.add("livepatch", &error(EINVAL));
        counts.add("target", &error(ENOEXEC));
        assert_eq!(counts.of("livepatch"), (1, 2));
        assert_eq!(counts.of("target"), (0, 1));
        let table = counts.table();
        assert!(
            table.contains("livepatch: ok: 1, Invalid argument"),
            "{table}"
        );
        assert!(table.contains(": 2\n"), "{table}");
    }

    #[test]
    fn mutations_that_were_not_made_or_had_another_fate() {
        let mut titles = Titles::default();
        titles.add(&[], true);
        for (title, fate) in mutate::titles(Scope::Clean) {
            titles.add(&[title], fate == Fate::Loads);
        }
        let faults = |titles: &Titles, scope| titles.faults(scope, ENOUGH);
        assert_eq!(faults(&titles, Scope::Clean), [""; 0]);
        assert_eq!(faults(&titles, Scope::Beyond).len(), 4);

        titles.0.remove("symbol name");
        titles.0.remove("states");
        titles.add(&["states"], false);
        let expected = [
            "symbol name was not tried",
            "states was refused 1 times of 1",
        ];
        assert_eq!(faults(&titles, Scope::Clean), expected);
        assert_eq!(titles.faults(Scope::Clean, ENOUGH - 1), [""; 0]);

        // Together with others, a mutation may have another effect.
        titles.add(&["symbol name", "states", "file length"], true);
        assert_eq!(faults(&titles, Scope::Clean), [""; 0]);
        titles.add(&["file length"], true);
        let expected = ["file length was loaded 1 times"];
        assert_eq!(titles.faults(Scope::Clean, 1), expected);
        let table = titles.table();
        assert!(
            table.contains("mutation states: 1 loaded, 1 refused\n"),
            "{table}"
        );
    }
}
