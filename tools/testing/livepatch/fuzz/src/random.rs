// SPDX-License-Identifier: GPL-2.0

//! Random numbers that a seed repeats.

/// Sebastiano Vigna's splitmix64, which is good enough for choices.
pub struct Random(u64);

impl Random {
    /// The numbers for one case of a run. Cases do not depend on each other.
    pub fn new(seed: u64, case: u64) -> Self {
        let mut random = Self(seed);
        let start = random.next();
        Self(start ^ case.wrapping_mul(0xd134_2543_de82_ef95))
    }

    /// The numbers for one thing of a case. They depend on the salt and on its name alone.
    pub fn of(salt: u64, name: &[u8]) -> Self {
        Self::new(salt, hash(name))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, or 0 if that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        match end {
            0 => 0,
            _ => (self.next() % end as u64) as usize,
        }
    }

    /// A number of a range.
    pub fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    /// True in one of `times` cases.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of a list that is not empty.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// A number at an edge of an integer type's range, or any number of 64 bits.
    pub fn number(&mut self) -> u64 {
        const EDGES: [u64; 10] = [
            0,
            1,
            2,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
            0x1_0000_0000,
            i64::MAX as u64,
            i64::MIN as u64,
            u64::MAX,
        ];
        match self.one_in(3) {
            true => self.next(),
            false => *self.pick(&EDGES),
        }
    }
}

/// The hash of Fowler, Noll and Vo, FNV-1a, which is the same in every run.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_the_numbers() {
        let numbers = |seed, case| {
            let mut random = Random::new(seed, case);
            [random.next(), random.next(), random.number()]
        };
        assert_eq!(numbers(1, 2), numbers(1, 2));
        assert_ne!(numbers(1, 2), numbers(1, 3));
        assert_ne!(numbers(1, 2), numbers(2, 2));
    }

    #[test]
    fn each_name_has_its_numbers() {
        // From the list of the authors.
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
        let number = |salt, name: &str| Random::of(salt, name.as_bytes()).next();
        assert_eq!(number(1, "p/enabled"), number(1, "p/enabled"));
        assert_ne!(number(1, "p/enabled"), number(1, "p/force"));
        assert_ne!(number(1, "p/enabled"), number(2, "p/enabled"));
    }

    #[test]
    fn ranges() {
        let mut random = Random::new(7, 0);
        let mut seen = [false; 4];
        for _ in 0..1000 {
            seen[random.between(1, 3)] = true;
            assert!(random.below(5) < 5);
        }
        assert_eq!(seen, [false, true, true, true]);
        assert_eq!(random.below(0), 0);
    }
}
