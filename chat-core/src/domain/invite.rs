//! Ways into a room that one can't join by oneself: invitations to somebody, and links for whoever holds them.

use std::fmt;

use super::Rejection;
use crate::{
    id::{InviteId, RoomId, UserId},
    time::Timestamp,
};

/// Somebody is invited to a room. It stands until it is accepted or declined, the user becomes a member in another
/// way or is banned, or the room is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Names it.
    pub id: InviteId,
    /// Where to.
    pub room: RoomId,
    /// Who is invited.
    pub user: UserId,
    /// By whom.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
}

/// A link by which whoever holds its token becomes a member. The token itself is kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteLink {
    /// Names it.
    pub id: LinkId,
    /// Where to.
    pub room: RoomId,
    /// Who made it.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
    /// From when on it is good for nothing.
    pub expires_at: Timestamp,
    /// How many may come by it; `None` for any number.
    pub max_uses: Option<u32>,
    /// How many have.
    pub uses: u32,
}

impl InviteLink {
    /// Whether somebody may come by it at this moment.
    #[must_use]
    pub fn is_open(&self, at: Timestamp) -> bool {
        at < self.expires_at && self.max_uses.is_none_or(|most| self.uses < most)
    }
}

/// Names an invitation link: 128 bits of a hash of its token, so that the name does not give the token away.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId([u8; 16]);

impl LinkId {
    /// The name of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of the name.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The name of the link with this token.
    #[cfg(feature = "engine")]
    #[must_use]
    pub fn of_token(token: &str) -> Self {
        let hash = blake3::hash(token.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_bytes()[..16]);
        Self(bytes)
    }

    /// Reads a name as it travels; `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 32 || !text.bytes().all(lower_hex) {
            return None;
        }
        u128::from_str_radix(text, 16).ok().map(|number| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkId({self})")
    }
}

/// How long a link is good when nothing is said about it: a week.
pub const LINK_SECONDS_DEFAULT: u64 = 7 * 24 * 3_600;

/// How long a link may be good: a year.
pub const LINK_SECONDS_MAX: u64 = 366 * 24 * 3_600;

/// How many may come by one link, where that is said.
pub const LINK_USES_MAX: u32 = 1_000_000;

/// What a new link is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkSpec {
    pub(crate) seconds: u64,
    pub(crate) max_uses: Option<u32>,
}

impl LinkSpec {
    /// A link that is good for so many seconds ([`LINK_SECONDS_DEFAULT`] unless told) and so many people (any number
    /// unless told).
    ///
    /// # Errors
    /// `bad_request` for zero and for more than [`LINK_SECONDS_MAX`] or [`LINK_USES_MAX`].
    pub fn new(seconds: Option<u64>, max_uses: Option<u64>) -> Result<Self, Rejection> {
        let seconds = seconds.unwrap_or(LINK_SECONDS_DEFAULT);
        if !(1..=LINK_SECONDS_MAX).contains(&seconds) {
            return Err(Rejection::BadRequest("a link is good for a second to a year"));
        }
        let max_uses = match max_uses.map(u32::try_from) {
            None => None,
            Some(Ok(uses @ 1..=LINK_USES_MAX)) => Some(uses),
            Some(_) => return Err(Rejection::BadRequest("maxUses is 1 to 1,000,000")),
        };
        Ok(Self { seconds, max_uses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_for_a_bounded_time_and_number() {
        let spec = |seconds, uses| LinkSpec::new(seconds, uses).is_ok();
        assert!(spec(None, None) && spec(Some(1), Some(1)) && spec(Some(LINK_SECONDS_MAX), Some(1_000_000)));
        for (seconds, uses) in [(Some(0), None), (Some(LINK_SECONDS_MAX + 1), None), (Some(u64::MAX), None)] {
            assert!(!spec(seconds, uses));
        }
        assert!(!spec(None, Some(0)) && !spec(None, Some(1_000_001)) && !spec(None, Some(u64::MAX)));
    }

    #[test]
    fn the_name_of_a_link_is_read_only_in_the_form_in_which_it_is_written() {
        let id = LinkId::from_bytes([0xab; 16]);
        assert_eq!(LinkId::parse(&id.to_string()), Some(id));
        let zero = LinkId::from_bytes([0; 16]);
        assert_eq!(LinkId::parse(&zero.to_string()), Some(zero));
        for text in ["", "ab", &id.to_string().to_uppercase(), &format!("+{}", &id.to_string()[1..])] {
            assert_eq!(LinkId::parse(text), None, "{text}");
        }
    }
}
