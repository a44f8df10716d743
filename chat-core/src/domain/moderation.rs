//! What is done to people in a room, and what stays of it.

use super::{Change, Entry, LeaveReason, Reason, Role};
use crate::{id::UserId, time::Timestamp};

/// Something that is to be done to somebody in a room.
///
/// ```
/// use chat_core::{domain::Moderation, id::UserId};
///
/// let troll = UserId::parse("troll").unwrap();
/// let hour = Moderation::ban(troll, Some(3_600));
/// assert!(hour.reason.is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moderation {
    /// To whom.
    pub user: UserId,
    /// What.
    pub measure: Measure,
    /// Why, for the audit log.
    pub reason: Option<Reason>,
}

/// What is done to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// They get another role.
    SetRole(Role),
    /// They are removed, and may come back.
    Kick,
    /// They are removed and may not come back for so many seconds, or ever.
    Ban(Option<u64>),
    /// They may come back.
    Unban,
    /// They may read and not write for so many seconds, or for ever.
    Mute(Option<u64>),
    /// They may write again.
    Unmute,
}

impl Moderation {
    const fn of(user: UserId, measure: Measure) -> Self {
        Self { user, measure, reason: None }
    }

    /// Another role for a member.
    #[must_use]
    pub const fn set_role(user: UserId, role: Role) -> Self {
        Self::of(user, Measure::SetRole(role))
    }

    /// Removing a member.
    #[must_use]
    pub const fn kick(user: UserId) -> Self {
        Self::of(user, Measure::Kick)
    }

    /// Keeping somebody out for so many seconds, or for good.
    #[must_use]
    pub const fn ban(user: UserId, seconds: Option<u64>) -> Self {
        Self::of(user, Measure::Ban(seconds))
    }

    /// Ending a ban.
    #[must_use]
    pub const fn unban(user: UserId) -> Self {
        Self::of(user, Measure::Unban)
    }

    /// Silencing a member for so many seconds, or for good.
    #[must_use]
    pub const fn mute(user: UserId, seconds: Option<u64>) -> Self {
        Self::of(user, Measure::Mute(seconds))
    }

    /// Ending a mute.
    #[must_use]
    pub const fn unmute(user: UserId) -> Self {
        Self::of(user, Measure::Unmute)
    }

    /// The same, for this reason.
    #[must_use]
    pub fn because(self, reason: Reason) -> Self {
        Self { reason: Some(reason), ..self }
    }
}

/// What stands against somebody in one room. It outlasts their membership: who leaves muted comes back muted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sanction {
    /// Until when they may not become a member.
    pub banned_until: Option<Timestamp>,
    /// Until when they may not write.
    pub muted_until: Option<Timestamp>,
}

impl Sanction {
    /// Whether they may not become a member at this time.
    #[must_use]
    pub fn is_banned(self, at: Timestamp) -> bool {
        self.at(at).banned_until.is_some()
    }

    /// Whether they may not write at this time.
    #[must_use]
    pub fn is_muted(self, at: Timestamp) -> bool {
        self.at(at).muted_until.is_some()
    }

    /// What of it has not run out by then.
    #[must_use]
    pub fn at(self, at: Timestamp) -> Self {
        let lasting = |until: &Timestamp| at < *until;
        Self {
            banned_until: self.banned_until.filter(lasting),
            muted_until: self.muted_until.filter(lasting),
        }
    }

    /// What stands against the user after an entry that is about them.
    #[must_use]
    pub fn after(self, entry: &Entry) -> Self {
        match &entry.change {
            Change::Leave { reason: LeaveReason::Banned(until), .. } => {
                Self { banned_until: Some(*until), ..self.at(entry.at) }
            }
            Change::Leave { reason: LeaveReason::Erased, .. } => Self::default(),
            Change::UpdateMember(update) => {
                Self { banned_until: update.banned_until, muted_until: update.muted_until }
            }
            _ => self,
        }
    }
}

/// How somebody stands with a room, after it was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberUpdate {
    /// Who.
    pub user: UserId,
    /// What they were; `None` for somebody who is no member.
    pub was: Option<Role>,
    /// What they are; `None` for somebody who is no member.
    pub role: Option<Role>,
    /// Until when they may not write, [`Timestamp::FOREVER`] for good; `None` when they may.
    pub muted_until: Option<Timestamp>,
    /// Until when they may not become a member, [`Timestamp::FOREVER`] for good; `None` when they may.
    pub banned_until: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sanction_ends_at_its_time() {
        let until = Some(Timestamp::from_millis(1_000));
        let sanction = Sanction { banned_until: until, muted_until: until };
        assert!(
            sanction.is_banned(Timestamp::from_millis(999)) && sanction.is_muted(Timestamp::from_millis(0))
        );
        assert!(!sanction.is_banned(Timestamp::from_millis(1_000)));
        assert_eq!(sanction.at(Timestamp::from_millis(1_000)), Sanction::default());
    }
}
