//! Stores that fail, stores that are slow, and an engine below a store that does both on command.
//!
//! All are decorators: they change nothing about what they wrap but when, and whether, it is reached.

mod erasure;
mod kv;
mod operator;
mod personal;
mod retention;

use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

pub use self::kv::{FaultyKv, KvFaults};
use super::random::Random;
use crate::{
    domain::{
        AuditNote, AuditRecord, Commit, Entry, HeldMessage, Invite, InviteLink, KeptPresence, LinkId, Member,
        Needs, Report, Resolution, Room, Rows, Username,
    },
    id::{HeldId, InviteId, ReportId, RoomId, Seq, UserId},
    store::{
        AuditStore, Block, CommitError, CreateUserError, FormerTexts, Keeping, LogStore, Maintenance,
        MarkedRead, MessagePage, MessageQuery, Page, PageRequest, PeopleError, PeopleStore, ProfileChange,
        ReadingStore, ReviewStore, RoomOverview, RoomStore, Store, StoreError, UpdateUserError, UserProfile,
        UserStore,
    },
    time::Timestamp,
};

/// A store that fails when it is told to. Made by [`FaultyStore::new`].
///
/// ```
/// use chat_core::store::{Maintenance, MemoryStore, StoreError};
/// use chat_core::testing::{FaultyStore, WriteFault};
/// use chat_core::time::Timestamp;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = FaultyStore::new(MemoryStore::new());
/// store.fail_write(2, WriteFault::Before(StoreError::Full));
/// assert!(store.sweep(Timestamp::default()).await.is_ok());
/// assert_eq!(store.sweep(Timestamp::default()).await, Err(StoreError::Full));
/// assert!(store.sweep(Timestamp::default()).await.is_ok());
/// # }
/// ```
pub type FaultyStore<S> = Decorated<S, Faults>;

/// A store whose every operation takes a while, in tokio's time: with that paused, no test waits for it. Made by
/// [`SlowStore::new`].
pub type SlowStore<S> = Decorated<S, Delays>;

/// How a write fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteFault {
    /// It is not done, and answered with this error.
    Before(StoreError),
    /// It is done, and answered with [`StoreError::Unknown`].
    After,
}

/// What a [`FaultyStore`] has been told.
#[derive(Debug)]
pub struct Faults {
    state: Mutex<FaultState>,
}

#[derive(Debug)]
struct FaultState {
    random: Random,
    /// Faults of single writes, by how many writes come before them.
    writes: Vec<(u64, WriteFault)>,
    /// One of so many writes fails, before or after it took effect; 0 for none.
    writes_one_in: u64,
    /// One of so many reads fails; 0 for none.
    reads_one_in: u64,
}

impl<S: Store> FaultyStore<S> {
    /// A store that does not fail yet.
    pub fn new(inner: S) -> Self {
        let state =
            FaultState { random: Random::seeded(0), writes: Vec::new(), writes_one_in: 0, reads_one_in: 0 };
        Self { inner, around: Faults { state: Mutex::new(state) } }
    }

    /// The `nth` write from now fails (1 is the next). A refusal by the store itself counts as a write.
    pub fn fail_write(&self, nth: u64, fault: WriteFault) {
        self.around.state.lock().writes.push((nth.saturating_sub(1), fault));
    }

    /// From now on one of so many writes and one of so many reads fail (0 for none), chosen by `seed`.
    pub fn fail_at_random(&self, seed: u64, writes_one_in: u64, reads_one_in: u64) {
        let mut state = self.around.state.lock();
        state.random = Random::seeded(seed);
        (state.writes_one_in, state.reads_one_in) = (writes_one_in, reads_one_in);
    }

    /// Nothing fails from now on.
    pub fn heal(&self) {
        let mut state = self.around.state.lock();
        state.writes.clear();
        (state.writes_one_in, state.reads_one_in) = (0, 0);
    }
}

/// How long a [`SlowStore`] takes.
#[derive(Debug)]
pub struct Delays {
    random: Mutex<Random>,
    least: Duration,
    most: Duration,
}

impl<S: Store> SlowStore<S> {
    /// A store whose operations are delayed by `least` to `most`, chosen by `seed`.
    pub fn new(inner: S, seed: u64, least: Duration, most: Duration) -> Self {
        Self { inner, around: Delays { random: Mutex::new(Random::seeded(seed)), least, most } }
    }
}

/// What happens around the operations of a store. An implementation detail of the decorators.
#[async_trait]
pub trait Around: Send + Sync + 'static {
    /// Before a write; the error is its answer. `true` when its success is to be answered with
    /// [`StoreError::Unknown`].
    async fn before_write(&self) -> Result<bool, StoreError>;

    /// Before a read; the error is its answer.
    async fn before_read(&self) -> Result<(), StoreError>;
}

#[async_trait]
impl Around for Faults {
    async fn before_write(&self) -> Result<bool, StoreError> {
        let mut state = self.state.lock();
        let mut due = None;
        state.writes.retain_mut(|(left, fault)| {
            if *left == 0 {
                due = Some(fault.clone());
                return false;
            }
            *left -= 1;
            true
        });
        if due.is_none() && state.writes_one_in > 0 {
            let one_in = state.writes_one_in;
            if state.random.below(one_in) == 0 {
                let before = state.random.below(2) == 0;
                due = Some(match before {
                    true => WriteFault::Before(StoreError::Backend("a fault was asked for".to_owned())),
                    false => WriteFault::After,
                });
            }
        }
        match due {
            Some(WriteFault::Before(error)) => Err(error),
            Some(WriteFault::After) => Ok(true),
            None => Ok(false),
        }
    }

    async fn before_read(&self) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        let one_in = state.reads_one_in;
        if one_in > 0 && state.random.below(one_in) == 0 {
            return Err(StoreError::Backend("a fault was asked for".to_owned()));
        }
        Ok(())
    }
}

impl Delays {
    async fn pass(&self) {
        let span = u64::try_from((self.most.saturating_sub(self.least)).as_micros()).unwrap_or(u64::MAX - 1);
        let more = self.random.lock().below(span + 1);
        tokio::time::sleep(self.least + Duration::from_micros(more)).await;
    }
}

#[async_trait]
impl Around for Delays {
    async fn before_write(&self) -> Result<bool, StoreError> {
        self.pass().await;
        Ok(false)
    }

    async fn before_read(&self) -> Result<(), StoreError> {
        self.pass().await;
        Ok(())
    }
}

/// A store with something around its operations: a [`FaultyStore`] or a [`SlowStore`].
#[derive(Debug)]
pub struct Decorated<S, A> {
    inner: S,
    around: A,
}

impl<S, A> Decorated<S, A> {
    /// The store itself, to look at without faults and delays.
    pub const fn inner(&self) -> &S {
        &self.inner
    }
}

#[async_trait]
impl<S: Store, A: Around> RoomStore for Decorated<S, A> {
    async fn commit(&self, commit: Commit) -> Result<(), CommitError> {
        let forget = self.around.before_write().await?;
        self.inner.commit(commit).await?;
        if forget { Err(StoreError::Unknown.into()) } else { Ok(()) }
    }

    async fn room(&self, room: &RoomId) -> Result<Option<Room>, StoreError> {
        self.around.before_read().await?;
        self.inner.room(room).await
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<Seq>, StoreError> {
        self.around.before_read().await?;
        self.inner.heads(rooms).await
    }

    async fn gather(&self, room: &RoomId, needs: &Needs) -> Result<Rows, StoreError> {
        self.around.before_read().await?;
        self.inner.gather(room, needs).await
    }

    async fn members(&self, room: &RoomId, page: PageRequest) -> Result<Page<Member>, StoreError> {
        self.around.before_read().await?;
        self.inner.members(room, page).await
    }

    async fn rooms_of(&self, user: &UserId, page: PageRequest) -> Result<Page<(Room, Member)>, StoreError> {
        self.around.before_read().await?;
        self.inner.rooms_of(user, page).await
    }

    async fn public_rooms(&self, query: Option<&str>, page: PageRequest) -> Result<Page<Room>, StoreError> {
        self.around.before_read().await?;
        self.inner.public_rooms(query, page).await
    }

    async fn membership_versions(&self, users: &[UserId]) -> Result<Vec<u64>, StoreError> {
        self.around.before_read().await?;
        self.inner.membership_versions(users).await
    }

    async fn share_rooms(&self, user: &UserId, others: &[UserId]) -> Result<Vec<bool>, StoreError> {
        self.around.before_read().await?;
        self.inner.share_rooms(user, others).await
    }
}

#[async_trait]
impl<S: Store, A: Around> LogStore for Decorated<S, A> {
    async fn entries(
        &self,
        room: &RoomId,
        after: Seq,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.around.before_read().await?;
        self.inner.entries(room, after, limit, max_bytes).await
    }

    async fn messages(&self, room: &RoomId, query: MessageQuery) -> Result<MessagePage, StoreError> {
        self.around.before_read().await?;
        self.inner.messages(room, query).await
    }

    async fn thread(&self, room: &RoomId, root: Seq, query: MessageQuery) -> Result<MessagePage, StoreError> {
        self.around.before_read().await?;
        self.inner.thread(room, root, query).await
    }

    async fn pins(
        &self,
        room: &RoomId,
        before: Seq,
        hidden_until: Seq,
        max_bytes: usize,
    ) -> Result<MessagePage, StoreError> {
        self.around.before_read().await?;
        self.inner.pins(room, before, hidden_until, max_bytes).await
    }

    async fn former_texts(
        &self,
        room: &RoomId,
        target: Seq,
        max_bytes: usize,
    ) -> Result<FormerTexts, StoreError> {
        self.around.before_read().await?;
        self.inner.former_texts(room, target, max_bytes).await
    }
}

#[async_trait]
impl<S: Store, A: Around> UserStore for Decorated<S, A> {
    async fn create_user(&self, user: UserProfile) -> Result<(), CreateUserError> {
        let forget = self.around.before_write().await?;
        self.inner.create_user(user).await?;
        if forget { Err(StoreError::Unknown.into()) } else { Ok(()) }
    }

    async fn update_user(&self, user: &UserId, change: ProfileChange) -> Result<(), UpdateUserError> {
        let forget = self.around.before_write().await?;
        self.inner.update_user(user, change).await?;
        if forget { Err(StoreError::Unknown.into()) } else { Ok(()) }
    }

    async fn users(&self, users: &[UserId]) -> Result<Vec<Option<UserProfile>>, StoreError> {
        self.around.before_read().await?;
        self.inner.users(users).await
    }

    async fn user_named(&self, name: &Username) -> Result<Option<UserId>, StoreError> {
        self.around.before_read().await?;
        self.inner.user_named(name).await
    }

    async fn users_like(&self, beginning: &str, page: PageRequest) -> Result<Page<UserProfile>, StoreError> {
        self.around.before_read().await?;
        self.inner.users_like(beginning, page).await
    }

    async fn save_presences(&self, presences: Vec<(UserId, KeptPresence)>) -> Result<(), StoreError> {
        let forget = self.around.before_write().await?;
        self.inner.save_presences(presences).await?;
        if forget { Err(StoreError::Unknown) } else { Ok(()) }
    }

    async fn presences(&self, users: &[UserId]) -> Result<Vec<Option<KeptPresence>>, StoreError> {
        self.around.before_read().await?;
        self.inner.presences(users).await
    }
}

#[async_trait]
impl<S: Store, A: Around> ReadingStore for Decorated<S, A> {
    async fn mark_read(
        &self,
        user: &UserId,
        room: &RoomId,
        to: Seq,
    ) -> Result<Option<MarkedRead>, StoreError> {
        let forget = self.around.before_write().await?;
        let marked = self.inner.mark_read(user, room, to).await?;
        if forget { Err(StoreError::Unknown) } else { Ok(marked) }
    }

    async fn mark_delivered(&self, user: &UserId, room: &RoomId, to: Seq) -> Result<Option<Seq>, StoreError> {
        let forget = self.around.before_write().await?;
        let news = self.inner.mark_delivered(user, room, to).await?;
        if forget { Err(StoreError::Unknown) } else { Ok(news) }
    }

    async fn overview(&self, user: &UserId, page: PageRequest) -> Result<Page<RoomOverview>, StoreError> {
        self.around.before_read().await?;
        self.inner.overview(user, page).await
    }

    async fn overview_of(&self, user: &UserId, room: &RoomId) -> Result<Option<RoomOverview>, StoreError> {
        self.around.before_read().await?;
        self.inner.overview_of(user, room).await
    }
}

#[async_trait]
impl<S: Store, A: Around> AuditStore for Decorated<S, A> {
    async fn audit(&self, room: &RoomId, page: PageRequest) -> Result<Page<AuditRecord>, StoreError> {
        self.around.before_read().await?;
        self.inner.audit(room, page).await
    }
}

#[async_trait]
impl<S: Store, A: Around> PeopleStore for Decorated<S, A> {
    async fn block(&self, block: Block) -> Result<bool, PeopleError> {
        let forget = self.around.before_write().await?;
        let changed = self.inner.block(block).await?;
        if forget { Err(StoreError::Unknown.into()) } else { Ok(changed) }
    }

    async fn unblock(&self, by: &UserId, user: &UserId) -> Result<bool, StoreError> {
        let forget = self.around.before_write().await?;
        let changed = self.inner.unblock(by, user).await?;
        if forget { Err(StoreError::Unknown) } else { Ok(changed) }
    }

    async fn are_blocked(&self, a: &UserId, b: &UserId) -> Result<bool, StoreError> {
        self.around.before_read().await?;
        self.inner.are_blocked(a, b).await
    }

    async fn invites_of(&self, user: &UserId) -> Result<Vec<(Invite, Room)>, StoreError> {
        self.around.before_read().await?;
        self.inner.invites_of(user).await
    }

    async fn invite(&self, user: &UserId, id: &InviteId) -> Result<Option<Invite>, StoreError> {
        self.around.before_read().await?;
        self.inner.invite(user, id).await
    }

    async fn link(&self, id: LinkId) -> Result<Option<InviteLink>, StoreError> {
        self.around.before_read().await?;
        self.inner.link(id).await
    }

    async fn links_into(&self, room: &RoomId) -> Result<Vec<InviteLink>, StoreError> {
        self.around.before_read().await?;
        self.inner.links_into(room).await
    }

    async fn blocks(&self, by: &UserId, page: PageRequest) -> Result<Page<Block>, StoreError> {
        self.around.before_read().await?;
        self.inner.blocks(by, page).await
    }
}

#[async_trait]
impl<S: Store, A: Around> ReviewStore for Decorated<S, A> {
    async fn hold(&self, held: HeldMessage) -> Result<Keeping<HeldId>, StoreError> {
        let forget = self.around.before_write().await?;
        let kept = self.inner.hold(held).await?;
        if forget { Err(StoreError::Unknown) } else { Ok(kept) }
    }

    async fn held(&self, room: &RoomId, id: &HeldId) -> Result<Option<HeldMessage>, StoreError> {
        self.around.before_read().await?;
        self.inner.held(room, id).await
    }

    async fn held_in(&self, room: &RoomId, page: PageRequest) -> Result<Page<HeldMessage>, StoreError> {
        self.around.before_read().await?;
        self.inner.held_in(room, page).await
    }

    async fn discard_held(&self, room: &RoomId, id: &HeldId, note: AuditNote) -> Result<bool, StoreError> {
        let forget = self.around.before_write().await?;
        let there = self.inner.discard_held(room, id, note).await?;
        if forget { Err(StoreError::Unknown) } else { Ok(there) }
    }

    async fn report(&self, report: Report) -> Result<Keeping<ReportId>, StoreError> {
        let forget = self.around.before_write().await?;
        let kept = self.inner.report(report).await?;
        if forget { Err(StoreError::Unknown) } else { Ok(kept) }
    }

    async fn reports_in(&self, room: &RoomId, page: PageRequest) -> Result<Page<Report>, StoreError> {
        self.around.before_read().await?;
        self.inner.reports_in(room, page).await
    }

    async fn resolve_report(
        &self,
        room: &RoomId,
        id: &ReportId,
        resolution: Resolution,
    ) -> Result<bool, StoreError> {
        let forget = self.around.before_write().await?;
        let there = self.inner.resolve_report(room, id, resolution).await?;
        if forget { Err(StoreError::Unknown) } else { Ok(there) }
    }
}

#[async_trait]
impl<S: Store, A: Around> Maintenance for Decorated<S, A> {
    fn epoch(&self) -> String {
        self.inner.epoch()
    }

    fn writable(&self) -> Result<(), StoreError> {
        self.inner.writable()
    }

    async fn sweep(&self, now: Timestamp) -> Result<bool, StoreError> {
        let forget = self.around.before_write().await?;
        let more = self.inner.sweep(now).await?;
        if forget { Err(StoreError::Unknown) } else { Ok(more) }
    }

    async fn verify(&self) -> Result<Vec<String>, StoreError> {
        self.around.before_read().await?;
        self.inner.verify().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}
