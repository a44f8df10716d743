//! What workers count, and how it is put together.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::{Failure, limits::ARRIVALS_MAX};

/// Times are kept to three digits, up to ten minutes: nothing that is awaited takes longer.
const NANOS_MAX: u64 = 600_000_000_000;

/// Times in nanoseconds, and how often each was seen: a histogram on its way from one process to another.
pub(crate) type Recorded = Vec<(u64, u64)>;

/// Times in nanoseconds.
#[derive(Debug)]
pub(crate) struct Times(Option<Histogram<u64>>);

impl Default for Times {
    fn default() -> Self {
        // The bounds are valid ones; without a histogram nothing would be recorded.
        Self(Histogram::new_with_bounds(1, NANOS_MAX, 3).ok())
    }
}

impl Times {
    /// Notes one.
    pub(crate) fn record(&mut self, nanos: u64) {
        self.record_many(nanos, 1);
    }

    fn record_many(&mut self, nanos: u64, count: u64) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record_n(nanos, count);
        }
    }

    /// Adds those of another process.
    pub(crate) fn add(&mut self, recorded: &Recorded) {
        recorded.iter().for_each(|&(nanos, count)| self.record_many(nanos, count));
    }

    /// For another process.
    pub(crate) fn recorded(&self) -> Recorded {
        let Some(histogram) = &self.0 else { return Vec::new() };
        let each = histogram.iter_recorded();
        each.map(|step| (step.value_iterated_to(), step.count_since_last_iteration())).collect()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// The time that so many percent do not exceed, in microseconds.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        self.0.as_ref().map_or(0.0, |histogram| histogram.value_at_percentile(percent) as f64 / 1e3)
    }

    /// The longest, in microseconds.
    pub(crate) fn max(&self) -> f64 {
        self.0.as_ref().map_or(0.0, |histogram| histogram.max() as f64 / 1e3)
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        if let Some(histogram) = &mut self.0 {
            histogram.reset();
        }
    }
}

/// Whether every entry came once and in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checks {
    /// Entries that never came.
    pub(crate) lost: u64,
    /// Entries that came more than once.
    pub(crate) repeated: u64,
    /// Entries that came after later ones.
    pub(crate) disordered: u64,
}

impl Checks {
    /// Adds another's.
    pub(crate) fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.repeated += other.repeated;
        self.disordered += other.disordered;
    }

    /// Whether nothing is wrong.
    pub(crate) fn clean(&self) -> bool {
        *self == Self::default()
    }
}

/// What one worker counted in a window.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Messages that members got.
    pub(crate) delivered: u64,
    /// All other frames that they got, pings left out.
    pub(crate) others: u64,
    /// Pings of the server, all of them answered.
    pub(crate) pings: u64,
    /// From sending a message to having it.
    pub(crate) latency: Recorded,
    /// From sending a command to its ack.
    pub(crate) acks: Recorded,
    /// What was wrong.
    pub(crate) checks: Checks,
    /// By seq of the first room: when the message was sent, when the last member had it, and how many have it.
    pub(crate) arrivals: Vec<(u64, u64, u64, u64)>,
    /// CPU time of the worker in the window, in seconds.
    pub(crate) cpu: f64,
}

/// All workers' counts of a window.
#[derive(Debug, Default)]
pub(crate) struct Total {
    /// See [`Counts`].
    pub(crate) delivered: u64,
    /// See [`Counts`].
    pub(crate) others: u64,
    /// See [`Counts`].
    pub(crate) pings: u64,
    /// See [`Counts`].
    pub(crate) latency: Times,
    /// See [`Counts`].
    pub(crate) acks: Times,
    /// See [`Counts`].
    pub(crate) checks: Checks,
    /// See [`Counts`].
    pub(crate) cpu: f64,
    arrivals: BTreeMap<u64, Arrival>,
}

/// One message on its way to all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    sent: u64,
    last: u64,
    reached: u64,
}

impl Total {
    /// Adds one worker's.
    pub(crate) fn add(&mut self, counts: &Counts) {
        self.delivered += counts.delivered;
        self.others += counts.others;
        self.pings += counts.pings;
        self.latency.add(&counts.latency);
        self.acks.add(&counts.acks);
        self.checks.add(counts.checks);
        self.cpu += counts.cpu;
        for &(seq, sent, last, reached) in &counts.arrivals {
            note(&mut self.arrivals, seq, sent, last, reached);
        }
    }

    /// For every message that reached so many: how long until the last of them had it.
    pub(crate) fn until_last(&self, members: u64) -> Times {
        let mut times = Times::default();
        for arrival in self.arrivals.values().filter(|arrival| arrival.reached == members) {
            times.record(arrival.last.saturating_sub(arrival.sent));
        }
        times
    }
}

fn note(arrivals: &mut BTreeMap<u64, Arrival>, seq: u64, sent: u64, last: u64, reached: u64) {
    let arrival = arrivals.entry(seq).or_insert(Arrival { sent, last, reached: 0 });
    arrival.last = arrival.last.max(last);
    arrival.reached += reached;
}

/// What a worker counts while it goes on.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Messages that members got, since the beginning.
    pub(crate) delivered: u64,
    /// Other frames.
    pub(crate) others: u64,
    /// Pings.
    pub(crate) pings: u64,
    /// From sending to having.
    pub(crate) latency: Times,
    /// From sending to the ack.
    pub(crate) acks: Times,
    /// What was wrong.
    pub(crate) checks: Checks,
    /// Whether arrivals are noted one by one.
    pub(crate) arrivals_noted: bool,
    arrivals: BTreeMap<u64, Arrival>,
    told: u64,
    cpu_told: f64,
}

impl Tally {
    /// Notes that somebody has a message of the first room.
    pub(crate) fn arrived(&mut self, seq: u64, sent: u64, now: u64) {
        if self.arrivals_noted && (self.arrivals.len() < ARRIVALS_MAX || self.arrivals.contains_key(&seq)) {
            note(&mut self.arrivals, seq, sent, now, 1);
        }
    }

    /// Tells what was counted, and begins anew.
    ///
    /// # Errors
    /// When the system does not tell what this process has used.
    pub(crate) fn take(&mut self, arrivals: bool) -> Result<Counts, Failure> {
        let cpu = crate::process::cpu_time(std::process::id())?.as_secs_f64();
        let each = std::mem::take(&mut self.arrivals).into_iter();
        let counts = Counts {
            delivered: self.delivered - self.told,
            others: std::mem::take(&mut self.others),
            pings: std::mem::take(&mut self.pings),
            latency: self.latency.recorded(),
            acks: self.acks.recorded(),
            checks: std::mem::take(&mut self.checks),
            arrivals: each.map(|(seq, it)| (seq, it.sent, it.last, it.reached)).collect(),
            cpu: cpu - self.cpu_told,
        };
        (self.told, self.cpu_told, self.arrivals_noted) = (self.delivered, cpu, arrivals);
        self.latency.clear();
        self.acks.clear();
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_several_processes_are_put_together() {
        let (mut one, mut other) = (Times::default(), Times::default());
        (1..=90).for_each(|_| one.record(1_000));
        (1..=10).for_each(|_| other.record(1_000_000));
        let mut both = Times::default();
        both.add(&one.recorded());
        both.add(&other.recorded());
        assert_eq!((both.count(), both.percentile(50.0).round()), (100, 1.0));
        assert_eq!((both.percentile(90.0).round(), both.percentile(91.0).round()), (1.0, 1_000.0));
    }

    #[test]
    fn a_message_has_arrived_when_the_last_of_all_workers_members_has_it() {
        let mut total = Total::default();
        for (last, reached) in [(500, 2), (900, 1)] {
            total.add(&Counts { arrivals: vec![(1, 100, last, reached)], ..Counts::default() });
        }
        assert_eq!((total.until_last(3).max(), total.until_last(4).count()), (0.8, 0));
    }
}
