//! How long a room keeps what was said in it.
//!
//! A cut is an entry of the log like any other change of the room: [`super::Change::Describe`] with a higher
//! [`Room::first`]. So every node, every client and every race with a writer learns of it by the log alone.

use super::Room;
use crate::{
    id::Seq,
    limits::{RETENTION_DAYS_MAX, RETENTION_MESSAGES_MAX},
    time::Timestamp,
};

const HOUR_MILLIS: i64 = 60 * 60 * 1_000;

const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;

/// How much of a room is kept. A message goes once either bound lets it go; without a bound it stays.
///
/// ```
/// use chat_core::domain::Retention;
///
/// let month = Retention { days: Some(30), messages: None };
/// assert!(month.is_bounded() && month.is_valid());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Messages older than so many days go: 1 to [`RETENTION_DAYS_MAX`]. They go by the full hour, so that a room
    /// is cut 24 times a day at most.
    pub days: Option<u32>,
    /// All but the newest so many messages go: 1 to [`RETENTION_MESSAGES_MAX`]. Deleted ones count until they go.
    pub messages: Option<u32>,
}

impl Retention {
    /// Whether anything goes at all.
    #[must_use]
    pub const fn is_bounded(self) -> bool {
        self.days.is_some() || self.messages.is_some()
    }

    /// Whether both bounds are ones that a room may have.
    #[must_use]
    pub fn is_valid(self) -> bool {
        self.days.is_none_or(|days| (1..=RETENTION_DAYS_MAX).contains(&days))
            && self.messages.is_none_or(|messages| (1..=RETENTION_MESSAGES_MAX).contains(&messages))
    }

    /// Whether a message may go at `now`, with `newest` messages having been sent to its room so far.
    #[must_use]
    pub fn lets_go(self, now: Timestamp, newest: u64, sent_at: Timestamp, ordinal: u64) -> bool {
        let too_old = self.days.is_some_and(|days| {
            let cutoff = now.as_millis().saturating_sub(i64::from(days) * DAY_MILLIS);
            sent_at.as_millis() < cutoff.div_euclid(HOUR_MILLIS).saturating_mul(HOUR_MILLIS)
        });
        let too_many = self.messages.is_some_and(|kept| ordinal <= newest.saturating_sub(u64::from(kept)));
        too_old || too_many
    }
}

/// What of a log may go: everything up to a message, together with the settings by which it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The room's retention when this was found. Under another one it is void.
    pub retention: Retention,
    /// The first entry that stays: the one after the newest message that goes.
    pub first: Seq,
    /// The ordinal of the newest message that goes.
    pub trimmed: u64,
}

impl Cut {
    /// Whether the room may be cut so, and was not cut so far yet. A log only grows and is only cut further, so a cut
    /// that was found at an older head fits a newer one.
    #[must_use]
    pub fn fits(&self, room: &Room) -> bool {
        self.retention == room.retention
            && room.first < self.first
            && self.first <= room.head.next()
            && (room.trimmed + 1..=room.messages).contains(&self.trimmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_message_goes_by_age_at_the_full_hour_after_its_days() {
        let retention = Retention { days: Some(2), messages: None };
        let goes = |now: i64, sent_at: i64| retention.lets_go(at(now), 9, at(sent_at), 9);
        let due = 2 * DAY_MILLIS;
        assert!(!goes(due, 0));
        assert!(!goes(due + HOUR_MILLIS - 1, 0));
        assert!(goes(due + HOUR_MILLIS, 0));
        assert!(goes(due + HOUR_MILLIS, HOUR_MILLIS - 1));
        assert!(!goes(due + HOUR_MILLIS, HOUR_MILLIS));
        assert!(!goes(i64::MIN, 0), "a clock that is far off is no reason to panic");
    }

    #[test]
    fn the_newest_messages_stay_by_count() {
        let retention = Retention { days: None, messages: Some(3) };
        let goes = |newest: u64| (1..=newest).filter(|n| retention.lets_go(at(0), newest, at(0), *n)).count();
        assert_eq!([0, 1, 3, 4, 10].map(goes), [0, 0, 0, 1, 7]);
    }

    #[test]
    fn either_bound_lets_a_message_go_and_none_lets_nothing_go() {
        let both = Retention { days: Some(1), messages: Some(1) };
        assert!(both.lets_go(at(3 * DAY_MILLIS), 5, at(0), 5));
        assert!(both.lets_go(at(0), 5, at(0), 4));
        assert!(!both.lets_go(at(0), 5, at(0), 5));
        assert!(!Retention::default().lets_go(at(i64::MAX), u64::MAX, at(0), 0));
    }

    #[test]
    fn bounds_have_bounds() {
        let valid = |days, messages| Retention { days, messages }.is_valid();
        assert!(valid(None, None) && valid(Some(1), Some(1)));
        assert!(valid(Some(RETENTION_DAYS_MAX), Some(RETENTION_MESSAGES_MAX)));
        assert!(!valid(Some(0), None) && !valid(None, Some(0)));
        assert!(!valid(Some(RETENTION_DAYS_MAX + 1), None) && !valid(None, Some(RETENTION_MESSAGES_MAX + 1)));
    }
}
