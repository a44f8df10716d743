//! What stands in each row: one byte, the version of the value, then the postcard encoding of a struct of that
//! version ([`v1`]). The domain's types never derive the encoding, so that changing them changes no file.

pub(super) mod v1;
pub(super) mod v2;

use serde::{Deserialize, Serialize};

use super::keys::canonical_uuid;
use crate::{
    domain::{
        Attachment, Attachments, AuditHash, AuditRecord, Change, Content, Deleted, Description, Edited,
        Emoji, Entry, History, InThread, LeaveReason, Marker, Member, MemberUpdate, Mentions, Message,
        MessageType, Reaction, Replies, Retention, Role, Room, RoomKind, RoomName, Sanction, Sent,
        ThreadLeft, Username,
    },
    id::{ClientMessageId, RoomId, Seq, UserId},
    store::{FormerText, StoreError, UserProfile},
    time::Timestamp,
};

/// The version written, but of messages to which something was done.
const VERSION: u8 = 1;

/// The version of those.
const MESSAGE_VERSION: u8 = 2;

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

fn encode_as<T: Serialize>(version: u8, value: &T) -> Result<Vec<u8>, StoreError> {
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

fn decode_rest<'a, T: Deserialize<'a>>(rest: &'a [u8]) -> Result<T, StoreError> {
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
    encode(&v1::User {
        id: v1::Id::of(user.id.as_str()),
        username: user.username.as_str(),
        created_at: user.created_at.as_millis(),
        external: user.external,
    })
}

pub(super) fn decode_user(bytes: &[u8]) -> Result<UserProfile, StoreError> {
    let row: v1::User<'_> = decode(bytes)?;
    Ok(UserProfile {
        id: row.id.user()?,
        username: match Username::from_stored(row.username) {
            erased if erased.is_erased() => erased,
            _ => Username::parse(row.username).map_err(|_| corrupt("a username"))?,
        },
        created_at: Timestamp::from_millis(row.created_at),
        external: row.external,
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

pub(super) const fn message_type_byte(message_type: MessageType) -> u8 {
    match message_type {
        MessageType::Text => 0,
        MessageType::Image => 1,
        MessageType::File => 2,
        MessageType::Voice => 3,
    }
}

pub(super) fn message_type_of(byte: u8) -> Result<MessageType, StoreError> {
    match byte {
        0 => Ok(MessageType::Text),
        1 => Ok(MessageType::Image),
        2 => Ok(MessageType::File),
        3 => Ok(MessageType::Voice),
        _ => Err(corrupt("the type of a message")),
    }
}

/// Cuts a text into what stands in the message's row and the continuations, at character boundaries.
pub(super) fn split_text(text: &str) -> (&str, Vec<&str>) {
    if text.len() <= TEXT_INLINE_BYTES {
        return (text, Vec::new());
    }
    let (inline, mut rest) = text.split_at(text.floor_char_boundary(TEXT_INLINE_BYTES));
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let (part, left) = rest.split_at(rest.floor_char_boundary(TEXT_PART_BYTES));
        parts.push(part);
        rest = left;
    }
    (inline, parts)
}

/// The row of a message whose text begins with `text` and goes on for `continued` bytes.
pub(super) fn encode_message(
    entry: &Entry,
    message: &Message,
    text: &str,
    continued: usize,
) -> Result<Vec<u8>, StoreError> {
    encode_message_row(&v2::Message {
        at: entry.at.as_millis(),
        actor: v1::Id::of(entry.actor.as_str()),
        ordinal: message.ordinal,
        message_type: message_type_byte(message.message_type),
        client_message_id: message.client_message_id.as_ref().map(|key| v1::Id::of(key.as_str())),
        text,
        continued: u32::try_from(continued).map_err(|_| StoreError::TooLarge)?,
        attachments: u8::try_from(message.attachments.len()).map_err(|_| StoreError::TooLarge)?,
        attached: u32::try_from(message.attachments.bytes()).map_err(|_| StoreError::TooLarge)?,
        reply_to: message.reply_to.unwrap_or_default().get(),
        edited: message.edited.map(|edited| v2::Edited { seq: edited.seq.get(), at: edited.at.as_millis() }),
        deleted: message.deleted.as_ref().map(deleted_row),
        pinned: message.pinned.unwrap_or_default().get(),
        thread: message.thread.map_or(0, |thread| thread.root.get()),
        thread_count: message.thread.map_or(0, |thread| thread.count),
        replies: message.replies.count,
        last_reply: message.replies.last_at.map(Timestamp::as_millis),
        mentions: mention_rows(&message.mentions),
        mentions_room: message.mentions.room,
    })
}

/// The users whom a text mentions, as they stand in the row.
pub(super) fn mention_rows(mentions: &Mentions) -> Vec<v1::Id<'_>> {
    mentions.users.iter().map(|user| v1::Id::of(user.as_str())).collect()
}

/// Whom the text in a row mentions.
pub(super) fn mentions_in(row: &v2::Message<'_>) -> Result<Mentions, StoreError> {
    let users = row.mentions.iter().map(v1::Id::user).collect::<Result<_, _>>()?;
    Ok(Mentions { users, room: row.mentions_room })
}

fn deleted_row(deleted: &Deleted) -> v2::Deleted<'_> {
    v2::Deleted { seq: deleted.seq.get(), at: deleted.at.as_millis(), by: v1::Id::of(deleted.by.as_str()) }
}

/// A message to which nothing was done is written as version 1, which takes fewer bytes.
pub(super) fn encode_message_row(row: &v2::Message<'_>) -> Result<Vec<u8>, StoreError> {
    match row.as_v1() {
        Some(row) => encode(&row),
        None => encode_as(MESSAGE_VERSION, row),
    }
}

/// The row of a message, whichever version it has.
pub(super) fn decode_message_row(bytes: &[u8]) -> Result<v2::Message<'_>, StoreError> {
    match bytes.split_first() {
        Some((&MESSAGE_VERSION, rest)) => decode_rest(rest),
        Some((&found, _)) if found > MESSAGE_VERSION => Err(StoreError::TooNew { found }),
        _ => decode::<v1::Message<'_>>(bytes).map(v2::Message::from),
    }
}

pub(super) fn encode_attachment(attachment: &Attachment) -> Result<Vec<u8>, StoreError> {
    let Attachment { file_id, name, mime, size, url, width, height } = attachment;
    let (size, width, height) = (*size, *width, *height);
    encode(&v1::Attachment { file_id, name, mime, size, url, width, height })
}

pub(super) fn decode_attachment(bytes: &[u8]) -> Result<Attachment, StoreError> {
    let row: v1::Attachment<'_> = decode(bytes)?;
    Ok(Attachment {
        file_id: row.file_id.to_owned(),
        name: row.name.to_owned(),
        mime: row.mime.to_owned(),
        size: row.size,
        url: row.url.to_owned(),
        width: row.width,
        height: row.height,
    })
}

/// How many files the message in this row refers to.
pub(super) fn attachments(bytes: &[u8]) -> Result<u8, StoreError> {
    Ok(decode_message_row(bytes)?.attachments)
}

/// How many bytes of text the message in this row has, those in continuations and of its files included.
pub(super) fn text_bytes(bytes: &[u8]) -> Result<usize, StoreError> {
    let row = decode_message_row(bytes)?;
    Ok(row.text.len() + row.continued as usize + row.attached as usize)
}

/// The ordinal of the message in this row.
pub(super) fn decode_ordinal(bytes: &[u8]) -> Result<u64, StoreError> {
    decode_message_row(bytes).map(|row| row.ordinal)
}

/// A text that begins in a row and goes on for `continued` bytes, which `rest` yields.
pub(super) fn whole_text(
    text: &str,
    continued: u32,
    rest: impl FnOnce() -> Result<String, StoreError>,
) -> Result<Content, StoreError> {
    if continued == 0 {
        return Ok(Content::from_stored(text));
    }
    let rest = rest()?;
    if rest.len() != continued as usize {
        return Err(corrupt("the continuation of a text"));
    }
    Ok(Content::from_stored(&format!("{text}{rest}")))
}

/// What of a room has to be known to tell its entries.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// Whose direct room it is, if it is one: whom its messages are for does not stand in each of them.
    pair: Option<(UserId, UserId)>,
    /// The first entry that is kept. What stands before it is told to nobody.
    pub(super) first: Seq,
}

impl Telling {
    pub(super) fn of(room: &[u8]) -> Result<Self, StoreError> {
        let row: v1::Room<'_> = decode(room)?;
        let pair = match &row.peer {
            Some(peer) => Some((row.created_by.user()?, peer.user()?)),
            None => None,
        };
        Ok(Self { pair, first: Seq::new(row.first) })
    }

    /// Says in a message whom it is for.
    pub(super) fn address(&self, mut entry: Entry) -> Entry {
        if let (Some((a, b)), Change::Send(message)) = (&self.pair, &mut entry.change) {
            message.recipient = Some(if entry.actor == *a { b.clone() } else { a.clone() });
        }
        entry
    }
}

/// Who wrote the message in this row.
pub(super) fn decode_author(bytes: &[u8]) -> Result<UserId, StoreError> {
    decode_message_row(bytes)?.actor.user()
}

/// When the message in this row was sent.
pub(super) fn decode_sent_at(bytes: &[u8]) -> Result<Timestamp, StoreError> {
    decode_message_row(bytes).map(|row| Timestamp::from_millis(row.at))
}

/// The message in a row, without its reactions and whom it is for; `rest` yields the continuation of a long text.
pub(super) fn decode_message(
    room: &RoomId,
    seq: Seq,
    bytes: &[u8],
    rest: impl FnOnce() -> Result<String, StoreError>,
) -> Result<Entry, StoreError> {
    let row = decode_message_row(bytes)?;
    let some = |seq: u64| (seq > 0).then(|| Seq::new(seq));
    let message = Message {
        ordinal: row.ordinal,
        content: whole_text(row.text, row.continued, rest)?,
        mentions: mentions_in(&row)?,
        reply_to: some(row.reply_to),
        edited: row
            .edited
            .map(|edited| Edited { seq: Seq::new(edited.seq), at: Timestamp::from_millis(edited.at) }),
        deleted: match row.deleted {
            Some(deleted) => Some(Deleted {
                seq: Seq::new(deleted.seq),
                at: Timestamp::from_millis(deleted.at),
                by: deleted.by.user()?,
            }),
            None => None,
        },
        pinned: some(row.pinned),
        thread: some(row.thread).map(|root| InThread { root, count: row.thread_count }),
        replies: Replies { count: row.replies, last_at: row.last_reply.map(Timestamp::from_millis) },
        reactions: Vec::new(),
        attachments: Attachments::default(),
        message_type: message_type_of(row.message_type)?,
        client_message_id: match row.client_message_id {
            Some(key) => Some(key.parse(ClientMessageId::parse)?),
            None => None,
        },
        recipient: None,
    };
    let (at, actor) = (Timestamp::from_millis(row.at), row.actor.user()?);
    Ok(Entry { room: room.clone(), seq, at, actor, change: Change::Send(message) })
}

/// The row of an entry that is no message; `None` for one that is.
pub(super) fn encode_event(entry: &Entry) -> Result<Option<Vec<u8>>, StoreError> {
    let change = match &entry.change {
        Change::Send(_) => return Ok(None),
        Change::Describe(room) => v1::Change::Describe { room: room_row(room), count: count_row(room) },
        Change::Join { user, role, member_count } => v1::Change::Join {
            user: v1::Id::of(user.as_str()),
            role: role_byte(*role),
            member_count: *member_count,
        },
        Change::Leave { user, role, reason, member_count } => v1::Change::Leave {
            user: v1::Id::of(user.as_str()),
            role: role_byte(*role),
            reason: match reason {
                LeaveReason::Left => v1::LeaveReason::Left,
                LeaveReason::Kicked => v1::LeaveReason::Kicked,
                LeaveReason::Banned(until) => v1::LeaveReason::Banned(until.as_millis()),
                LeaveReason::Erased => v1::LeaveReason::Erased,
            },
            member_count: *member_count,
        },
        Change::DeleteRoom => v1::Change::DeleteRoom,
        Change::UpdateMember(update) => v1::Change::UpdateMember {
            user: v1::Id::of(update.user.as_str()),
            was: update.was.map(role_byte),
            role: update.role.map(role_byte),
            muted_until: update.muted_until.map(Timestamp::as_millis),
            banned_until: update.banned_until.map(Timestamp::as_millis),
        },
        Change::Edit { target, .. } => v1::Change::Edit { target: target.get() },
        Change::Delete { target, thread } => v1::Change::Delete {
            target: target.get(),
            thread: thread.map(|left| v1::ThreadLeft {
                root: left.root.get(),
                count: left.replies.count,
                last_at: left.replies.last_at.map(Timestamp::as_millis),
            }),
        },
        Change::React { target, emoji, count } => {
            v1::Change::React { target: target.get(), emoji: emoji.as_str(), count: *count }
        }
        Change::Unreact { target, emoji, count } => {
            v1::Change::Unreact { target: target.get(), emoji: emoji.as_str(), count: *count }
        }
        Change::Pin { target } => v1::Change::Pin { target: target.get() },
        Change::Unpin { target } => v1::Change::Unpin { target: target.get() },
    };
    let (at, actor) = (entry.at.as_millis(), v1::Id::of(entry.actor.as_str()));
    encode(&v1::Event { at, actor, change }).map(Some)
}

/// The entry in a row of the table of entries that are no messages. `text` yields the text that a message has
/// now, for an entry that tells it.
pub(super) fn decode_event(
    room: &RoomId,
    seq: Seq,
    bytes: &[u8],
    text: impl FnOnce(Seq) -> Result<(Content, Mentions), StoreError>,
) -> Result<Entry, StoreError> {
    let row: v1::Event<'_> = decode(bytes)?;
    let change = match &row.change {
        v1::Change::Describe { room, count } => Change::Describe(Box::new(room_of(room, count)?)),
        v1::Change::Join { user, role, member_count } => {
            Change::Join { user: user.user()?, role: role_of(*role)?, member_count: *member_count }
        }
        v1::Change::Leave { user, role, reason, member_count } => Change::Leave {
            user: user.user()?,
            role: role_of(*role)?,
            reason: match reason {
                v1::LeaveReason::Left => LeaveReason::Left,
                v1::LeaveReason::Kicked => LeaveReason::Kicked,
                v1::LeaveReason::Banned(until) => LeaveReason::Banned(Timestamp::from_millis(*until)),
                v1::LeaveReason::Erased => LeaveReason::Erased,
            },
            member_count: *member_count,
        },
        v1::Change::DeleteRoom => Change::DeleteRoom,
        v1::Change::UpdateMember { user, was, role, muted_until, banned_until } => {
            Change::UpdateMember(MemberUpdate {
                user: user.user()?,
                was: was.map(role_of).transpose()?,
                role: role.map(role_of).transpose()?,
                muted_until: muted_until.map(Timestamp::from_millis),
                banned_until: banned_until.map(Timestamp::from_millis),
            })
        }
        v1::Change::Edit { target } => {
            let target = Seq::new(*target);
            let (content, mentions) = text(target)?;
            Change::Edit { target, content, mentions }
        }
        v1::Change::Delete { target, thread } => Change::Delete {
            target: Seq::new(*target),
            thread: thread.map(|left| {
                let last_at = left.last_at.map(Timestamp::from_millis);
                ThreadLeft { root: Seq::new(left.root), replies: Replies { count: left.count, last_at } }
            }),
        },
        v1::Change::React { target, emoji, count } => {
            Change::React { target: Seq::new(*target), emoji: Emoji::from_stored(emoji), count: *count }
        }
        v1::Change::Unreact { target, emoji, count } => {
            Change::Unreact { target: Seq::new(*target), emoji: Emoji::from_stored(emoji), count: *count }
        }
        v1::Change::Pin { target } => Change::Pin { target: Seq::new(*target) },
        v1::Change::Unpin { target } => Change::Unpin { target: Seq::new(*target) },
    };
    let (at, actor) = (Timestamp::from_millis(row.at), row.actor.user()?);
    Ok(Entry { room: room.clone(), seq, at, actor, change })
}

/// The row of a text that was replaced; it begins with `text` and goes on for `continued` bytes.
pub(super) fn encode_former(
    written_at: i64,
    replaced_at: Timestamp,
    text: &str,
    continued: usize,
) -> Result<Vec<u8>, StoreError> {
    let continued = u32::try_from(continued).map_err(|_| StoreError::TooLarge)?;
    encode(&v1::Former { written_at, replaced_at: replaced_at.as_millis(), text, continued })
}

/// The text in a row of replaced ones; `rest` yields the continuation of a long one.
pub(super) fn decode_former(
    bytes: &[u8],
    rest: impl FnOnce() -> Result<String, StoreError>,
) -> Result<FormerText, StoreError> {
    let row: v1::Former<'_> = decode(bytes)?;
    Ok(FormerText {
        content: whole_text(row.text, row.continued, rest)?,
        written_at: Timestamp::from_millis(row.written_at),
        replaced_at: Timestamp::from_millis(row.replaced_at),
    })
}

pub(super) fn encode_reacted(user: &UserId, seq: Seq) -> Result<Vec<u8>, StoreError> {
    encode(&v1::Reacted { user: v1::Id::of(user.as_str()), seq: seq.get() })
}

pub(super) fn encode_reaction(reaction: &Reaction, first: Seq) -> Result<Vec<u8>, StoreError> {
    let users = reaction.users.iter().map(|user| v1::Id::of(user.as_str())).collect();
    encode(&v1::Reaction { first: first.get(), count: reaction.count, users })
}

/// A reaction, and the entry by which its emoji came to the message.
pub(super) fn decode_reaction(emoji: &str, bytes: &[u8]) -> Result<(Reaction, Seq), StoreError> {
    let row: v1::Reaction<'_> = decode(bytes)?;
    let users = row.users.iter().map(v1::Id::user).collect::<Result<_, _>>()?;
    let reaction = Reaction { emoji: Emoji::from_stored(emoji), count: row.count, users };
    Ok((reaction, Seq::new(row.first)))
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
