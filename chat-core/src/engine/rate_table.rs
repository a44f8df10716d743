//! Rates of many keys (users, addresses), in bounded memory.

use std::{collections::HashMap, hash::Hash};

use parking_lot::Mutex;

use crate::{
    domain::{Gcra, Rate},
    limits::RATE_KEYS_MAX,
    time::Timestamp,
};

/// One rate for many keys; exact under concurrency, since a verdict and its effect are one step.
#[derive(Debug)]
pub struct RateTable<K> {
    rate: Rate,
    keys: Mutex<HashMap<K, Gcra>>,
}

impl<K: Eq + Hash + Clone> RateTable<K> {
    /// A table in which every key has its full allowance.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, keys: Mutex::default() }
    }

    /// Takes one from the allowance of `key`.
    ///
    /// # Errors
    /// The milliseconds after which it conforms.
    pub fn admit(&self, key: &K, now: Timestamp) -> Result<(), u64> {
        if self.rate.is_unlimited() {
            return Ok(());
        }
        let mut keys = self.keys.lock();
        if let Some(state) = keys.get_mut(key) {
            return state.admit(self.rate, now);
        }
        if keys.len() >= RATE_KEYS_MAX {
            keys.retain(|_, state| !state.is_idle(now));
            if keys.len() >= RATE_KEYS_MAX {
                // Forgetting somebody's debt errs in their favour; growing without bound would err in nobody's.
                let nearest = keys.iter().min_by_key(|(_, state)| **state).map(|(key, _)| key.clone());
                nearest.and_then(|key| keys.remove(&key));
            }
        }
        keys.entry(key.clone()).or_default().admit(self.rate, now)
    }

    /// Forgets keys whose allowance is full.
    pub fn sweep(&self, now: Timestamp) {
        let mut keys = self.keys.lock();
        keys.retain(|_, state| !state.is_idle(now));
        keys.shrink_to_fit();
    }

    /// How many keys are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.lock().len()
    }

    /// Whether no key is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Arc, thread};

    #[test]
    fn concurrent_takers_of_one_key_get_exactly_its_burst() {
        let table = Arc::new(RateTable::new(Rate::per_minute(60, 10)));
        let takers = (0..8).map(|_| {
            let table = table.clone();
            thread::spawn(move || {
                (0..50).filter(|_| table.admit(&"alice", Timestamp::default()).is_ok()).count()
            })
        });
        let admitted: usize = takers.collect::<Vec<_>>().into_iter().map(|taker| taker.join().unwrap()).sum();
        assert_eq!(admitted, 10);
    }

    #[test]
    fn idle_keys_are_forgotten() {
        let table = RateTable::new(Rate::per_minute(60, 10));
        table.admit(&1, Timestamp::from_millis(0)).unwrap();
        table.admit(&2, Timestamp::from_millis(5_000)).unwrap();
        table.sweep(Timestamp::from_millis(1_000));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn the_table_never_holds_more_than_its_bound() {
        let table = RateTable::new(Rate::per_hour(1));
        for key in 0..RATE_KEYS_MAX + 3 {
            table.admit(&key, Timestamp::from_millis(key as i64)).unwrap();
        }
        assert_eq!(table.len(), RATE_KEYS_MAX);
    }
}
