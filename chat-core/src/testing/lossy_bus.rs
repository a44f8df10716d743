//! A bus as a bad network makes it.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use super::random::Random;
use crate::{
    bus::{Bus, Hint, Inbox},
    limits::BUS_HINTS_WAITING_MAX,
};

/// A bus that loses, doubles, delays and reorders what each inbox hears, in tokio's time and chosen by a seed.
///
/// ```
/// use chat_core::bus::{Bus, MemoryBus};
/// use chat_core::testing::{Loss, LossyBus};
///
/// let bus = LossyBus::new(MemoryBus::new(), 42, Loss::HEAVY);
/// assert!(bus.has_other_nodes());
/// ```
#[derive(Debug, Clone)]
pub struct LossyBus<B> {
    inner: B,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Inboxes get seeds of their own, so that what one hears does not depend on how often another looks.
    seeds: Mutex<Random>,
    loss: Mutex<Loss>,
    lost: AtomicU64,
}

/// How bad the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Of a hundred hints, how many an inbox never hears.
    pub lost_percent: u64,
    /// Of a hundred hints, how many an inbox hears twice.
    pub doubled_percent: u64,
    /// Of a hundred hints, how many come late, and thereby out of order.
    pub delayed_percent: u64,
    /// How late, at most.
    pub delay: Duration,
}

impl Loss {
    /// A network that does no harm.
    pub const NONE: Self =
        Self { lost_percent: 0, doubled_percent: 0, delayed_percent: 0, delay: Duration::ZERO };

    /// A network on which every third hint is lost and most others come late.
    pub const HEAVY: Self = Self {
        lost_percent: 33,
        doubled_percent: 20,
        delayed_percent: 60,
        delay: Duration::from_millis(1_500),
    };

    /// A network that carries nothing.
    pub const TOTAL: Self = Self { lost_percent: 100, ..Self::NONE };
}

impl<B: Bus> LossyBus<B> {
    /// Makes `inner` so bad. Clones are the same bus.
    #[must_use]
    pub fn new(inner: B, seed: u64, loss: Loss) -> Self {
        let shared = Shared {
            seeds: Mutex::new(Random::seeded(seed)),
            loss: Mutex::new(loss),
            lost: AtomicU64::new(0),
        };
        Self { inner, shared: Arc::new(shared) }
    }

    /// From now on the network is so bad.
    pub fn set(&self, loss: Loss) {
        *self.shared.loss.lock() = loss;
    }

    /// How many hints were lost on the way to some inbox.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl<B: Bus> Bus for LossyBus<B> {
    async fn publish(&self, hint: Hint) {
        self.inner.publish(hint).await;
    }

    async fn subscribe(&self) -> Box<dyn Inbox> {
        let seed = self.shared.seeds.lock().below(u64::MAX);
        Box::new(LossyInbox {
            inner: self.inner.subscribe().await,
            shared: self.shared.clone(),
            random: Random::seeded(seed),
            under_way: VecDeque::new(),
            ended: false,
        })
    }

    fn has_other_nodes(&self) -> bool {
        self.inner.has_other_nodes()
    }
}

struct LossyInbox {
    inner: Box<dyn Inbox>,
    shared: Arc<Shared>,
    random: Random,
    /// What will be heard, the soonest first.
    under_way: VecDeque<(Instant, Hint)>,
    ended: bool,
}

impl LossyInbox {
    fn send_on_its_way(&mut self, hint: &Hint) {
        let loss = *self.shared.loss.lock();
        if self.random.below(100) < loss.lost_percent {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let copies = 1 + usize::from(self.random.below(100) < loss.doubled_percent);
        for _ in 0..copies {
            let mut due = Instant::now();
            if self.random.below(100) < loss.delayed_percent {
                let most = u64::try_from(loss.delay.as_micros()).unwrap_or(u64::MAX - 1);
                due += Duration::from_micros(self.random.below(most + 1));
            }
            let place = self.under_way.partition_point(|(other, _)| *other <= due);
            self.under_way.insert(place, (due, hint.clone()));
        }
        while self.under_way.len() > BUS_HINTS_WAITING_MAX {
            self.under_way.pop_front();
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl Inbox for LossyInbox {
    async fn next(&mut self) -> Option<Hint> {
        loop {
            let due = self.under_way.front().map(|(due, _)| *due);
            match due {
                None if self.ended => return None,
                Some(due) if due <= Instant::now() => {
                    return self.under_way.pop_front().map(|(_, hint)| hint);
                }
                _ => {}
            }
            let soonest = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                heard = self.inner.next(), if !self.ended => match heard {
                    Some(hint) => self.send_on_its_way(&hint),
                    None => self.ended = true,
                },
                () = soonest => {}
            }
        }
    }
}
