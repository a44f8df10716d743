//! Who belongs to a room, and how far they have read.

use crate::{
    id::{Seq, UserId},
    time::Timestamp,
};

/// What a member may do; ordered by rank, the lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Reads and writes.
    Member,
    /// Keeps order among members.
    Moderator,
    /// Changes the room itself.
    Admin,
    /// Everything; a room keeps at least one.
    Owner,
}

impl Role {
    /// The role on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Moderator => "moderator",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// The role of that name on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Member, Self::Moderator, Self::Admin, Self::Owner]
            .into_iter()
            .find(|role| role.as_str() == text)
    }

    /// Whether this role may act on somebody of that role: only on a lower rank.
    #[must_use]
    pub fn outranks(self, other: Self) -> bool {
        self > other
    }
}

/// A user's belonging to one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// The entry of their latest joining; a room with [`super::History::SinceJoin`] shows nothing before it.
    pub joined: Seq,
    /// When that was.
    pub joined_at: Timestamp,
}

impl Member {
    /// One of the two whose direct room it is, from its first message on.
    #[must_use]
    pub fn of_direct(user: UserId, joined_at: Timestamp) -> Self {
        Self { user, role: Role::Member, joined: Seq::ZERO.next(), joined_at }
    }
}

/// How far a user has read in a room. Only moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marker {
    /// The newest entry read.
    pub seq: Seq,
    /// The ordinal of the newest message read: unread is the newest message's ordinal minus this.
    pub ordinal: u64,
}

#[cfg(test)]
mod tests {
    use super::Role::{Admin, Member, Moderator, Owner};

    #[test]
    fn nobody_outranks_an_equal_or_higher_role() {
        let ranks = [Member, Moderator, Admin, Owner];
        for (i, a) in ranks.iter().enumerate() {
            for (j, b) in ranks.iter().enumerate() {
                assert_eq!(a.outranks(*b), i > j, "{a:?} {b:?}");
            }
        }
    }
}
