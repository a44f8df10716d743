//! The life of one login: a family of refresh tokens, of which one is good at a time.

use std::fmt;

use uuid::Uuid;

use super::Device;
use crate::{id::UserId, time::Timestamp};

/// How long a refresh token is good, unused, in milliseconds: so long does a login last that is not renewed.
pub const REFRESH_LIFETIME_MS: i64 = 7 * 24 * 3_600_000;

/// How long the answer to a refresh can be asked for again. It covers a lost answer and a client that tries
/// again, and is over before a thief is likely to have come.
pub(crate) const REPEAT_WINDOW_MS: u64 = 20_000;

/// Names a family: a UUID of version 7, which access tokens carry as `sid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FamilyId(Uuid);

impl FamilyId {
    /// A new name. The random half need not be secret: tokens are.
    #[must_use]
    pub fn new(at: Timestamp, random: [u8; 10]) -> Self {
        Self(uuid_v7(at, random))
    }

    /// Reads a name from a token. Only the canonical form is accepted.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(Uuid::try_parse(text).ok()?);
        (id.to_string() == text).then_some(id)
    }

    /// The name as bytes that order by age.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The name whose bytes these are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for FamilyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a store keeps of one login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Its name.
    pub id: FamilyId,
    /// Whose login it is.
    pub user: UserId,
    /// Which token is good; from 1, one more at each rotation.
    pub generation: u64,
    /// When the login happened.
    pub created_at: Timestamp,
    /// When the good token was first handed out.
    pub rotated_at: Timestamp,
    /// What logged in, as it called itself.
    pub device: Device,
}

/// What it means that a token is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// It is the good one: rotate.
    Current,
    /// It is the one before, shown again soon: the answer was lost, give it once more.
    Repeated,
    /// It was spent: two have it, and one of them is a thief. End the family.
    Spent,
    /// The family has been silent for too long.
    Expired,
}

impl Family {
    /// A login that happens now.
    #[must_use]
    pub const fn begin(id: FamilyId, user: UserId, device: Device, at: Timestamp) -> Self {
        Self { id, user, generation: 1, created_at: at, rotated_at: at, device }
    }

    /// From when on no token of the family is good, unless it is rotated before.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.rotated_at.plus_millis(REFRESH_LIFETIME_MS)
    }

    /// Judges the token of that generation. A generation from the future is one that a store without fsync
    /// forgot to have given out; it is as good as the current one.
    pub(crate) fn shown(&self, generation: u64, now: Timestamp) -> Shown {
        if self.expires_at() <= now {
            Shown::Expired
        } else if generation >= self.generation {
            Shown::Current
        } else if generation + 1 == self.generation && now.millis_since(self.rotated_at) < REPEAT_WINDOW_MS {
            Shown::Repeated
        } else {
            Shown::Spent
        }
    }

    /// The family after the token of `generation` was used.
    pub(crate) fn rotated(&self, generation: u64, now: Timestamp) -> Self {
        Self { generation: generation.saturating_add(1), rotated_at: now, ..self.clone() }
    }
}

/// A UUID of version 7 out of a given time and given randomness.
pub(crate) fn uuid_v7(at: Timestamp, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_token_before_is_answered_again_for_20_seconds_and_then_ends_the_family() {
        let family = Family::begin(
            FamilyId::new(at(0), [7; 10]),
            UserId::parse("ann").unwrap(),
            Device::default(),
            at(0),
        );
        assert_eq!(family.shown(1, at(1)), Shown::Current);
        let family = family.rotated(1, at(1_000));
        assert_eq!(family.shown(1, at(20_999)), Shown::Repeated);
        assert_eq!(family.shown(1, at(21_000)), Shown::Spent);
        assert_eq!(family.shown(2, at(21_000)), Shown::Current);
        let family = family.rotated(2, at(2_000));
        assert_eq!(family.shown(1, at(2_001)), Shown::Spent, "the new token was used meanwhile");
    }

    #[test]
    fn a_family_that_is_silent_for_seven_days_is_over() {
        let family = Family::begin(
            FamilyId::new(at(0), [7; 10]),
            UserId::parse("ann").unwrap(),
            Device::default(),
            at(0),
        );
        assert_eq!(family.shown(1, at(REFRESH_LIFETIME_MS - 1)), Shown::Current);
        assert_eq!(family.shown(1, at(REFRESH_LIFETIME_MS)), Shown::Expired);
        assert_eq!(family.rotated(1, at(1)).shown(2, at(REFRESH_LIFETIME_MS)), Shown::Current);
    }
}
