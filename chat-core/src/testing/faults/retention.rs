//! What of a log may go, behind faults and delays.

use crate::{
    domain::Cut,
    id::RoomId,
    store::{Page, PageRequest, RetentionStore, Store, StoreError},
    time::Timestamp,
};
use async_trait::async_trait;

use super::{Around, Decorated};

#[async_trait]
impl<S: Store, A: Around> RetentionStore for Decorated<S, A> {
    async fn retained_rooms(&self, page: PageRequest) -> Result<Page<RoomId>, StoreError> {
        self.around.before_read().await?;
        self.inner.retained_rooms(page).await
    }

    async fn due_cut(&self, room: &RoomId, now: Timestamp) -> Result<Option<Cut>, StoreError> {
        self.around.before_read().await?;
        self.inner.due_cut(room, now).await
    }
}
