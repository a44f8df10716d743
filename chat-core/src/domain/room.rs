//! The state of a room that rules depend on. Its size does not grow with the room: no members, no messages.

use super::{Change, Description, Entry, Member, Retention, Role, RoomName};
use crate::{
    id::{RoomId, Seq, UserId},
    time::Timestamp,
};

/// A room as it stands after the entry `head`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Which room.
    pub id: RoomId,
    /// Who may find and join it.
    pub kind: RoomKind,
    /// Its name.
    pub name: RoomName,
    /// What it is about.
    pub description: Description,
    /// Who created it.
    pub created_by: UserId,
    /// When.
    pub created_at: Timestamp,
    /// What new members see.
    pub history: History,
    /// How many seconds have to pass between two messages of one member below moderator; 0 for none.
    pub slow_mode_seconds: u32,
    /// Whether nothing may be sent and nobody join.
    pub archived: bool,
    /// Whether it was deleted: then it is there only to keep its id from being used again.
    pub deleted: bool,
    /// The newest entry; [`Seq::ZERO`] while the room does not exist.
    pub head: Seq,
    /// The ordinal of the newest message: how many messages were ever sent.
    pub messages: u64,
    /// How many members it has.
    pub members: u32,
    /// How many of them are owners.
    pub owners: u32,
    /// In a direct room the one of its two whom the first message was sent to; the other one created it.
    pub peer: Option<UserId>,
    /// How much of it is kept.
    pub retention: Retention,
    /// The first entry that is kept: 1 where nothing was cut. Every entry before it is gone.
    pub first: Seq,
    /// The ordinal of the newest message that was cut; 0 where none was.
    pub trimmed: u64,
}

/// Who may find and join a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoomKind {
    /// Everybody; its name is unique among public rooms.
    Public,
    /// Members only; to others it does not exist.
    Private,
    /// Two people, for ever: the first message makes the room, nobody joins or leaves.
    Direct,
    /// Up to [`crate::domain::GROUP_MEMBERS_MAX`] people; to others it does not exist.
    Group,
}

impl RoomKind {
    /// The kind on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Direct => "direct",
            Self::Group => "group",
        }
    }

    /// Whether its members tell each other what was delivered to them: between two, the sender wants to know.
    #[must_use]
    pub fn tells_delivery(self) -> bool {
        matches!(self, Self::Direct)
    }
}

/// What members see of the time before they joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum History {
    /// Everything.
    #[default]
    All,
    /// Nothing before their latest joining.
    SinceJoin,
}

impl History {
    /// The setting of that name on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::All, Self::SinceJoin].into_iter().find(|history| history.as_str() == text)
    }

    /// The setting on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::SinceJoin => "since_join",
        }
    }
}

impl Room {
    /// A room of which nothing is stored: only [`super::Command::Create`] can be planned on it.
    #[must_use]
    pub fn unborn(id: RoomId) -> Self {
        Self {
            created_by: UserId::nobody(),
            id,
            kind: RoomKind::Private,
            name: RoomName::from_stored(""),
            description: Description::from_stored(""),
            created_at: Timestamp::default(),
            history: History::All,
            slow_mode_seconds: 0,
            archived: false,
            deleted: false,
            head: Seq::ZERO,
            messages: 0,
            members: 0,
            owners: 0,
            peer: None,
            retention: Retention::default(),
            first: Seq::ZERO.next(),
            trimmed: 0,
        }
    }

    /// The other one of the two whose direct room this is; `None` in any other room, and for anybody else.
    #[must_use]
    pub fn other(&self, user: &UserId) -> Option<&UserId> {
        let peer = self.peer.as_ref()?;
        match user {
            user if *user == self.created_by => Some(peer),
            user if user == peer => Some(&self.created_by),
            _ => None,
        }
    }

    /// A room that the first message from one user to another makes, before that message.
    #[must_use]
    pub fn direct(id: RoomId, from: UserId, to: UserId, at: Timestamp) -> Self {
        let (kind, created_by, created_at) = (RoomKind::Direct, from, at);
        Self { kind, created_by, created_at, members: 2, peer: Some(to), ..Self::unborn(id) }
    }

    /// Whether the room has a log and was not deleted.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.head > Seq::ZERO && !self.deleted
    }

    /// Moves the room by one stored entry.
    ///
    /// Entries at or below the head change nothing, so that a replay that overlaps is harmless. Returns
    /// whether the entry was the next one and was applied; `false` for one further ahead means that entries
    /// in between are missing and have to be read first.
    pub fn apply(&mut self, entry: &Entry) -> bool {
        if entry.seq != self.head.next() {
            return false;
        }
        match &entry.change {
            Change::Describe(room) => {
                let (messages, owners) = (self.messages, self.owners);
                *self = Self { messages, owners, ..(**room).clone() };
            }
            Change::Join { role, member_count, .. } => {
                self.members = *member_count;
                self.owners += u32::from(*role == Role::Owner);
            }
            Change::Leave { role, member_count, .. } => {
                self.members = *member_count;
                self.owners = self.owners.saturating_sub(u32::from(*role == Role::Owner));
            }
            Change::Edit { .. }
            | Change::Delete { .. }
            | Change::React { .. }
            | Change::Unreact { .. }
            | Change::Pin { .. }
            | Change::Unpin { .. } => {}
            Change::DeleteRoom => {
                self.deleted = true;
                (self.name, self.description) = (RoomName::from_stored(""), Description::from_stored(""));
            }
            Change::UpdateMember(update) => {
                self.owners += u32::from(update.role == Some(Role::Owner));
                self.owners = self.owners.saturating_sub(u32::from(update.was == Some(Role::Owner)));
            }
            Change::Send(message) => {
                if let (false, Some(to)) = (self.exists(), &message.recipient) {
                    *self = Self::direct(self.id.clone(), entry.actor.clone(), to.clone(), entry.at);
                }
                self.messages = message.ordinal;
            }
        }
        self.head = entry.seq;
        true
    }

    /// The first entry that a member who joined at `joined` is told live: their own joining, but for the
    /// creator the beginning.
    #[must_use]
    pub fn live_from(&self, user: &UserId, joined: Seq) -> Seq {
        let creating = joined == Seq::ZERO.next().next() && self.created_by == *user;
        if creating { joined.previous() } else { joined }
    }

    /// The last entry that a member who joined at `joined` may not see; [`Seq::ZERO`] when they may see all. What
    /// was cut is seen by nobody.
    #[must_use]
    pub fn hidden_until(&self, joined: Seq) -> Seq {
        self.hidden_by_history(joined).max(self.first.previous())
    }

    /// The last entry that is hidden from somebody who may read the room, a member or not.
    #[must_use]
    pub fn hidden_from(&self, member: Option<&Member>) -> Seq {
        member.map_or(self.first.previous(), |member| self.hidden_until(member.joined))
    }

    /// The last entry that the room's history hides from a member who joined at `joined`, whatever was cut. To
    /// them it is no hole: what they may see begins there.
    #[must_use]
    pub fn hidden_by_history(&self, joined: Seq) -> Seq {
        match self.history {
            History::All => Seq::ZERO,
            History::SinceJoin => joined.previous(),
        }
    }
}
