//! What waits for moderators.

use async_trait::async_trait;

use super::{Page, PageRequest, StoreError};
use crate::{
    domain::{AuditNote, HeldMessage, Report, Resolution},
    id::{HeldId, ReportId, RoomId},
};

/// Messages held for review, and reports. Neither stands in a log, and neither moves a head.
///
/// # To ensure correctness
///
/// 1. A held message comes back whole, and a repeat under one `clientMessageId` of one author and room is held
///    once, however many race.
/// 2. A held message is there until it is discarded or until a commit with
///    [`crate::domain::RowChange::RemoveHeld`] is saved; of any number of these, exactly one succeeds.
/// 3. A room holds at most [`crate::limits::HELD_PER_ROOM_MAX`] messages, of one author at most
///    [`crate::limits::HELD_PER_AUTHOR_MAX`].
/// 4. A user's report of a message is kept once, with the message as it was, however many race.
/// 5. A room keeps at most [`crate::limits::REPORTS_PER_ROOM_MAX`] reports, of one reporter at most
///    [`crate::limits::REPORTS_PER_REPORTER_MAX`]; for a new one the oldest resolved one makes room, an
///    unresolved one never.
/// 6. What was answered `Ok` is as durable as a commit.
#[async_trait]
pub trait ReviewStore: Send + Sync + 'static {
    /// Holds a message.
    async fn hold(&self, held: HeldMessage) -> Result<Keeping<HeldId>, StoreError>;

    /// One held message.
    async fn held(&self, room: &RoomId, id: &HeldId) -> Result<Option<HeldMessage>, StoreError>;

    /// The held messages of a room, by id, which is by time.
    async fn held_in(&self, room: &RoomId, page: PageRequest) -> Result<Page<HeldMessage>, StoreError>;

    /// Forgets a held message, and records who did it in the room's audit log if it was there. Answers whether it
    /// was.
    async fn discard_held(&self, room: &RoomId, id: &HeldId, note: AuditNote) -> Result<bool, StoreError>;

    /// Keeps a report.
    async fn report(&self, report: Report) -> Result<Keeping<ReportId>, StoreError>;

    /// The reports of a room: first those that are open, then those that are resolved, each by id, which is by
    /// time.
    async fn reports_in(&self, room: &RoomId, page: PageRequest) -> Result<Page<Report>, StoreError>;

    /// Notes that a report was seen to. Answers whether it is there; one that was resolved before stays as it is.
    async fn resolve_report(
        &self,
        room: &RoomId,
        id: &ReportId,
        resolution: Resolution,
    ) -> Result<bool, StoreError>;
}

/// What came of keeping something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeping<I> {
    /// It is kept.
    Kept,
    /// It was kept before, under this id.
    Repeat(I),
    /// Its room has as much as it can take.
    RoomFull,
    /// Its author has as much there as one may have.
    AuthorFull,
}
