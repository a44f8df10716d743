//! What one user has left behind, wherever it stands.

use async_trait::async_trait;

use super::{Page, PageRequest, StoreError};
use crate::{
    domain::{Emoji, Entry, HeldMessage, Report},
    id::{RoomId, Seq, UserId},
};

/// Finding what is a user's.
///
/// # To ensure correctness
///
/// 1. Every message of a user is listed once, whatever room it stands in and whether they still belong to that
///    room or not, as it stands; nobody else's is.
/// 2. Every reaction that a user has given and not taken back is listed once, except under deleted messages.
/// 3. Every message of a user that is held for review is listed once, and every report that they made.
///
/// A page may hold fewer items than asked for, even none, and still not be the last.
#[async_trait]
pub trait PersonalStore: Send + Sync + 'static {
    /// The messages that a user wrote, by room and `seq`.
    async fn authored(&self, user: &UserId, page: PageRequest) -> Result<Page<Entry>, StoreError>;

    /// The reactions that a user gave, by room and `seq`. There is no index of them: going through all pages looks
    /// at every reaction in the store.
    async fn reactions_by(&self, user: &UserId, page: PageRequest)
    -> Result<Page<GivenReaction>, StoreError>;

    /// The messages of a user that are held for review.
    async fn held_of(&self, user: &UserId, page: PageRequest) -> Result<Page<HeldMessage>, StoreError>;

    /// The reports that a user made.
    async fn reports_by(&self, user: &UserId, page: PageRequest) -> Result<Page<Report>, StoreError>;
}

/// An emoji that somebody put under a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenReaction {
    /// The room of the message.
    pub room: RoomId,
    /// The message.
    pub target: Seq,
    /// The emoji.
    pub emoji: Emoji,
}
