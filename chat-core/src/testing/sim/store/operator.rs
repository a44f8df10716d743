//! What only the operator asks for, as one node reads and writes it.

use crate::{
    domain::{AuditNote, Report, Room},
    id::RoomId,
    store::{OperatorStore, Page, PageRequest, StoreError},
};
use async_trait::async_trait;

use super::NodeStore;

#[async_trait]
impl OperatorStore for NodeStore {
    async fn all_rooms(&self, page: PageRequest) -> Result<Page<Room>, StoreError> {
        self.reading().await?;
        self.inner.all_rooms(page).await
    }

    async fn open_reports(&self, page: PageRequest) -> Result<Page<Report>, StoreError> {
        self.reading().await?;
        self.inner.open_reports(page).await
    }

    async fn note(&self, log: &RoomId, note: AuditNote) -> Result<(), StoreError> {
        self.writing().await?;
        self.inner.note(log, note).await?;
        self.written().await
    }
}
