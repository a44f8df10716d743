//! What a room remembers.

use super::{Content, Emoji, InThread, MemberUpdate, Mentions, Message, Replies, Role, Room};
use crate::{
    id::{MessageId, RoomId, Seq, UserId},
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
#[allow(
    clippy::large_enum_variant,
    reason = "most entries are messages: a box would cost each an allocation"
)]
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
    /// A message was sent. The message as it stands when it is told: edited, deleted, with its reactions.
    Send(Message),
    /// A message got another text.
    Edit {
        /// Which message.
        target: Seq,
        /// The text that it has when this is told: empty once it is deleted.
        content: Content,
        /// Whom that text mentions.
        mentions: Mentions,
    },
    /// A message was deleted; the actor of the entry did it.
    Delete {
        /// Which message.
        target: Seq,
        /// For a reply, what is left of its thread.
        thread: Option<ThreadLeft>,
    },
    /// The actor put an emoji under a message.
    React {
        /// Which message.
        target: Seq,
        /// The emoji.
        emoji: Emoji,
        /// How many users had it there then, the actor included.
        count: u32,
    },
    /// The actor took an emoji back.
    Unreact {
        /// Which message.
        target: Seq,
        /// The emoji.
        emoji: Emoji,
        /// How many users still had it there then.
        count: u32,
    },
    /// A message was pinned.
    Pin {
        /// Which message.
        target: Seq,
    },
    /// A message was unpinned.
    Unpin {
        /// Which message.
        target: Seq,
    },
    /// The room was deleted: the last entry of its log.
    DeleteRoom,
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
    /// They were erased, everywhere and for good.
    Erased,
}

impl LeaveReason {
    /// The reason on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Kicked => "kicked",
            Self::Banned(_) => "banned",
            Self::Erased => "erased",
        }
    }
}

/// A thread of which a reply was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadLeft {
    /// The message that began it.
    pub root: Seq,
    /// What still stands in it.
    pub replies: Replies,
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

    /// The earlier message to which something was done.
    #[must_use]
    pub fn target(&self) -> Option<Seq> {
        match &self.change {
            Change::Edit { target, .. }
            | Change::Delete { target, .. }
            | Change::React { target, .. }
            | Change::Unreact { target, .. }
            | Change::Pin { target }
            | Change::Unpin { target } => Some(*target),
            _ => None,
        }
    }

    /// The root of the thread that this entry changes, and what stands in that thread then.
    #[must_use]
    pub fn thread(&self) -> Option<(Seq, Replies)> {
        match &self.change {
            Change::Send(Message { thread: Some(InThread { root, count }), .. }) => {
                Some((*root, Replies { count: *count, last_at: Some(self.at) }))
            }
            Change::Delete { thread: Some(ThreadLeft { root, replies }), .. } => Some((*root, *replies)),
            _ => None,
        }
    }

    /// Whether this entry may change what is told with earlier ones.
    #[must_use]
    pub fn changes_earlier(&self) -> bool {
        self.target().is_some() || self.thread().is_some() || self.cuts().is_some()
    }

    /// The first entry that is kept from this entry on, if any before it were cut.
    #[must_use]
    pub fn cuts(&self) -> Option<Seq> {
        match &self.change {
            Change::Describe(room) if room.first > Seq::ZERO.next() => Some(room.first),
            _ => None,
        }
    }

    /// Whether what is told with this entry may be changed by a later one of the same room.
    #[must_use]
    pub fn is_told_anew_after(&self, later: &Self) -> bool {
        if later.thread().is_some_and(|(root, _)| root == self.seq) {
            return self.message().is_some();
        }
        if let (Some(first), Change::Edit { target, .. }) = (later.cuts(), &self.change) {
            return *target < first;
        }
        match (later.target(), &self.change) {
            (Some(target), Change::Send(_)) => self.seq == target,
            (Some(target), Change::Edit { target: edited, .. }) => *edited == target,
            _ => false,
        }
    }

    /// Takes in a later entry of the same room. What is told with this entry moves with its message: a message
    /// with all that is done to it, an edit with the text. Returns whether anything may have changed.
    pub fn take_in(&mut self, later: &Self) -> bool {
        if let (Change::Send(message), Some((root, replies))) = (&mut self.change, later.thread())
            && self.seq == root
        {
            message.replies = replies;
            return true;
        }
        if let (Some(first), Change::Edit { target, content, mentions }) = (later.cuts(), &mut self.change)
            && *target < first
        {
            (*content, *mentions) = (Content::gone(), Mentions::default());
            return true;
        }
        let Some(target) = later.target() else { return false };
        match &mut self.change {
            Change::Send(message) if self.seq == target => {
                message.take_in(later);
                true
            }
            Change::Edit { target: edited, content, mentions }
                if *edited == target && self.seq < later.seq =>
            {
                (*content, *mentions) = match &later.change {
                    Change::Edit { content, mentions, .. } => (content.clone(), mentions.clone()),
                    Change::Delete { .. } => (Content::gone(), Mentions::default()),
                    _ => return false,
                };
                true
            }
            _ => false,
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

    /// The users to whom this entry is the first of the room: whom it makes a member, or both whom the first
    /// message of a direct room is between.
    pub fn begins_for(&self) -> impl Iterator<Item = &UserId> {
        let first = self.seq == Seq::ZERO.next();
        let recipient = self.message().filter(|_| first).and_then(|message| message.recipient.as_ref());
        self.joins().into_iter().chain(recipient).chain(recipient.map(|_| &self.actor))
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
