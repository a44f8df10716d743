//! What only the operator asks for: a look at everything, and a log of what they did.

use async_trait::async_trait;

use super::{Page, PageRequest, StoreError};
use crate::{
    domain::{AuditNote, Report, Room},
    id::RoomId,
};

/// All rooms, all open reports, and records that belong to no commit.
///
/// # To ensure correctness
///
/// 1. Every room that is not deleted is listed once, whatever its kind.
/// 2. Every open report is listed once, with its room; none that is resolved.
/// 3. Records that are noted obey what [`super::AuditStore`] says of records, beside those that commits write.
#[async_trait]
pub trait OperatorStore: Send + Sync + 'static {
    /// The rooms of the store, in its order.
    async fn all_rooms(&self, page: PageRequest) -> Result<Page<Room>, StoreError>;

    /// The open reports of all rooms: room by room in the order of the store, in each by time.
    async fn open_reports(&self, page: PageRequest) -> Result<Page<Report>, StoreError>;

    /// Appends a record to an audit log, durably. The log need not be that of a room: see [`RoomId::server`].
    async fn note(&self, log: &RoomId, note: AuditNote) -> Result<(), StoreError>;
}
