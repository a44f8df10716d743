//! What only the operator asks for, over the layout.

use async_trait::async_trait;

use super::{
    KvStore, OrderedKv,
    keys::{self, table},
    read::paged,
    request::{Refusal, Request},
    review, values,
};
use crate::{
    domain::{AuditNote, Report, Room},
    id::RoomId,
    limits::STORE_NAMES_SCANNED_MAX,
    store::{OperatorStore, Page, PageRequest, StoreError},
};

#[async_trait]
impl<K: OrderedKv> OperatorStore for KvStore<K> {
    async fn all_rooms(&self, page: PageRequest) -> Result<Page<Room>, StoreError> {
        self.read(move |shared| {
            let view = shared.rows.view();
            paged(&view, &[table::ROOM], &page, STORE_NAMES_SCANNED_MAX, |key, _| {
                let room16 = keys::id_at(key, 1).ok_or_else(|| values::corrupt("a key of a room"))?;
                Ok(view.room(&room16)?.filter(|room| room.exists() && !room.deleted))
            })
        })
        .await
    }

    async fn open_reports(&self, page: PageRequest) -> Result<Page<Report>, StoreError> {
        self.read(move |shared| review::open_reports(&shared.rows, &page)).await
    }

    async fn note(&self, log: &RoomId, note: AuditNote) -> Result<(), StoreError> {
        let request = Request::Note(log.clone(), Box::new(note));
        self.write(request).await.map(drop).map_err(Refusal::into_store_error)
    }
}
