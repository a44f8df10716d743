//! What of a log may go.

use async_trait::async_trait;

use super::{Page, PageRequest, StoreError};
use crate::{domain::Cut, id::RoomId, time::Timestamp};

/// Rooms that are kept for a while only. What is found here becomes an entry of the log like any other
/// ([`crate::domain::Command::Trim`]); nothing is deleted by asking.
///
/// # To ensure correctness
///
/// 1. A room is listed from the commit that gives it a retention until one that takes it away, or until its deletion.
/// 2. A cut that is found reaches up to the newest message before the first one that may not go, and no further than
///    [`crate::limits::RETENTION_MESSAGES_LOOKED_AT_MAX`] messages; there is none where no message may go.
/// 3. From a commit on whose room has a higher [`crate::domain::Room::first`], no read shows an entry before that, nor
///    a text, a former text, a reaction or a pin of a message before that, and unread and mentions count messages
///    from there on. What was sent under the keys of those messages is known as before.
/// 4. After a commit with [`crate::domain::RowChange::Trim`] the rows of what was cut go with
///    [`super::Maintenance::sweep`], a bounded number at once; [`super::Maintenance::verify`] finds no difference
///    before, meanwhile and afterwards.
#[async_trait]
pub trait RetentionStore: Send + Sync + 'static {
    /// The rooms that have a retention, in the order of the store.
    async fn retained_rooms(&self, page: PageRequest) -> Result<Page<RoomId>, StoreError>;

    /// How much of a room's log its retention lets go of at `now`. `None` for nothing, and for a room that is not
    /// there.
    async fn due_cut(&self, room: &RoomId, now: Timestamp) -> Result<Option<Cut>, StoreError>;
}
