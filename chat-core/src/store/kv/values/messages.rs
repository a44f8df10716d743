//! The rows of messages, and of what belongs to them.

use super::{
    MESSAGE_VERSION, TEXT_INLINE_BYTES, TEXT_PART_BYTES, corrupt, decode, decode_rest, encode, encode_as, v1,
    v2,
};
use crate::{
    domain::{
        Attachment, Attachments, Change, Content, Deleted, Edited, Emoji, Entry, InThread, Mentions, Message,
        MessageType, Reaction, Replies,
    },
    id::{ClientMessageId, RoomId, Seq, UserId},
    store::{FormerText, StoreError},
    time::Timestamp,
};

pub(in super::super) const fn message_type_byte(message_type: MessageType) -> u8 {
    match message_type {
        MessageType::Text => 0,
        MessageType::Image => 1,
        MessageType::File => 2,
        MessageType::Voice => 3,
    }
}

pub(in super::super) fn message_type_of(byte: u8) -> Result<MessageType, StoreError> {
    match byte {
        0 => Ok(MessageType::Text),
        1 => Ok(MessageType::Image),
        2 => Ok(MessageType::File),
        3 => Ok(MessageType::Voice),
        _ => Err(corrupt("the type of a message")),
    }
}

/// Cuts a text into what stands in the message's row and the continuations, at character boundaries.
pub(in super::super) fn split_text(text: &str) -> (&str, Vec<&str>) {
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
pub(in super::super) fn encode_message(
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
pub(in super::super) fn mention_rows(mentions: &Mentions) -> Vec<v1::Id<'_>> {
    mentions.users.iter().map(|user| v1::Id::of(user.as_str())).collect()
}

/// Whom the text in a row mentions.
pub(in super::super) fn mentions_in(row: &v2::Message<'_>) -> Result<Mentions, StoreError> {
    let users = row.mentions.iter().map(v1::Id::user).collect::<Result<_, _>>()?;
    Ok(Mentions { users, room: row.mentions_room })
}

fn deleted_row(deleted: &Deleted) -> v2::Deleted<'_> {
    v2::Deleted { seq: deleted.seq.get(), at: deleted.at.as_millis(), by: v1::Id::of(deleted.by.as_str()) }
}

/// A message to which nothing was done is written as version 1, which takes fewer bytes.
pub(in super::super) fn encode_message_row(row: &v2::Message<'_>) -> Result<Vec<u8>, StoreError> {
    match row.as_v1() {
        Some(row) => encode(&row),
        None => encode_as(MESSAGE_VERSION, row),
    }
}

/// The row of a message, whichever version it has.
pub(in super::super) fn decode_message_row(bytes: &[u8]) -> Result<v2::Message<'_>, StoreError> {
    match bytes.split_first() {
        Some((&MESSAGE_VERSION, rest)) => decode_rest(rest),
        Some((&found, _)) if found > MESSAGE_VERSION => Err(StoreError::TooNew { found }),
        _ => decode::<v1::Message<'_>>(bytes).map(v2::Message::from),
    }
}

pub(in super::super) fn encode_attachment(attachment: &Attachment) -> Result<Vec<u8>, StoreError> {
    let Attachment { file_id, name, mime, size, url, width, height } = attachment;
    let (size, width, height) = (*size, *width, *height);
    encode(&v1::Attachment { file_id, name, mime, size, url, width, height })
}

pub(in super::super) fn decode_attachment(bytes: &[u8]) -> Result<Attachment, StoreError> {
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
pub(in super::super) fn attachments(bytes: &[u8]) -> Result<u8, StoreError> {
    Ok(decode_message_row(bytes)?.attachments)
}

/// How many bytes of text the message in this row has, those in continuations and of its files included.
pub(in super::super) fn text_bytes(bytes: &[u8]) -> Result<usize, StoreError> {
    let row = decode_message_row(bytes)?;
    Ok(row.text.len() + row.continued as usize + row.attached as usize)
}

/// The ordinal of the message in this row.
pub(in super::super) fn decode_ordinal(bytes: &[u8]) -> Result<u64, StoreError> {
    decode_message_row(bytes).map(|row| row.ordinal)
}

/// A text that begins in a row and goes on for `continued` bytes, which `rest` yields.
pub(in super::super) fn whole_text(
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
pub(in super::super) struct Telling {
    /// Whose direct room it is, if it is one: whom its messages are for does not stand in each of them.
    pair: Option<(UserId, UserId)>,
    /// The first entry that is kept. What stands before it is told to nobody.
    pub(in super::super) first: Seq,
}

impl Telling {
    pub(in super::super) fn of(room: &[u8]) -> Result<Self, StoreError> {
        let row: v1::Room<'_> = decode(room)?;
        let pair = match &row.peer {
            Some(peer) => Some((row.created_by.user()?, peer.user()?)),
            None => None,
        };
        Ok(Self { pair, first: Seq::new(row.first) })
    }

    /// Says in a message whom it is for.
    pub(in super::super) fn address(&self, mut entry: Entry) -> Entry {
        if let (Some((a, b)), Change::Send(message)) = (&self.pair, &mut entry.change) {
            message.recipient = Some(if entry.actor == *a { b.clone() } else { a.clone() });
        }
        entry
    }
}

/// Who wrote the message in this row.
pub(in super::super) fn decode_author(bytes: &[u8]) -> Result<UserId, StoreError> {
    decode_message_row(bytes)?.actor.user()
}

/// When the message in this row was sent.
pub(in super::super) fn decode_sent_at(bytes: &[u8]) -> Result<Timestamp, StoreError> {
    decode_message_row(bytes).map(|row| Timestamp::from_millis(row.at))
}

/// The message in a row, without its reactions and whom it is for; `rest` yields the continuation of a long text.
pub(in super::super) fn decode_message(
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

/// The row of a text that was replaced; it begins with `text` and goes on for `continued` bytes.
pub(in super::super) fn encode_former(
    written_at: i64,
    replaced_at: Timestamp,
    text: &str,
    continued: usize,
) -> Result<Vec<u8>, StoreError> {
    let continued = u32::try_from(continued).map_err(|_| StoreError::TooLarge)?;
    encode(&v1::Former { written_at, replaced_at: replaced_at.as_millis(), text, continued })
}

/// The text in a row of replaced ones; `rest` yields the continuation of a long one.
pub(in super::super) fn decode_former(
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

pub(in super::super) fn encode_reacted(user: &UserId, seq: Seq) -> Result<Vec<u8>, StoreError> {
    encode(&v1::Reacted { user: v1::Id::of(user.as_str()), seq: seq.get() })
}

pub(in super::super) fn encode_reaction(reaction: &Reaction, first: Seq) -> Result<Vec<u8>, StoreError> {
    let users = reaction.users.iter().map(|user| v1::Id::of(user.as_str())).collect();
    encode(&v1::Reaction { first: first.get(), count: reaction.count, users })
}

/// A reaction, and the entry by which its emoji came to the message.
pub(in super::super) fn decode_reaction(emoji: &str, bytes: &[u8]) -> Result<(Reaction, Seq), StoreError> {
    let row: v1::Reaction<'_> = decode(bytes)?;
    let users = row.users.iter().map(v1::Id::user).collect::<Result<_, _>>()?;
    let reaction = Reaction { emoji: Emoji::from_stored(emoji), count: row.count, users };
    Ok((reaction, Seq::new(row.first)))
}
