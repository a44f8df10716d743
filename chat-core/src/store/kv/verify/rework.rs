//! Recounting what was done to messages: edits, deletions, reactions, pins.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, hex};
use crate::{
    domain::{Change, Emoji, Entry, Message, Replies},
    id::{Seq, UserId},
    limits::EDITS_KEPT_MAX,
    store::{
        StoreError,
        kv::{
            OrderedKv,
            keys::{self, Id16, table},
            log,
            values::{self, v1},
            view::Raw,
        },
    },
    time::Timestamp,
};

/// What follows from the logs for the rows beside them.
#[derive(Default)]
pub(super) struct Expected {
    /// Keys of reactions, of who reacted, of pins and of the first parts of former texts.
    keys: BTreeSet<Vec<u8>>,
    /// Where rows of messages that are deleted begin, but for the tag of their table.
    deleted: BTreeSet<Vec<u8>>,
    /// The same of messages that were cut and are not swept yet. Of these any rows may be left.
    going: BTreeSet<Vec<u8>>,
}

impl<K: OrderedKv> Check<'_, K> {
    /// Does to the messages of a room again what its log says, and compares. What is said of messages before
    /// `first`, which were cut, is passed over; those of them that are not swept yet are in `left_over`.
    pub(super) fn replay_rework(
        &mut self,
        room16: &Id16,
        first: Seq,
        left_over: &BTreeMap<Seq, Entry>,
        entries: &BTreeMap<Seq, Entry>,
    ) -> Result<(), StoreError> {
        for (seq, message) in left_over.iter().filter_map(|(seq, entry)| Some((seq, entry.message()?))) {
            self.rework.going.insert(keys::of_message(table::MESSAGE, room16, *seq)[1..].to_vec());
            if let Some(thread) = message.thread {
                let of = |living| keys::thread(room16, thread.root, living, *seq);
                self.rework.keys.insert(of(false));
                self.rework.keys.extend(message.deleted.is_none().then(|| of(true)));
            }
        }
        let mut reactions = log::reactions(&Raw(self.kv), room16, first, Seq::MAX)?;
        let mut messages: BTreeMap<Seq, Message> = BTreeMap::new();
        let mut edits: BTreeMap<Seq, Vec<Seq>> = BTreeMap::new();
        let mut threads: BTreeMap<Seq, BTreeMap<Seq, Timestamp>> = BTreeMap::new();
        let mut reacted: BTreeSet<(Seq, Emoji, UserId)> = BTreeSet::new();
        for (seq, entry) in entries {
            if let Some(message) = entry.message() {
                messages.insert(*seq, as_sent(message));
            }
            if let Some((root, said)) = entry.thread() {
                let replies = threads.entry(root).or_default();
                match entry.target() {
                    Some(reply) => drop(replies.remove(&reply)),
                    None => {
                        self.rework.keys.insert(keys::thread(room16, root, false, *seq));
                        replies.insert(*seq, entry.at);
                    }
                }
                let last_at = replies.values().next_back().copied();
                let found = Replies { count: u32::try_from(replies.len()).unwrap_or(u32::MAX), last_at };
                if found != said && root >= first {
                    self.differ(format!("entry {seq} counts {} replies of {}", said.count, found.count));
                }
                match messages.get_mut(&root) {
                    _ if root < first => {}
                    Some(root) if root.thread.is_none() => root.replies = said,
                    _ => self.differ(format!("entry {seq} is in the thread of {root}, which is no root")),
                }
            }
            let Some(target) = entry.target().filter(|target| *target >= first) else { continue };
            let Some(message) = messages.get_mut(&target) else {
                self.differ(format!("entry {seq} is about entry {target}, which is no message before it"));
                continue;
            };
            if message.deleted.is_some() {
                self.differ(format!("entry {seq} does something to message {target}, which is deleted"));
            }
            message.take_in(entry);
            let who = |emoji: &Emoji| (target, emoji.clone(), entry.actor.clone());
            match &entry.change {
                Change::Edit { .. } => edits.entry(target).or_default().push(*seq),
                Change::React { emoji, .. } if !reacted.insert(who(emoji)) => {
                    self.differ(format!("entry {seq} reacts to message {target} a second time"));
                }
                Change::Unreact { emoji, .. } if !reacted.remove(&who(emoji)) => {
                    self.differ(format!("entry {seq} takes a reaction back that was not there"));
                }
                Change::Delete { .. } => {
                    if let Some(replies) = message.thread.and_then(|thread| threads.get_mut(&thread.root)) {
                        replies.remove(&target);
                    }
                    edits.remove(&target);
                    reacted.retain(|(reacted_to, ..)| *reacted_to != target);
                    self.rework
                        .deleted
                        .insert(keys::of_message(table::MESSAGE, room16, target)[1..].to_vec());
                }
                _ => {}
            }
        }
        for (seq, message) in &messages {
            let found = entries.get(seq).and_then(Entry::message);
            let found = found.map(|found| Message {
                reactions: reactions.remove(seq).unwrap_or_default(),
                ..found.clone()
            });
            if found.as_ref() != Some(message) {
                self.differ(format!("message {seq} of room {} is not what its log says", hex(room16)));
            }
            for reaction in &message.reactions {
                self.rework.keys.insert(keys::reaction(room16, *seq, &reaction.emoji));
                let users =
                    reacted.iter().filter(|(to, emoji, _)| to == seq && *emoji == reaction.emoji).count();
                if users as u64 != u64::from(reaction.count) {
                    self.differ(format!("a reaction to message {seq} counts {} of {users}", reaction.count));
                }
            }
            let files = (0..).zip(message.attachments.iter());
            self.rework.keys.extend(files.map(|(number, _)| keys::attachment(room16, *seq, number)));
            if message.pinned.is_some() {
                self.rework.keys.insert(keys::pin(room16, *seq));
            }
        }
        for (root, replies) in threads {
            self.rework.keys.extend(replies.keys().map(|reply| keys::thread(room16, root, true, *reply)));
        }
        for (target, edits) in edits {
            let kept = edits.iter().rev().take(EDITS_KEPT_MAX);
            self.rework.keys.extend(kept.map(|edit| keys::former(room16, target, *edit, 0)));
        }
        let of_user = |(to, emoji, user): &_| keys::reacted(room16, *to, emoji, &keys::user16(user));
        self.rework.keys.extend(reacted.iter().map(of_user));
        Ok(())
    }

    /// Whether a message was cut; of its place the key of a row beside it tells all but the table.
    fn is_cut(&self, place: &[u8]) -> bool {
        let key = [&[table::MESSAGE], place].concat();
        let room = keys::id_at(&key, 1).and_then(|room16| self.rooms.get(&room16));
        room.zip(keys::seq_of(&key)).is_some_and(|(room, seq)| seq < room.first)
    }

    /// The rows beside the logs against what follows from the logs.
    pub(super) fn reworked(&mut self) -> Result<(), StoreError> {
        let mut missing = std::mem::take(&mut self.rework.keys);
        let unswept: BTreeSet<_> =
            self.table(table::UNSWEPT)?.into_iter().map(|(key, _)| key[1..].to_vec()).collect();
        let going = std::mem::take(&mut self.rework.going);
        let is_going = |key: &[u8]| key.get(1..25).is_some_and(|of| going.contains(of));
        let is_gone = |key: &Vec<u8>| self.rework.deleted.contains(key) || self.is_cut(key);
        if !unswept.iter().all(is_gone) {
            self.differ("a message is to be swept but is not deleted".to_owned());
        }
        for table in [table::THREAD, table::REACTED, table::REACTION, table::PIN, table::ATTACHMENT] {
            for (key, _) in self.table(table)? {
                let is_left =
                    table == table::REACTED && key.get(1..25).is_some_and(|of| unswept.contains(of));
                // The keys of threads have a root where those of others have the message.
                let is_left = is_left || table != table::THREAD && is_going(&key);
                if !is_left && !missing.remove(&key) {
                    self.differ(format!("a row of table {table:02x} follows from no log"));
                }
            }
        }
        let mut texts: BTreeMap<Vec<u8>, (usize, usize)> = BTreeMap::new();
        for (key, row) in self.table(table::FORMER)? {
            if is_going(&key) {
                continue;
            }
            let Some((edit, part)) = keys::edit_of(&key) else {
                return Err(values::corrupt("a key of a former text"));
            };
            let (said, found) = texts.entry(key[..33].to_vec()).or_default();
            if part > 0 {
                *found += row.len();
                continue;
            }
            *said = values::decode::<v1::Former<'_>>(&row)?.continued as usize;
            if !missing.remove(&key) {
                self.differ(format!("a former text is kept for entry {edit}, which replaced none"));
            }
        }
        if texts.values().any(|(said, found)| said != found) {
            self.differ("a former text is not whole".to_owned());
        }
        if !missing.is_empty() {
            self.differ(format!("{} rows that follow from logs are missing", missing.len()));
        }
        Ok(())
    }
}

/// The message before anything was done to it. What it said then is not kept in its row, so the present text
/// stands in.
fn as_sent(message: &Message) -> Message {
    Message {
        edited: None,
        deleted: None,
        pinned: None,
        reactions: Vec::new(),
        replies: Replies::default(),
        ..message.clone()
    }
}
