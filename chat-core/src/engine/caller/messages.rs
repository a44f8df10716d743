//! What callers do to messages that stand in the log.
//!
//! Messages are named by their seq, which [`MessageId::seq_in`](crate::id::MessageId::seq_in) gives for an id.

use super::{Caller, Messages};
use crate::{
    domain::{Command, Content, Emoji, Entry, Needs, Outcome, Rejection},
    engine::{error::Error, shared::Readable},
    id::{RoomId, Seq},
    limits::{PAGE_BYTES_MAX, PAGE_MESSAGES_MAX},
    store::{FormerTexts, MessageQuery, Place},
};

/// Whether something was done, or was so before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is done; the entry that says so.
    Now(Seq),
    /// It was so before and nothing was changed; the entry since which it is, where that is known.
    Before(Option<Seq>),
}

/// A piece of a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// The message that began it.
    pub root: Seq,
    /// Its messages.
    pub page: Messages,
}

impl Caller {
    /// Gives one's own message another text. The former text is kept for [`Caller::edits`] until the message is
    /// deleted. The same text again changes nothing.
    ///
    /// # Errors
    /// `not_found` for a message that is not there, is deleted, or may not be seen; `forbidden` for somebody
    /// else's, to who is no member, or by a hook; `unavailable` when a hook misses its deadline.
    pub async fn edit(&self, room: &RoomId, target: Seq, content: Content) -> Result<Changed, Error> {
        let content = self.judged_edit(room, target, content).await?;
        self.change(room, Command::Edit { target, content }).await
    }

    /// Deletes a message: one's own, or as a moderator or above that of somebody of lower rank. A tombstone stays
    /// in its place; texts and reactions are gone from the store when this returns, and nobody is told them any
    /// more but by what was already handed to a connection.
    ///
    /// # Errors
    /// `not_found` for a message that is not there or may not be seen, `forbidden` for one that the caller may
    /// not delete.
    pub async fn delete(&self, room: &RoomId, target: Seq) -> Result<Changed, Error> {
        self.change(room, Command::Delete { target }).await
    }

    /// Puts an emoji under a message.
    ///
    /// # Errors
    /// `not_found` for a message that is not there, is deleted, or may not be seen; `conflict` when it has
    /// [`crate::limits::REACTIONS_DISTINCT_MAX`] different emoji already.
    pub async fn react(&self, room: &RoomId, target: Seq, emoji: Emoji) -> Result<Changed, Error> {
        self.change(room, Command::React { target, emoji }).await
    }

    /// Takes one's own emoji back.
    ///
    /// # Errors
    /// `not_found` for a message that is not there, is deleted, or may not be seen.
    pub async fn unreact(&self, room: &RoomId, target: Seq, emoji: Emoji) -> Result<Changed, Error> {
        self.change(room, Command::Unreact { target, emoji }).await
    }

    /// Pins a message.
    ///
    /// # Errors
    /// `not_found` for a message that is not there, is deleted, or may not be seen; `forbidden` to members without
    /// the rank; `conflict` when [`crate::limits::PINS_MAX`] messages are pinned already.
    pub async fn pin(&self, room: &RoomId, target: Seq) -> Result<Changed, Error> {
        self.change(room, Command::Pin { target }).await
    }

    /// Unpins a message.
    ///
    /// # Errors
    /// As [`Caller::pin`], but `conflict`.
    pub async fn unpin(&self, room: &RoomId, target: Seq) -> Result<Changed, Error> {
        self.change(room, Command::Unpin { target }).await
    }

    /// The thread of a message, or the one that it is a reply in: its replies in the order of their sending, deleted
    /// ones as tombstones, and at its beginning the message that began it. [`Place::Latest`] gives the newest replies
    /// after that one; other places only give it where the page reaches it.
    ///
    /// # Errors
    /// `forbidden` or `not_found` to who may not read the room, `not_found` for a message that is not there.
    pub async fn thread(
        &self,
        room: &RoomId,
        target: Seq,
        place: Place,
        limit: usize,
    ) -> Result<Thread, Error> {
        let shared = self.shared();
        let cell = shared.open(room).await?;
        let Readable { room, member, at } = shared.readable(&cell, self.user()).await?;
        let hidden_until = room.hidden_from(member.as_ref());
        let needs = Needs { targets: vec![target], ..Needs::default() };
        let mut rows = shared.store.gather(&room.id, &needs).await?;
        let message = rows.target(target).filter(|_| target > hidden_until).and_then(Entry::message);
        let message = message.ok_or(Rejection::NO_MESSAGE)?;
        let root = message.thread.map_or(target, |thread| thread.root);
        let limit = limit.clamp(1, PAGE_MESSAGES_MAX);
        let query = MessageQuery { place, limit, hidden_until, max_bytes: PAGE_BYTES_MAX };
        let mut page = shared.store.thread(&room.id, root, query).await?;
        self.still_reads(&cell, at).await?;
        let reaches_root = match place {
            Place::Latest => true,
            Place::Before(seq) => root < seq && !page.more_before,
            Place::After(seq) => root > seq,
            Place::Around(seq) => root >= seq,
        };
        if root > hidden_until {
            match rows.targets.remove(&root).flatten() {
                Some(entry) if reaches_root => page.messages.insert(0, entry),
                Some(_) => page.more_before |= !matches!(place, Place::Before(seq) if seq <= root),
                None => {}
            }
        }
        let items = shared.profiles.name(page.messages).await?;
        let page = Messages { items, more_before: page.more_before, more_after: page.more_after };
        Ok(Thread { root, page })
    }

    /// The texts that a message had before, the oldest first; none for one that was never edited or is deleted.
    ///
    /// # Errors
    /// `forbidden` or `not_found` to who may not read the room, `not_found` for a message that is not there.
    pub async fn edits(&self, room: &RoomId, target: Seq) -> Result<FormerTexts, Error> {
        let shared = self.shared();
        let cell = shared.open(room).await?;
        let Readable { room, member, at } = shared.readable(&cell, self.user()).await?;
        let hidden_until = room.hidden_from(member.as_ref());
        let needs = Needs { targets: vec![target], ..Needs::default() };
        let rows = shared.store.gather(&room.id, &needs).await?;
        if target <= hidden_until || rows.target(target).is_none() {
            return Err(Rejection::NO_MESSAGE.into());
        }
        let texts = shared.store.former_texts(&room.id, target, PAGE_BYTES_MAX).await?;
        self.still_reads(&cell, at).await?;
        Ok(texts)
    }

    /// The pinned messages of a room in the order of their sending: the newest of them, or of those before
    /// `before`.
    ///
    /// # Errors
    /// `forbidden` or `not_found` to who may not read the room.
    pub async fn pins(&self, room: &RoomId, before: Option<Seq>) -> Result<Messages, Error> {
        let shared = self.shared();
        let cell = shared.open(room).await?;
        let Readable { room, member, at } = shared.readable(&cell, self.user()).await?;
        let hidden_until = room.hidden_from(member.as_ref());
        let before = before.unwrap_or(Seq::MAX);
        let page = shared.store.pins(&room.id, before, hidden_until, PAGE_BYTES_MAX).await?;
        self.still_reads(&cell, at).await?;
        let items = shared.profiles.name(page.messages).await?;
        Ok(Messages { items, more_before: page.more_before, more_after: page.more_after })
    }

    async fn change(&self, room: &RoomId, command: Command) -> Result<Changed, Error> {
        let cell = self.shared().open(room).await?;
        match self.ask(&cell, command).await? {
            Outcome::Changed(seq) => Ok(Changed::Now(seq)),
            Outcome::Unchanged(seq) => Ok(Changed::Before(seq)),
            // The plan answers each command in its own kind.
            _ => Err(Error::Unavailable),
        }
    }
}
