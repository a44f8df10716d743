//! Rooms that were deleted: their rows go in bounded steps, long after everybody was told.
//!
//! What stays for ever is what keeps the id from being used again and tells late readers of the end: the room's
//! header, its last entry, and its audit log.

use std::ops::ControlFlow;

use super::{
    Direction, OrderedKv,
    group::Group,
    keys::{self, Id16, table},
    read::log_key,
    values::{self, v1},
};
use crate::{
    domain::{Room, RoomKind},
    id::{Seq, UserId},
    limits::DELETED_ROOM_GRACE_MS,
    store::StoreError,
    time::Timestamp,
};

/// Every table whose keys begin with a room, but for what stays. Messages go before what belongs to them, so that
/// those that are left can be read. Memberships have their own step, since they take
/// rows under the user along.
const TABLES: [u8; 14] = [
    table::SANCTION,
    table::MESSAGE,
    table::THREAD,
    table::FORMER,
    table::REACTED,
    table::REACTION,
    table::TOMBSTONES,
    table::MENTIONS,
    table::ROOM_MENTIONS,
    table::TEXT,
    table::EVENT,
    table::PIN,
    table::UNSWEPT,
    table::ATTACHMENT,
];

/// Rows that one membership takes along, at most.
const ROWS_PER_MEMBER: usize = 6;

/// Held messages and reports that one step deletes; each has a handful of rows.
const REVIEWED_PER_STEP: usize = 10;

impl<K: OrderedKv> Group<'_, K> {
    /// Notes that a room's rows are to go.
    pub(super) fn drop_room(&mut self, room16: &Id16, room: &Room) -> Result<(), StoreError> {
        let row = values::encode(&v1::Dropped { room: v1::Id::of(room.id.as_str()), head: room.head.get() })?;
        // Its log goes as a whole.
        self.remove(keys::retained(room16));
        self.remove(keys::trimmed(room16));
        self.put(keys::dropped_members(room16), row)
    }

    /// Deletes at most `budget` rows of rooms that were deleted: memberships at once, so that nobody's list is
    /// full of rooms that are gone, the log after a while, so that slow readers come to its end. Whether more can
    /// be deleted now.
    pub(super) fn sweep_rooms(&mut self, now: Timestamp, budget: usize) -> Result<bool, StoreError> {
        let members = self.sweep_members(now, budget / 2)?;
        let logs = self.sweep_log(now, budget / 2)?;
        Ok(members || logs)
    }

    fn sweep_members(&mut self, now: Timestamp, budget: usize) -> Result<bool, StoreError> {
        let (from, to) = keys::all_dropped_members();
        let Some((key, row)) = self.stored_between(&from, &to, 1)?.pop() else { return Ok(false) };
        let room16 = keys::id_at(&key, 10).ok_or_else(|| values::corrupt("a key of a deleted room"))?;
        let most = (budget / ROWS_PER_MEMBER).max(1);
        let prefix = keys::key(table::MEMBER, &[&room16]);
        let members = self.stored_between(&prefix, &keys::after_prefix(&prefix), most)?;
        for (_, row) in &members {
            let user: UserId = values::decode_member(row)?.user;
            // Direct rooms are never deleted, and in all others memberships count alike.
            self.remove_member(&room16, RoomKind::Private, &user)?;
        }
        if members.len() < most {
            self.remove(key);
            let due = now.plus_millis(DELETED_ROOM_GRACE_MS);
            self.put(keys::dropped_log(&room16, due), row)?;
        }
        Ok(true)
    }

    fn sweep_log(&mut self, now: Timestamp, budget: usize) -> Result<bool, StoreError> {
        let (from, to) = keys::dropped_logs_until(now);
        let Some((key, row)) = self.stored_between(&from, &to, 1)?.pop() else { return Ok(false) };
        let room16 = keys::id_at(&key, 10).ok_or_else(|| values::corrupt("a key of a deleted room"))?;
        let last = keys::event(&room16, Seq::new(values::decode::<v1::Dropped<'_>>(&row)?.head));
        if !self.drop_reviewed(&room16, REVIEWED_PER_STEP)? {
            return Ok(true);
        }
        let mut left = budget;
        for table in TABLES {
            let prefix = keys::key(table, &[&room16]);
            for (key, row) in self.stored_between(&prefix, &keys::after_prefix(&prefix), left)? {
                if key == last {
                    continue;
                }
                left = left.saturating_sub(1);
                if let (table::MESSAGE, Some(seq)) = (table, keys::seq_of(&key)) {
                    left = left.saturating_sub(1);
                    let author16 = keys::user16(&values::decode_author(&row)?);
                    self.remove(keys::author(&author16, &room16, seq));
                }
                self.remove(key);
            }
            if left == 0 {
                return Ok(true);
            }
        }
        self.remove(key);
        Ok(true)
    }
}

/// The room's last message of one author, as far as the log goes: what slow mode asks.
pub(super) fn last_sent<K: OrderedKv>(
    kv: &K,
    room16: &Id16,
    user16: &Id16,
    head: Seq,
) -> Result<Option<Timestamp>, StoreError> {
    let (from, to) = (keys::author(user16, room16, Seq::ZERO), keys::author(user16, room16, head.next()));
    let mut newest = None;
    kv.scan(&from, &to, Direction::Descending, &mut |key, _| {
        newest = key.get(33..41).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        ControlFlow::Break(())
    })?;
    let Some(seq) = newest else { return Ok(None) };
    let row = kv.get(&log_key(table::MESSAGE, room16, Seq::new(seq)))?;
    row.map(|row| values::decode_sent_at(&row)).transpose()
}
