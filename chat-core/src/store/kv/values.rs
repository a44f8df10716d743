//! What stands in each row: one byte, the version of the value, then the postcard encoding of a struct of that
//! version ([`v1`]). The domain's types never derive the encoding, so that changing them changes no file.

mod events;
mod messages;
pub(super) mod v1;
pub(super) mod v2;

use serde::{Deserialize, Serialize};

use super::keys::canonical_uuid;
use crate::{
    domain::{
        AuditHash, AuditRecord, Description, DisplayName, History, Marker, Member, Retention, Role, Room,
        RoomKind, RoomName, Sanction, Sent, Username,
    },
    id::{RoomId, Seq, UserId},
    store::{StoreError, UserProfile},
    time::Timestamp,
};

pub(super) use self::{
    events::{decode_event, encode_event},
    messages::{
        Telling, attachments, decode_attachment, decode_author, decode_former, decode_message,
        decode_message_row, decode_ordinal, decode_reaction, decode_sent_at, encode_attachment,
        encode_former, encode_message, encode_message_row, encode_reacted, encode_reaction, mention_rows,
        mentions_in, message_type_byte, message_type_of, split_text, text_bytes, whole_text,
    },
};

/// The version written, but of messages to which something was done.
const VERSION: u8 = 1;

/// The version of those.
const MESSAGE_VERSION: u8 = 2;

/// The version of users of whom there is more to say than a name.
const USER_VERSION: u8 = 2;

/// A row that says all by being there.
pub(super) const PRESENT: &[u8] = &[VERSION];

/// Bytes of a text that stand in the message's own row; with what stands beside it this stays under
/// [`crate::limits::STORE_VALUE_BYTES_MAX`].
pub(super) const TEXT_INLINE_BYTES: usize = 6_000;

/// Bytes of a text in one continuation row.
pub(super) const TEXT_PART_BYTES: usize = 6_900;

/// Encodes a value of the present version.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    encode_as(VERSION, value)
}

pub(super) fn encode_as<T: Serialize>(version: u8, value: &T) -> Result<Vec<u8>, StoreError> {
    let buffer = Vec::with_capacity(96);
    let mut buffer = postcard::to_extend(&version, buffer).map_err(|_| StoreError::TooLarge)?;
    buffer = postcard::to_extend(value, buffer).map_err(|_| StoreError::TooLarge)?;
    Ok(buffer)
}

/// Decodes a value that has one version only.
pub(super) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => decode_rest(rest),
        Some((&found, _)) if found > VERSION => Err(StoreError::TooNew { found }),
        _ => Err(corrupt("a value has no version")),
    }
}

pub(super) fn decode_rest<'a, T: Deserialize<'a>>(rest: &'a [u8]) -> Result<T, StoreError> {
    match postcard::take_from_bytes(rest) {
        Ok((value, [])) => Ok(value),
        _ => Err(corrupt("a value does not decode")),
    }
}

/// What is stored contradicts itself.
pub(super) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(what.to_owned())
}

impl<'a> v1::Id<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        canonical_uuid(text).map_or(Self::Text(text), Self::Uuid)
    }

    pub(super) fn user(&self) -> Result<UserId, StoreError> {
        self.parse(UserId::parse)
    }

    pub(super) fn room(&self) -> Result<RoomId, StoreError> {
        self.parse(RoomId::parse)
    }

    pub(super) fn parse<T, E>(&self, parse: impl Fn(&str) -> Result<T, E>) -> Result<T, StoreError> {
        let parsed = match self {
            Self::Uuid(bytes) => {
                let mut buffer = uuid::Uuid::encode_buffer();
                parse(uuid::Uuid::from_bytes(*bytes).hyphenated().encode_lower(&mut buffer))
            }
            Self::Text(text) => parse(text),
        };
        parsed.map_err(|_| corrupt("an id"))
    }
}

pub(super) fn encode_user(user: &UserProfile) -> Result<Vec<u8>, StoreError> {
    let UserProfile { id, username, created_at, external, display_name, avatar_url, disabled } = user;
    let (id, username) = (v1::Id::of(id.as_str()), username.as_str());
    let (created_at, external) = (created_at.as_millis(), *external);
    let plain = v1::User { id, username, created_at, external };
    if display_name.is_none() && avatar_url.is_none() && !disabled {
        return encode(&plain);
    }
    let (display_name, avatar_url) = (display_name.as_ref().map(DisplayName::as_str), avatar_url.as_deref());
    encode_as(USER_VERSION, &v2::User { plain, display_name, avatar_url, disabled: *disabled })
}

pub(super) fn decode_user(bytes: &[u8]) -> Result<UserProfile, StoreError> {
    let row = match bytes.split_first() {
        Some((&USER_VERSION, rest)) => decode_rest(rest)?,
        Some((&found, _)) if found > USER_VERSION => return Err(StoreError::TooNew { found }),
        _ => decode::<v1::User<'_>>(bytes).map(v2::User::from)?,
    };
    let v2::User { plain, display_name, avatar_url, disabled } = row;
    Ok(UserProfile {
        id: plain.id.user()?,
        username: match Username::from_stored(plain.username) {
            erased if erased.is_erased() => erased,
            _ => Username::parse(plain.username).map_err(|_| corrupt("a username"))?,
        },
        created_at: Timestamp::from_millis(plain.created_at),
        external: plain.external,
        display_name: display_name.map(DisplayName::from_stored),
        avatar_url: avatar_url.map(Into::into),
        disabled,
    })
}

pub(super) fn encode_named(id: &str) -> Result<Vec<u8>, StoreError> {
    encode(&v1::Named { id: v1::Id::of(id) })
}

fn room_row(room: &Room) -> v1::Room<'_> {
    v1::Room {
        id: v1::Id::of(room.id.as_str()),
        kind: match room.kind {
            RoomKind::Public => 0,
            RoomKind::Private => 1,
            RoomKind::Direct => 2,
            RoomKind::Group => 3,
        },
        name: room.name.as_str(),
        description: room.description.as_str(),
        created_by: v1::Id::of(room.created_by.as_str()),
        created_at: room.created_at.as_millis(),
        history: match room.history {
            History::All => 0,
            History::SinceJoin => 1,
        },
        peer: room.peer.as_ref().map(|peer| v1::Id::of(peer.as_str())),
        slow_mode_seconds: room.slow_mode_seconds,
        archived: room.archived,
        deleted: room.deleted,
        retention_days: room.retention.days,
        retention_messages: room.retention.messages,
        first: room.first.get(),
        trimmed: room.trimmed,
    }
}

fn count_row(room: &Room) -> v1::RoomCount {
    v1::RoomCount {
        head: room.head.get(),
        messages: room.messages,
        members: room.members,
        owners: room.owners,
    }
}

pub(super) fn encode_room(room: &Room) -> Result<Vec<u8>, StoreError> {
    encode(&room_row(room))
}

pub(super) fn encode_room_count(room: &Room) -> Result<Vec<u8>, StoreError> {
    encode(&count_row(room))
}

/// A room out of its two rows.
pub(super) fn decode_room(room: &[u8], count: &[u8]) -> Result<Room, StoreError> {
    room_of(&decode(room)?, &decode(count)?)
}

fn room_of(row: &v1::Room<'_>, count: &v1::RoomCount) -> Result<Room, StoreError> {
    Ok(Room {
        id: row.id.room()?,
        kind: match row.kind {
            0 => RoomKind::Public,
            1 => RoomKind::Private,
            2 => RoomKind::Direct,
            3 => RoomKind::Group,
            _ => return Err(corrupt("the kind of a room")),
        },
        name: RoomName::from_stored(row.name),
        description: Description::from_stored(row.description),
        created_by: row.created_by.user()?,
        created_at: Timestamp::from_millis(row.created_at),
        history: match row.history {
            0 => History::All,
            1 => History::SinceJoin,
            _ => return Err(corrupt("the history of a room")),
        },
        slow_mode_seconds: row.slow_mode_seconds,
        archived: row.archived,
        deleted: row.deleted,
        head: Seq::new(count.head),
        messages: count.messages,
        members: count.members,
        owners: count.owners,
        peer: match &row.peer {
            Some(peer) => Some(peer.user()?),
            None => None,
        },
        retention: Retention { days: row.retention_days, messages: row.retention_messages },
        first: Seq::new(row.first),
        trimmed: row.trimmed,
    })
}

/// The head in a row of counters.
pub(super) fn decode_head(count: &[u8]) -> Result<Seq, StoreError> {
    decode::<v1::RoomCount>(count).map(|count| Seq::new(count.head))
}

/// The head and the ordinal of the newest message in a row of counters.
pub(super) fn decode_head_and_messages(count: &[u8]) -> Result<(Seq, u64), StoreError> {
    decode::<v1::RoomCount>(count).map(|count| (Seq::new(count.head), count.messages))
}

const fn role_byte(role: Role) -> u8 {
    match role {
        Role::Member => 0,
        Role::Moderator => 1,
        Role::Admin => 2,
        Role::Owner => 3,
    }
}

fn role_of(byte: u8) -> Result<Role, StoreError> {
    Ok(match byte {
        0 => Role::Member,
        1 => Role::Moderator,
        2 => Role::Admin,
        3 => Role::Owner,
        _ => return Err(corrupt("a role")),
    })
}

pub(super) fn encode_member(member: &Member) -> Result<Vec<u8>, StoreError> {
    encode(&v1::Member {
        user: v1::Id::of(member.user.as_str()),
        role: role_byte(member.role),
        joined: member.joined.get(),
        joined_at: member.joined_at.as_millis(),
    })
}

pub(super) fn decode_member(bytes: &[u8]) -> Result<Member, StoreError> {
    let row: v1::Member<'_> = decode(bytes)?;
    Ok(Member {
        user: row.user.user()?,
        role: role_of(row.role)?,
        joined: Seq::new(row.joined),
        joined_at: Timestamp::from_millis(row.joined_at),
    })
}

pub(super) fn encode_sanction(user: &UserId, sanction: Sanction) -> Result<Vec<u8>, StoreError> {
    encode(&v1::Sanction {
        user: v1::Id::of(user.as_str()),
        banned_until: sanction.banned_until.map(Timestamp::as_millis),
        muted_until: sanction.muted_until.map(Timestamp::as_millis),
    })
}

/// What stands against somebody, and who that is.
pub(super) fn decode_sanction(bytes: &[u8]) -> Result<(UserId, Sanction), StoreError> {
    let row: v1::Sanction<'_> = decode(bytes)?;
    let sanction = Sanction {
        banned_until: row.banned_until.map(Timestamp::from_millis),
        muted_until: row.muted_until.map(Timestamp::from_millis),
    };
    Ok((row.user.user()?, sanction))
}

pub(super) fn encode_audit(record: &AuditRecord) -> Result<Vec<u8>, StoreError> {
    encode(&v1::AuditRecord {
        room: v1::Id::of(record.room.as_str()),
        at: record.at.as_millis(),
        actor: v1::Id::of(record.actor.as_str()),
        act: &record.act,
        target: record.target.as_ref().map(|user| v1::Id::of(user.as_str())),
        details: record.details.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        previous: record.previous.0,
        hash: record.hash.0,
    })
}

pub(super) fn decode_audit(number: u64, bytes: &[u8]) -> Result<AuditRecord, StoreError> {
    let row: v1::AuditRecord<'_> = decode(bytes)?;
    Ok(AuditRecord {
        number,
        room: row.room.room()?,
        at: Timestamp::from_millis(row.at),
        actor: row.actor.user()?,
        act: row.act.to_owned(),
        target: row.target.map(|user| user.user()).transpose()?,
        details: row.details.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        previous: AuditHash(row.previous),
        hash: AuditHash(row.hash),
    })
}

pub(super) fn encode_marker(marker: Marker) -> Result<Vec<u8>, StoreError> {
    encode(&v1::Marker { seq: marker.seq.get(), ordinal: marker.ordinal })
}

pub(super) fn decode_marker(bytes: &[u8]) -> Result<Marker, StoreError> {
    let row: v1::Marker = decode(bytes)?;
    Ok(Marker { seq: Seq::new(row.seq), ordinal: row.ordinal })
}

pub(super) fn encode_sent(sent: Sent) -> Result<Vec<u8>, StoreError> {
    encode(&v1::Sent { seq: sent.seq.get(), at: sent.at.as_millis() })
}

pub(super) fn decode_sent(bytes: &[u8]) -> Result<Sent, StoreError> {
    let row: v1::Sent = decode(bytes)?;
    Ok(Sent { seq: Seq::new(row.seq), at: Timestamp::from_millis(row.at), duplicate: false })
}

#[cfg(test)]
mod golden;
