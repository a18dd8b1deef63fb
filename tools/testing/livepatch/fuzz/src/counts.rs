// SPDX-License-Identifier: GPL-2.0

//! The outcomes of a run, by kind of attempt.

use std::collections::BTreeMap;
use std::io;

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
}
