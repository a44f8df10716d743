//! What the writer of a store is asked for, what it costs, and why it may be refused.

use super::{
    erasure::EraseRequest,
    files::{FileRefusal, FileRequest},
    people,
    review::{ReviewRefusal, ReviewRequest},
    values,
};
use crate::{
    domain::{AuditNote, Change, Commit, Guard, RowChange},
    id::{RoomId, Seq, UserId},
    limits::{INVITES_PER_ROOM_MAX, LINKS_PER_ROOM_MAX, STORE_SWEEP_MAX},
    store::{ProfileChange, StoreError, UserProfile},
    time::Timestamp,
};

/// Rows that a deletion may be expected to touch: the message, its index of pins, a few edits and reactions.
const DELETION_OPS: usize = 24;

/// Rows that count one mention, in a room of up to 16 million messages.
const MENTION_OPS: usize = 3;

/// Something to be written.
#[derive(Debug)]
pub(super) enum Request {
    Commit(Box<Commit>),
    CreateUser(UserProfile),
    UpdateUser(UserId, ProfileChange),
    /// Rows that nothing depends on.
    Put(Vec<(Vec<u8>, Vec<u8>)>),
    People(people::Change),
    #[cfg(feature = "accounts")]
    Guarded(GuardedRows),
    Review(Box<ReviewRequest>),
    Note(RoomId, Box<AuditNote>),
    Erase(EraseRequest),
    Files(Box<FileRequest>),
    Sweep(Timestamp),
    Mark(MarkRequest),
}

/// A marker to be moved forward.
#[derive(Debug)]
pub(super) struct MarkRequest {
    pub(super) user: UserId,
    pub(super) room: RoomId,
    pub(super) to: Seq,
    /// Whether it says what was delivered, not what was read.
    pub(super) delivered: bool,
}

/// Rows that have nothing to do with rooms, changed together or not at all.
#[cfg(feature = "accounts")]
#[derive(Debug)]
pub(super) struct GuardedRows {
    /// What these rows must hold, or the request is refused as [`Refusal::Unexpected`].
    pub(super) expected: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Whose login they are: who is erased gets none, and the request is refused as [`Refusal::Unexpected`].
    pub(super) owner: Option<UserId>,
    /// Which logins the owner must have, the oldest first, up to [`crate::limits::LOGINS_PER_STEP`] of them, or the
    /// request is refused as [`Refusal::Unexpected`].
    pub(super) logins: Option<Vec<crate::accounts::FamilyId>>,
    /// A profile to be created along with them.
    pub(super) profile: Option<UserProfile>,
    /// The new values; `None` deletes.
    pub(super) changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Why one request was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    Conflict {
        head: Seq,
    },
    Guard(Guard),
    IdTaken,
    NameTaken,
    NoUser,
    TooMany,
    #[cfg(feature = "accounts")]
    Unexpected,
    Review(ReviewRefusal),
    Files(FileRefusal),
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Refusal {
    /// The refusal of a request that can only be refused by a failing store.
    pub(super) fn into_store_error(self) -> StoreError {
        match self {
            Self::Store(error) => error,
            _ => StoreError::Backend("a request was answered as another kind of request".to_owned()),
        }
    }
}

impl Request {
    /// Whether its answer has to be on the disk, whatever the durability: something is deleted elsewhere on the
    /// strength of it.
    pub(super) fn must_last(&self) -> bool {
        matches!(self, Self::Files(request) if matches!(**request, FileRequest::Settle(_)))
    }

    /// At most how many keys and about how many bytes this changes.
    pub(super) fn cost(&self) -> (usize, usize) {
        match self {
            Self::Commit(commit) => {
                let entries = commit.entries.iter().map(|entry| match entry.message() {
                    Some(message) => {
                        let bytes = message.content.as_str().len();
                        let in_thread = if message.thread.is_some() { 3 } else { 0 };
                        let bytes = bytes + message.attachments.bytes();
                        (
                            2 + in_thread
                                + MENTION_OPS * message.mentions.users.len()
                                + 2 * message.attachments.len()
                                + bytes.saturating_sub(1) / values::TEXT_INLINE_BYTES,
                            bytes,
                        )
                    }
                    None => match &entry.change {
                        // The old text goes to the edits, the new one takes its place.
                        Change::Edit { content, mentions, .. } => {
                            let bytes = content.as_str().len();
                            let mentions = 2 * MENTION_OPS * mentions.users.len();
                            (6 + mentions + 2 * bytes / values::TEXT_INLINE_BYTES, 2 * bytes)
                        }
                        Change::Delete { .. } => (DELETION_OPS, 0),
                        _ => (4, 0),
                    },
                });
                let rows = commit.rows.iter().map(|row| match row {
                    RowChange::PutMember(_) => 5,
                    RowChange::DropRoom => 4 + 2 * (INVITES_PER_ROOM_MAX + LINKS_PER_ROOM_MAX),
                    RowChange::PutInvite(_)
                    | RowChange::RemoveInvite(_)
                    | RowChange::PutLink(_)
                    | RowChange::UseLink(_)
                    | RowChange::RemoveLink(_) => 2,
                    RowChange::RemoveMember(_) => 5,
                    RowChange::Audit(_) => 2,
                    _ => 1,
                });
                let (ops, text) = entries.fold((1, 0), |sum, entry| (sum.0 + entry.0, sum.1 + entry.1));
                let ops = ops + rows.sum::<usize>();
                (ops, text + ops * 96)
            }
            Self::CreateUser(_) => (2, 256),
            // With the record of an avatar, its place in a list, what its owner has, and its being due.
            Self::UpdateUser(..) => (7, 1_024),
            Self::Put(rows) => (rows.len(), rows.iter().map(|(key, value)| key.len() + value.len()).sum()),
            Self::People(change) => change.cost(),
            #[cfg(feature = "accounts")]
            Self::Guarded(rows) => (rows.changes.len() + 2, 256 + rows.changes.len() * 256),
            Self::Mark(_) => (1, 96),
            Self::Review(request) => request.cost(),
            Self::Note(..) => (2, 1_024),
            Self::Erase(request) => request.cost(),
            Self::Files(request) => request.cost(),
            Self::Sweep(_) => (STORE_SWEEP_MAX, STORE_SWEEP_MAX * 96),
        }
    }
}
