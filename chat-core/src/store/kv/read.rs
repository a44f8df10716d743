//! The questions that readers ask, answered from the durable rows.

use std::ops::ControlFlow;

use super::{
    Direction, OrderedKv, deleted, invites,
    keys::{self, Id16},
    log, threads,
    values::{self, v1},
    view::{View, Visible},
};
use crate::{
    domain::{Entry, InThread, Member, Needs, Room, RoomName, Rows},
    id::{RoomId, Seq, UserId},
    limits::STORE_NAMES_SCANNED_MAX,
    store::{Page, PageRequest, StoreError},
};

/// Items on a page at most, whatever is asked.
const PAGE_MAX: usize = 200;

pub(super) fn room<K: OrderedKv>(rows: &Visible<K>, room: &RoomId) -> Result<Option<Room>, StoreError> {
    rows.view().room(&keys::room16(room))
}

pub(super) fn heads<K: OrderedKv>(rows: &Visible<K>, rooms: &[RoomId]) -> Result<Vec<Seq>, StoreError> {
    rooms.iter().map(|room| rows.view().head_of(room)).collect()
}

pub(super) fn gather<K: OrderedKv>(
    rows: &Visible<K>,
    weeks: &[u16],
    room: &RoomId,
    needs: &Needs,
) -> Result<Rows, StoreError> {
    let view = rows.view();
    let room16 = keys::room16(room);
    let mut found = Rows { at: view.head(&room16)?, ..Rows::default() };
    for user in &needs.members {
        gather_member(&view, &room16, user, &mut found)?;
    }
    for name in &needs.names {
        let Some(row) = view.get(&keys::username(name))? else { continue };
        let user = values::decode::<v1::Named<'_>>(&row)?.id.user()?;
        gather_member(&view, &room16, &user, &mut found)?;
        found.names.insert(name.key(), user);
    }
    for user in &needs.last_sent {
        let last = deleted::last_sent(rows.raw(), &room16, &keys::user16(user), found.at)?;
        found.last_sent.insert(user.clone(), last);
    }
    for user in &needs.profiles {
        let row = view.get(&keys::user(&keys::user16(user)))?;
        if row.map(|row| values::decode_user(&row)).transpose()?.is_some_and(|user| !user.is_erased()) {
            found.profiles.insert(user.clone());
        }
    }
    for (user, client) in &needs.sent {
        let user16 = keys::user16(user);
        for week in weeks.iter().rev() {
            let Some(row) = view.get(&keys::sent(*week, &user16, &room16, client))? else { continue };
            let sent = values::decode_sent(&row)?;
            if sent.seq <= found.at {
                found.sent.insert((user.clone(), client.clone()), sent);
                break;
            }
        }
    }
    for target in &needs.targets {
        let message = log::message(&view, room, &room16, *target)?.filter(|_| *target <= found.at);
        if let Some(author) = message.as_ref().map(|message| message.actor.clone()) {
            gather_member(&view, &room16, &author, &mut found)?;
        }
        let thread = message.as_ref().and_then(Entry::message).and_then(|message| message.thread);
        if let Some(InThread { root, .. }) = thread.filter(|thread| !found.targets.contains_key(&thread.root))
        {
            found.targets.insert(root, log::message(&view, room, &room16, root)?);
        }
        found.targets.insert(*target, message);
    }
    for target in &needs.threads {
        let message = found.target(*target).and_then(Entry::message);
        if let Some(InThread { root, .. }) = message.and_then(|message| message.thread) {
            found.threads.insert(root, threads::newest(&view, &room16, root, found.at)?);
        }
    }
    for (target, emoji, user) in &needs.reacted {
        if view.get(&keys::reacted(&room16, *target, emoji, &keys::user16(user)))?.is_some() {
            found.reacted.insert((*target, emoji.clone(), user.clone()));
        }
    }
    if needs.pins {
        let pins = log::pinned(&view, &room16)?.len();
        found.pins = Some(u32::try_from(pins).unwrap_or(u32::MAX));
    }
    invites::gather(&view, room, needs, &mut found)?;
    Ok(found)
}

/// A membership, and what stands against the user.
fn gather_member<K: OrderedKv>(
    view: &View<'_, K>,
    room16: &Id16,
    user: &UserId,
    found: &mut Rows,
) -> Result<(), StoreError> {
    let row = view.get(&keys::member(room16, &keys::user16(user)))?;
    let member = row.map(|row| values::decode_member(&row)).transpose()?;
    found.members.insert(user.clone(), member);
    if let Some(row) = view.get(&keys::sanction(room16, &keys::user16(user)))? {
        found.sanctions.insert(user.clone(), values::decode_sanction(&row)?.1);
    }
    Ok(())
}

pub(super) fn members<K: OrderedKv>(
    rows: &Visible<K>,
    room: &RoomId,
    page: &PageRequest,
) -> Result<Page<Member>, StoreError> {
    let prefix = keys::member(&keys::room16(room), &[0; 16])[..17].to_vec();
    let view = rows.view();
    paged(&view, &prefix, page, usize::MAX, |_, row| values::decode_member(row).map(Some))
}

pub(super) fn rooms_of<K: OrderedKv>(
    rows: &Visible<K>,
    user: &UserId,
    page: &PageRequest,
) -> Result<Page<(Room, Member)>, StoreError> {
    let user16 = keys::user16(user);
    let prefix = keys::room_of_user(&user16, &[0; 16])[..17].to_vec();
    let view = rows.view();
    paged(&view, &prefix, page, usize::MAX, |key, _| {
        let room16 = keys::id_at(key, 17).ok_or_else(|| values::corrupt("a key of a user's rooms"))?;
        let room = view.room(&room16)?.ok_or_else(|| values::corrupt("a user's room that is not there"))?;
        if room.deleted {
            return Ok(None);
        }
        let member = view.get(&keys::member(&room16, &user16))?;
        let member = member.ok_or_else(|| values::corrupt("a user's room without membership"))?;
        Ok(Some((room, values::decode_member(&member)?)))
    })
}

/// The keys of a user's rooms, in the order of their list.
pub(super) fn rooms_listed<K: OrderedKv>(
    rows: &Visible<K>,
    user16: &Id16,
    page: &PageRequest,
) -> Result<Page<Id16>, StoreError> {
    let prefix = keys::room_of_user(user16, &[0; 16])[..17].to_vec();
    let view = rows.view();
    paged(&view, &prefix, page, usize::MAX, |key, _| {
        keys::id_at(key, 17).map(Some).ok_or_else(|| values::corrupt("a key of a user's rooms"))
    })
}

pub(super) fn public_rooms<K: OrderedKv>(
    rows: &Visible<K>,
    query: Option<&str>,
    page: &PageRequest,
) -> Result<Page<Room>, StoreError> {
    let query = query.map(|query| RoomName::from_stored(query).key()).filter(|query| !query.is_empty());
    let view = rows.view();
    paged(&view, &[keys::table::ROOM_NAME], page, STORE_NAMES_SCANNED_MAX, |key, row| {
        if let (Some(query), Some(name)) = (&query, keys::folded_name(key))
            && !name.contains(query.as_str())
        {
            return Ok(None);
        }
        let id = values::decode::<v1::Named<'_>>(row)?.id.room()?;
        let room = view.room(&keys::room16(&id))?;
        let room = room.ok_or_else(|| values::corrupt("a name of a room that is not there"))?;
        let wanted = query.as_ref().is_none_or(|query| room.name.key().contains(query.as_str()));
        Ok(wanted.then_some(room))
    })
}

pub(super) fn membership_versions<K: OrderedKv>(
    rows: &Visible<K>,
    users: &[UserId],
) -> Result<Vec<u64>, StoreError> {
    let version = |user: &UserId| match rows.view().get(&keys::user_count(&keys::user16(user)))? {
        Some(row) => values::decode::<v1::UserCount>(&row).map(|count| count.version),
        None => Ok(0),
    };
    users.iter().map(version).collect()
}

/// One page of the rows under `prefix`. The cursor is the rest of the last key, in hexadecimal; one that this
/// store did not make starts from the beginning. The page ends after looking at `scanned_max` rows.
pub(super) fn paged<K: OrderedKv, T>(
    view: &View<'_, K>,
    prefix: &[u8],
    page: &PageRequest,
    scanned_max: usize,
    item: impl Fn(&[u8], &[u8]) -> Result<Option<T>, StoreError>,
) -> Result<Page<T>, StoreError> {
    let limit = page.limit.clamp(1, PAGE_MAX);
    let mut from = match page.cursor.as_deref().and_then(unhex) {
        Some(rest) => keys::after_key(&[prefix, &rest].concat()),
        None => prefix.to_vec(),
    };
    let end = keys::after_prefix(prefix);
    let (mut items, mut scanned) = (Vec::new(), 0);
    // Items read further rows, which an engine need not allow within a scan: so rows come in handfuls.
    loop {
        let mut handful = Vec::new();
        view.scan(&from, &end, &mut |key, value| {
            handful.push((key.to_vec(), value.to_vec()));
            if handful.len() > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let at_end = handful.len() <= limit;
        let last = handful.len().min(limit);
        for (index, (key, value)) in handful.into_iter().take(limit).enumerate() {
            items.extend(item(&key, &value)?);
            scanned += 1;
            let is_last = at_end && index + 1 == last;
            if !is_last && (items.len() == limit || scanned >= scanned_max) {
                return Ok(Page { items, next: Some(hex(&key[prefix.len()..])) });
            }
            from = keys::after_key(&key);
        }
        if at_end {
            return Ok(Page { items, next: None });
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// The weeks in which there are sent keys, as the table `50` says.
pub(super) fn weeks_of_sent<K: OrderedKv>(kv: &K) -> Result<Vec<u16>, StoreError> {
    let end = keys::after_prefix(&[keys::table::SENT]);
    let (mut weeks, mut from) = (Vec::new(), keys::sent_week(0));
    loop {
        let mut found = None;
        kv.scan(&from, &end, Direction::Ascending, &mut |key, _| {
            found = key.get(1..3).map(|week| u16::from_be_bytes([week[0], week[1]]));
            ControlFlow::Break(())
        })?;
        let Some(week) = found else { return Ok(weeks) };
        weeks.push(week);
        from = match week.checked_add(1) {
            Some(next) => keys::sent_week(next),
            None => return Ok(weeks),
        };
    }
}

/// The 16 bytes of a room and a bound of its log, as a key of the given table.
pub(super) fn log_key(table: u8, room16: &Id16, seq: Seq) -> Vec<u8> {
    keys::key(table, &[room16, &seq.get().to_be_bytes()])
}
