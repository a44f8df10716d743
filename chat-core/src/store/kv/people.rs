//! What stands between people, over the layout.

use async_trait::async_trait;

use super::{
    Direction, KvStore, OrderedKv,
    group::Group,
    invites, keys, read,
    request::{Refusal, Request},
    values::{self, v1},
};
use crate::{
    domain::{Invite, InviteLink, LinkId, Room},
    id::{InviteId, RoomId, UserId},
    limits::BLOCKS_PER_USER_MAX,
    store::{Block, Page, PageRequest, PeopleError, PeopleStore, StoreError},
    time::Timestamp,
};

/// A change of what stands between people.
#[derive(Debug)]
pub(super) enum Change {
    Block(Block),
    Unblock { by: UserId, user: UserId },
}

impl Change {
    /// At most how many keys and about how many bytes this changes.
    pub(super) const fn cost(&self) -> (usize, usize) {
        match self {
            Self::Block(_) | Self::Unblock { .. } => (1, 128),
        }
    }
}

#[async_trait]
impl<K: OrderedKv> PeopleStore for KvStore<K> {
    async fn block(&self, block: Block) -> Result<bool, PeopleError> {
        self.change(Change::Block(block)).await
    }

    async fn unblock(&self, by: &UserId, user: &UserId) -> Result<bool, StoreError> {
        let change = Change::Unblock { by: by.clone(), user: user.clone() };
        self.write(Request::People(change)).await.map_err(Refusal::into_store_error)
    }

    async fn are_blocked(&self, a: &UserId, b: &UserId) -> Result<bool, StoreError> {
        let (a, b) = (keys::user16(a), keys::user16(b));
        self.read(move |shared| {
            let view = shared.rows.view();
            Ok(view.get(&keys::block(&a, &b))?.is_some() || view.get(&keys::block(&b, &a))?.is_some())
        })
        .await
    }

    async fn invites_of(&self, user: &UserId) -> Result<Vec<(Invite, Room)>, StoreError> {
        let user = user.clone();
        self.read(move |shared| invites::invites_of(&shared.rows, &user)).await
    }

    async fn invite(&self, user: &UserId, id: &InviteId) -> Result<Option<Invite>, StoreError> {
        let (user, id) = (user.clone(), id.clone());
        self.read(move |shared| invites::invite(&shared.rows, &user, &id)).await
    }

    async fn link(&self, id: LinkId) -> Result<Option<InviteLink>, StoreError> {
        self.read(move |shared| invites::link(&shared.rows, id)).await
    }

    async fn links_into(&self, room: &RoomId) -> Result<Vec<InviteLink>, StoreError> {
        let room = room.clone();
        self.read(move |shared| invites::links_into(&shared.rows, &room)).await
    }

    async fn blocks(&self, by: &UserId, page: PageRequest) -> Result<Page<Block>, StoreError> {
        let by = by.clone();
        let prefix = keys::blocks(&keys::user16(&by));
        self.read(move |shared| {
            read::paged(&shared.rows.view(), &prefix, &page, usize::MAX, |_, row| {
                decode_block(&by, row).map(Some)
            })
        })
        .await
    }
}

impl<K: OrderedKv> KvStore<K> {
    async fn change(&self, change: Change) -> Result<bool, PeopleError> {
        match self.write(Request::People(change)).await {
            Ok(changed) => Ok(changed),
            Err(Refusal::TooMany) => Err(PeopleError::TooMany),
            Err(refusal) => Err(refusal.into_store_error().into()),
        }
    }
}

impl<K: OrderedKv> Group<'_, K> {
    /// Carries out a change. Tells whether it changed anything.
    pub(super) fn people(&mut self, change: &Change) -> Result<bool, Refusal> {
        match change {
            Change::Block(block) => {
                if self.is_erased(&block.by)? || self.is_erased(&block.user)? {
                    return Ok(false);
                }
                let by16 = keys::user16(&block.by);
                let key = keys::block(&by16, &keys::user16(&block.user));
                if self.get(&key)?.is_some() {
                    return Ok(false);
                }
                if self.keys_under(&keys::blocks(&by16), BLOCKS_PER_USER_MAX)?.len() >= BLOCKS_PER_USER_MAX {
                    return Err(Refusal::TooMany);
                }
                self.put(key, encode_block(block)?)?;
                Ok(true)
            }
            Change::Unblock { by, user } => {
                let key = keys::block(&keys::user16(by), &keys::user16(user));
                let was = self.get(&key)?.is_some();
                if was {
                    self.remove(key);
                }
                Ok(was)
            }
        }
    }

    /// Whether neither has blocked the other.
    pub(super) fn unblocked(&mut self, a: &UserId, b: &UserId) -> Result<bool, StoreError> {
        let (a16, b16) = (keys::user16(a), keys::user16(b));
        Ok(self.get(&keys::block(&a16, &b16))?.is_none() && self.get(&keys::block(&b16, &a16))?.is_none())
    }
}

/// What is kept twice, compared: each row stands under the key of those whom it names.
pub(super) fn differences<K: OrderedKv>(kv: &K) -> Result<Vec<String>, StoreError> {
    let mut differences = Vec::new();
    for (key, row) in rows(kv, &[keys::table::BLOCK])? {
        let row: v1::Block<'_> = values::decode(&row)?;
        if keys::block(&keys::user16(&row.by.user()?), &keys::user16(&row.user.user()?)) != key {
            differences.push("a block stands under another key".to_owned());
        }
    }
    Ok(differences)
}

/// A row.
pub(super) type KeyValue = (Vec<u8>, Vec<u8>);

pub(super) fn rows<K: OrderedKv>(kv: &K, prefix: &[u8]) -> Result<Vec<KeyValue>, StoreError> {
    let mut rows = Vec::new();
    kv.scan(prefix, &keys::after_prefix(prefix), Direction::Ascending, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(rows)
}

pub(super) fn encode_block(block: &Block) -> Result<Vec<u8>, StoreError> {
    values::encode(&v1::Block {
        by: v1::Id::of(block.by.as_str()),
        user: v1::Id::of(block.user.as_str()),
        at: block.at.as_millis(),
    })
}

pub(super) fn decode_block(by: &UserId, row: &[u8]) -> Result<Block, StoreError> {
    let row: v1::Block<'_> = values::decode(row)?;
    Ok(Block { by: by.clone(), user: row.user.user()?, at: Timestamp::from_millis(row.at) })
}
