//! Random numbers that a seed repeats, and that nobody has to be unable to guess.

use crate::Failure;

/// A generator: SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// One that always begins alike.
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// One that nobody has had yet, and its seed.
    ///
    /// # Errors
    /// When the system has no random bytes.
    pub(crate) fn fresh() -> Result<(Self, u64), Failure> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes)?;
        let seed = u64::from_le_bytes(bytes);
        Ok((Self(seed), seed))
    }

    /// The next number.
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below that, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }

    /// Brings a list into any order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffled_list_has_the_same_members_and_a_seed_repeats_it() {
        let shuffled = || {
            let mut list: Vec<_> = (0..100).collect();
            Dice::seeded(7).shuffle(&mut list);
            list
        };
        let (list, mut sorted) = (shuffled(), shuffled());
        sorted.sort_unstable();
        assert_eq!((&list, sorted), (&shuffled(), (0..100).collect()));
        assert!(!list.is_sorted());
    }
}
