//! What stands between people: who wants nothing to do with whom, and who is invited where.

use async_trait::async_trait;

use super::{Page, PageRequest, StoreError};
use crate::{
    domain::{Invite, InviteLink, LinkId, Room},
    id::{InviteId, RoomId, UserId},
    time::Timestamp,
};

/// Blocks, and looking up invitations and links. These are changed by commits of their room, as
/// [`crate::domain::RowChange`] says, so that what a plan depends on holds when it is saved.
///
/// # To ensure correctness
///
/// 1. From the answer to [`PeopleStore::block`] on, no commit is saved that has a
///    [`crate::domain::Guard::Unblocked`] on these two, whoever of them acts; from the answer to
///    [`PeopleStore::unblock`] on it is saved again, unless the other one has blocked too.
/// 2. Blocking who is blocked, and unblocking who is not, changes nothing and says so.
/// 3. A user blocks at most [`crate::limits::BLOCKS_PER_USER_MAX`] others, however many calls race.
/// 4. What was answered is durable.
/// 5. A user has at most one invitation to a room, whose name stays the same; a commit that would give them another
///    is answered [`crate::domain::Guard::Uninvited`]. It ends when they become a member, however.
/// 6. Neither a user nor a room gets more invitations than [`crate::limits::INVITES_PER_USER_MAX`] and
///    [`crate::limits::INVITES_PER_ROOM_MAX`] say, whatever one commit holds.
/// 7. A room gets no more links than [`crate::limits::LINKS_PER_ROOM_MAX`]; those that are good for nothing any more
///    make room.
/// 8. A commit by a link that was removed is answered [`crate::domain::Guard::LinkStands`].
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

    /// The invitations of a user, with their rooms as they are now, in the order of their names; none to a room
    /// that is gone.
    async fn invites_of(&self, user: &UserId) -> Result<Vec<(Invite, Room)>, StoreError>;

    /// A user's invitation of this name; nobody else's.
    async fn invite(&self, user: &UserId, id: &InviteId) -> Result<Option<Invite>, StoreError>;

    /// The link of this name, good or not.
    async fn link(&self, id: LinkId) -> Result<Option<InviteLink>, StoreError>;

    /// The links into a room, good or not, in the order of the store.
    async fn links_into(&self, room: &RoomId) -> Result<Vec<InviteLink>, StoreError>;

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
