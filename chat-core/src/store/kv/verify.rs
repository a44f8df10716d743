//! Recounting everything that is kept twice.

mod counts;
mod people;
mod rework;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::ControlFlow,
};

use super::{
    Direction, OrderedKv,
    keys::{self, Id16, table},
    log::{attachments, continuation, text_of},
    tally::{Counts, Tally},
    values::{self, v1},
    view::Raw,
};
use crate::{
    domain::{Change, Entry, Message, Role, Room, RoomKind, Sanction},
    id::{RoomId, Seq, UserId},
    store::StoreError,
};

/// Compares what stands in the rows with what follows from the others, and says in sentences where they differ.
/// Reads everything, so a store that is written to meanwhile shows differences that are none.
pub(super) fn verify<K: OrderedKv>(kv: &K) -> Result<Vec<String>, StoreError> {
    let mut check = Check {
        kv,
        differences: Vec::new(),
        rooms: HashMap::new(),
        deleted: BTreeSet::new(),
        authored: BTreeSet::new(),
        sent: HashMap::new(),
        own: HashMap::new(),
        tallied: BTreeMap::new(),
        sanctions: BTreeMap::new(),
        rework: rework::Expected::default(),
    };
    check.rooms()?;
    check.deleted()?;
    check.retained()?;
    check.names()?;
    check.users()?;
    check.memberships()?;
    check.authors()?;
    check.texts()?;
    check.reworked()?;
    check.markers()?;
    check.delivered()?;
    check.tallies()?;
    check.sent()?;
    check.sanctions()?;
    check.differences.extend(super::audit::differences(kv)?);
    check.differences.extend(super::presence::differences(kv)?);
    check.differences.extend(super::people::differences(kv)?);
    check.differences.extend(super::review::differences(kv)?);
    check.differences.extend(super::invites::differences(kv)?);
    check.differences.extend(super::erasure::differences(kv)?);
    check.differences.extend(super::files::differences(kv)?);
    #[cfg(feature = "accounts")]
    check.differences.extend(super::accounts::differences(kv)?);
    Ok(check.differences)
}

/// A row.
type KeyValue = (Vec<u8>, Vec<u8>);

struct Check<'a, K> {
    kv: &'a K,
    differences: Vec<String>,
    rooms: HashMap<Id16, Room>,
    /// Rooms that were deleted. Their rows go bit by bit, so nothing is said about those that are left.
    deleted: BTreeSet<Id16>,
    /// What stands against whom, as the logs say.
    sanctions: BTreeMap<Vec<u8>, (UserId, Sanction)>,
    /// Keys of the author index, as the messages say.
    authored: BTreeSet<Vec<u8>>,
    /// The messages of each room that are kept; their ordinals follow from their places here.
    sent: HashMap<Id16, Vec<Seq>>,
    /// The messages of each author in a room, ascending.
    own: HashMap<(Id16, Id16), Vec<Seq>>,
    /// What should be counted of deletions and mentions.
    tallied: BTreeMap<Vec<u8>, Counts>,
    rework: rework::Expected,
}

impl<K: OrderedKv> Check<'_, K> {
    /// Headers, and each room's log against its header.
    fn rooms(&mut self) -> Result<(), StoreError> {
        let records: HashMap<_, _> = self.table(table::ROOM)?.into_iter().collect();
        for (key, count) in self.table(table::ROOM_COUNT)? {
            let Some(room16) = keys::id_at(&key, 1) else { return Err(values::corrupt("a key of a room")) };
            let Some(record) = records.get(&keys::room(&room16)) else {
                self.differ(format!("room {} has counters but no row", hex(&room16)));
                continue;
            };
            let room = values::decode_room(record, &count)?;
            if keys::room16(&room.id) != room16 {
                self.differ(format!("room {} stands under another key", room.id));
            }
            if room.deleted {
                let last = self.kv.get(&keys::event(&room16, room.head))?;
                let decode = |row: Vec<u8>| {
                    values::decode_event(&room.id, room.head, &row, |_| Err(values::corrupt("an entry")))
                };
                if last.map(decode).transpose()?.is_none_or(|entry| entry.change != Change::DeleteRoom) {
                    self.differ(format!("the log of deleted room {} does not end with that", room.id));
                }
                self.deleted.insert(room16);
                continue;
            }
            self.log(&room16, &room, &values::Telling::of(record)?)?;
            self.direct(&room);
            self.rooms.insert(room16, room);
        }
        for key in records.keys() {
            if keys::id_at(key, 1).is_none_or(|room16| !self.is_known(&room16)) {
                self.differ("a room has a row but no counters".to_owned());
            }
        }
        self.strays(table::MESSAGE)?;
        self.strays(table::EVENT)
    }

    fn is_known(&self, room16: &Id16) -> bool {
        self.rooms.contains_key(room16) || self.deleted.contains(room16)
    }

    /// Deleted rooms: those of which anything is left are noted as such.
    fn deleted(&mut self) -> Result<(), StoreError> {
        let mut noted = BTreeSet::new();
        for (key, row) in self.table(table::DROPPED)? {
            let room = values::decode::<v1::Dropped<'_>>(&row)?.room.room()?;
            let room16 = keys::id_at(&key, 10).ok_or_else(|| values::corrupt("a key of a deleted room"))?;
            if keys::room16(&room) != room16 || !self.deleted.contains(&room16) || !noted.insert(room16) {
                self.differ(format!("room {room} is to go, which was not deleted"));
            }
        }
        for room16 in self.deleted.difference(&noted).copied().collect::<Vec<_>>() {
            // The end of the log stays, and authors' messages are listed under authors.
            let of_log =
                (table::MESSAGE..=0x3f).filter(|table| ![table::EVENT, table::AUTHOR].contains(table));
            for table in of_log.chain([table::MEMBER, table::SANCTION]) {
                if !self.all_under(&keys::key(table, &[&room16]))?.is_empty() {
                    self.differ(format!("rows of deleted room {} are left in {table:02x}", hex(&room16)));
                }
            }
        }
        Ok(())
    }

    /// Logs of rooms that are not there.
    fn strays(&mut self, table: u8) -> Result<(), StoreError> {
        let (mut from, end) = (vec![table], keys::after_prefix(&[table]));
        loop {
            let mut found = None;
            self.kv.scan(&from, &end, Direction::Ascending, &mut |key, _| {
                found = Some(key.to_vec());
                ControlFlow::Break(())
            })?;
            let Some(key) = found else { return Ok(()) };
            let Some(room16) = keys::id_at(&key, 1) else { return Err(values::corrupt("a key of a log")) };
            if !self.is_known(&room16) {
                self.differ(format!("there is a log of room {}, which is not there", hex(&room16)));
            }
            from = keys::after_prefix(&key[..17]);
        }
    }

    /// A direct room is that of its two, and of no others.
    fn direct(&mut self, room: &Room) {
        let right = match (&room.peer, room.kind) {
            (Some(peer), RoomKind::Direct) => room.id == RoomId::direct(&room.created_by, peer),
            (None, RoomKind::Direct) | (Some(_), _) => false,
            (None, _) => true,
        };
        if !right {
            self.differ(format!("room {} is not the direct room of the two whose it says it is", room.id));
        }
    }

    fn log(&mut self, room16: &Id16, room: &Room, telling: &values::Telling) -> Result<(), StoreError> {
        let mut entries: BTreeMap<Seq, Entry> = BTreeMap::new();
        for (key, row) in self.rows_under(&keys::message(room16, Seq::ZERO)[..17])? {
            let seq = keys::seq_of(&key).unwrap_or_default();
            let rest = || continuation(&Raw(self.kv), room16, seq);
            let mut entry = values::decode_message(&room.id, seq, &row, rest)?;
            if let Change::Send(message) = &mut entry.change {
                message.attachments = attachments(&Raw(self.kv), room16, seq, &row)?;
            }
            entries.insert(seq, telling.address(entry));
        }
        for (key, row) in self.rows_under(&keys::event(room16, Seq::ZERO)[..17])? {
            let seq = keys::seq_of(&key).unwrap_or_default();
            let text = |target| text_of(&Raw(self.kv), room16, room.first, target);
            if entries.insert(seq, values::decode_event(&room.id, seq, &row, text)?).is_some() {
                self.differ(format!("entry {seq} of room {} stands in both tables", room.id));
            }
        }
        let kept = entries.split_off(&room.first);
        self.left_over(room16, room, &entries)?;
        let (entries, left_over) = (kept, entries);
        let last = entries.keys().next_back().copied().unwrap_or_default();
        if last != room.head {
            self.differ(format!(
                "the head of room {} is {} but its last entry is {last}",
                room.id, room.head
            ));
        }
        if !entries.keys().map(|seq| seq.get()).eq(room.first.get()..=last.get()) {
            self.differ(format!("the log of room {} has holes", room.id));
        }
        self.replay_rework(room16, room.first, &left_over, &entries)?;
        let mut replayed = before(room, &entries);
        let mut ordinal = room.trimmed;
        for entry in entries.values() {
            if let Change::Send(message) = &entry.change {
                ordinal += 1;
                if message.ordinal != ordinal {
                    self.differ(format!("message {} of room {} has the wrong ordinal", entry.seq, room.id));
                }
                let author16 = keys::user16(&entry.actor);
                self.own.entry((*room16, author16)).or_default().push(entry.seq);
                self.sent.entry(*room16).or_default().push(entry.seq);
                self.indexed(room16, entry, message);
            }
            if let Some(user) = entry.leaves().or_else(|| entry.updates()) {
                let key = keys::sanction(room16, &keys::user16(user));
                let (_, sanction) =
                    self.sanctions.entry(key).or_insert_with(|| (user.clone(), Sanction::default()));
                *sanction = sanction.after(entry);
            }
            replayed.apply(entry);
        }
        if replayed != *room {
            self.differ(format!("the header of room {} is not what its log says", room.id));
        }
        if room.messages != ordinal {
            self.differ(format!("room {} counts {} messages but has {ordinal}", room.id, room.messages));
        }
        Ok(())
    }

    /// What is expected beside a message, whether it is kept or still to be swept.
    fn indexed(&mut self, room16: &Id16, entry: &Entry, message: &Message) {
        self.authored.insert(keys::author(&keys::user16(&entry.actor), room16, entry.seq));
        if message.deleted.is_some() {
            self.tally(&Tally::tombstones(room16), message.ordinal);
        }
        for tally in Tally::of_mentions(room16, &message.mentions) {
            self.tally(&tally, message.ordinal);
        }
    }

    /// Entries that were cut: they may be there only as long as it is noted that they are to be swept. Of what stands
    /// against people the log knows only from there on.
    fn left_over(
        &mut self,
        room16: &Id16,
        room: &Room,
        entries: &BTreeMap<Seq, Entry>,
    ) -> Result<(), StoreError> {
        if room.first <= Seq::ZERO.next() {
            return Ok(());
        }
        if !entries.is_empty() && self.kv.get(&keys::trimmed(room16))?.is_none() {
            self.differ(format!("entries of room {} that were cut are left over", room.id));
        }
        for entry in entries.values() {
            if let Some(message) = entry.message() {
                self.indexed(room16, entry, message);
            }
        }
        for (key, row) in self.rows_under(&keys::key(table::SANCTION, &[room16]))? {
            let (user, sanction) = values::decode_sanction(&row)?;
            self.sanctions.insert(keys::sanction(room16, &keys::user16(&user)), (user, sanction));
            if !self.sanctions.contains_key(&key) {
                self.differ(format!("what stands against somebody in room {} stands elsewhere", room.id));
            }
        }
        Ok(())
    }

    /// The rooms that have a retention are listed, and those that were cut may be noted.
    fn retained(&mut self) -> Result<(), StoreError> {
        let mut listed: BTreeMap<_, _> = self.table(table::RETENTION)?.into_iter().collect();
        let rooms: Vec<_> = self.rooms.iter().map(|(room16, room)| (*room16, room.clone())).collect();
        for (room16, room) in rooms {
            let expected = match room.retention.is_bounded() {
                true => Some(values::encode_named(room.id.as_str())?),
                false => None,
            };
            if listed.remove(&keys::retained(&room16)) != expected {
                self.differ(format!("room {} is wrongly listed, or not, as one with a retention", room.id));
            }
            if room.first > Seq::ZERO.next() {
                listed.remove(&keys::trimmed(&room16));
            }
        }
        if !listed.is_empty() {
            self.differ(format!("{} rows about retention belong to no such room", listed.len()));
        }
        Ok(())
    }

    fn authors(&mut self) -> Result<(), StoreError> {
        let listed: BTreeSet<_> = self.table(table::AUTHOR)?.into_iter().map(|(key, _)| key).collect();
        let missing = self.authored.difference(&listed).count();
        let extra = listed.difference(&self.authored).count();
        if (missing, extra) != (0, 0) {
            self.differ(format!(
                "the index of authors lacks {missing} messages and has {extra} that are not there"
            ));
        }
        Ok(())
    }

    /// Continuations of texts: those that messages have were read with them, so only strays are left.
    fn texts(&mut self) -> Result<(), StoreError> {
        for (key, _) in self.table(table::TEXT)? {
            let (Some(room16), Some(seq)) = (keys::id_at(&key, 1), keys::seq_of(&key)) else {
                return Err(values::corrupt("a key of a text"));
            };
            let continued = match self.kv.get(&keys::message(&room16, seq))? {
                Some(row) => values::decode_message_row(&row)?.continued > 0,
                None => false,
            };
            if !continued {
                self.differ(format!("a text continues entry {seq}, which is no long message"));
            }
        }
        Ok(())
    }

    /// What stands against people is what the logs say.
    fn sanctions(&mut self) -> Result<(), StoreError> {
        let mut said = std::mem::take(&mut self.sanctions);
        said.retain(|_, (_, sanction)| *sanction != Sanction::default());
        // Of somebody who is erased it is forgotten.
        let erased: BTreeSet<_> =
            self.table(table::ERASURE)?.into_iter().filter_map(|(key, _)| keys::id_at(&key, 2)).collect();
        said.retain(|key, _| keys::id_at(key, 17).is_none_or(|user16| !erased.contains(&user16)));
        let mut stored = BTreeMap::new();
        for (key, row) in self.table(table::SANCTION)? {
            if keys::id_at(&key, 17).is_none_or(|user16| !erased.contains(&user16)) {
                stored.insert(key, values::decode_sanction(&row)?);
            }
        }
        if stored != said {
            self.differ("what stands against members is not what the logs say".to_owned());
        }
        Ok(())
    }

    fn differ(&mut self, difference: String) {
        self.differences.push(difference);
    }

    fn table(&self, table: u8) -> Result<Vec<KeyValue>, StoreError> {
        self.rows_under(&[table])
    }

    /// Rows but for those of deleted rooms.
    fn rows_under(&self, prefix: &[u8]) -> Result<Vec<KeyValue>, StoreError> {
        let mut rows = self.all_under(prefix)?;
        rows.retain(|(key, _)| room_in(key).is_none_or(|room16| !self.deleted.contains(&room16)));
        Ok(rows)
    }

    fn all_under(&self, prefix: &[u8]) -> Result<Vec<KeyValue>, StoreError> {
        let mut rows = Vec::new();
        self.kv.scan(prefix, &keys::after_prefix(prefix), Direction::Ascending, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }
}

/// The room as it stood before the first of its entries that are kept, as far as a replay depends on it. The cut
/// itself is one of them and says how things stood then.
fn before(room: &Room, entries: &BTreeMap<Seq, Entry>) -> Room {
    let unborn = Room::unborn(room.id.clone());
    if room.first <= Seq::ZERO.next() {
        return unborn;
    }
    let mut owners = 0;
    for entry in entries.values() {
        match &entry.change {
            Change::Describe(at) => {
                let owners = u32::try_from(i64::from(at.owners) - owners).unwrap_or_default();
                return Room {
                    head: room.first.previous(),
                    messages: room.trimmed,
                    owners,
                    ..(**at).clone()
                };
            }
            Change::Join { role, .. } => owners += i64::from(*role == Role::Owner),
            Change::Leave { role, .. } => owners -= i64::from(*role == Role::Owner),
            Change::UpdateMember(update) => {
                owners += i64::from(update.role == Some(Role::Owner));
                owners -= i64::from(update.was == Some(Role::Owner));
            }
            _ => {}
        }
    }
    unborn
}

/// The room in a key of a table whose rows go with a deleted room.
fn room_in(key: &[u8]) -> Option<Id16> {
    match *key.first()? {
        table::ROOM_OF_USER | table::AUTHOR | table::MARKER | table::DELIVERED => keys::id_at(key, 17),
        table::SENT => keys::id_at(key, 19),
        table::MEMBER | table::SANCTION | table::MESSAGE..=0x3f => keys::id_at(key, 1),
        _ => None,
    }
}

fn hex(id: &Id16) -> String {
    uuid::Uuid::from_bytes(*id).to_string()
}

#[cfg(test)]
mod tests;
