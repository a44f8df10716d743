//! Markers, tallies and sent keys, against the messages that they count.

use std::collections::BTreeSet;

use super::{Check, hex};
use crate::{
    limits::UNATTENDED_UNREAD_MAX,
    store::{
        StoreError,
        kv::{
            OrderedKv,
            keys::{self, table},
            log::continuation,
            tally::{Tally, decode},
            values,
            view::Raw,
        },
    },
};

impl<K: OrderedKv> Check<'_, K> {
    /// Every member has a marker at an entry that is there, with the ordinal that belongs to it, and behind no
    /// more of their own messages than are released without them.
    pub(super) fn markers(&mut self) -> Result<(), StoreError> {
        let mut unmarked: BTreeSet<_> = self.table(table::MEMBER)?.into_iter().map(|(key, _)| key).collect();
        for (key, row) in self.table(table::MARKER)? {
            let marker = values::decode_marker(&row)?;
            let (Some(user16), Some(room16)) = (keys::id_at(&key, 1), keys::id_at(&key, 17)) else {
                return Err(values::corrupt("a key of a marker"));
            };
            if self.rooms.get(&room16).is_none_or(|room| marker.seq > room.head) {
                self.differ(format!("somebody has read up to entry {}, which is not there", marker.seq));
            }
            let sent = self.sent.get(&room16).map_or(&[][..], Vec::as_slice);
            let trimmed = self.rooms.get(&room16).map_or(0, |room| room.trimmed);
            let ordinal = trimmed + sent.partition_point(|seq| *seq <= marker.seq) as u64;
            // Which of the messages that were cut was read makes no difference any more.
            if marker.ordinal.max(trimmed) != ordinal {
                self.differ(format!(
                    "a marker at entry {} has ordinal {} instead of {ordinal}",
                    marker.seq, marker.ordinal
                ));
            }
            let own = self.own.get(&(room16, user16)).map_or(&[][..], Vec::as_slice);
            let behind = own.len() - own.partition_point(|seq| *seq <= marker.seq);
            // Those that were released by somebody else.
            if behind > UNATTENDED_UNREAD_MAX {
                self.differ(format!("user {} has not read {behind} messages of their own", hex(&user16)));
            }
            unmarked.remove(&keys::member(&room16, &user16));
        }
        if !unmarked.is_empty() {
            self.differ(format!("{} members have no marker", unmarked.len()));
        }
        Ok(())
    }

    pub(super) fn delivered(&mut self) -> Result<(), StoreError> {
        for (key, row) in self.table(table::DELIVERED)? {
            let seq = values::decode_marker(&row)?.seq;
            let room = keys::id_at(&key, 17).and_then(|room16| self.rooms.get(&room16));
            if room.is_none_or(|room| seq > room.head) {
                self.differ(format!("somebody was delivered entry {seq}, which is not there"));
            }
        }
        Ok(())
    }

    /// Adds a number to what should be counted.
    pub(super) fn tally(&mut self, tally: &Tally, number: u64) {
        for (key, place) in tally.rows_of(number) {
            *self.tallied.entry(key).or_default().entry(place).or_default() += 1;
        }
    }

    /// Counts of deletions and mentions against the messages.
    pub(super) fn tallies(&mut self) -> Result<(), StoreError> {
        let mut expected = std::mem::take(&mut self.tallied);
        for table in [table::TOMBSTONES, table::MENTIONS, table::ROOM_MENTIONS] {
            let mut wrong = 0;
            for (key, row) in self.table(table)? {
                wrong += usize::from(expected.remove(&key) != Some(decode(&row)?));
            }
            if wrong > 0 {
                self.differ(format!(
                    "{wrong} rows of counts in table {table:02x} are not what they should be"
                ));
            }
        }
        if !expected.is_empty() {
            self.differ(format!("{} rows of counts of deletions or mentions are missing", expected.len()));
        }
        Ok(())
    }

    /// What was sent under a key is a message of that author with that key.
    pub(super) fn sent(&mut self) -> Result<(), StoreError> {
        for (key, row) in self.table(table::SENT)? {
            let sent = values::decode_sent(&row)?;
            let (Some(user16), Some(room16)) = (keys::id_at(&key, 3), keys::id_at(&key, 19)) else {
                return Err(values::corrupt("a key of what was sent"));
            };
            if self.rooms.get(&room16).is_some_and(|room| sent.seq < room.first) {
                continue;
            }
            let right = match (self.rooms.get(&room16), self.kv.get(&keys::message(&room16, sent.seq))?) {
                (Some(room), Some(row)) => {
                    let rest = || continuation(&Raw(self.kv), &room16, sent.seq);
                    let entry = values::decode_message(&room.id, sent.seq, &row, rest)?;
                    let client = entry.message().and_then(|message| message.client_message_id.as_ref());
                    keys::user16(&entry.actor) == user16
                        && client.is_some_and(|client| {
                            keys::sent(keys::week(sent.at), &user16, &room16, client) == key
                        })
                }
                _ => false,
            };
            if !right {
                self.differ(format!("a key of a sent message points at entry {}, which it is not", sent.seq));
            }
        }
        Ok(())
    }
}
