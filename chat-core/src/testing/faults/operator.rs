//! What only the operator asks for, behind faults and delays.

use crate::{
    domain::{AuditNote, Report, Room},
    id::RoomId,
    store::{OperatorStore, Page, PageRequest, Store, StoreError},
};
use async_trait::async_trait;

use super::{Around, Decorated};

#[async_trait]
impl<S: Store, A: Around> OperatorStore for Decorated<S, A> {
    async fn all_rooms(&self, page: PageRequest) -> Result<Page<Room>, StoreError> {
        self.around.before_read().await?;
        self.inner.all_rooms(page).await
    }

    async fn open_reports(&self, page: PageRequest) -> Result<Page<Report>, StoreError> {
        self.around.before_read().await?;
        self.inner.open_reports(page).await
    }

    async fn note(&self, log: &RoomId, note: AuditNote) -> Result<(), StoreError> {
        let forget = self.around.before_write().await?;
        self.inner.note(log, note).await?;
        if forget { Err(StoreError::Unknown) } else { Ok(()) }
    }
}
