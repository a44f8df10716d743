//! What only the operator asks for.

use async_trait::async_trait;
use chat_core::{
    domain::{AuditNote, Report, Room},
    id::RoomId,
    store::{OperatorStore, Page, PageRequest, StoreError},
};

use crate::SledStore;

#[async_trait]
impl OperatorStore for SledStore {
    async fn all_rooms(&self, page: PageRequest) -> Result<Page<Room>, StoreError> {
        self.kv.all_rooms(page).await
    }

    async fn open_reports(&self, page: PageRequest) -> Result<Page<Report>, StoreError> {
        self.kv.open_reports(page).await
    }

    async fn note(&self, log: &RoomId, note: AuditNote) -> Result<(), StoreError> {
        self.kv.note(log, note).await
    }
}
