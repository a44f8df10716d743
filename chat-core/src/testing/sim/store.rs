//! One node's way to the shared store: slow, now and then failing, and cut off when the node dies.

mod erasure;
mod operator;
mod personal;
mod retention;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::{
    domain::{
        AuditNote, AuditRecord, Commit, Entry, HeldMessage, Invite, InviteLink, KeptPresence, LinkId, Member,
        Needs, Report, Resolution, Room, Rows, Username,
    },
    id::{HeldId, InviteId, ReportId, RoomId, Seq, UserId},
    store::{
        AuditStore, Block, CommitError, CreateUserError, FormerTexts, Keeping, LogStore, Maintenance,
        MarkedRead, MessagePage, MessageQuery, Page, PageRequest, PeopleError, PeopleStore, ProfileChange,
        ReadingStore, ReviewStore, RoomOverview, RoomStore, StoreError, UpdateUserError, UserProfile,
        UserStore,
        kv::{KvStore, MemKv},
    },
    testing::random::Random,
    time::Timestamp,
};

/// How the store behaves at the moment, for all nodes.
#[derive(Debug)]
pub(super) struct Weather {
    random: Mutex<Random>,
    storm: AtomicBool,
    /// Every room that was ever created, whether its creator was told or not.
    pub(super) rooms: Mutex<Vec<RoomId>>,
    pub(super) commits: AtomicU64,
    pub(super) faults: AtomicU64,
}

impl Weather {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Mutex::new(Random::seeded(seed)),
            storm: AtomicBool::new(false),
            rooms: Mutex::default(),
            commits: AtomicU64::new(0),
            faults: AtomicU64::new(0),
        }
    }

    /// Whether operations fail and take long.
    pub(super) fn storm(&self, rages: bool) {
        self.storm.store(rages, Ordering::Relaxed);
    }

    fn draw(&self, bound: u64) -> u64 {
        self.random.lock().below(bound)
    }

    /// Time never stands still: a caller that asks again and again at once would otherwise stop the simulation.
    async fn pass(&self) {
        let storm = self.storm.load(Ordering::Relaxed);
        match self.draw(100) {
            0..40 => tokio::task::yield_now().await,
            40..95 => tokio::time::sleep(Duration::from_millis(1 + self.draw(4))).await,
            _ => {
                let most = if storm { 400 } else { 40 };
                tokio::time::sleep(Duration::from_millis(5 + self.draw(most))).await;
            }
        }
    }

    fn fails(&self, percent: u64) -> bool {
        let fails = self.storm.load(Ordering::Relaxed) && self.draw(100) < percent;
        self.faults.fetch_add(u64::from(fails), Ordering::Relaxed);
        fails
    }
}

/// The shared store as one node reaches it.
pub(super) struct NodeStore {
    pub(super) inner: Arc<KvStore<MemKv>>,
    pub(super) weather: Arc<Weather>,
    /// A dead node reaches the store no more.
    pub(super) alive: Arc<AtomicBool>,
}

impl NodeStore {
    fn reached(&self) -> Result<(), StoreError> {
        if self.alive.load(Ordering::Relaxed) { Ok(()) } else { Err(StoreError::Closed) }
    }

    /// Reads on its way there and back.
    async fn reading(&self) -> Result<(), StoreError> {
        self.weather.pass().await;
        self.reached()?;
        if self.weather.fails(10) {
            return Err(StoreError::Backend("a storm".to_owned()));
        }
        Ok(())
    }

    /// A write on its way there.
    async fn writing(&self) -> Result<(), StoreError> {
        self.weather.pass().await;
        self.reached()?;
        match self.weather.fails(15) {
            true if self.weather.draw(2) == 0 => Err(StoreError::Full),
            true => Err(StoreError::Overloaded),
            false => Ok(()),
        }
    }

    /// A write's answer on its way back; it may get lost.
    async fn written(&self) -> Result<(), StoreError> {
        self.weather.pass().await;
        if self.weather.fails(15) { Err(StoreError::Unknown) } else { Ok(()) }
    }
}

#[async_trait]
impl RoomStore for NodeStore {
    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        self.writing().await?;
        let (room, is_new) = (commit.room.id.clone(), commit.after == Seq::ZERO);
        self.inner.commit(commit).await?;
        if is_new {
            self.weather.rooms.lock().push(room);
        }
        self.weather.commits.fetch_add(1, Ordering::Relaxed);
        Ok(self.written().await?)
    }

    async fn room(&self, room: &RoomId) -> Result<Option<Room>, StoreError> {
        self.reading().await?;
        let room = self.inner.room(room).await;
        self.weather.pass().await;
        room
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<Seq>, StoreError> {
        self.reading().await?;
        let heads = self.inner.heads(rooms).await;
        self.weather.pass().await;
        heads
    }

    async fn gather(&self, room: &RoomId, needs: &Needs) -> Result<Rows, StoreError> {
        self.reading().await?;
        let rows = self.inner.gather(room, needs).await;
        self.weather.pass().await;
        rows
    }

    async fn members(&self, room: &RoomId, page: PageRequest) -> Result<Page<Member>, StoreError> {
        self.reading().await?;
        self.inner.members(room, page).await
    }

    async fn rooms_of(&self, user: &UserId, page: PageRequest) -> Result<Page<(Room, Member)>, StoreError> {
        self.reading().await?;
        let rooms = self.inner.rooms_of(user, page).await;
        self.weather.pass().await;
        rooms
    }

    async fn public_rooms(&self, query: Option<&str>, page: PageRequest) -> Result<Page<Room>, StoreError> {
        self.reading().await?;
        self.inner.public_rooms(query, page).await
    }

    async fn membership_versions(&self, users: &[UserId]) -> Result<Vec<u64>, StoreError> {
        self.reading().await?;
        let versions = self.inner.membership_versions(users).await;
        self.weather.pass().await;
        versions
    }

    async fn share_rooms(&self, user: &UserId, others: &[UserId]) -> Result<Vec<bool>, StoreError> {
        self.reading().await?;
        self.inner.share_rooms(user, others).await
    }
}

#[async_trait]
impl LogStore for NodeStore {
    async fn entries(
        &self,
        room: &RoomId,
        after: Seq,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.reading().await?;
        let entries = self.inner.entries(room, after, limit, max_bytes).await;
        self.weather.pass().await;
        entries
    }

    async fn messages(&self, room: &RoomId, query: MessageQuery) -> Result<MessagePage, StoreError> {
        self.reading().await?;
        self.inner.messages(room, query).await
    }

    async fn thread(&self, room: &RoomId, root: Seq, query: MessageQuery) -> Result<MessagePage, StoreError> {
        self.reading().await?;
        self.inner.thread(room, root, query).await
    }

    async fn pins(
        &self,
        room: &RoomId,
        before: Seq,
        hidden_until: Seq,
        max_bytes: usize,
    ) -> Result<MessagePage, StoreError> {
        self.reading().await?;
        self.inner.pins(room, before, hidden_until, max_bytes).await
    }

    async fn former_texts(
        &self,
        room: &RoomId,
        target: Seq,
        max_bytes: usize,
    ) -> Result<FormerTexts, StoreError> {
        self.reading().await?;
        self.inner.former_texts(room, target, max_bytes).await
    }
}

#[async_trait]
impl UserStore for NodeStore {
    async fn create_user(&self, user: UserProfile) -> Result<(), CreateUserError> {
        self.writing().await?;
        self.inner.create_user(user).await?;
        Ok(self.written().await?)
    }

    async fn update_user(&self, user: &UserId, change: ProfileChange) -> Result<(), UpdateUserError> {
        self.writing().await?;
        self.inner.update_user(user, change).await?;
        Ok(self.written().await?)
    }

    async fn users(&self, users: &[UserId]) -> Result<Vec<Option<UserProfile>>, StoreError> {
        self.reading().await?;
        self.inner.users(users).await
    }

    async fn user_named(&self, name: &Username) -> Result<Option<UserId>, StoreError> {
        self.reading().await?;
        self.inner.user_named(name).await
    }

    async fn users_like(&self, beginning: &str, page: PageRequest) -> Result<Page<UserProfile>, StoreError> {
        self.reading().await?;
        self.inner.users_like(beginning, page).await
    }

    async fn save_presences(&self, presences: Vec<(UserId, KeptPresence)>) -> Result<(), StoreError> {
        self.writing().await?;
        self.inner.save_presences(presences).await?;
        self.written().await
    }

    async fn presences(&self, users: &[UserId]) -> Result<Vec<Option<KeptPresence>>, StoreError> {
        self.reading().await?;
        self.inner.presences(users).await
    }
}

#[async_trait]
impl ReadingStore for NodeStore {
    async fn mark_read(
        &self,
        user: &UserId,
        room: &RoomId,
        to: Seq,
    ) -> Result<Option<MarkedRead>, StoreError> {
        self.writing().await?;
        let marked = self.inner.mark_read(user, room, to).await?;
        self.written().await?;
        Ok(marked)
    }

    async fn mark_delivered(&self, user: &UserId, room: &RoomId, to: Seq) -> Result<Option<Seq>, StoreError> {
        self.writing().await?;
        let news = self.inner.mark_delivered(user, room, to).await?;
        self.written().await?;
        Ok(news)
    }

    async fn overview(&self, user: &UserId, page: PageRequest) -> Result<Page<RoomOverview>, StoreError> {
        self.reading().await?;
        self.inner.overview(user, page).await
    }

    async fn overview_of(&self, user: &UserId, room: &RoomId) -> Result<Option<RoomOverview>, StoreError> {
        self.reading().await?;
        self.inner.overview_of(user, room).await
    }
}

#[async_trait]
impl AuditStore for NodeStore {
    async fn audit(&self, room: &RoomId, page: PageRequest) -> Result<Page<AuditRecord>, StoreError> {
        self.reading().await?;
        self.inner.audit(room, page).await
    }
}

#[async_trait]
impl PeopleStore for NodeStore {
    async fn block(&self, block: Block) -> Result<bool, PeopleError> {
        self.writing().await?;
        let changed = self.inner.block(block).await?;
        self.written().await?;
        Ok(changed)
    }

    async fn unblock(&self, by: &UserId, user: &UserId) -> Result<bool, StoreError> {
        self.writing().await?;
        let changed = self.inner.unblock(by, user).await?;
        self.written().await?;
        Ok(changed)
    }

    async fn are_blocked(&self, a: &UserId, b: &UserId) -> Result<bool, StoreError> {
        self.reading().await?;
        self.inner.are_blocked(a, b).await
    }

    async fn invites_of(&self, user: &UserId) -> Result<Vec<(Invite, Room)>, StoreError> {
        self.reading().await?;
        self.inner.invites_of(user).await
    }

    async fn invite(&self, user: &UserId, id: &InviteId) -> Result<Option<Invite>, StoreError> {
        self.reading().await?;
        self.inner.invite(user, id).await
    }

    async fn link(&self, id: LinkId) -> Result<Option<InviteLink>, StoreError> {
        self.reading().await?;
        self.inner.link(id).await
    }

    async fn links_into(&self, room: &RoomId) -> Result<Vec<InviteLink>, StoreError> {
        self.reading().await?;
        self.inner.links_into(room).await
    }

    async fn blocks(&self, by: &UserId, page: PageRequest) -> Result<Page<Block>, StoreError> {
        self.reading().await?;
        self.inner.blocks(by, page).await
    }
}

#[async_trait]
impl ReviewStore for NodeStore {
    async fn hold(&self, held: HeldMessage) -> Result<Keeping<HeldId>, StoreError> {
        self.writing().await?;
        let kept = self.inner.hold(held).await?;
        self.written().await?;
        Ok(kept)
    }

    async fn held(&self, room: &RoomId, id: &HeldId) -> Result<Option<HeldMessage>, StoreError> {
        self.reading().await?;
        self.inner.held(room, id).await
    }

    async fn held_in(&self, room: &RoomId, page: PageRequest) -> Result<Page<HeldMessage>, StoreError> {
        self.reading().await?;
        self.inner.held_in(room, page).await
    }

    async fn discard_held(&self, room: &RoomId, id: &HeldId, note: AuditNote) -> Result<bool, StoreError> {
        self.writing().await?;
        let there = self.inner.discard_held(room, id, note).await?;
        self.written().await?;
        Ok(there)
    }

    async fn report(&self, report: Report) -> Result<Keeping<ReportId>, StoreError> {
        self.writing().await?;
        let kept = self.inner.report(report).await?;
        self.written().await?;
        Ok(kept)
    }

    async fn reports_in(&self, room: &RoomId, page: PageRequest) -> Result<Page<Report>, StoreError> {
        self.reading().await?;
        self.inner.reports_in(room, page).await
    }

    async fn resolve_report(
        &self,
        room: &RoomId,
        id: &ReportId,
        resolution: Resolution,
    ) -> Result<bool, StoreError> {
        self.writing().await?;
        let there = self.inner.resolve_report(room, id, resolution).await?;
        self.written().await?;
        Ok(there)
    }
}

#[async_trait]
impl Maintenance for NodeStore {
    fn epoch(&self) -> String {
        self.inner.epoch()
    }

    fn writable(&self) -> Result<(), StoreError> {
        self.inner.writable()
    }

    async fn sweep(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.writing().await?;
        self.inner.sweep(now).await
    }

    async fn verify(&self) -> Result<Vec<String>, StoreError> {
        self.inner.verify().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        // The store is shared: other nodes go on with it.
        Ok(())
    }
}
