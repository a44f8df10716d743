//! Rates in given time.

use std::collections::VecDeque;

use crate::time::Timestamp;

/// So many per period, in bursts of at most so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests per period; 0 means no limit.
    pub per_period: u32,
    /// The period, in milliseconds.
    pub period_ms: u64,
    /// How many may come at once; 0 counts as 1.
    pub burst: u32,
}

impl Rate {
    /// `count` per minute in bursts of `burst`.
    #[must_use]
    pub const fn per_minute(count: u32, burst: u32) -> Self {
        Self { per_period: count, period_ms: 60_000, burst }
    }

    /// `count` per second, all of them at once if need be.
    #[must_use]
    pub const fn per_second(count: u32) -> Self {
        Self { per_period: count, period_ms: 1_000, burst: count }
    }

    /// `count` per hour, all of them at once if need be.
    #[must_use]
    pub const fn per_hour(count: u32) -> Self {
        Self { per_period: count, period_ms: 3_600_000, burst: count }
    }

    /// Whether this rate limits nothing.
    #[must_use]
    pub const fn is_unlimited(self) -> bool {
        self.per_period == 0
    }
}

/// The state of one key under a [`Rate`]: the generic cell rate algorithm (ITU-T I.371, virtual scheduling),
/// eight bytes, exact for every window: never more than `burst + rate * time` conform.
///
/// ```
/// use chat_core::{domain::{Gcra, Rate}, time::Timestamp};
/// let rate = Rate::per_minute(60, 2);
/// let mut state = Gcra::default();
/// let at = Timestamp::from_millis;
/// assert_eq!(state.admit(rate, at(0)), Ok(()));
/// assert_eq!(state.admit(rate, at(0)), Ok(()));
/// assert_eq!(state.admit(rate, at(0)), Err(1_000), "the burst is used up; one a second from here");
/// assert_eq!(state.admit(rate, at(1_000)), Ok(()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Gcra {
    /// The theoretical arrival time of the next request, in microseconds since the epoch: finer than the
    /// clock, so that rates which do not divide a period evenly stay exact.
    theoretical_us: i64,
}

impl Gcra {
    /// Takes one from the allowance.
    ///
    /// # Errors
    /// The milliseconds after which the same request conforms; nothing was taken.
    pub fn admit(&mut self, rate: Rate, now: Timestamp) -> Result<(), u64> {
        if rate.is_unlimited() {
            return Ok(());
        }
        let now_us = now.as_millis().saturating_mul(1_000);
        let interval = emission_interval_us(rate);
        let tolerance = interval.saturating_mul(i64::from(rate.burst.max(1)) - 1);
        // A clock that was set back must not lock anybody out for longer than a full allowance.
        let theoretical = self.theoretical_us.clamp(now_us, now_us.saturating_add(tolerance + interval));
        let wait_us = theoretical.saturating_sub(tolerance).saturating_sub(now_us);
        if wait_us > 0 {
            return Err(wait_us.unsigned_abs().div_ceil(1_000));
        }
        self.theoretical_us = theoretical.saturating_add(interval);
        Ok(())
    }

    /// Whether the allowance is full again, so that the state need not be kept.
    #[must_use]
    pub fn is_idle(self, now: Timestamp) -> bool {
        self.theoretical_us <= now.as_millis().saturating_mul(1_000)
    }
}

fn emission_interval_us(rate: Rate) -> i64 {
    let period_us = i64::try_from(rate.period_ms).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000);
    // Rounded up: an allowance is never exceeded by rounding.
    period_us.saturating_add(i64::from(rate.per_period) - 1) / i64::from(rate.per_period)
}

/// Counts misdeeds in a sliding window and says when there were too many. Empty, it owns no memory.
#[derive(Debug, Clone, Default)]
pub struct Strikes {
    times: VecDeque<Timestamp>,
}

impl Strikes {
    /// Notes one misdeed and tells whether it is the `limit`-th within `window_ms`.
    pub fn note(&mut self, limit: usize, window_ms: u64, now: Timestamp) -> bool {
        while self.times.front().is_some_and(|first| now.millis_since(*first) >= window_ms) {
            self.times.pop_front();
        }
        self.times.push_back(now);
        if self.times.len() > limit {
            self.times.pop_front();
        }
        self.times.len() >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_window_ever_admits_more_than_its_burst_and_rate(
            per_minute in 1u32..200, burst in 1u32..20, steps in prop::collection::vec(0u64..3_000, 1..200),
        ) {
            let rate = Rate::per_minute(per_minute, burst);
            let mut state = Gcra::default();
            let mut now = 1_000_000u64;
            let mut admitted = Vec::new();
            for step in steps {
                now += step;
                if state.admit(rate, Timestamp::from_millis(now as i64)).is_ok() {
                    admitted.push(now);
                }
            }
            for (i, first) in admitted.iter().enumerate() {
                for (count, last) in admitted[i..].iter().enumerate() {
                    let allowed = f64::from(burst) + (last - first) as f64 * f64::from(per_minute) / 60_000.0;
                    prop_assert!((count + 1) as f64 <= allowed + 1e-6);
                }
            }
        }

        #[test]
        fn a_request_conforms_exactly_when_the_refusal_said(per_minute in 1u32..200, burst in 1u32..20, now in 0i64..1_000_000) {
            let rate = Rate::per_minute(per_minute, burst);
            let mut state = Gcra::default();
            let wait = loop {
                if let Err(wait) = state.admit(rate, Timestamp::from_millis(now)) { break wait as i64 }
            };
            prop_assert!(wait > 0);
            if wait > 1 {
                prop_assert!(state.admit(rate, Timestamp::from_millis(now + wait - 1)).is_err());
            }
            prop_assert!(state.admit(rate, Timestamp::from_millis(now + wait)).is_ok());
        }
    }

    #[test]
    fn a_rate_of_zero_limits_nothing() {
        let mut state = Gcra::default();
        assert!((0..10_000).all(|_| state.admit(Rate::per_minute(0, 0), Timestamp::from_millis(0)).is_ok()));
    }

    #[test]
    fn a_clock_set_back_locks_nobody_out_for_longer_than_a_full_allowance() {
        let rate = Rate::per_minute(60, 10);
        let mut state = Gcra::default();
        state.admit(rate, Timestamp::from_millis(3_600_000)).unwrap();
        let wait = state.admit(rate, Timestamp::from_millis(0)).unwrap_err();
        assert!(wait <= 10_000, "{wait}");
    }

    #[test]
    fn the_twentieth_strike_within_a_minute_is_one_too_many() {
        let mut strikes = Strikes::default();
        let at = Timestamp::from_millis;
        assert!((0..19).all(|i| !strikes.note(20, 60_000, at(i))));
        assert!(strikes.note(20, 60_000, at(59_999)));
        let mut strikes = Strikes::default();
        assert!((0..1_000).all(|i| !strikes.note(20, 60_000, at(i * 3_200))));
    }
}
