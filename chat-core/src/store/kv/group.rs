//! Many write requests evaluated into one batch.
//!
//! Each request sees the ones before it in the group, and succeeds or fails for itself: what a failed one would
//! have changed is dropped. Pure but for reading the rows that it checks, so it is tested without a thread.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{Bound, ControlFlow},
};

use super::{
    Direction, KvBatch, OrderedKv,
    keys::{self, Id16, table},
    request::{Refusal, Request},
    sent,
    values::{self, v1},
};
use crate::{
    domain::{Change, Commit, Entry, Guard, Member, Message, Room, RoomKind, RowChange, Sanction},
    id::{Seq, UserId},
    limits::{COMMIT_ENTRIES_MAX, STORE_KEY_BYTES_MAX, STORE_SWEEP_MAX, STORE_VALUE_BYTES_MAX},
    store::StoreError,
    time::Timestamp,
};

/// `Ok(more)`: done, and whether a sweep has left something, a marker was moved, or something changed between people.
pub(super) type Answer = Result<bool, Refusal>;

/// Keys and their new values; `None` deletes.
pub(super) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A group after evaluation.
#[derive(Debug)]
pub(super) struct Evaluated {
    pub(super) batch: KvBatch,
    /// What the rows that readers look at hold now, so that they go on to see it until the batch is durable.
    pub(super) undo: Changes,
    /// One for each request, in order.
    pub(super) answers: Vec<Answer>,
    /// Weeks to which sent keys were added.
    pub(super) weeks: Vec<u16>,
    /// Weeks before this one hold no sent keys any more.
    pub(super) swept: Option<u16>,
}

/// Evaluates requests in order on top of what `kv` holds.
///
/// `weeks` are those in which the store holds sent keys.
pub(super) fn evaluate<'r, K: OrderedKv>(
    kv: &K,
    weeks: Vec<u16>,
    requests: impl IntoIterator<Item = &'r Request>,
) -> Result<Evaluated, StoreError> {
    let (read, changes, request) = (BTreeMap::new(), Changes::new(), Changes::new());
    let mut group = Group { kv, read, weeks_of_sent: weeks, changes, request };
    let (mut answers, mut weeks, mut swept) = (Vec::new(), Vec::new(), None);
    for request in requests {
        let answer = match request {
            Request::Commit(commit) => group.commit(commit).map(|()| false),
            Request::CreateUser(user) => group.create_user(user).map(|()| false),
            Request::UpdateUser(user, change) => group.update_user(user, change).map(|()| false),
            Request::Put(rows) => group.put_all(rows).map(|()| false),
            Request::People(change) => group.people(change),
            #[cfg(feature = "accounts")]
            Request::Guarded(rows) => group.guarded(rows).map(|()| false),
            Request::Mark(mark) => group.mark(mark),
            Request::Review(request) => group.review(request).map(|()| false),
            Request::Note(log, note) => group.audit(log, note).map(|()| false).map_err(Refusal::from),
            Request::Erase(request) => group.erase(request),
            Request::Files(request) => group.files(request),
            Request::Sweep(now) => group.sweep(*now).map(|(more, before)| {
                swept = swept.max((!more).then_some(before));
                more
            }),
        };
        let answer = answer.and_then(|done| Ok(group.index_postings().map(|()| done)?));
        let request_changes = std::mem::take(&mut group.request);
        if answer.is_ok() {
            weeks.extend(request_changes.keys().filter_map(|key| sent::week_of(key)));
            group.changes.extend(request_changes);
        }
        answers.push(answer);
    }
    weeks.sort_unstable();
    weeks.dedup();
    let undo = group.undo()?;
    let batch = KvBatch { changes: group.changes.into_iter().collect() };
    Ok(Evaluated { batch, undo, answers, weeks, swept })
}

/// Whether readers see a row of this table as it was until the change is durable. New rows of the log are above
/// the head, so that the head hides them; so does it with what was sent under a key. A marker may be seen early:
/// it says nothing that could be taken back and matter. A message that was there before is `rewritten`, and so is
/// its text: the row was looked at first. Records of audit logs are hidden by their count.
fn is_hidden_until_durable(table: u8, rewritten: bool) -> bool {
    match table {
        table::MESSAGE | table::TEXT => rewritten,
        table::TOMBSTONES | table::MENTIONS | table::ROOM_MENTIONS | table::AUDIT_HEAD => true,
        table::THREAD
        | table::FORMER
        | table::REACTED
        | table::REACTION
        | table::PIN
        | table::UNSWEPT
        | table::ATTACHMENT => true,
        table::REPORT | table::HELD | table::ERASURE => true,
        _ => table < table::MESSAGE,
    }
}

pub(super) struct Group<'a, K> {
    kv: &'a K,
    /// What was read of the rows that readers look at, as it stands in `kv`.
    read: Changes,
    /// The weeks that may hold sent keys.
    pub(super) weeks_of_sent: Vec<u16>,
    /// The changes of the requests that succeeded so far.
    changes: Changes,
    /// The changes of the request at hand.
    request: Changes,
}

impl<K: OrderedKv> Group<'_, K> {
    fn commit(&mut self, commit: &Commit) -> Result<(), Refusal> {
        let Commit { after, room, entries, rows, guards } = commit;
        if entries.len() > COMMIT_ENTRIES_MAX {
            return Err(StoreError::TooLarge.into());
        }
        if !is_dense(commit) {
            return Err(
                StoreError::Backend("the entries of a commit do not follow its head".to_owned()).into()
            );
        }
        let room16 = keys::room16(&room.id);
        let head = match self.get(&keys::room_count(&room16))? {
            Some(count) => values::decode_head(&count)?,
            None => Seq::ZERO,
        };
        if head != *after {
            return Err(Refusal::Conflict { head });
        }
        self.spare_the_erased(commit)?;
        for guard in guards {
            if !self.holds(guard, room)? {
                return Err(Refusal::Guard(guard.clone()));
            }
        }
        for entry in entries {
            self.entry(&room16, entry)?;
        }
        let direct = *after == Seq::ZERO && room.kind == RoomKind::Direct;
        let changed = |entry: &Entry| matches!(entry.change, Change::Describe(_) | Change::DeleteRoom);
        if direct || entries.iter().any(changed) {
            self.put(keys::room(&room16), values::encode_room(room)?)?;
        } else if *after == Seq::ZERO {
            return Err(StoreError::Backend("the log of a room begins with what it is".to_owned()).into());
        }
        self.put(keys::room_count(&room16), values::encode_room_count(room)?)?;
        for row in rows {
            self.row(&room16, room, row)?;
        }
        Ok(())
    }

    fn holds(&mut self, guard: &Guard, room: &Room) -> Result<bool, StoreError> {
        match guard {
            Guard::NameFree(name) => match self.get(&keys::room_name(name))? {
                Some(row) => Ok(values::decode::<v1::Named<'_>>(&row)?.id.room()? == room.id),
                None => Ok(true),
            },
            Guard::Unblocked(a, b) => self.unblocked(a, b),
            Guard::NotErased(user) => Ok(!self.is_erased(user)?),
            Guard::IsHeld(id) => self.is_held(&keys::room16(&room.id), id),
            Guard::Invited(..)
            | Guard::Uninvited(_)
            | Guard::InviteFits(_)
            | Guard::LinkStands(_)
            | Guard::LinkFits => self.way_in_holds(room, guard),
            Guard::KeyNew(user, client) => self.key_is_new(&keys::room16(&room.id), user, client),
            Guard::RoomsBelow(user, most) => Ok(self.user_count(&keys::user16(user))?.rooms < *most),
        }
    }

    fn entry(&mut self, room16: &Id16, entry: &Entry) -> Result<(), StoreError> {
        match values::encode_event(entry)? {
            Some(row) => {
                self.put(keys::event(room16, entry.seq), row)?;
                self.rework(room16, entry)
            }
            None => match entry.message() {
                Some(message) => self.message(room16, entry, message),
                None => Ok(()),
            },
        }
    }

    fn message(&mut self, room16: &Id16, entry: &Entry, message: &Message) -> Result<(), StoreError> {
        let (inline, parts) = values::split_text(message.content.as_str());
        let continued = message.content.as_str().len() - inline.len();
        for (number, part) in (0..).zip(parts) {
            self.put(keys::text(room16, entry.seq, number), part.as_bytes().to_vec())?;
        }
        for (number, attachment) in (0..).zip(message.attachments.iter()) {
            self.put(keys::attachment(room16, entry.seq, number), values::encode_attachment(attachment)?)?;
        }
        let row = values::encode_message(entry, message, inline, continued)?;
        self.put(keys::message(room16, entry.seq), row)?;
        self.count_mentions(room16, message.ordinal, &message.mentions, true)?;
        let author16 = keys::user16(&entry.actor);
        self.put(keys::author(&author16, room16, entry.seq), values::PRESENT.to_vec())?;
        self.move_thread(room16, entry)
    }

    fn row(&mut self, room16: &Id16, room: &Room, row: &RowChange) -> Result<(), Refusal> {
        match row {
            RowChange::PutMember(member) => self.put_member(room16, room.kind, member)?,
            RowChange::RemoveMember(user) => self.remove_member(room16, room.kind, user)?,
            RowChange::PutSent(user, client, sent) => return self.put_sent(room16, user, client, *sent),
            RowChange::PutMarker(user, marker) => {
                self.put(keys::marker(&keys::user16(user), room16), values::encode_marker(*marker)?)?;
            }
            RowChange::SentFor(user, marker) => self.sent_for(room16, user, *marker)?,
            RowChange::RemoveHeld(id) => drop(self.remove_held(room16, id)?),
            RowChange::TakeName(name) => {
                self.put(keys::room_name(name), values::encode_named(room.id.as_str())?)?;
            }
            RowChange::FreeName(name) => self.remove(keys::room_name(name)),
            RowChange::DropRoom => {
                self.drop_room(room16, room)?;
                self.close_ways_in(room16)?;
            }
            RowChange::PutSanction(user, sanction) => {
                let key = keys::sanction(room16, &keys::user16(user));
                if *sanction == Sanction::default() {
                    self.request.insert(key, None);
                    return Ok(());
                }
                self.put(key, values::encode_sanction(user, *sanction)?)?;
            }
            RowChange::Audit(note) => self.audit(&room.id, note)?,
            RowChange::PutRetention => self.put_retention(room16, room)?,
            RowChange::Trim => self.put(keys::trimmed(room16), values::PRESENT.to_vec())?,
            RowChange::PutInvite(_)
            | RowChange::RemoveInvite(_)
            | RowChange::PutLink(_)
            | RowChange::UseLink(_)
            | RowChange::RemoveLink(_) => return self.way_in(room, row),
        }
        Ok(())
    }

    fn put_member(&mut self, room16: &Id16, kind: RoomKind, member: &Member) -> Result<(), StoreError> {
        let user16 = keys::user16(&member.user);
        let key = keys::member(room16, &user16);
        if self.get(&key)?.is_none() {
            let counts = u32::from(kind != RoomKind::Direct);
            self.count_room(&user16, |rooms| rooms + counts)?;
            self.put(keys::room_of_user(&user16, room16), values::PRESENT.to_vec())?;
            self.remove_invite(room16, &member.user)?;
        }
        self.put(key, values::encode_member(member)?)
    }

    pub(super) fn remove_member(
        &mut self,
        room16: &Id16,
        kind: RoomKind,
        user: &UserId,
    ) -> Result<(), StoreError> {
        let user16 = keys::user16(user);
        let key = keys::member(room16, &user16);
        if self.get(&key)?.is_some() {
            let counts = u32::from(kind != RoomKind::Direct);
            self.count_room(&user16, |rooms| rooms.saturating_sub(counts))?;
            self.request.insert(keys::room_of_user(&user16, room16), None);
            self.request.insert(keys::marker(&user16, room16), None);
            self.request.insert(keys::delivered(&user16, room16), None);
            self.request.insert(key, None);
        }
        Ok(())
    }

    /// What kind of room it is, and whether it was deleted; `None` for one that is not there.
    pub(super) fn room_kind(&mut self, room16: &Id16) -> Result<Option<(RoomKind, bool)>, StoreError> {
        let (room, count) = (self.get(&keys::room(room16))?, self.get(&keys::room_count(room16))?);
        let (Some(room), Some(count)) = (room, count) else { return Ok(None) };
        values::decode_room(&room, &count).map(|room| Some((room.kind, room.deleted)))
    }

    fn user_count(&mut self, user16: &Id16) -> Result<v1::UserCount, StoreError> {
        match self.get(&keys::user_count(user16))? {
            Some(row) => values::decode(&row),
            None => Ok(v1::UserCount { rooms: 0, version: 0 }),
        }
    }

    fn count_room(&mut self, user16: &Id16, change: impl Fn(u32) -> u32) -> Result<(), StoreError> {
        let v1::UserCount { rooms, version } = self.user_count(user16)?;
        let count = v1::UserCount { rooms: change(rooms), version: version + 1 };
        self.put(keys::user_count(user16), values::encode(&count)?)
    }

    fn put_all(&mut self, rows: &[(Vec<u8>, Vec<u8>)]) -> Result<(), Refusal> {
        for (key, value) in rows {
            // The presence of somebody who is erased is dropped, not refused: others are saved along with it.
            let erased = match (key.first(), keys::id_at(key, 1)) {
                (Some(&table::PRESENCE), Some(user16)) => self.is_erased16(&user16)?,
                _ => false,
            };
            if !erased {
                self.put(key.clone(), value.clone())?;
            }
        }
        Ok(())
    }

    /// Deletes sent keys of the weeks before last week, rows of deleted rooms, and what was cut. Returns whether some are left, and the first week kept.
    fn sweep(&mut self, now: Timestamp) -> Result<(bool, u16), Refusal> {
        let first_kept = keys::week(now).saturating_sub(1);
        let mut old = Vec::new();
        let (from, to) = (keys::sent_week(0), keys::sent_week(first_kept));
        let mut more = false;
        self.kv
            .scan(&from, &to, Direction::Ascending, &mut |key, _| {
                more = old.len() == STORE_SWEEP_MAX;
                if more {
                    return ControlFlow::Break(());
                }
                old.push(key.to_vec());
                ControlFlow::Continue(())
            })
            .map_err(StoreError::from)?;
        let share = (STORE_SWEEP_MAX - old.len()) / 3;
        self.request.extend(old.into_iter().map(|key| (key, None)));
        more |= self.sweep_deleted(share)?;
        more |= self.sweep_rooms(now, share)?;
        more |= self.sweep_trimmed(share)?;
        Ok((more, first_kept))
    }

    /// The first rows of a range as they are stored, whatever the requests so far have changed.
    #[allow(clippy::type_complexity, reason = "rows are keys and values")]
    pub(super) fn stored_between(
        &self,
        from: &[u8],
        to: &[u8],
        most: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        let mut rows = Vec::new();
        self.kv.scan(from, to, Direction::Ascending, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            match rows.len() < most {
                true => std::ops::ControlFlow::Continue(()),
                false => std::ops::ControlFlow::Break(()),
            }
        })?;
        Ok(rows)
    }

    /// The rows of a range that the request at hand changes, and their new values.
    pub(super) fn changed_between(&self, from: &[u8], to: &[u8]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let range = (Bound::Included(from.to_vec()), Bound::Excluded(to.to_vec()));
        self.request.range(range).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// A row as the requests before the one at hand leave it.
    pub(super) fn before(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.as_stored(key),
        }
    }

    /// A row as it is stored, whatever the requests so far have changed.
    pub(super) fn as_stored(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.kv.get(key)?)
    }

    /// The value of the last row of a range as the requests so far leave it.
    pub(super) fn last_between(&self, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let changed = |key: &[u8]| self.request.get(key).or_else(|| self.changes.get(key));
        let mut last: Option<(Vec<u8>, Vec<u8>)> = None;
        self.kv.scan(from, to, Direction::Descending, &mut |key, row| {
            if changed(key).is_some() {
                return std::ops::ControlFlow::Continue(());
            }
            last = Some((key.to_vec(), row.to_vec()));
            std::ops::ControlFlow::Break(())
        })?;
        let range = || (Bound::Included(from.to_vec()), Bound::Excluded(to.to_vec()));
        for (key, _) in self.changes.range(range()).chain(self.request.range(range())) {
            if let Some(Some(row)) = changed(key)
                && last.as_ref().is_none_or(|(known, _)| known < key)
            {
                last = Some((key.clone(), row.clone()));
            }
        }
        Ok(last.map(|(_, row)| row))
    }

    /// How many rows a range has as the requests so far leave it, up to `most`; for rows that are never deleted.
    pub(super) fn count_between(&self, from: &[u8], to: &[u8], most: usize) -> Result<usize, StoreError> {
        if from >= to {
            return Ok(0);
        }
        let stored = self.stored_between(from, to, most)?.len();
        let range = || (Bound::Included(from.to_vec()), Bound::Excluded(to.to_vec()));
        let new = self.changes.range(range()).chain(self.request.range(range())).count();
        Ok((stored + new).min(most))
    }

    /// The keys under `prefix` as the requests so far leave them, ascending, at most `limit`.
    pub(super) fn keys_under(&self, prefix: &[u8], limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let end = keys::after_prefix(prefix);
        let changed = |key: &[u8]| self.request.get(key).or_else(|| self.changes.get(key));
        let mut found = BTreeSet::new();
        self.kv.scan(prefix, &end, Direction::Ascending, &mut |key, _| {
            if found.len() >= limit {
                return ControlFlow::Break(());
            }
            if changed(key).is_none_or(Option::is_some) {
                found.insert(key.to_vec());
            }
            ControlFlow::Continue(())
        })?;
        let range = (Bound::Included(prefix.to_vec()), Bound::Excluded(end));
        for (key, _) in self.changes.range(range.clone()).chain(self.request.range(range)) {
            if changed(key).is_some_and(Option::is_some) {
                found.insert(key.clone());
            }
        }
        Ok(found.into_iter().take(limit).collect())
    }

    pub(super) fn remove(&mut self, key: Vec<u8>) {
        self.request.insert(key, None);
    }

    /// A row as the requests so far leave it.
    pub(super) fn get(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if let Some(value) = self.request.get(key).or_else(|| self.changes.get(key)) {
            return Ok(value.clone());
        }
        if let Some(value) = self.read.get(key) {
            return Ok(value.clone());
        }
        let value = self.kv.get(key)?;
        self.read.insert(key.to_vec(), value.clone());
        Ok(value)
    }

    /// The one place where the bounds on keys and values are held.
    pub(super) fn put(&mut self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        if key.len() > STORE_KEY_BYTES_MAX || value.len() > STORE_VALUE_BYTES_MAX {
            return Err(StoreError::TooLarge);
        }
        self.request.insert(key, Some(value));
        Ok(())
    }

    fn undo(&mut self) -> Result<Changes, StoreError> {
        let mut undo = Changes::new();
        for key in self.changes.keys() {
            if !is_hidden_until_durable(key[0], self.read.contains_key(key)) {
                continue;
            }
            let value = match self.read.remove(key) {
                Some(value) => value,
                None => self.kv.get(key)?,
            };
            undo.insert(key.clone(), value);
        }
        Ok(undo)
    }
}

fn is_dense(commit: &Commit) -> bool {
    let Commit { after, room, entries, .. } = commit;
    let mut head = *after;
    entries.iter().all(|entry| {
        head = head.next();
        entry.seq == head && entry.room == room.id
    }) && room.head == head
}
