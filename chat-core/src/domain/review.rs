//! What waits for moderators, outside the log: messages held for review, and reports of messages.

use std::{fmt, sync::Arc};

use super::{
    Actor, Attachments, Command, Content, Draft, MessageType, Request, TextError, Username, kept_as_accepted,
};
use crate::{
    id::{HeldId, ReportId, RoomId, Seq, UserId},
    time::Timestamp,
};

/// A message that a hook held back: it stands in no log until a moderator releases it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldMessage {
    /// What it is called until then.
    pub id: HeldId,
    /// Where it is to be sent.
    pub room: RoomId,
    /// Who wrote it.
    pub author: UserId,
    /// When.
    pub at: Timestamp,
    /// The message.
    pub draft: Draft,
}

/// What [`Command::Release`] needs.
#[derive(Debug, Clone)]
pub struct Release {
    /// The message.
    pub held: HeldMessage,
    /// The name under which its author appears.
    pub author_name: Username,
}

impl Release {
    /// What its author would have asked.
    pub(super) fn as_sent(&self, at: Timestamp) -> Request {
        let actor = Actor::new(self.held.author.clone());
        Request { actor, at, command: Command::Send(self.held.draft.clone()) }
    }
}

/// A member's word to the moderators that a message should not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What the report is called.
    pub id: ReportId,
    /// The room of the message.
    pub room: RoomId,
    /// Who reports.
    pub reporter: UserId,
    /// When.
    pub at: Timestamp,
    /// Why, in their words.
    pub reason: ReportReason,
    /// The message as it was then.
    pub snapshot: Snapshot,
    /// How it was resolved, once it is.
    pub resolved: Option<Resolution>,
}

/// A message as it stood when it was reported. It stays, whatever becomes of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its place in the log.
    pub seq: Seq,
    /// Who wrote it.
    pub author: UserId,
    /// When.
    pub at: Timestamp,
    /// Its text.
    pub content: Content,
    /// What kind of message it is.
    pub message_type: MessageType,
    /// The files that it referred to.
    pub attachments: Attachments,
}

/// That a moderator has seen to a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// Who.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
}

/// Why a message is reported: up to 500 characters, perhaps none. Its `Debug` form hides the words.
#[derive(Clone, PartialEq, Eq)]
pub struct ReportReason(Arc<str>);

kept_as_accepted!(ReportReason);

impl ReportReason {
    /// Checks and normalises a reason; an empty one is fine.
    ///
    /// # Errors
    /// [`TextError`] when it is too long or holds a forbidden character.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        super::text::note(text, 500).map(Self)
    }
}

impl fmt::Debug for ReportReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReportReason({} bytes)", self.0.len())
    }
}
