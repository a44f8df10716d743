//! Recounting everything that is kept twice.

mod rework;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::ControlFlow,
};

use super::{
    Direction, OrderedKv,
    keys::{self, Id16, table},
    log::{attachments, continuation, text_of},
    tally::{Counts, Tally, decode},
    values::{self, v1},
    view::Raw,
};
use crate::{
    domain::{Change, Entry, Member, Message, Role, Room, RoomKind, Sanction},
    id::{RoomId, Seq, UserId},
    limits::UNATTENDED_UNREAD_MAX,
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

    /// Names of public rooms: each room has its own, and no name is left over.
    fn names(&mut self) -> Result<(), StoreError> {
        let mut named = BTreeSet::new();
        for (key, row) in self.table(table::ROOM_NAME)? {
            let id = values::decode::<v1::Named<'_>>(&row)?.id.room()?;
            match self.rooms.get(&keys::room16(&id)) {
                Some(room) if room.kind == RoomKind::Public && keys::room_name(&room.name) == key => {
                    named.insert(keys::room16(&id));
                }
                _ => self.differ(format!("a name belongs to room {id}, which has another or is not public")),
            }
        }
        let nameless =
            |(room16, room): &(&Id16, &Room)| room.kind == RoomKind::Public && !named.contains(*room16);
        let nameless: Vec<_> = self.rooms.iter().filter(nameless).map(|(_, room)| room.id.clone()).collect();
        for room in nameless {
            self.differ(format!("public room {room} does not hold its name"));
        }
        Ok(())
    }

    fn users(&mut self) -> Result<(), StoreError> {
        let mut names: HashMap<_, _> = self.table(table::USERNAME)?.into_iter().collect();
        for (_, row) in self.table(table::USER)? {
            let user = values::decode_user(&row)?;
            if user.is_erased() {
                continue;
            }
            let holder = names.remove(&keys::username(&user.username));
            let holder = holder.map(|row| values::decode::<v1::Named<'_>>(&row)?.id.user()).transpose()?;
            if holder.as_ref() != Some(&user.id) {
                self.differ(format!("user {} does not hold their name", user.id));
            }
        }
        if !names.is_empty() {
            self.differ(format!("{} usernames belong to nobody", names.len()));
        }
        Ok(())
    }

    /// Memberships against counts of rooms, the users' lists and their counters.
    fn memberships(&mut self) -> Result<(), StoreError> {
        let mut listed: BTreeSet<_> =
            self.table(table::ROOM_OF_USER)?.into_iter().map(|(key, _)| key).collect();
        let mut of_room: HashMap<Id16, (u32, u32)> = HashMap::new();
        let mut of_user: HashMap<Id16, u32> = HashMap::new();
        for (key, row) in self.table(table::MEMBER)? {
            let (Some(room16), Some(user16)) = (keys::id_at(&key, 1), keys::id_at(&key, 17)) else {
                return Err(values::corrupt("a key of a membership"));
            };
            let Member { user, role, joined, .. } = values::decode_member(&row)?;
            let (members, owners) = of_room.entry(room16).or_default();
            *members += 1;
            *owners += u32::from(role == Role::Owner);
            let direct = self.rooms.get(&room16).is_some_and(|room| room.kind == RoomKind::Direct);
            *of_user.entry(user16).or_default() += u32::from(!direct);
            if keys::user16(&user) != user16 {
                self.differ(format!("the membership of user {user} stands under another key"));
            }
            if !listed.remove(&keys::room_of_user(&user16, &room16)) {
                self.differ(format!("a room of user {user} is missing in their list"));
            }
            if self.rooms.get(&room16).is_none_or(|room| joined > room.head) {
                self.differ(format!("user {user} joined at entry {joined}, which is not there"));
            }
        }
        // Memberships of deleted rooms count until they are gone.
        for (key, _) in self.all_under(&[table::MEMBER])? {
            if let (Some(room16), Some(user16)) = (keys::id_at(&key, 1), keys::id_at(&key, 17))
                && self.deleted.contains(&room16)
            {
                *of_user.entry(user16).or_default() += 1;
            }
        }
        if !listed.is_empty() {
            self.differ(format!("{} rooms are listed for users who are no members", listed.len()));
        }
        let counted: Vec<_> = self.rooms.iter().map(|(room16, room)| (*room16, room.clone())).collect();
        for (room16, room) in counted {
            let (members, owners) = of_room.remove(&room16).unwrap_or_default();
            if (room.members, room.owners) != (members, owners) {
                let Room { id, members: said, owners: said_owners, .. } = room;
                self.differ(format!(
                    "room {id} counts {said} members and {said_owners} owners but has {members} and {owners}"
                ));
            }
        }
        for (key, row) in self.table(table::USER_COUNT)? {
            let Some(user16) = keys::id_at(&key, 1) else {
                return Err(values::corrupt("a key of a counter"));
            };
            let said = values::decode::<v1::UserCount>(&row)?.rooms;
            let rooms = of_user.remove(&user16).unwrap_or_default();
            if said != rooms {
                self.differ(format!("user {} counts {said} rooms but has {rooms}", hex(&user16)));
            }
        }
        if !of_user.is_empty() {
            self.differ(format!("{} members have no count of rooms", of_user.len()));
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

    /// Every member has a marker at an entry that is there, with the ordinal that belongs to it, and behind no
    /// more of their own messages than are released without them.
    fn markers(&mut self) -> Result<(), StoreError> {
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

    fn delivered(&mut self) -> Result<(), StoreError> {
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
    fn tally(&mut self, tally: &Tally, number: u64) {
        for (key, place) in tally.rows_of(number) {
            *self.tallied.entry(key).or_default().entry(place).or_default() += 1;
        }
    }

    /// Counts of deletions and mentions against the messages.
    fn tallies(&mut self) -> Result<(), StoreError> {
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
    fn sent(&mut self) -> Result<(), StoreError> {
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
mod tests {
    use super::*;
    use crate::{
        domain::{
            Actor, Attachment, Attachments, Command, Content, Cut, Draft, Emoji, KeptPresence, LinkId,
            LinkSpec, MembersOnly, MessageType, Moderation, Needs, Plan, Request, Retention, RoomChange,
            RoomSpec, Rows, TextRules, Username,
        },
        id::{ClientMessageId, InviteId, UserId},
        store::{
            Block, Maintenance, PeopleStore, RoomStore, UserProfile, UserStore,
            kv::{KvBatch, KvStore, MemKv},
        },
        time::Timestamp,
    };

    /// A store with one row, at least, in every table.
    async fn filled() -> MemKv {
        let kv = MemKv::new();
        let store = KvStore::inline(kv.clone()).unwrap();
        let alice = UserId::parse("alice").unwrap();
        let username = Username::parse("alice").unwrap();
        let at = Timestamp::from_millis(1_790_000_000_000);
        store
            .create_user(UserProfile { id: alice.clone(), username, created_at: at, external: false })
            .await
            .unwrap();
        store.save_presences(vec![(alice.clone(), KeptPresence::default())]).await.unwrap();
        let unborn = Room::unborn(RoomId::parse("lobby").unwrap());
        let rules = TextRules { content_chars: 20_000 };
        let bob = UserId::parse("bob").unwrap();
        let rows = Rows {
            members: HashMap::from([(bob.clone(), None)]),
            profiles: [bob.clone()].into(),
            targets: [3, 4].map(|seq| (Seq::new(seq), None)).into(),
            pins: Some(0),
            ..Rows::default()
        };
        let mut plan = Plan::on(&unborn, rows, &MembersOnly, rules);
        let text = |text: &str, key: Option<&str>| {
            Command::Send(Draft {
                client_message_id: key.map(|key| ClientMessageId::parse(key).unwrap()),
                ..Draft::new(Content::parse(text, rules).unwrap())
            })
        };
        let files = Attachments::from_stored(vec![Attachment {
            file_id: "f".to_owned(),
            name: "n".to_owned(),
            mime: "a/b".to_owned(),
            size: 1,
            url: "/u".to_owned(),
            width: None,
            height: None,
        }]);
        let commands = [
            Command::Create(RoomSpec::public("Lobby").unwrap()),
            text("short", Some("k")),
            text(&"long".repeat(4_000), None),
            Command::Edit {
                target: Seq::new(4),
                content: Content::parse(&"longer".repeat(3_000), rules).unwrap(),
            },
            Command::Send(
                Draft::text("reply").unwrap().in_thread(Seq::new(3)).with(MessageType::File, files),
            ),
            Command::React { target: Seq::new(3), emoji: Emoji::parse("👍").unwrap() },
            Command::Pin { target: Seq::new(3) },
            Command::Moderate(Moderation::ban(bob.clone(), None)),
        ];
        for command in commands {
            plan.decide(&Request { actor: Actor::new(alice.clone()), at, command }).unwrap();
        }
        store.commit(plan.into_commit().unwrap()).await.unwrap();
        let bob = UserId::parse("bob").unwrap();
        let unborn = Room::unborn(RoomId::direct(&alice, &bob));
        let mut plan = Plan::on(&unborn, Rows::default(), &MembersOnly, rules);
        let command = Command::SendDirect(bob.clone(), Draft::text("to you").unwrap());
        plan.decide(&Request { actor: Actor::new(alice.clone()), at, command }).unwrap();
        store.commit(plan.into_commit().unwrap()).await.unwrap();
        store.block(Block { by: alice.clone(), user: bob, at }).await.unwrap();
        let carol = UserId::parse("carol").unwrap();
        let lobby = store.room(&RoomId::parse("lobby").unwrap()).await.unwrap().unwrap();
        let username = Username::parse("carol").unwrap();
        let profile = UserProfile { id: carol.clone(), username, created_at: at, external: false };
        store.create_user(profile).await.unwrap();
        let needs = Needs {
            members: vec![alice.clone(), carol.clone()],
            profiles: vec![carol.clone()],
            ..Needs::default()
        };
        let rows = store.gather(&lobby.id, &needs).await.unwrap();
        let mut plan = Plan::on(&lobby, rows, &MembersOnly, rules);
        let spec = LinkSpec::new(None, Some(2)).unwrap();
        for command in [
            Command::Invite(carol, InviteId::parse("invite").unwrap()),
            Command::CreateLink(LinkId::from_bytes([7; 16]), spec),
        ] {
            plan.decide(&Request { actor: Actor::new(alice.clone()), at, command }).unwrap();
        }
        store.commit(plan.into_commit().unwrap()).await.unwrap();
        let dan = Actor::new(UserId::parse("dan").unwrap());
        let mut plan =
            Plan::on(&Room::unborn(RoomId::parse("short").unwrap()), Rows::default(), &MembersOnly, rules);
        let spec = RoomSpec::private("Short").unwrap();
        let change = RoomChange { retention_messages: Some(Some(1)), ..RoomChange::default() };
        let retention = Retention { days: None, messages: Some(1) };
        let cut = Cut { retention, first: Seq::new(4), trimmed: 1 };
        for command in [
            Command::Create(spec),
            text("cut", None),
            text("kept", None),
            Command::Update(change),
            Command::Trim(cut),
        ] {
            plan.decide(&Request { actor: dan.clone(), at, command }).unwrap();
        }
        store.commit(plan.into_commit().unwrap()).await.unwrap();
        while store.sweep(at).await.unwrap() {}
        kv
    }

    fn all_rows(kv: &MemKv) -> Vec<KeyValue> {
        let mut rows = Vec::new();
        let visit = &mut |key: &[u8], value: &[u8]| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        };
        kv.scan(&[0x02], &[0xff], Direction::Ascending, visit).unwrap();
        rows
    }

    fn set(kv: &MemKv, key: &[u8], value: Option<Vec<u8>>) {
        kv.apply(KvBatch { changes: vec![(key.to_vec(), value)] }).unwrap();
    }

    fn is_noticed(kv: &MemKv) -> bool {
        verify(kv).map_or(true, |differences| !differences.is_empty())
    }

    #[tokio::test]
    async fn a_row_that_is_missing_is_noticed_unless_nothing_depends_on_it() {
        let kv = filled().await;
        assert_eq!(verify(&kv), Ok(Vec::new()));
        for (key, value) in all_rows(&kv) {
            set(&kv, &key, None);
            // Presences, blocks and what was sent under keys are kept once: they may go.
            let kept_twice = !matches!(key[0], table::PRESENCE | table::BLOCK | table::SENT);
            assert_eq!(is_noticed(&kv), kept_twice, "table {:02x}", key[0]);
            set(&kv, &key, Some(value));
        }
        assert_eq!(verify(&kv), Ok(Vec::new()));
    }

    #[tokio::test]
    async fn a_row_under_another_key_is_noticed_in_every_table() {
        let kv = filled().await;
        let tables: BTreeSet<u8> = all_rows(&kv).iter().map(|(key, _)| key[0]).collect();
        let expected = [
            table::USER,
            table::USERNAME,
            table::USER_COUNT,
            table::PRESENCE,
            table::ROOM,
            table::ROOM_COUNT,
            table::MEMBER,
            table::ROOM_OF_USER,
            table::ROOM_NAME,
            table::SANCTION,
            table::INVITE,
            table::INVITE_OF_USER,
            table::LINK,
            table::BLOCK,
            table::MESSAGE,
            table::THREAD,
            table::FORMER,
            table::ATTACHMENT,
            table::REACTED,
            table::REACTION,
            table::PIN,
            table::AUTHOR,
            table::TEXT,
            table::EVENT,
            table::MARKER,
            table::SENT,
            table::AUDIT,
            table::AUDIT_HEAD,
            table::RETENTION,
        ];
        assert_eq!(tables, BTreeSet::from(expected));
        // Whoever belongs to direct rooms only counts no rooms, as does whoever has left all of theirs.
        let uncounted = keys::user_count(&keys::id16("bob"));
        for (key, value) in all_rows(&kv).into_iter().filter(|(key, _)| *key != uncounted) {
            let mut other = key.clone();
            // A marker stands under a user, who need not be a member, and a room, which has to be there.
            other[if key[0] == table::MARKER { 20 } else { 3 }] ^= 0x01;
            set(&kv, &other, Some(value));
            assert!(is_noticed(&kv), "table {:02x}", key[0]);
            set(&kv, &other, None);
        }
        assert_eq!(verify(&kv), Ok(Vec::new()));
    }

    #[tokio::test]
    async fn a_wrong_count_and_a_marker_beyond_the_head_are_noticed() {
        let kv = filled().await;
        let room16 = keys::id16("lobby");
        let user16 = keys::id16("alice");
        let wrong = [
            (
                keys::room_count(&room16),
                values::encode(&v1::RoomCount { head: 9, messages: 3, members: 2, owners: 1 }),
            ),
            (
                keys::room_count(&room16),
                values::encode(&v1::RoomCount { head: 9, messages: 2, members: 1, owners: 1 }),
            ),
            (
                keys::room_count(&room16),
                values::encode(&v1::RoomCount { head: 4, messages: 2, members: 1, owners: 1 }),
            ),
            (keys::user_count(&user16), values::encode(&v1::UserCount { rooms: 2, version: 1 })),
            (keys::marker(&user16, &room16), values::encode(&v1::Marker { seq: 10, ordinal: 2 })),
        ];
        for (key, value) in wrong {
            let right = kv.get(&key).unwrap();
            set(&kv, &key, Some(value.unwrap()));
            let differences = verify(&kv).unwrap();
            assert!(!differences.is_empty(), "table {:02x}", key[0]);
            set(&kv, &key, right);
        }
        assert_eq!(verify(&kv), Ok(Vec::new()));
    }
}
