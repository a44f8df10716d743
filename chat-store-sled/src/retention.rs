//! What of a log may go.

use async_trait::async_trait;
use chat_core::{
    domain::Cut,
    id::RoomId,
    store::{Page, PageRequest, RetentionStore, StoreError},
    time::Timestamp,
};

use crate::SledStore;

#[async_trait]
impl RetentionStore for SledStore {
    async fn retained_rooms(&self, page: PageRequest) -> Result<Page<RoomId>, StoreError> {
        self.kv.retained_rooms(page).await
    }

    async fn due_cut(&self, room: &RoomId, now: Timestamp) -> Result<Option<Cut>, StoreError> {
        self.kv.due_cut(room, now).await
    }
}
