//! What of a log may go, as one node reads it.

use crate::{
    domain::Cut,
    id::RoomId,
    store::{Page, PageRequest, RetentionStore, StoreError},
    time::Timestamp,
};
use async_trait::async_trait;

use super::NodeStore;

#[async_trait]
impl RetentionStore for NodeStore {
    async fn retained_rooms(&self, page: PageRequest) -> Result<Page<RoomId>, StoreError> {
        self.reading().await?;
        self.inner.retained_rooms(page).await
    }

    async fn due_cut(&self, room: &RoomId, now: Timestamp) -> Result<Option<Cut>, StoreError> {
        self.reading().await?;
        self.inner.due_cut(room, now).await
    }
}
