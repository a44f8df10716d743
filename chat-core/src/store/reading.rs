//! How far users have read, and what that leaves to read.

use async_trait::async_trait;

use super::{Page, PageRequest, StoreError};
use crate::{
    domain::{Entry, Member, Room},
    id::{RoomId, Seq, UserId},
};

/// Markers, and what they leave unread.
///
/// # To ensure correctness
///
/// 1. A marker only moves forward, and never beyond the room's head; joining and sending move it to the head in
///    their own commit, and leaving ends it. What others send in a user's place leaves it where it is
///    ([`crate::domain::RowChange::SentFor`]).
/// 2. Unread is the number of messages after the marker that are not deleted and not the user's own; mentions are
///    those of them that mention the user, by name or with all the room. Both are as of one moment, no earlier than
///    the call.
/// 3. Somebody who is no member has no marker, and marking for them changes nothing.
/// 4. The newest message of a room that is told along lies after what the member may not see.
/// 5. No operation takes longer for a longer history, for more members, deletions or mentions.
#[async_trait]
pub trait ReadingStore: Send + Sync + 'static {
    /// Moves the user's marker in a room forward to `to`, or to the head if that comes first. `None` when they
    /// are no member.
    async fn mark_read(
        &self,
        user: &UserId,
        room: &RoomId,
        to: Seq,
    ) -> Result<Option<MarkedRead>, StoreError>;

    /// Notes up to where the room has reached a device of the user: forward only, to the head at most. Up to
    /// where that is now, if it was news; never for somebody who is no member.
    async fn mark_delivered(&self, user: &UserId, room: &RoomId, to: Seq) -> Result<Option<Seq>, StoreError>;

    /// The user's rooms in the order of the store, with what they have not read. A page ends early once the
    /// texts told along pass [`crate::limits::PAGE_BYTES_MAX`].
    async fn overview(&self, user: &UserId, page: PageRequest) -> Result<Page<RoomOverview>, StoreError>;

    /// One room as the user sees it in their list. `None` when they are no member.
    async fn overview_of(&self, user: &UserId, room: &RoomId) -> Result<Option<RoomOverview>, StoreError>;
}

/// Where a user stands in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// The newest entry read.
    pub seq: Seq,
    /// Messages after it.
    pub unread: u64,
    /// Messages among them that mention the user.
    pub mentions: u64,
}

/// What came of moving a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MarkedRead {
    /// Whether it was behind.
    pub moved: bool,
    /// Where the user stands now.
    pub reading: Reading,
}

/// A room as one of its members sees it in their list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomOverview {
    /// The room.
    pub room: Room,
    /// Their membership.
    pub member: Member,
    /// Where they stand.
    pub reading: Reading,
    /// The newest message that they may see, deleted or not.
    pub last: Option<Entry>,
}
