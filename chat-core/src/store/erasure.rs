//! Erasing a user, as far as it is the store's: who is erased, how far that has come, and what stands in no log.

use async_trait::async_trait;

use super::{PageRequest, StoreError};
use crate::{id::UserId, store::Page};

/// Erasing users, step by step; the engine walks the steps. What stands in logs goes by commits like everybody
/// else's, so that every reader hears of it.
///
/// # To ensure correctness
///
/// 1. From the answer to [`ErasureStore::begin_erasure`] on, nothing is saved by which something new would be known
///    of the user: no entry that they bring about or that is about them, no direct message to them, no invitation,
///    link, block, report, held message, presence or login, however it was planned or under way. A commit by which
///    that would be is answered [`crate::domain::Guard::NotErased`]. What is saved is what erases: the end of
///    memberships with [`crate::domain::LeaveReason::Erased`], deletions, reactions taken back, and what comes with
///    a record of [`crate::domain::AuditAct::EraseUser`].
/// 2. From then on their profile has the name of [`crate::domain::Username::erased`] and nothing else, their own name
///    is free, and nothing is kept of their presence and their account.
/// 3. An erasure that was begun is listed by [`ErasureStore::erasures`] until it is at its end, and known for ever;
///    beginning it again changes nothing. It never goes back to an earlier stage.
/// 4. Every erasure is told by [`ErasureStore::erased_after`] under a number of its own, which grow with time.
/// 5. When [`ErasureStore::erase_rows`] has come to its end after the stages before it, no row holds anything that
///    the user wrote, gave, said or was called: nothing is left of them but their id, where others' rows name it.
#[async_trait]
pub trait ErasureStore: Send + Sync + 'static {
    /// Begins to erase a user, for good. Returns whether there is such a user.
    async fn begin_erasure(&self, user: &UserId) -> Result<bool, StoreError>;

    /// How far the erasure of a user has come; `None` for one who is not erased.
    async fn erasure(&self, user: &UserId) -> Result<Option<Erasure>, StoreError>;

    /// Notes how far an erasure has come. Nothing is changed by a stage before the one that was noted, or for a user
    /// whose erasure was not begun.
    async fn advance_erasure(&self, user: &UserId, to: Erasure) -> Result<(), StoreError>;

    /// The users whose erasure is not at its end, in the order of the store.
    async fn erasures(&self, page: PageRequest) -> Result<Page<UserId>, StoreError>;

    /// The users whose erasure began under a number after this one, ascending; at most `limit` of them.
    async fn erased_after(&self, number: u64, limit: usize) -> Result<Vec<(u64, UserId)>, StoreError>;

    /// Deletes some of the rows of an erased user that stand in no log: what they reported, what was reported about
    /// them, what is held of them, markers, invitations to and by them, links by them, whom they have blocked, what
    /// stands against them, keys of what they sent, logins, records of their files, and what is left in deleted rooms. Returns where to go
    /// on, `None` at the end. Changes nothing for a user who is not erased.
    async fn erase_rows(&self, user: &UserId, cursor: Option<String>) -> Result<Option<String>, StoreError>;
}

/// How far an erasure has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// What is being done.
    pub stage: ErasureStage,
    /// Where in it to go on; `None` at its beginning.
    pub cursor: Option<String>,
}

/// What is done to erase a user, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErasureStage {
    /// Memberships end.
    Memberships,
    /// Messages are deleted.
    Messages,
    /// Reactions are taken back.
    Reactions,
    /// What stands in no log goes.
    Rows,
    /// All is done.
    Done,
}

impl ErasureStage {
    /// What is done after this.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Memberships => Self::Messages,
            Self::Messages => Self::Reactions,
            Self::Reactions => Self::Rows,
            Self::Rows | Self::Done => Self::Done,
        }
    }
}

impl Erasure {
    /// At the beginning of a stage.
    #[must_use]
    pub const fn at(stage: ErasureStage) -> Self {
        Self { stage, cursor: None }
    }
}
