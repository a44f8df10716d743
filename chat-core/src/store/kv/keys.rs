//! Where each row stands: the first byte of a key names the table, the rest are fixed parts, big-endian, with at
//! most one variable part at the end. So rows that are read together stand together and sort by `seq`.
//!
//! | tag | key after the tag | row |
//! |---|---|---|
//! | `01` | name | meta: what is true of the store as a whole |
//! | `10` | user | profile |
//! | `11` | hash of the e-mail address | whose account has it |
//! | `12` | folded username | the user of that name |
//! | `13` | user, login | index: the logins of a user |
//! | `14` | user | how many rooms, and how often that changed |
//! | `15` | user | account: address, password hash, role |
//! | `16` | login | refresh tokens of a login |
//! | `17` | user | presence: what the user says about it, and when they were last there |
//! | `18` | user | token by which a forgotten password is replaced |
//! | `19` | look of a username | the account whose name looks so |
//! | `20` | room | what the room is: name, kind, description |
//! | `21` | room | its counters: head, messages, members, owners |
//! | `22` | room, user | membership |
//! | `23` | user, room | index: the rooms of a user |
//! | `24` | folded name | the public room of that name |
//! | `25` | room, user | what stands against a user in a room |
//! | `28` | room, user | invitation of the user to the room |
//! | `29` | user, invitation | index: where to the user is invited |
//! | `2A` | zero, room, link | index: the links into a room |
//! | `2A` | one, link | invitation link |
//! | `2B` | user, user | the first has blocked the second |
//! | `26` | `00`, eight zeros, room | deleted room whose memberships are to go |
//! | `26` | `01`, time, room | deleted room whose log is to go then |
//! | `30` | room, seq | entry that is a message |
//! | `31` | room, seq of the root, kind `u8`, seq | index: replies of a thread, all (0) and those not deleted (1) |
//! | `32` | room, seq, seq of the edit, part `u16` | text that the message had before that edit |
//! | `33` | room, seq, length `u8`, emoji, user | who put which emoji under the message |
//! | `34` | room, seq, emoji | how many did, and the first of them |
//! | `35` | room, level `u8`, row `u64` | how many messages are deleted, see [`super::tally`] |
//! | `36` | room, user, level `u8`, row `u64` | how many messages mention the user, likewise |
//! | `37` | room, level `u8`, row `u64` | how many messages mention all the room, likewise |
//! | `38` | user, room, seq | index: the messages of an author |
//! | `39` | room, seq, part `u16` | continuation of a long text |
//! | `3A` | room, seq | entry that is no message |
//! | `3B` | room, seq | index: the pinned messages |
//! | `3C` | room, seq | deleted message of which rows of `33` are still to be swept |
//! | `3D` | room, seq, number `u8` | file that a message refers to |
//! | `40` | user, room | how far the user has read |
//! | `41` | user, room | up to where the room was delivered to the user |
//! | `50` | week `u16`, user, room, client's key | what was sent under a key |
//! | `53 00` | file | what is remembered of an uploaded file |
//! | `53 01` | user, file | index: the files of a user |
//! | `53 02` | file, room, seq | index: the messages that refer to a file |
//! | `53 03` | file, room, held message | index: the held messages that refer to it |
//! | `53 04` | time, file | file that may be nobody's from then on |
//! | `53 05` | user | how many files and bytes the user has |
//! | `60` | room, number `u64` | record of an audit log |
//! | `61` | room | how many records its audit log has, and the hash of the newest |
//! | `62 00` | room, `00` open or `01` resolved, report | report of a message |
//! | `62 01` | room | how many reports there are |
//! | `62 02` | reporter, room, seq | the report of this message by this user |
//! | `62 03` | author, room, report | index: the reports of an author's messages |
//! | `62 04` | room, report, part `u16` | continuation of a long text |
//! | `62 05` | room, report, number `u8` | file that the reported message referred to |
//! | `63 00` | room, held message | message held for review |
//! | `63 01` | room | how many messages are held |
//! | `63 02` | author, room, hash of the client's key | the message held under this key |
//! | `63 03` | author, room, held message | index: the held messages of an author |
//! | `63 04` | room, held message, part `u16` | continuation of a long text |
//! | `63 05` | room, held message, number `u8` | file that it refers to |
//! | `64` | `00`, room | index: the rooms that have a retention |
//! | `64` | `01`, room | room of which rows that were cut are still to be swept |
//! | `65 00` | user | erasure of the user: how far it has come |
//! | `65 01` | user | index: erasures that are not at their end |
//! | `65 02` | number `u64` | index: who was erased, in that order |
//!
//! Users and rooms are 16 bytes each, see [`id16`]. The tags `52` and `54` to `A0` are kept free for search and
//! expiry.

use crate::{
    domain::{Emoji, LinkId, RoomName, Username},
    id::{ClientMessageId, RoomId, Seq, UserId},
    time::Timestamp,
};

/// The tables.
pub(super) mod table {
    pub(in super::super) const META: u8 = 0x01;
    pub(in super::super) const USER: u8 = 0x10;
    #[cfg(feature = "accounts")]
    pub(in super::super) const EMAIL: u8 = 0x11;
    pub(in super::super) const USERNAME: u8 = 0x12;
    pub(in super::super) const USER_COUNT: u8 = 0x14;
    #[cfg(feature = "accounts")]
    pub(in super::super) const ACCOUNT: u8 = 0x15;
    #[cfg(feature = "accounts")]
    pub(in super::super) const FAMILY: u8 = 0x16;
    #[cfg(feature = "accounts")]
    pub(in super::super) const LOGIN_OF_USER: u8 = 0x13;
    #[cfg(feature = "accounts")]
    pub(in super::super) const RESET: u8 = 0x18;
    #[cfg(feature = "accounts")]
    pub(in super::super) const LOOK: u8 = 0x19;
    pub(in super::super) const PRESENCE: u8 = 0x17;
    pub(in super::super) const ROOM: u8 = 0x20;
    pub(in super::super) const ROOM_COUNT: u8 = 0x21;
    pub(in super::super) const MEMBER: u8 = 0x22;
    pub(in super::super) const ROOM_OF_USER: u8 = 0x23;
    pub(in super::super) const ROOM_NAME: u8 = 0x24;
    pub(in super::super) const SANCTION: u8 = 0x25;
    pub(in super::super) const INVITE: u8 = 0x28;
    pub(in super::super) const INVITE_OF_USER: u8 = 0x29;
    pub(in super::super) const LINK: u8 = 0x2A;
    pub(in super::super) const BLOCK: u8 = 0x2B;
    pub(in super::super) const DROPPED: u8 = 0x26;
    pub(in super::super) const MESSAGE: u8 = 0x30;
    pub(in super::super) const THREAD: u8 = 0x31;
    pub(in super::super) const FORMER: u8 = 0x32;
    pub(in super::super) const REACTED: u8 = 0x33;
    pub(in super::super) const REACTION: u8 = 0x34;
    pub(in super::super) const TOMBSTONES: u8 = 0x35;
    pub(in super::super) const MENTIONS: u8 = 0x36;
    pub(in super::super) const ROOM_MENTIONS: u8 = 0x37;
    pub(in super::super) const AUTHOR: u8 = 0x38;
    pub(in super::super) const TEXT: u8 = 0x39;
    pub(in super::super) const EVENT: u8 = 0x3A;
    pub(in super::super) const PIN: u8 = 0x3B;
    pub(in super::super) const UNSWEPT: u8 = 0x3C;
    pub(in super::super) const ATTACHMENT: u8 = 0x3D;
    pub(in super::super) const MARKER: u8 = 0x40;
    pub(in super::super) const DELIVERED: u8 = 0x41;
    pub(in super::super) const SENT: u8 = 0x50;
    pub(in super::super) const FILE: u8 = 0x53;
    pub(in super::super) const AUDIT: u8 = 0x60;
    pub(in super::super) const AUDIT_HEAD: u8 = 0x61;
    pub(in super::super) const REPORT: u8 = 0x62;
    pub(in super::super) const HELD: u8 = 0x63;
    pub(in super::super) const RETENTION: u8 = 0x64;
    pub(in super::super) const ERASURE: u8 = 0x65;
}

/// An identifier inside a key.
pub(super) type Id16 = [u8; 16];

/// Milliseconds of a week.
const WEEK_MILLIS: i64 = 7 * 24 * 60 * 60 * 1_000;

/// Bytes of a folded name that a key holds before the rest is replaced by a hash.
const NAME_BYTES: usize = 200;

/// The 16 bytes for an identifier: those of a canonical UUID; for anything else a hash that has the form of a
/// UUID of version 8. UUIDs of that version are hashed too, so that the two never meet.
pub(super) fn id16(text: &str) -> Id16 {
    match canonical_uuid(text) {
        Some(bytes) if bytes[6] >> 4 != 8 => bytes,
        _ => {
            let hash = blake3::hash(text.as_bytes());
            let mut bytes = [0; 16];
            bytes.copy_from_slice(&hash.as_bytes()[..16]);
            bytes[6] = bytes[6] & 0x0f | 0x80;
            bytes[8] = bytes[8] & 0x3f | 0x80;
            bytes
        }
    }
}

/// The bytes of a UUID that is written as UUIDs are written: lower case, with hyphens.
pub(super) fn canonical_uuid(text: &str) -> Option<Id16> {
    if text.len() != 36 {
        return None;
    }
    let uuid = uuid::Uuid::try_parse(text).ok()?;
    let mut buffer = uuid::Uuid::encode_buffer();
    (uuid.hyphenated().encode_lower(&mut buffer) == text).then(|| uuid.into_bytes())
}

pub(super) fn user16(user: &UserId) -> Id16 {
    id16(user.as_str())
}

pub(super) fn room16(room: &RoomId) -> Id16 {
    id16(room.as_str())
}

/// A key of these parts.
pub(super) fn key(table: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(table);
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}

pub(super) fn meta(name: &str) -> Vec<u8> {
    key(table::META, &[name.as_bytes()])
}

pub(super) fn user(user: &Id16) -> Vec<u8> {
    key(table::USER, &[user])
}

pub(super) fn username(name: &Username) -> Vec<u8> {
    key(table::USERNAME, &[name.key().as_bytes()])
}

pub(super) fn user_count(user: &Id16) -> Vec<u8> {
    key(table::USER_COUNT, &[user])
}

pub(super) fn presence(user: &Id16) -> Vec<u8> {
    key(table::PRESENCE, &[user])
}

pub(super) fn room(room: &Id16) -> Vec<u8> {
    key(table::ROOM, &[room])
}

pub(super) fn room_count(room: &Id16) -> Vec<u8> {
    key(table::ROOM_COUNT, &[room])
}

pub(super) fn member(room: &Id16, user: &Id16) -> Vec<u8> {
    key(table::MEMBER, &[room, user])
}

pub(super) fn room_of_user(user: &Id16, room: &Id16) -> Vec<u8> {
    key(table::ROOM_OF_USER, &[user, room])
}

pub(super) fn sanction(room: &Id16, user: &Id16) -> Vec<u8> {
    key(table::SANCTION, &[room, user])
}

pub(super) fn audit(room: &Id16, number: u64) -> Vec<u8> {
    key(table::AUDIT, &[room, &number.to_be_bytes()])
}

pub(super) fn audit_head(room: &Id16) -> Vec<u8> {
    key(table::AUDIT_HEAD, &[room])
}

pub(super) fn dropped_members(room: &Id16) -> Vec<u8> {
    key(table::DROPPED, &[&[0], &[0; 8], room])
}

/// Where the rows of [`dropped_members`] begin and end.
pub(super) fn all_dropped_members() -> (Vec<u8>, Vec<u8>) {
    (key(table::DROPPED, &[&[0]]), key(table::DROPPED, &[&[1]]))
}

pub(super) fn dropped_log(room: &Id16, due: Timestamp) -> Vec<u8> {
    key(table::DROPPED, &[&[1], &sortable(due), room])
}

/// Where the rows of [`dropped_log`] begin, and end that are due.
pub(super) fn dropped_logs_until(now: Timestamp) -> (Vec<u8>, Vec<u8>) {
    let end = key(table::DROPPED, &[&[1], &sortable(now), &[0xff; 16]]);
    (key(table::DROPPED, &[&[1]]), after_key(&end))
}

pub(super) fn retained(room: &Id16) -> Vec<u8> {
    key(table::RETENTION, &[&[0], room])
}

/// Where the rows of [`retained`] begin.
pub(super) fn all_retained() -> Vec<u8> {
    key(table::RETENTION, &[&[0]])
}

pub(super) fn trimmed(room: &Id16) -> Vec<u8> {
    key(table::RETENTION, &[&[1], room])
}

/// Where the rows of [`trimmed`] begin.
pub(super) fn all_trimmed() -> Vec<u8> {
    key(table::RETENTION, &[&[1]])
}

/// An instant as bytes that sort as instants do.
pub(super) fn sortable(at: Timestamp) -> [u8; 8] {
    (at.as_millis().cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// The instant of [`sortable`] at an offset of a key.
pub(super) fn instant_at(key: &[u8], offset: usize) -> Option<Timestamp> {
    let bytes = key.get(offset..offset + 8)?.try_into().ok()?;
    Some(Timestamp::from_millis((u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed()))
}

/// Names sort as their folded forms do. Folding can make a name many times longer, so what is over 200 bytes
/// is replaced by `FF` (which stands in no UTF-8) and a hash of the whole.
pub(super) fn room_name(name: &RoomName) -> Vec<u8> {
    let folded = name.key();
    if folded.len() <= NAME_BYTES {
        return key(table::ROOM_NAME, &[folded.as_bytes()]);
    }
    let hash = blake3::hash(folded.as_bytes());
    let head = &folded.as_bytes()[..folded.floor_char_boundary(NAME_BYTES)];
    key(table::ROOM_NAME, &[head, &[0xff], &hash.as_bytes()[..16]])
}

/// The folded name in a key of [`room_name`], or `None` when it was too long to stand there whole.
pub(super) fn folded_name(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(1..)?).ok()
}

pub(super) fn invite(room: &Id16, user: &Id16) -> Vec<u8> {
    key(table::INVITE, &[room, user])
}

/// Where the invitations to a room begin.
pub(super) fn invites(room: &Id16) -> Vec<u8> {
    key(table::INVITE, &[room])
}

pub(super) fn invite_of_user(user: &Id16, invite: &Id16) -> Vec<u8> {
    key(table::INVITE_OF_USER, &[user, invite])
}

/// Where the invitations of a user begin.
pub(super) fn invites_of_user(user: &Id16) -> Vec<u8> {
    key(table::INVITE_OF_USER, &[user])
}

pub(super) fn link(link: LinkId) -> Vec<u8> {
    key(table::LINK, &[&[1], link.as_bytes()])
}

pub(super) fn link_of_room(room: &Id16, link: LinkId) -> Vec<u8> {
    key(table::LINK, &[&[0], room, link.as_bytes()])
}

/// Where the links into a room begin.
pub(super) fn links_of_room(room: &Id16) -> Vec<u8> {
    key(table::LINK, &[&[0], room])
}

pub(super) fn block(by: &Id16, user: &Id16) -> Vec<u8> {
    key(table::BLOCK, &[by, user])
}

/// Where all blocks of a user begin.
pub(super) fn blocks(by: &Id16) -> Vec<u8> {
    key(table::BLOCK, &[by])
}

pub(super) fn message(room: &Id16, seq: Seq) -> Vec<u8> {
    key(table::MESSAGE, &[room, &seq.get().to_be_bytes()])
}

pub(super) fn event(room: &Id16, seq: Seq) -> Vec<u8> {
    key(table::EVENT, &[room, &seq.get().to_be_bytes()])
}

pub(super) fn author(user: &Id16, room: &Id16, seq: Seq) -> Vec<u8> {
    key(table::AUTHOR, &[user, room, &seq.get().to_be_bytes()])
}

pub(super) fn text(room: &Id16, seq: Seq, part: u16) -> Vec<u8> {
    key(table::TEXT, &[room, &seq.get().to_be_bytes(), &part.to_be_bytes()])
}

/// The replies of a thread: all of them, or those that are not deleted.
pub(super) fn thread(room: &Id16, root: Seq, living: bool, reply: Seq) -> Vec<u8> {
    let (root, reply) = (root.get().to_be_bytes(), reply.get().to_be_bytes());
    key(table::THREAD, &[room, &root, &[u8::from(living)], &reply])
}

/// The reply in a key of [`thread`].
pub(super) fn reply_of(key: &[u8]) -> Option<Seq> {
    let bytes = key.get(26..34)?.try_into().ok()?;
    Some(Seq::new(u64::from_be_bytes(bytes)))
}

/// Part 0 is the row, later parts continue its text.
pub(super) fn former(room: &Id16, seq: Seq, edit: Seq, part: u16) -> Vec<u8> {
    let (seq, edit) = (seq.get().to_be_bytes(), edit.get().to_be_bytes());
    key(table::FORMER, &[room, &seq, &edit, &part.to_be_bytes()])
}

/// The edit and the part in a key of [`former`].
pub(super) fn edit_of(key: &[u8]) -> Option<(Seq, u16)> {
    let edit = key.get(25..33)?.try_into().ok()?;
    let part = key.get(33..35)?.try_into().ok()?;
    Some((Seq::new(u64::from_be_bytes(edit)), u16::from_be_bytes(part)))
}

pub(super) fn reacted(room: &Id16, seq: Seq, emoji: &Emoji, user: &Id16) -> Vec<u8> {
    let emoji = emoji.as_str().as_bytes();
    // An emoji has at most 64 bytes.
    let length = u8::try_from(emoji.len()).unwrap_or(u8::MAX);
    key(table::REACTED, &[room, &seq.get().to_be_bytes(), &[length], emoji, user])
}

/// The emoji in a key of [`reacted`].
pub(super) fn emoji_reacted(key: &[u8]) -> Option<&str> {
    let length = usize::from(*key.get(25)?);
    std::str::from_utf8(key.get(26..26 + length)?).ok()
}

pub(super) fn reaction(room: &Id16, seq: Seq, emoji: &Emoji) -> Vec<u8> {
    key(table::REACTION, &[room, &seq.get().to_be_bytes(), emoji.as_str().as_bytes()])
}

/// The emoji in a key of [`reaction`].
pub(super) fn emoji_of(key: &[u8]) -> Option<&str> {
    std::str::from_utf8(key.get(25..)?).ok()
}

/// All keys of a table that are about one message begin so.
pub(super) fn of_message(table: u8, room: &Id16, seq: Seq) -> Vec<u8> {
    key(table, &[room, &seq.get().to_be_bytes()])
}

pub(super) fn pin(room: &Id16, seq: Seq) -> Vec<u8> {
    of_message(table::PIN, room, seq)
}

pub(super) fn attachment(room: &Id16, seq: Seq, number: u8) -> Vec<u8> {
    key(table::ATTACHMENT, &[room, &seq.get().to_be_bytes(), &[number]])
}

pub(super) fn unswept(room: &Id16, seq: Seq) -> Vec<u8> {
    of_message(table::UNSWEPT, room, seq)
}

pub(super) fn marker(user: &Id16, room: &Id16) -> Vec<u8> {
    key(table::MARKER, &[user, room])
}

pub(super) fn delivered(user: &Id16, room: &Id16) -> Vec<u8> {
    key(table::DELIVERED, &[user, room])
}

/// A client's key stands as it is up to 64 bytes, after a zero; a longer one (it may have 256) as a hash, after
/// a one; a canonical UUID, which most are, as its 16 bytes, after a two.
pub(super) fn sent(week: u16, user: &Id16, room: &Id16, client: &ClientMessageId) -> Vec<u8> {
    let week = week.to_be_bytes();
    if let Some(uuid) = canonical_uuid(client.as_str()) {
        return key(table::SENT, &[&week, user, room, &[2], &uuid]);
    }
    let client = client.as_str().as_bytes();
    if client.len() <= 64 {
        key(table::SENT, &[&week, user, room, &[0], client])
    } else {
        key(table::SENT, &[&week, user, room, &[1], blake3::hash(client).as_bytes()])
    }
}

/// Where a week of sent keys begins.
pub(super) fn sent_week(week: u16) -> Vec<u8> {
    key(table::SENT, &[&week.to_be_bytes()])
}

/// The week of an instant, counted from the Unix epoch.
pub(super) fn week(at: Timestamp) -> u16 {
    let week = at.as_millis().div_euclid(WEEK_MILLIS).clamp(0, i64::from(u16::MAX));
    u16::try_from(week).unwrap_or(u16::MAX)
}

/// The `seq` in a key of the tables `30` to `34`, `39` to `3C`.
pub(super) fn seq_of(key: &[u8]) -> Option<Seq> {
    let bytes = key.get(17..25)?.try_into().ok()?;
    Some(Seq::new(u64::from_be_bytes(bytes)))
}

/// The `seq` at an offset of a key.
pub(super) fn seq_at(key: &[u8], offset: usize) -> Option<Seq> {
    let bytes = key.get(offset..offset + 8)?.try_into().ok()?;
    Some(Seq::new(u64::from_be_bytes(bytes)))
}

/// The 16 bytes at an offset of a key.
pub(super) fn id_at(key: &[u8], offset: usize) -> Option<Id16> {
    key.get(offset..offset + 16)?.try_into().ok()
}

/// The first key after all that begin with `prefix`.
pub(super) fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            break;
        }
    }
    end
}

/// The smallest key after this one.
pub(super) fn after_key(key: &[u8]) -> Vec<u8> {
    let mut next = key.to_vec();
    next.push(0);
    next
}

#[cfg(test)]
mod tests;
