//! What is remembered.
//!
//! A store keeps whole domain operations, not keys and values: a [`Commit`] is one value, saved atomically.
//! It knows no rules of chat. What a plan depends on inside a room changes only by that room's log, so
//! compare-and-append ([`Commit::after`]) makes it safe for any number of writers; what lies outside goes along
//! as guards.
//!
//! # What an ack means
//!
//! When [`RoomStore::commit`] returns `Ok`, the commit is as durable as the store's [`Durability`] says. With
//! [`Durability::Fsync`], the default, it survives the loss of power.
//!
//! # Writing a store
//!
//! Implement the small traits below; each sentence under "To ensure correctness" is a named case of the
//! conformance suite, which one line runs: `chat_core::store_conformance!(async { MyStore::temporary().await });`
//! (feature `testing`). A store over an ordered key-value engine need not implement them at all: implement
//! [`kv::OrderedKv`], some 150 lines, and wrap it in [`kv::KvStore`], which brings layout and group commit.

mod erasure;
mod error;
pub mod kv;
mod operator;
mod people;
mod personal;
mod reading;
mod retention;
mod review;
mod users;

use async_trait::async_trait;

pub use erasure::{Erasure, ErasureStage, ErasureStore};
pub use error::{CommitError, StoreError};
pub use kv::MemoryStore;
pub use operator::OperatorStore;
pub use people::{Block, PeopleError, PeopleStore};
pub use personal::{GivenReaction, PersonalStore};
pub use reading::{MarkedRead, Reading, ReadingStore, RoomOverview};
pub use retention::RetentionStore;
pub use review::{Keeping, ReviewStore};
pub use users::{CreateUserError, ProfileChange, UpdateUserError, UserProfile, UserStore};

use crate::{
    domain::{AuditRecord, Commit, Content, Entry, Member, Needs, Room, Rows},
    id::{RoomId, Seq, UserId},
    time::Timestamp,
};

/// Everything that the engine asks of a store.
pub trait Store:
    RoomStore
    + LogStore
    + UserStore
    + ReadingStore
    + AuditStore
    + PeopleStore
    + OperatorStore
    + ReviewStore
    + PersonalStore
    + ErasureStore
    + RetentionStore
    + Maintenance
{
}

impl<
    S: RoomStore
        + LogStore
        + UserStore
        + ReadingStore
        + AuditStore
        + PeopleStore
        + OperatorStore
        + ReviewStore
        + PersonalStore
        + ErasureStore
        + RetentionStore
        + Maintenance,
> Store for S
{
}

/// What an ack promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Durability {
    /// Acked means on the disk: it survives a crash of the process, of the system, and the loss of power.
    #[default]
    Fsync,
    /// Acked means handed to the operating system: it survives a crash of the process. The disk is told every
    /// half second; what was acked since may be lost with the power, and clients may have read it. The store's
    /// epoch changes when that can have happened.
    Interval,
    /// Acked means in memory. A crash loses what the last half second acked; the epoch changes.
    None,
}

/// Rooms, their members, and the one way in which they change.
///
/// # To ensure correctness
///
/// 1. A commit is saved whole or not at all, whatever happens in between.
/// 2. A commit whose `after` is not the stored head saves nothing and answers [`CommitError::Conflict`] with
///    the stored head.
/// 3. A guard that does not hold saves nothing and answers [`CommitError::Guard`]. So does one that goes with a row
///    without being named: above all a sent key that is there already, [`Guard::KeyNew`](crate::domain::Guard::KeyNew),
///    since the engine does not look keys up before.
/// 4. Of any number of commits racing for one `after`, exactly one is saved.
/// 5. After an `Ok`, every read sees the commit; before it is durable, no read of entries, pages or heads does.
/// 6. Dropping the future of a commit does not undo it: it is saved, or it is not.
/// 7. A commit that fails leaves the room as it was, and later commits may succeed.
#[async_trait]
pub trait RoomStore: Send + Sync + 'static {
    /// Saves a commit of at most [`crate::limits::COMMIT_ENTRIES_MAX`] entries.
    ///
    /// # Errors
    /// [`CommitError`]; only [`StoreError::Unknown`] leaves open whether it was saved.
    async fn commit(&self, commit: Commit) -> Result<(), CommitError>;

    /// The room at its durable head, or `None` when it does not exist.
    async fn room(&self, room: &RoomId) -> Result<Option<Room>, StoreError>;

    /// The durable heads of these rooms, [`Seq::ZERO`] for one that does not exist, in the order asked.
    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<Seq>, StoreError>;

    /// The rows that planning needs, read together. Row `at` is a head at or before which they were true:
    /// a commit after it that touches them moves the head, so that compare-and-append notices.
    async fn gather(&self, room: &RoomId, needs: &Needs) -> Result<Rows, StoreError>;

    /// Members in the order of the store (stable while nobody joins or leaves), from after `cursor`.
    async fn members(&self, room: &RoomId, page: PageRequest) -> Result<Page<Member>, StoreError>;

    /// The rooms that a user belongs to, with their membership, in the order of the store.
    async fn rooms_of(&self, user: &UserId, page: PageRequest) -> Result<Page<(Room, Member)>, StoreError>;

    /// Public rooms in the order of their names; with `query`, those whose name contains it, case-blind.
    async fn public_rooms(&self, query: Option<&str>, page: PageRequest) -> Result<Page<Room>, StoreError>;

    /// A number for each user that grows whenever they join or leave a room, in the order asked. Other nodes
    /// learn from it that a hint was lost.
    async fn membership_versions(&self, users: &[UserId]) -> Result<Vec<u64>, StoreError>;

    /// Whether each of `others` belongs to a room that `user` belongs to, in the order asked.
    async fn share_rooms(&self, user: &UserId, others: &[UserId]) -> Result<Vec<bool>, StoreError>;
}

/// Reading a room's log.
///
/// # To ensure correctness
///
/// 1. Entries come in `seq` order, dense, starting right after the `after` that was given, or at the room's first
///    kept entry if that is later.
/// 2. Reads see only durable entries (see [`RoomStore`], 5).
/// 3. A reader that has seen entry n can read every entry before n.
/// 4. A message is told as it stands (edited, deleted, with its reactions), by old entries too; an edit is told
///    with the text that its message has now. After the deletion of a message is saved, no read gives its text,
///    an earlier text or its reactions.
#[async_trait]
pub trait LogStore: Send + Sync + 'static {
    /// Entries after `after`: at most `limit`, and ending early once their texts pass `max_bytes` (but never
    /// empty when there is one).
    async fn entries(
        &self,
        room: &RoomId,
        after: Seq,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<Entry>, StoreError>;

    /// One page of messages, ascending.
    async fn messages(&self, room: &RoomId, query: MessageQuery) -> Result<MessagePage, StoreError>;

    /// One page of the replies in the thread of a message, ascending, deleted ones included; the root does not
    /// count as one. [`Place::Around`] gives the page from there on.
    async fn thread(&self, room: &RoomId, root: Seq, query: MessageQuery) -> Result<MessagePage, StoreError>;

    /// The pinned messages before `before` and after `hidden_until`, ascending: the newest of them, ending early
    /// once their texts pass `max_bytes` (but never empty when there is one).
    async fn pins(
        &self,
        room: &RoomId,
        before: Seq,
        hidden_until: Seq,
        max_bytes: usize,
    ) -> Result<MessagePage, StoreError>;

    /// The texts that a message had before, the oldest first: the newest of those that are kept
    /// ([`crate::limits::EDITS_KEPT_MAX`]), ending early once they pass `max_bytes` (but never empty when there
    /// is one). None for a message that was never edited, is deleted, or is not there.
    async fn former_texts(
        &self,
        room: &RoomId,
        target: Seq,
        max_bytes: usize,
    ) -> Result<FormerTexts, StoreError>;
}

/// The audit logs. Those of rooms are written along with what they record, mostly by commits
/// ([`crate::domain::RowChange::Audit`]); the server's own by [`OperatorStore::note`].
///
/// # To ensure correctness
///
/// 1. The records of a room are numbered from 1 without holes, in the order of the commits that wrote them; a commit
///    that is not saved leaves no record.
/// 2. Each record is intact and holds the hash of the one before; [`Maintenance::verify`] notices any change, and
///    any record that is missing, the newest included.
/// 3. A record is not read before it is durable, and stays as it is when its room is deleted.
#[async_trait]
pub trait AuditStore: Send + Sync + 'static {
    /// The records of a room, the newest first.
    async fn audit(&self, room: &RoomId, page: PageRequest) -> Result<Page<AuditRecord>, StoreError>;
}

/// Keeping the store itself in order.
#[async_trait]
pub trait Maintenance: Send + Sync + 'static {
    /// Names this history of the store. It changes when acked data may have been lost (by a durability that
    /// permits it) or when a backup was restored, so that clients' cursors from before are recognised.
    fn epoch(&self) -> String;

    /// Whether writes can be accepted now; the reason when they can't.
    ///
    /// # Errors
    /// What a write would be answered with at this moment.
    fn writable(&self) -> Result<(), StoreError>;

    /// Deletes what is out of date (keys of sent messages older than a week, what was cut from logs, memberships of
    /// deleted rooms, and after [`crate::limits::DELETED_ROOM_GRACE_MS`] their logs), a bounded amount. Returns
    /// whether more is left.
    async fn sweep(&self, now: Timestamp) -> Result<bool, StoreError>;

    /// Recounts everything that is kept twice and lists the differences; for tests and for operators.
    async fn verify(&self) -> Result<Vec<String>, StoreError>;

    /// Saves what is pending, then refuses everything.
    async fn close(&self) -> Result<(), StoreError>;
}

/// Where a page starts and how long it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// [`Page::next`] of the page before; `None` for the first.
    pub cursor: Option<String>,
    /// At most so many items, 1 to 200.
    pub limit: usize,
}

impl PageRequest {
    /// The first `limit` items.
    #[must_use]
    pub const fn first(limit: usize) -> Self {
        Self { cursor: None, limit }
    }
}

/// Some items of a longer list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Opaque; asks for the items after these. `None` at the end.
    pub next: Option<String>,
}

/// Which messages of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageQuery {
    /// Where the page lies.
    pub place: Place,
    /// At most so many messages, 1 to 200.
    pub limit: usize,
    /// Nothing at or below this seq is shown.
    pub hidden_until: Seq,
    /// The page ends early once its texts pass this many bytes (but is never empty for that).
    pub max_bytes: usize,
}

/// Where a page of messages lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The newest.
    Latest,
    /// The nearest before this seq.
    Before(Seq),
    /// The nearest after this seq.
    After(Seq),
    /// Half before this seq; it and the rest after.
    Around(Seq),
}

/// A page of messages, ascending. Every entry is a [`crate::domain::Change::Send`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MessagePage {
    /// The messages.
    pub messages: Vec<Entry>,
    /// Whether there are visible ones before the first.
    pub more_before: bool,
    /// Whether there are ones after the last.
    pub more_after: bool,
}

/// Texts that a message had before, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FormerTexts {
    /// The texts.
    pub items: Vec<FormerText>,
    /// Whether there are ones before the first.
    pub more_before: bool,
}

/// A text that a message had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormerText {
    /// The text.
    pub content: Content,
    /// When it was written.
    pub written_at: Timestamp,
    /// When another one took its place.
    pub replaced_at: Timestamp,
}
