//! What a room remembers.

use super::{Content, MemberUpdate, Role, Room};
use crate::{
    id::{ClientMessageId, MessageId, RoomId, Seq, UserId},
    time::Timestamp,
};

/// One item of a room's log. Together with the entries before it, it tells everything that a client needs:
/// replaying entries and having listened to them end in the same view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose log.
    pub room: RoomId,
    /// Its place there.
    pub seq: Seq,
    /// When it was accepted.
    pub at: Timestamp,
    /// Who brought it about.
    pub actor: UserId,
    /// What happened.
    pub change: Change,
}

/// What an entry says has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The room is new or was changed; the room as it stands with this entry.
    Describe(Box<Room>),
    /// Somebody became a member.
    Join {
        /// Who.
        user: UserId,
        /// As what.
        role: Role,
        /// Members, the new one included.
        member_count: u32,
    },
    /// Somebody ceased to be a member.
    Leave {
        /// Who.
        user: UserId,
        /// What they were.
        role: Role,
        /// Why.
        reason: LeaveReason,
        /// Members who remain.
        member_count: u32,
    },
    /// A message was sent.
    Send(Message),
    /// A member's role or what stands against somebody was changed.
    UpdateMember(MemberUpdate),
}

/// Why somebody ceased to be a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaveReason {
    /// They chose to.
    Left,
    /// Somebody removed them.
    Kicked,
    /// Somebody removed them and keeps them out until then.
    Banned(Timestamp),
}

impl LeaveReason {
    /// The reason on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Kicked => "kicked",
            Self::Banned(_) => "banned",
        }
    }
}

/// A message as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number among the room's messages, from 1 without holes; unread counts are differences of these.
    pub ordinal: u64,
    /// Its text.
    pub content: Content,
    /// What kind of message it is.
    pub message_type: MessageType,
    /// The author's own key for it, shown to nobody else.
    pub client_message_id: Option<ClientMessageId>,
}

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MessageType {
    /// Plain text.
    #[default]
    Text,
}

impl MessageType {
    /// The type on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
        }
    }
}

impl Entry {
    /// The message id, when this entry is a message.
    #[must_use]
    pub fn message_id(&self) -> Option<MessageId> {
        self.message().map(|_| MessageId::of(&self.room, self.seq))
    }

    /// The message, when this entry is one.
    #[must_use]
    pub fn message(&self) -> Option<&Message> {
        match &self.change {
            Change::Send(message) => Some(message),
            _ => None,
        }
    }

    /// The user whom this entry makes a member.
    #[must_use]
    pub fn joins(&self) -> Option<&UserId> {
        match &self.change {
            Change::Join { user, .. } => Some(user),
            _ => None,
        }
    }

    /// The user whose standing with the room this entry changes.
    #[must_use]
    pub fn updates(&self) -> Option<&UserId> {
        match &self.change {
            Change::UpdateMember(update) => Some(&update.user),
            _ => None,
        }
    }

    /// The user whose membership this entry ends.
    #[must_use]
    pub fn leaves(&self) -> Option<&UserId> {
        match &self.change {
            Change::Leave { user, .. } => Some(user),
            _ => None,
        }
    }
}
