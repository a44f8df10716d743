//! What stands between people: who wants nothing to do with whom.

use async_trait::async_trait;

use super::{Page, PageRequest, StoreError};
use crate::{id::UserId, time::Timestamp};

/// Blocks.
///
/// # To ensure correctness
///
/// 1. From the answer to [`PeopleStore::block`] on, no commit is saved that has a
///    [`crate::domain::Guard::Unblocked`] on these two, whoever of them acts; from the answer to
///    [`PeopleStore::unblock`] on it is saved again, unless the other one has blocked too.
/// 2. Blocking who is blocked, and unblocking who is not, changes nothing and says so.
/// 3. A user blocks at most [`crate::limits::BLOCKS_PER_USER_MAX`] others, however many calls race.
/// 4. What was answered is durable.
#[async_trait]
pub trait PeopleStore: Send + Sync + 'static {
    /// Has a user block another. Returns whether that is news.
    ///
    /// # Errors
    /// [`PeopleError`].
    async fn block(&self, block: Block) -> Result<bool, PeopleError>;

    /// Takes a block back. Returns whether there was one.
    async fn unblock(&self, by: &UserId, user: &UserId) -> Result<bool, StoreError>;

    /// Whether one of two users has blocked the other.
    async fn are_blocked(&self, a: &UserId, b: &UserId) -> Result<bool, StoreError>;

    /// Whom a user has blocked, in the order of the store.
    async fn blocks(&self, by: &UserId, page: PageRequest) -> Result<Page<Block>, StoreError>;
}

/// A user wants nothing to do with another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Who wants it.
    pub by: UserId,
    /// With whom.
    pub user: UserId,
    /// Since when.
    pub at: Timestamp,
}

/// Why nothing was saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeopleError {
    /// There are as many as there may be.
    #[error("too many")]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
