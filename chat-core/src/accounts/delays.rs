//! Guessing at one account, or from one address, gets slower and slower, and never impossible.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use parking_lot::Mutex;

use crate::{auth::network_of, limits::LOGIN_DELAYS_MAX, time::Timestamp};

/// Failures at one account that cost nothing: people mistype.
pub(crate) const FREE_FAILURES_OF_ACCOUNT: u32 = 3;
/// Failures from one address that cost nothing: many people may be behind it.
pub(crate) const FREE_FAILURES_OF_ADDRESS: u32 = 20;
/// The first delay; it doubles with each failure.
const FIRST_DELAY_MS: u64 = 250;
/// The longest. Bounded, since whoever knows the password waits, too.
const LONGEST_DELAY_MS: u64 = 5_000;
/// Failures are forgotten after so long without another.
const FORGET_MS: u64 = 15 * 60_000;

/// What attempts are counted by: a hash of the account's id, of what was typed where there is none, or of an address.
pub(crate) type Subject = [u8; 32];

/// By what attempts from an address are counted.
pub(crate) fn subject_of(address: IpAddr) -> Subject {
    let hash = match network_of(address) {
        IpAddr::V6(v6) => blake3::hash(&v6.octets()),
        IpAddr::V4(v4) => blake3::hash(&v4.octets()),
    };
    *hash.as_bytes()
}

/// Failed attempts of the recent past.
#[derive(Debug)]
pub(crate) struct Delays {
    /// Failures that cost nothing.
    free: u32,
    recent: Mutex<HashMap<Subject, Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

impl Delays {
    /// Nobody has failed yet.
    pub(crate) fn new(free: u32) -> Self {
        Self { free, recent: Mutex::default() }
    }

    /// How long an attempt has to wait. It counts as failed until [`Delays::succeeded`], so that attempts made
    /// at the same time slow each other down.
    pub(crate) fn attempt(&self, subject: Subject, now: Timestamp) -> Duration {
        let mut recent = self.recent.lock();
        if recent.len() >= LOGIN_DELAYS_MAX && !recent.contains_key(&subject) {
            make_room(&mut recent, now);
        }
        let failures = recent.entry(subject).or_insert(Failures { count: 0, last: now });
        if now.millis_since(failures.last) >= FORGET_MS {
            failures.count = 0;
        }
        let delay = delay_after(failures.count.checked_sub(self.free));
        *failures = Failures { count: failures.count.saturating_add(1), last: now };
        delay
    }

    /// The password was right: all is forgotten.
    pub(crate) fn succeeded(&self, subject: &Subject) {
        self.recent.lock().remove(subject);
    }

    /// One attempt was no failure. The others stay: who has one password right may guess at others.
    pub(crate) fn excuse(&self, subject: &Subject) {
        if let Some(failures) = self.recent.lock().get_mut(subject) {
            failures.count = failures.count.saturating_sub(1);
        }
    }
}

fn make_room(recent: &mut HashMap<Subject, Failures>, now: Timestamp) {
    recent.retain(|_, failures| now.millis_since(failures.last) < FORGET_MS);
    if recent.len() >= LOGIN_DELAYS_MAX
        && let Some(oldest) = recent.iter().min_by_key(|(_, failures)| failures.last).map(|(key, _)| *key)
    {
        recent.remove(&oldest);
    }
}

fn delay_after(beyond: Option<u32>) -> Duration {
    let doublings = match beyond {
        None | Some(0) => return Duration::ZERO,
        Some(beyond) => (beyond - 1).min(16),
    };
    Duration::from_millis((FIRST_DELAY_MS << doublings).min(LONGEST_DELAY_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn attempts_slow_down_to_a_bound_until_one_succeeds() {
        let delays = Delays::new(FREE_FAILURES_OF_ACCOUNT);
        let millis: Vec<_> = (0..12).map(|_| delays.attempt([1; 32], at(0)).as_millis()).collect();
        assert_eq!(millis, [0, 0, 0, 0, 250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
        assert_eq!(delays.attempt([2; 32], at(0)), Duration::ZERO, "another account is not slowed down");
        delays.succeeded(&[1; 32]);
        assert_eq!(delays.attempt([1; 32], at(0)), Duration::ZERO);
    }

    #[test]
    fn an_excused_attempt_does_not_count_and_the_others_do() {
        let delays = Delays::new(2);
        for _ in 0..20 {
            assert_eq!(delays.attempt([1; 32], at(0)), Duration::ZERO);
            delays.excuse(&[1; 32]);
        }
        for _ in 0..3 {
            delays.attempt([1; 32], at(0));
        }
        assert_eq!(delays.attempt([1; 32], at(0)).as_millis(), 250);
        delays.excuse(&[1; 32]);
        assert_eq!(delays.attempt([1; 32], at(0)).as_millis(), 250);
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let subject = |text: &str| subject_of(text.parse().unwrap());
        assert_eq!(subject("2001:db8::1"), subject("2001:db8::ffff:2"));
        assert_ne!(subject("2001:db8::1"), subject("2001:db8:0:1::1"));
        assert_eq!(subject("192.0.2.1"), subject("::ffff:192.0.2.1"));
        assert_ne!(subject("192.0.2.1"), subject("192.0.2.2"));
    }

    #[test]
    fn failures_are_forgotten_after_a_quarter_of_an_hour() {
        let delays = Delays::new(FREE_FAILURES_OF_ACCOUNT);
        for _ in 0..10 {
            delays.attempt([1; 32], at(0));
        }
        assert!(delays.attempt([1; 32], at(FORGET_MS as i64 - 1)) > Duration::ZERO);
        assert_eq!(delays.attempt([1; 32], at(2 * FORGET_MS as i64)), Duration::ZERO);
    }

    #[test]
    fn the_table_is_bounded_and_drops_the_oldest_first() {
        let delays = Delays::new(FREE_FAILURES_OF_ACCOUNT);
        let subject = |i: usize| *blake3::hash(&i.to_be_bytes()).as_bytes();
        for i in 0..LOGIN_DELAYS_MAX + 5 {
            delays.attempt(subject(i), at(i as i64));
        }
        let recent = delays.recent.lock();
        assert_eq!(recent.len(), LOGIN_DELAYS_MAX);
        assert!(!recent.contains_key(&subject(4)) && recent.contains_key(&subject(5)));
    }
}
