//! Messages as they look on the wire.

use serde::Serialize;

use super::view::{maybe_time, time};
use crate::{
    domain::{Attachment, Entry, Mentions, Reaction},
    id::{MessageId, Seq},
    store::FormerText,
    time::Timestamp,
};

/// A message on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView {
    id: String,
    room_id: String,
    seq: u64,
    user_id: String,
    username: String,
    content: String,
    message_type: &'static str,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
    #[serde(serialize_with = "maybe_time")]
    edited_at: Option<Timestamp>,
    #[serde(serialize_with = "maybe_time")]
    deleted_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_by: Option<String>,
    reply_to: Option<String>,
    thread_id: Option<String>,
    thread_count: u32,
    #[serde(serialize_with = "maybe_time")]
    last_reply_at: Option<Timestamp>,
    attachments: Vec<AttachmentView>,
    mentions: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    mentions_room: bool,
    reactions: Vec<ReactionView>,
    pinned: bool,
    #[serde(flatten)]
    direct: Option<DirectView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<String>,
}

/// What the messages of direct rooms have besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct DirectView {
    sender_id: String,
    sender_username: String,
    recipient_id: String,
}

impl MessageView {
    /// The message of an entry, if it is one. `own` adds what only its author sees.
    #[must_use]
    pub fn of(entry: &Entry, username: &str, own: bool) -> Option<Self> {
        let message = entry.message()?;
        let key = message.client_message_id.as_ref().filter(|_| own);
        Some(Self {
            id: entry.message_id()?.to_string(),
            room_id: entry.room.as_str().to_owned(),
            seq: entry.seq.get(),
            user_id: entry.actor.as_str().to_owned(),
            username: username.to_owned(),
            content: message.content.as_str().to_owned(),
            message_type: message.message_type.as_str(),
            created_at: entry.at,
            edited_at: message.edited.map(|edited| edited.at),
            deleted_at: message.deleted.as_ref().map(|deleted| deleted.at),
            deleted_by: message.deleted.as_ref().map(|deleted| deleted.by.as_str().to_owned()),
            reply_to: message.reply_to.map(|target| message_id(entry, target)),
            thread_id: message.thread.map(|thread| message_id(entry, thread.root)),
            thread_count: message.replies.count,
            last_reply_at: message.replies.last_at,
            attachments: message.attachments.iter().map(AttachmentView::of).collect(),
            mentions: mentioned(&message.mentions),
            mentions_room: message.mentions.room,
            reactions: message.reactions.iter().map(ReactionView::of).collect(),
            pinned: message.pinned.is_some(),
            direct: message.recipient.as_ref().map(|recipient| DirectView {
                sender_id: entry.actor.as_str().to_owned(),
                sender_username: username.to_owned(),
                recipient_id: recipient.as_str().to_owned(),
            }),
            client_message_id: key.map(|key| key.as_str().to_owned()),
        })
    }
}

/// A file that a message refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttachmentView {
    file_id: String,
    name: String,
    mime: String,
    size: u64,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
}

impl AttachmentView {
    pub(super) fn of(attachment: &Attachment) -> Self {
        let Attachment { file_id, name, mime, size, url, width, height } = attachment.clone();
        Self { file_id, name, mime, size, url, width, height }
    }
}

/// One emoji under a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReactionView {
    emoji: String,
    count: u32,
    user_ids: Vec<String>,
}

impl ReactionView {
    fn of(reaction: &Reaction) -> Self {
        Self {
            emoji: reaction.emoji.as_str().to_owned(),
            count: reaction.count,
            user_ids: reaction.users.iter().map(|user| user.as_str().to_owned()).collect(),
        }
    }
}

/// A thread to which an entry adds a reply, or from which it takes one: as it is then.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThreadView {
    message_id: String,
    thread_count: u32,
    #[serde(serialize_with = "maybe_time")]
    last_reply_at: Option<Timestamp>,
}

impl ThreadView {
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let (root, replies) = entry.thread()?;
        Some(Self {
            message_id: message_id(entry, root),
            thread_count: replies.count,
            last_reply_at: replies.last_at,
        })
    }
}

/// A text that a message had before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EditView {
    content: String,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
    #[serde(serialize_with = "time")]
    replaced_at: Timestamp,
}

impl EditView {
    /// The text, when it was written and when another one took its place.
    #[must_use]
    pub fn of(former: &FormerText) -> Self {
        Self {
            content: former.content.as_str().to_owned(),
            created_at: former.written_at,
            replaced_at: former.replaced_at,
        }
    }
}

pub(super) fn message_id(entry: &Entry, target: Seq) -> String {
    MessageId::of(&entry.room, target).to_string()
}

pub(super) fn mentioned(mentions: &Mentions) -> Vec<String> {
    mentions.users.iter().map(|user| user.as_str().to_owned()).collect()
}
