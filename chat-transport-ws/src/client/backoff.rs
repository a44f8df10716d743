//! When to try again.

use std::time::Duration;

/// Exponential delays with full jitter: each is drawn evenly between nothing and a bound that doubles. So
/// clients that lost the same server at once do not come back at once.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    base: Duration,
    cap: Duration,
    failures: u32,
    random: Random,
}

impl Backoff {
    pub(super) fn new(base: Duration, cap: Duration, seed: u64) -> Self {
        Self { base, cap, failures: 0, random: Random(seed) }
    }

    /// Things go well: start small the next time.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next delay. `steps` is how much the bound grows: 1 for a lost connection, more for a server that
    /// asks to be left alone.
    pub(super) fn next(&mut self, steps: u32) -> Duration {
        let bound = self.base.saturating_mul(1 << self.failures.min(16)).min(self.cap);
        self.failures = self.failures.saturating_add(steps);
        self.between(Duration::ZERO, bound)
    }

    /// A delay of at least what the server asked for, and at most twice that.
    pub(super) fn asked_for(&mut self, least: Duration) -> Duration {
        self.between(least, least.saturating_mul(2).max(self.base))
    }

    fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_micros()).unwrap_or(u64::MAX);
        least + Duration::from_micros(self.random.next() % span.saturating_add(1).max(1))
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): spreads clients, guards nothing.
#[derive(Debug, Clone)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_under_a_bound_that_doubles_up_to_the_cap() {
        let (base, cap) = (Duration::from_millis(100), Duration::from_secs(1));
        let bounds = [100, 200, 400, 800, 1_000, 1_000].map(Duration::from_millis);
        let mut longest = [Duration::ZERO; 6];
        for seed in 0..500 {
            let mut backoff = Backoff::new(base, cap, seed);
            for (at, bound) in bounds.iter().enumerate() {
                let delay = backoff.next(1);
                assert!(delay <= *bound, "seed {seed}: {delay:?} after {at} failures");
                longest[at] = longest[at].max(delay);
            }
        }
        for (longest, bound) in longest.iter().zip(bounds) {
            assert!(*longest > bound * 9 / 10, "the whole range is used: {longest:?} of {bound:?}");
        }
    }

    #[test]
    fn a_delay_that_was_asked_for_is_kept_and_spread() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1), 7);
        let asked = Duration::from_secs(5);
        let delays: Vec<_> = (0..100).map(|_| backoff.asked_for(asked)).collect();
        assert!(delays.iter().all(|delay| *delay >= asked && *delay <= asked * 2));
        assert!(delays.iter().any(|delay| *delay > asked * 3 / 2));
    }
}
