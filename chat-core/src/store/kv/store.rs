//! The traits of a store over the layout.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::{
    MemKv, OrderedKv, audit, log, presence, read, reading,
    request::{MarkRequest, Refusal, Request},
    threads, verify,
    writer::{Shared, Writer},
};
use crate::{
    domain::{AuditRecord, Commit, Entry, Member, Needs, Room, Rows},
    id::{RoomId, Seq, UserId},
    store::{
        AuditStore, CommitError, Durability, FormerTexts, LogStore, Maintenance, MarkedRead, MessagePage,
        MessageQuery, Page, PageRequest, ReadingStore, RoomOverview, RoomStore, StoreError,
    },
    time::Timestamp,
};

/// A [`crate::store::Store`] over an ordered key-value engine.
///
/// Dropping it saves what is pending and lets go of the engine, and waits for that;
/// [`crate::store::Maintenance::close`] says besides whether it went well.
pub struct KvStore<K: OrderedKv> {
    shared: Arc<Shared<K>>,
    writer: Writer<K>,
    /// How many readers may block at once; `None` when reading does not block.
    readers: Option<Arc<Semaphore>>,
}

/// A store in memory: for tests, for trying things out, and for chat that may be forgotten.
///
/// It keeps every promise of a store but one: nothing survives the process. Each operation is done within the
/// call, without a thread, so that a simulation owns time.
pub type MemoryStore = KvStore<MemKv>;

impl MemoryStore {
    /// An empty store.
    #[must_use]
    #[allow(clippy::expect_used, reason = "opening an empty map reads nothing and can't fail")]
    pub fn new() -> Self {
        Self::inline(MemKv::new()).expect("an empty map opens")
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

/// How a store with a thread works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KvOptions {
    /// What an ack promises.
    pub durability: Durability,
    /// Acked data may have been lost since the last run, by damage or by going back to a backup: the store gets
    /// a new epoch.
    pub may_have_lost: bool,
}

impl<K: OrderedKv> KvStore<K> {
    /// A store that does everything within the call: for engines that never block. Always
    /// [`Durability::Fsync`].
    ///
    /// # Errors
    /// [`StoreError`] when the engine can't be read or written, or holds values of a newer version.
    pub fn inline(kv: K) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared::open(kv, KvOptions::default())?);
        Ok(Self { writer: Writer::inline(shared.clone()), shared, readers: None })
    }

    /// A store that writes on a thread of its own, in groups, and reads on the blocking threads of tokio, two
    /// per core: for engines that wait for a disk. Its futures need a tokio runtime.
    ///
    /// # Errors
    /// [`StoreError`] when the engine can't be read or written, holds values of a newer version, or there is no
    /// thread.
    pub fn threaded(kv: K, options: KvOptions) -> Result<Self, StoreError> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let shared = Arc::new(Shared::open(kv, options)?);
        let writer = Writer::threaded(shared.clone())?;
        Ok(Self { shared, writer, readers: Some(Arc::new(Semaphore::new(2 * cores))) })
    }

    pub(super) async fn write(&self, request: Request) -> Result<bool, Refusal> {
        self.writer.write(request).await
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Shared<K>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some(readers) = &self.readers else { return self.shared.read(read) };
        let permit = readers.clone().acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let shared = self.shared.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            shared.read(read)
        });
        reading.await.map_err(|_| StoreError::Closed)?
    }
}

impl<K: OrderedKv> fmt::Debug for KvStore<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KvStore").field("epoch", &self.shared.epoch).finish_non_exhaustive()
    }
}

#[async_trait]
impl<K: OrderedKv> RoomStore for KvStore<K> {
    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        match self.writer.write(Request::Commit(Box::new(commit))).await {
            Ok(_) => Ok(()),
            Err(Refusal::Conflict { head }) => Err(CommitError::Conflict { head }),
            Err(Refusal::Guard(guard)) => Err(CommitError::Guard(guard)),
            Err(refusal) => Err(refusal.into_store_error().into()),
        }
    }

    async fn room(&self, room: &RoomId) -> Result<Option<Room>, StoreError> {
        let room = room.clone();
        self.read(move |shared| read::room(&shared.rows, &room)).await
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<Seq>, StoreError> {
        let rooms = rooms.to_vec();
        self.read(move |shared| read::heads(&shared.rows, &rooms)).await
    }

    async fn gather(&self, room: &RoomId, needs: &Needs) -> Result<Rows, StoreError> {
        let (room, needs) = (room.clone(), needs.clone());
        let gather = move |shared: &Shared<K>| {
            let weeks = shared.weeks.read().clone();
            read::gather(&shared.rows, &weeks, &room, &needs)
        };
        self.read(gather).await
    }

    async fn members(&self, room: &RoomId, page: PageRequest) -> Result<Page<Member>, StoreError> {
        let room = room.clone();
        self.read(move |shared| read::members(&shared.rows, &room, &page)).await
    }

    async fn rooms_of(&self, user: &UserId, page: PageRequest) -> Result<Page<(Room, Member)>, StoreError> {
        let user = user.clone();
        self.read(move |shared| read::rooms_of(&shared.rows, &user, &page)).await
    }

    async fn public_rooms(&self, query: Option<&str>, page: PageRequest) -> Result<Page<Room>, StoreError> {
        let query = query.map(str::to_owned);
        self.read(move |shared| read::public_rooms(&shared.rows, query.as_deref(), &page)).await
    }

    async fn membership_versions(&self, users: &[UserId]) -> Result<Vec<u64>, StoreError> {
        let users = users.to_vec();
        self.read(move |shared| read::membership_versions(&shared.rows, &users)).await
    }

    async fn share_rooms(&self, user: &UserId, others: &[UserId]) -> Result<Vec<bool>, StoreError> {
        let (user, others) = (user.clone(), others.to_vec());
        self.read(move |shared| presence::share_rooms(&shared.rows, &user, &others)).await
    }
}

#[async_trait]
impl<K: OrderedKv> LogStore for KvStore<K> {
    async fn entries(
        &self,
        room: &RoomId,
        after: Seq,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let room = room.clone();
        self.read(move |shared| log::entries(&shared.rows, &room, after, limit, max_bytes)).await
    }

    async fn messages(&self, room: &RoomId, query: MessageQuery) -> Result<MessagePage, StoreError> {
        let room = room.clone();
        self.read(move |shared| log::messages(&shared.rows, &room, query)).await
    }

    async fn thread(&self, room: &RoomId, root: Seq, query: MessageQuery) -> Result<MessagePage, StoreError> {
        let room = room.clone();
        self.read(move |shared| threads::thread(&shared.rows, &room, root, query)).await
    }

    async fn pins(
        &self,
        room: &RoomId,
        before: Seq,
        hidden_until: Seq,
        max_bytes: usize,
    ) -> Result<MessagePage, StoreError> {
        let room = room.clone();
        self.read(move |shared| log::pins(&shared.rows, &room, before, hidden_until, max_bytes)).await
    }

    async fn former_texts(
        &self,
        room: &RoomId,
        target: Seq,
        max_bytes: usize,
    ) -> Result<FormerTexts, StoreError> {
        let room = room.clone();
        self.read(move |shared| log::former_texts(&shared.rows, &room, target, max_bytes)).await
    }
}

#[async_trait]
impl<K: OrderedKv> ReadingStore for KvStore<K> {
    async fn mark_read(
        &self,
        user: &UserId,
        room: &RoomId,
        to: Seq,
    ) -> Result<Option<MarkedRead>, StoreError> {
        let (user, room) = (user.clone(), room.clone());
        let mark = MarkRequest { user: user.clone(), room: room.clone(), to, delivered: false };
        let moved = self.writer.write(Request::Mark(mark)).await.map_err(Refusal::into_store_error)?;
        let reading = self.read(move |shared| reading::reading_of(&shared.rows, &user, &room)).await?;
        Ok(reading.map(|reading| MarkedRead { moved, reading }))
    }

    async fn mark_delivered(&self, user: &UserId, room: &RoomId, to: Seq) -> Result<Option<Seq>, StoreError> {
        let (user, room) = (user.clone(), room.clone());
        let mark = MarkRequest { user: user.clone(), room: room.clone(), to, delivered: true };
        if !self.writer.write(Request::Mark(mark)).await.map_err(Refusal::into_store_error)? {
            return Ok(None);
        }
        self.read(move |shared| reading::delivered_to(&shared.rows, &user, &room)).await.map(Some)
    }

    async fn overview(&self, user: &UserId, page: PageRequest) -> Result<Page<RoomOverview>, StoreError> {
        let user = user.clone();
        self.read(move |shared| reading::overview(&shared.rows, &user, &page)).await
    }

    async fn overview_of(&self, user: &UserId, room: &RoomId) -> Result<Option<RoomOverview>, StoreError> {
        let (user, room) = (user.clone(), room.clone());
        self.read(move |shared| reading::overview_of(&shared.rows, &user, &room)).await
    }
}

#[async_trait]
impl<K: OrderedKv> AuditStore for KvStore<K> {
    async fn audit(&self, room: &RoomId, page: PageRequest) -> Result<Page<AuditRecord>, StoreError> {
        let room = room.clone();
        self.read(move |shared| audit::page(&shared.rows, &room, &page)).await
    }
}

#[async_trait]
impl<K: OrderedKv> Maintenance for KvStore<K> {
    fn epoch(&self) -> String {
        self.shared.epoch.clone()
    }

    fn writable(&self) -> Result<(), StoreError> {
        self.shared.writable()
    }

    async fn sweep(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.writer.write(Request::Sweep(now)).await.map_err(Refusal::into_store_error)
    }

    async fn verify(&self) -> Result<Vec<String>, StoreError> {
        self.read(|shared| verify::verify(shared.rows.raw())).await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.writer.close().await
    }
}
