//! Markers: moving them, and counting what lies behind them.

use std::ops::ControlFlow;

use super::{
    OrderedKv,
    group::Group,
    keys::{self, Id16, table},
    log,
    read::{self, log_key},
    request::{MarkRequest, Refusal},
    tally::Tally,
    values,
    view::{View, Visible},
};
use crate::{
    domain::{Entry, Marker, Mentions, Room},
    id::{RoomId, Seq, UserId},
    limits::{PAGE_BYTES_MAX, UNATTENDED_UNREAD_MAX},
    store::{MessageQuery, Page, PageRequest, Place, Reading, RoomOverview, StoreError},
};

impl<K: OrderedKv> Group<'_, K> {
    /// Moves a marker forward. Whether it was behind.
    pub(super) fn mark(&mut self, mark: &MarkRequest) -> Result<bool, Refusal> {
        let (room16, user16) = (keys::room16(&mark.room), keys::user16(&mark.user));
        if self.get(&keys::member(&room16, &user16))?.is_none() {
            return Ok(false);
        }
        let Some(count) = self.get(&keys::room_count(&room16))? else { return Ok(false) };
        let (head, messages) = values::decode_head_and_messages(&count)?;
        let to = mark.to.min(head);
        let key = match mark.delivered {
            true => keys::delivered(&user16, &room16),
            false => keys::marker(&user16, &room16),
        };
        let marker = match self.get(&key)? {
            Some(row) => values::decode_marker(&row)?,
            None => Marker::default(),
        };
        if to <= marker.seq {
            return Ok(false);
        }
        let ordinal = match (mark.delivered, to == head) {
            (false, true) => messages,
            (false, false) => self.ordinal_at(&room16, to)?.max(marker.ordinal),
            // How many messages were delivered is of no interest.
            (true, _) => 0,
        };
        self.put(key, values::encode_marker(Marker { seq: to, ordinal })?)?;
        Ok(true)
    }

    /// Leaves the marker of somebody whose message came without them where it is, if not too many of theirs lie
    /// behind it: see [`UNATTENDED_UNREAD_MAX`].
    pub(super) fn sent_for(&mut self, room16: &Id16, user: &UserId, end: Marker) -> Result<(), StoreError> {
        let user16 = keys::user16(user);
        let key = keys::marker(&user16, room16);
        let marker = match self.get(&key)? {
            Some(row) => values::decode_marker(&row)?,
            None => Marker::default(),
        };
        // What was cut is not there to be read, and its rows may go with this very group.
        let first = marker.seq.next().max(self.first_kept(room16)?);
        let (from, to) = (keys::author(&user16, room16, first), keys::author(&user16, room16, end.seq));
        if self.count_between(&from, &to, UNATTENDED_UNREAD_MAX)? >= UNATTENDED_UNREAD_MAX {
            self.put(key, values::encode_marker(end)?)?;
        }
        Ok(())
    }

    /// The ordinal of the newest message at or before an entry: one step back in the log's order.
    fn ordinal_at(&self, room16: &Id16, to: Seq) -> Result<u64, StoreError> {
        let (from, end) =
            (log_key(table::MESSAGE, room16, Seq::ZERO), log_key(table::MESSAGE, room16, to.next()));
        let newest = self.last_between(&from, &end)?;
        newest.map_or(Ok(0), |row| values::decode_ordinal(&row))
    }
}

/// Where a user stands in a room, of which `room` was read in the same view.
fn reading<K: OrderedKv>(
    view: &View<'_, K>,
    user16: &Id16,
    room16: &Id16,
    room: &Room,
) -> Result<Reading, StoreError> {
    let marker = match view.get(&keys::marker(user16, room16))? {
        Some(row) => values::decode_marker(&row)?,
        None => Marker::default(),
    };
    // What was cut is not there to be read.
    let (after, newest) = (marker.ordinal.max(room.trimmed), room.messages);
    let behind = |tally: Tally| tally.behind(after, newest, |key| view.get(key));
    let unread = newest.saturating_sub(after).saturating_sub(behind(Tally::tombstones(room16))?);
    let mentions =
        behind(Tally::mentions(room16, user16))?.saturating_add(behind(Tally::room_mentions(room16))?);
    let (own, own_mentions) = match unread {
        0 => (0, 0),
        _ => own_behind(view, user16, room16, marker.seq.next().max(room.first), room.head)?,
    };
    let (unread, mentions) = (unread.saturating_sub(own), mentions.saturating_sub(own_mentions));
    // A marker may be seen before the commit that moved it.
    Ok(Reading { seq: marker.seq.min(room.head), unread, mentions })
}

/// A user's own messages behind their marker, from `first` on, and how many of them mention the user: those that a moderator released,
/// few as [`UNATTENDED_UNREAD_MAX`] has it.
fn own_behind<K: OrderedKv>(
    view: &View<'_, K>,
    user16: &Id16,
    room16: &Id16,
    first: Seq,
    head: Seq,
) -> Result<(u64, u64), StoreError> {
    let (from, to) = (keys::author(user16, room16, first), keys::author(user16, room16, head.next()));
    let mut own = Vec::new();
    view.scan(&from, &to, &mut |key, _| {
        own.extend(keys::seq_at(key, 33));
        ControlFlow::Continue(())
    })?;
    let (mut count, mut mentions) = (0, 0);
    for seq in own {
        let Some(row) = view.get(&keys::message(room16, seq))? else { continue };
        let row = values::decode_message_row(&row)?;
        if row.deleted.is_some() {
            continue;
        }
        let Mentions { users, room } = values::mentions_in(&row)?;
        count += 1;
        mentions += u64::from(room || users.iter().any(|user| keys::user16(user) == *user16));
    }
    Ok((count, mentions))
}

/// Where a user stands; `None` when they are no member.
pub(super) fn reading_of<K: OrderedKv>(
    rows: &Visible<K>,
    user: &UserId,
    room: &RoomId,
) -> Result<Option<Reading>, StoreError> {
    let (user16, room16) = (keys::user16(user), keys::room16(room));
    let view = rows.view();
    if view.get(&keys::member(&room16, &user16))?.is_none() {
        return Ok(None);
    }
    let room =
        view.room(&room16)?.ok_or_else(|| values::corrupt("a membership of a room that is not there"))?;
    reading(&view, &user16, &room16, &room).map(Some)
}

/// Where they note up to where a room was delivered.
pub(super) fn delivered_to<K: OrderedKv>(
    rows: &Visible<K>,
    user: &UserId,
    room: &RoomId,
) -> Result<Seq, StoreError> {
    let row = rows.view().get(&keys::delivered(&keys::user16(user), &keys::room16(room)))?;
    row.map_or(Ok(Seq::ZERO), |row| Ok(values::decode_marker(&row)?.seq))
}

pub(super) fn overview<K: OrderedKv>(
    rows: &Visible<K>,
    user: &UserId,
    page: &PageRequest,
) -> Result<Page<RoomOverview>, StoreError> {
    let user16 = keys::user16(user);
    let listed = read::rooms_listed(rows, &user16, page)?;
    let mut items = Vec::with_capacity(listed.items.len());
    let mut bytes = 0;
    // A view for each room: the writer waits for one room at most, not for the page.
    for room16 in listed.items {
        let Some(overview) = overview_at(rows, &user16, &room16)? else { continue };
        bytes += text_bytes(&overview);
        items.push(overview);
        if bytes > PAGE_BYTES_MAX {
            // After the last room this is one page more, which is empty.
            return Ok(Page { items, next: Some(read::hex(&room16)) });
        }
    }
    Ok(Page { items, next: listed.next })
}

pub(super) fn overview_of<K: OrderedKv>(
    rows: &Visible<K>,
    user: &UserId,
    room: &RoomId,
) -> Result<Option<RoomOverview>, StoreError> {
    overview_at(rows, &keys::user16(user), &keys::room16(room))
}

fn text_bytes(overview: &RoomOverview) -> usize {
    overview.last.as_ref().and_then(Entry::message).map_or(0, |message| message.content.as_str().len())
}

fn overview_at<K: OrderedKv>(
    rows: &Visible<K>,
    user16: &Id16,
    room16: &Id16,
) -> Result<Option<RoomOverview>, StoreError> {
    let (room, member, reading) = {
        let view = rows.view();
        let Some(member) = view.get(&keys::member(room16, user16))? else { return Ok(None) };
        let member = values::decode_member(&member)?;
        let room =
            view.room(room16)?.ok_or_else(|| values::corrupt("a membership of a room that is not there"))?;
        if room.deleted {
            return Ok(None);
        }
        let reading = reading(&view, user16, room16, &room)?;
        (room, member, reading)
    };
    let query = MessageQuery {
        place: Place::Before(room.head.next()),
        limit: 1,
        hidden_until: room.hidden_until(member.joined),
        max_bytes: usize::MAX,
    };
    let last = log::messages(rows, &room.id, query)?.messages.pop();
    Ok(Some(RoomOverview { room, member, reading, last }))
}
