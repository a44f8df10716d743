//! What one user has left behind, over the layout.

use async_trait::async_trait;

use super::{
    KvStore, OrderedKv,
    keys::{self, table},
    log, read, review, values,
};
use crate::{
    domain::{Emoji, Entry, HeldMessage, Report},
    id::UserId,
    limits::STORE_NAMES_SCANNED_MAX,
    store::{GivenReaction, Page, PageRequest, PersonalStore, StoreError},
};

#[async_trait]
impl<K: OrderedKv> PersonalStore for KvStore<K> {
    async fn authored(&self, user: &UserId, page: PageRequest) -> Result<Page<Entry>, StoreError> {
        let prefix = keys::key(table::AUTHOR, &[&keys::user16(user)]);
        self.read(move |shared| {
            let view = shared.rows.view();
            read::paged(&view, &prefix, &page, usize::MAX, |key, _| {
                let (Some(room16), Some(seq)) = (keys::id_at(key, 17), keys::seq_at(key, 33)) else {
                    return Err(values::corrupt("a key of the index of authors"));
                };
                let Some(room) = view.room(&room16)? else { return Ok(None) };
                log::message(&view, &room.id, &room16, seq)
            })
        })
        .await
    }

    async fn reactions_by(
        &self,
        user: &UserId,
        page: PageRequest,
    ) -> Result<Page<GivenReaction>, StoreError> {
        let user16 = keys::user16(user);
        self.read(move |shared| {
            let view = shared.rows.view();
            read::paged(&view, &[table::REACTED], &page, STORE_NAMES_SCANNED_MAX, |key, _| {
                if !key.ends_with(&user16) {
                    return Ok(None);
                }
                let emoji = keys::emoji_reacted(key).ok_or_else(|| values::corrupt("a key of a reaction"))?;
                let (Some(room16), Some(target)) = (keys::id_at(key, 1), keys::seq_of(key)) else {
                    return Err(values::corrupt("a key of a reaction"));
                };
                let Some(room) = view.room(&room16)? else { return Ok(None) };
                let message = log::message(&view, &room.id, &room16, target)?;
                let stands = message
                    .as_ref()
                    .and_then(Entry::message)
                    .is_some_and(|message| message.deleted.is_none());
                let emoji = Emoji::from_stored(emoji);
                Ok(stands.then_some(GivenReaction { room: room.id, target, emoji }))
            })
        })
        .await
    }

    async fn held_of(&self, user: &UserId, page: PageRequest) -> Result<Page<HeldMessage>, StoreError> {
        let prefix = review::held_of_author(user);
        self.read(move |shared| {
            let view = shared.rows.view();
            read::paged(&view, &prefix, &page, usize::MAX, |key, _| review::held_listed(&view, key))
        })
        .await
    }

    async fn reports_by(&self, user: &UserId, page: PageRequest) -> Result<Page<Report>, StoreError> {
        let prefix = review::reports_of_reporter(user);
        self.read(move |shared| {
            let view = shared.rows.view();
            read::paged(&view, &prefix, &page, usize::MAX, |key, row| review::report_listed(&view, key, row))
        })
        .await
    }
}
