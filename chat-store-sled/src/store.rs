//! The store: chat-core's layout on a fenced sled.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use chat_core::{
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
        kv::{KvOptions, KvStore},
    },
    time::Timestamp,
};

use crate::{OpenError, SledKv, SledOptions, open};

/// A [`chat_core::store::Store`] in a directory. Its futures need a tokio runtime.
///
/// Dropping it saves what is pending and waits for that; [`Maintenance::close`] says besides whether it went
/// well.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("chat.db");
/// use chat_core::store::Maintenance;
/// use chat_store_sled::SledStore;
///
/// let store = SledStore::open(path)?;
/// assert!(store.verify().await?.is_empty());
/// store.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SledStore {
    pub(crate) kv: KvStore<SledKv>,
    path: PathBuf,
}

impl SledStore {
    /// Opens the store in the directory `path`, with the defaults of [`SledOptions`]; creates it if need be.
    /// Blocks while sled reads its log (some seconds a gigabyte).
    ///
    /// # Errors
    /// [`OpenError`] when a fence says no or the system fails.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        SledOptions::new().open(path)
    }

    /// The directory of the store, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a store otherwise than by the defaults.
    pub fn builder() -> SledOptions {
        SledOptions::new()
    }

    pub(crate) fn open_with(dir: &Path, options: &SledOptions) -> Result<Self, OpenError> {
        let (kv, found) = open::open(dir, options)?;
        let options =
            KvOptions { durability: options.durability, may_have_lost: found == open::Found::PartlyLost };
        Ok(Self { kv: KvStore::threaded(kv, options)?, path: dir.to_path_buf() })
    }
}

#[async_trait]
impl RoomStore for SledStore {
    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        self.kv.commit(commit).await
    }

    async fn room(&self, room: &RoomId) -> Result<Option<Room>, StoreError> {
        self.kv.room(room).await
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<Seq>, StoreError> {
        self.kv.heads(rooms).await
    }

    async fn gather(&self, room: &RoomId, needs: &Needs) -> Result<Rows, StoreError> {
        self.kv.gather(room, needs).await
    }

    async fn members(&self, room: &RoomId, page: PageRequest) -> Result<Page<Member>, StoreError> {
        self.kv.members(room, page).await
    }

    async fn rooms_of(&self, user: &UserId, page: PageRequest) -> Result<Page<(Room, Member)>, StoreError> {
        self.kv.rooms_of(user, page).await
    }

    async fn public_rooms(&self, query: Option<&str>, page: PageRequest) -> Result<Page<Room>, StoreError> {
        self.kv.public_rooms(query, page).await
    }

    async fn membership_versions(&self, users: &[UserId]) -> Result<Vec<u64>, StoreError> {
        self.kv.membership_versions(users).await
    }

    async fn share_rooms(&self, user: &UserId, others: &[UserId]) -> Result<Vec<bool>, StoreError> {
        self.kv.share_rooms(user, others).await
    }
}

#[async_trait]
impl LogStore for SledStore {
    async fn entries(
        &self,
        room: &RoomId,
        after: Seq,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.kv.entries(room, after, limit, max_bytes).await
    }

    async fn messages(&self, room: &RoomId, query: MessageQuery) -> Result<MessagePage, StoreError> {
        self.kv.messages(room, query).await
    }

    async fn thread(&self, room: &RoomId, root: Seq, query: MessageQuery) -> Result<MessagePage, StoreError> {
        self.kv.thread(room, root, query).await
    }

    async fn pins(
        &self,
        room: &RoomId,
        before: Seq,
        hidden_until: Seq,
        max_bytes: usize,
    ) -> Result<MessagePage, StoreError> {
        self.kv.pins(room, before, hidden_until, max_bytes).await
    }

    async fn former_texts(
        &self,
        room: &RoomId,
        target: Seq,
        max_bytes: usize,
    ) -> Result<FormerTexts, StoreError> {
        self.kv.former_texts(room, target, max_bytes).await
    }
}

#[async_trait]
impl UserStore for SledStore {
    async fn create_user(&self, user: UserProfile) -> Result<(), CreateUserError> {
        self.kv.create_user(user).await
    }

    async fn update_user(&self, user: &UserId, change: ProfileChange) -> Result<(), UpdateUserError> {
        self.kv.update_user(user, change).await
    }

    async fn users(&self, users: &[UserId]) -> Result<Vec<Option<UserProfile>>, StoreError> {
        self.kv.users(users).await
    }

    async fn user_named(&self, name: &Username) -> Result<Option<UserId>, StoreError> {
        self.kv.user_named(name).await
    }

    async fn users_like(&self, beginning: &str, page: PageRequest) -> Result<Page<UserProfile>, StoreError> {
        self.kv.users_like(beginning, page).await
    }

    async fn save_presences(&self, presences: Vec<(UserId, KeptPresence)>) -> Result<(), StoreError> {
        self.kv.save_presences(presences).await
    }

    async fn presences(&self, users: &[UserId]) -> Result<Vec<Option<KeptPresence>>, StoreError> {
        self.kv.presences(users).await
    }
}

#[async_trait]
impl ReadingStore for SledStore {
    async fn mark_read(
        &self,
        user: &UserId,
        room: &RoomId,
        to: Seq,
    ) -> Result<Option<MarkedRead>, StoreError> {
        self.kv.mark_read(user, room, to).await
    }

    async fn mark_delivered(&self, user: &UserId, room: &RoomId, to: Seq) -> Result<Option<Seq>, StoreError> {
        self.kv.mark_delivered(user, room, to).await
    }

    async fn overview(&self, user: &UserId, page: PageRequest) -> Result<Page<RoomOverview>, StoreError> {
        self.kv.overview(user, page).await
    }

    async fn overview_of(&self, user: &UserId, room: &RoomId) -> Result<Option<RoomOverview>, StoreError> {
        self.kv.overview_of(user, room).await
    }
}

#[async_trait]
impl AuditStore for SledStore {
    async fn audit(&self, room: &RoomId, page: PageRequest) -> Result<Page<AuditRecord>, StoreError> {
        self.kv.audit(room, page).await
    }
}

#[async_trait]
impl PeopleStore for SledStore {
    async fn block(&self, block: Block) -> Result<bool, PeopleError> {
        self.kv.block(block).await
    }

    async fn unblock(&self, by: &UserId, user: &UserId) -> Result<bool, StoreError> {
        self.kv.unblock(by, user).await
    }

    async fn are_blocked(&self, a: &UserId, b: &UserId) -> Result<bool, StoreError> {
        self.kv.are_blocked(a, b).await
    }

    async fn invites_of(&self, user: &UserId) -> Result<Vec<(Invite, Room)>, StoreError> {
        self.kv.invites_of(user).await
    }

    async fn invite(&self, user: &UserId, id: &InviteId) -> Result<Option<Invite>, StoreError> {
        self.kv.invite(user, id).await
    }

    async fn link(&self, id: LinkId) -> Result<Option<InviteLink>, StoreError> {
        self.kv.link(id).await
    }

    async fn links_into(&self, room: &RoomId) -> Result<Vec<InviteLink>, StoreError> {
        self.kv.links_into(room).await
    }

    async fn blocks(&self, by: &UserId, page: PageRequest) -> Result<Page<Block>, StoreError> {
        self.kv.blocks(by, page).await
    }
}

#[async_trait]
impl ReviewStore for SledStore {
    async fn hold(&self, held: HeldMessage) -> Result<Keeping<HeldId>, StoreError> {
        self.kv.hold(held).await
    }

    async fn held(&self, room: &RoomId, id: &HeldId) -> Result<Option<HeldMessage>, StoreError> {
        self.kv.held(room, id).await
    }

    async fn held_in(&self, room: &RoomId, page: PageRequest) -> Result<Page<HeldMessage>, StoreError> {
        self.kv.held_in(room, page).await
    }

    async fn discard_held(&self, room: &RoomId, id: &HeldId, note: AuditNote) -> Result<bool, StoreError> {
        self.kv.discard_held(room, id, note).await
    }

    async fn report(&self, report: Report) -> Result<Keeping<ReportId>, StoreError> {
        self.kv.report(report).await
    }

    async fn reports_in(&self, room: &RoomId, page: PageRequest) -> Result<Page<Report>, StoreError> {
        self.kv.reports_in(room, page).await
    }

    async fn resolve_report(
        &self,
        room: &RoomId,
        id: &ReportId,
        resolution: Resolution,
    ) -> Result<bool, StoreError> {
        self.kv.resolve_report(room, id, resolution).await
    }
}

#[async_trait]
impl Maintenance for SledStore {
    fn epoch(&self) -> String {
        self.kv.epoch()
    }

    fn writable(&self) -> Result<(), StoreError> {
        self.kv.writable()
    }

    async fn sweep(&self, now: Timestamp) -> Result<bool, StoreError> {
        self.kv.sweep(now).await
    }

    async fn verify(&self) -> Result<Vec<String>, StoreError> {
        self.kv.verify().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.kv.close().await
    }
}
