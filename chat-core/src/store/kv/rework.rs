//! What is done to messages that stand in the log already: edits, deletions, reactions, pins.

use super::{
    OrderedKv,
    group::Group,
    keys::{self, Id16, table},
    tally::Tally,
    values::{self, v2},
};
use crate::{
    domain::{Change, Content, Emoji, Entry, Mentions, Reaction},
    id::Seq,
    limits::{EDITS_KEPT_MAX, REACTIONS_DELETED_AT_ONCE},
    store::StoreError,
    time::Timestamp,
};

impl<K: OrderedKv> Group<'_, K> {
    /// Changes the rows of the message that an entry is about.
    pub(super) fn rework(&mut self, room16: &Id16, entry: &Entry) -> Result<(), StoreError> {
        match &entry.change {
            Change::Edit { target, content, mentions } => {
                self.edit(room16, *target, entry, content, mentions)
            }
            Change::Delete { target, .. } => {
                self.delete(room16, *target, entry)?;
                self.move_thread(room16, entry)
            }
            Change::React { target, emoji, count } => {
                self.put(
                    keys::reacted(room16, *target, emoji, &keys::user16(&entry.actor)),
                    values::encode_reacted(&entry.actor, entry.seq)?,
                )?;
                self.count(room16, *target, emoji, entry.seq, |reaction| reaction.add(&entry.actor, *count))
            }
            Change::Unreact { target, emoji, count } => {
                self.remove(keys::reacted(room16, *target, emoji, &keys::user16(&entry.actor)));
                self.count(room16, *target, emoji, entry.seq, |reaction| {
                    reaction.remove(&entry.actor, *count);
                })
            }
            Change::Pin { target } => {
                self.put(keys::pin(room16, *target), values::PRESENT.to_vec())?;
                self.rewrite(room16, *target, |row| row.pinned = entry.seq.get())
            }
            Change::Unpin { target } => {
                self.remove(keys::pin(room16, *target));
                self.rewrite(room16, *target, |row| row.pinned = 0)
            }
            _ => Ok(()),
        }
    }

    /// Changes the thread that an entry adds a reply to or takes one from.
    pub(super) fn move_thread(&mut self, room16: &Id16, entry: &Entry) -> Result<(), StoreError> {
        let Some((root, replies)) = entry.thread() else { return Ok(()) };
        match entry.target() {
            Some(reply) => self.remove(keys::thread(room16, root, true, reply)),
            None => {
                self.put(keys::thread(room16, root, false, entry.seq), values::PRESENT.to_vec())?;
                self.put(
                    keys::thread(room16, root, true, entry.seq),
                    values::encode(&entry.at.as_millis())?,
                )?;
            }
        }
        self.rewrite(room16, root, |row| {
            row.replies = replies.count;
            row.last_reply = replies.last_at.map(Timestamp::as_millis);
        })
    }

    fn stored(&mut self, room16: &Id16, target: Seq) -> Result<Vec<u8>, StoreError> {
        let row = self.get(&keys::message(room16, target))?;
        row.ok_or_else(|| StoreError::Backend("an entry is about a message that is not there".to_owned()))
    }

    fn rewrite(
        &mut self,
        room16: &Id16,
        target: Seq,
        change: impl FnOnce(&mut v2::Message<'_>),
    ) -> Result<(), StoreError> {
        let stored = self.stored(room16, target)?;
        let mut row = values::decode_message_row(&stored)?;
        change(&mut row);
        self.put(keys::message(room16, target), values::encode_message_row(&row)?)
    }

    /// The new text takes the place of the old one, which goes to the former texts; of those the oldest go.
    fn edit(
        &mut self,
        room16: &Id16,
        target: Seq,
        entry: &Entry,
        content: &Content,
        mentions: &Mentions,
    ) -> Result<(), StoreError> {
        let stored = self.stored(room16, target)?;
        let mut row = values::decode_message_row(&stored)?;
        self.count_mentions(room16, row.ordinal, &values::mentions_in(&row)?, false)?;
        self.count_mentions(room16, row.ordinal, mentions, true)?;
        row.mentions = values::mention_rows(mentions);
        row.mentions_room = mentions.room;
        let rest = self.parts(room16, target)?;
        let old = values::whole_text(row.text, row.continued, || {
            String::from_utf8(rest.concat()).map_err(|_| values::corrupt("the continuation of a text"))
        })?;
        let written_at = row.edited.map_or(row.at, |edited| edited.at);
        self.keep_former(room16, target, entry, written_at, old.as_str())?;

        let (inline, parts) = values::split_text(content.as_str());
        row.text = inline;
        row.continued =
            u32::try_from(content.as_str().len() - inline.len()).map_err(|_| StoreError::TooLarge)?;
        row.edited = Some(v2::Edited { seq: entry.seq.get(), at: entry.at.as_millis() });
        self.put(keys::message(room16, target), values::encode_message_row(&row)?)?;
        for (number, part) in (0..).zip(&parts) {
            let key = keys::text(room16, target, number);
            // Looked at, so that readers go on to see the old text until the new one is durable.
            self.get(&key)?;
            self.put(key, part.as_bytes().to_vec())?;
        }
        for number in parts.len()..rest.len() {
            self.remove(keys::text(room16, target, part_number(number)?));
        }
        Ok(())
    }

    fn keep_former(
        &mut self,
        room16: &Id16,
        target: Seq,
        entry: &Entry,
        written_at: i64,
        old: &str,
    ) -> Result<(), StoreError> {
        let prefix = keys::of_message(table::FORMER, room16, target);
        let kept = self.keys_under(&prefix, usize::MAX)?;
        let mut edits: Vec<_> =
            kept.iter().filter_map(|key| keys::edit_of(key)).map(|(edit, _)| edit).collect();
        edits.dedup();
        let over = (edits.len() + 1).saturating_sub(EDITS_KEPT_MAX);
        if let Some(last) = over.checked_sub(1).and_then(|last| edits.get(last)) {
            let is_old = |key: &Vec<u8>| keys::edit_of(key).is_some_and(|(edit, _)| edit <= *last);
            kept.into_iter().filter(is_old).for_each(|key| self.remove(key));
        }
        let (inline, parts) = values::split_text(old);
        let row = values::encode_former(written_at, entry.at, inline, old.len() - inline.len())?;
        self.put(keys::former(room16, target, entry.seq, 0), row)?;
        for (number, part) in (1..).zip(parts) {
            self.put(keys::former(room16, target, entry.seq, number), part.as_bytes().to_vec())?;
        }
        Ok(())
    }

    /// Leaves the tombstone: who sent it when, its number and key, and by whom it was deleted. Its texts go with
    /// this commit; of the rows that say who reacted, those that are too many for one commit go with the next
    /// sweeps, and nobody reads them any more.
    fn delete(&mut self, room16: &Id16, target: Seq, entry: &Entry) -> Result<(), StoreError> {
        let stored = self.stored(room16, target)?;
        let mut row = values::decode_message_row(&stored)?;
        for number in 0..self.parts(room16, target)?.len() {
            self.remove(keys::text(room16, target, part_number(number)?));
        }
        for table in [table::FORMER, table::REACTION, table::ATTACHMENT] {
            for key in self.keys_under(&keys::of_message(table, room16, target), usize::MAX)? {
                self.remove(key);
            }
        }
        let reacted = keys::of_message(table::REACTED, room16, target);
        let gone = self.keys_under(&reacted, REACTIONS_DELETED_AT_ONCE + 1)?;
        if gone.len() > REACTIONS_DELETED_AT_ONCE {
            self.put(keys::unswept(room16, target), values::PRESENT.to_vec())?;
        }
        gone.into_iter().take(REACTIONS_DELETED_AT_ONCE).for_each(|key| self.remove(key));
        if row.pinned > 0 {
            self.remove(keys::pin(room16, target));
        }
        if row.thread > 0 {
            // Said here as well, since an entry does not name a thread whose root was cut.
            self.remove(keys::thread(room16, Seq::new(row.thread), true, target));
        }
        self.tally(&Tally::tombstones(room16), row.ordinal, true)?;
        self.count_mentions(room16, row.ordinal, &values::mentions_in(&row)?, false)?;
        row.mentions = Vec::new();
        row.mentions_room = false;
        row.text = "";
        row.continued = 0;
        row.attachments = 0;
        row.attached = 0;
        row.pinned = 0;
        row.deleted = Some(v2::Deleted {
            seq: entry.seq.get(),
            at: entry.at.as_millis(),
            by: values::v1::Id::of(entry.actor.as_str()),
        });
        self.put(keys::message(room16, target), values::encode_message_row(&row)?)
    }

    /// The rows that continue the text of a message, looked at, so that readers see them until they are gone
    /// durably.
    fn parts(&mut self, room16: &Id16, target: Seq) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut parts = Vec::new();
        while let Some(part) = self.get(&keys::text(room16, target, part_number(parts.len())?))? {
            parts.push(part);
        }
        Ok(parts)
    }

    fn count(
        &mut self,
        room16: &Id16,
        target: Seq,
        emoji: &Emoji,
        seq: Seq,
        change: impl FnOnce(&mut Reaction),
    ) -> Result<(), StoreError> {
        let key = keys::reaction(room16, target, emoji);
        let (mut reaction, first) = match self.get(&key)? {
            Some(row) => values::decode_reaction(emoji.as_str(), &row)?,
            None => (Reaction::new(emoji.clone()), seq),
        };
        change(&mut reaction);
        if reaction.count == 0 {
            self.remove(key);
            return Ok(());
        }
        self.put(key, values::encode_reaction(&reaction, first)?)
    }

    /// Deletes who reacted to messages that are deleted, at most `budget` rows. Returns whether some are left.
    pub(super) fn sweep_deleted(&mut self, mut budget: usize) -> Result<bool, StoreError> {
        for unswept in self.keys_under(&[table::UNSWEPT], budget + 1)? {
            if budget == 0 {
                return Ok(true);
            }
            let prefix = [&[table::REACTED], &unswept[1..]].concat();
            let gone = self.keys_under(&prefix, budget)?;
            budget -= gone.len();
            gone.into_iter().for_each(|key| self.remove(key));
            if budget == 0 {
                return Ok(true);
            }
            budget -= 1;
            self.remove(unswept);
        }
        Ok(false)
    }
}

fn part_number(number: usize) -> Result<u16, StoreError> {
    u16::try_from(number).map_err(|_| StoreError::TooLarge)
}
