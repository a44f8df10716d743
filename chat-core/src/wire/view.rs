//! Rooms, members and messages as they look on the wire.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use serde::{Serialize, Serializer};

use crate::{
    domain::{
        Attachment, AuditRecord, Change, Entry, Invite, InviteLink, Member, Mentions, Presence, Reaction,
        Role, Room,
    },
    id::{MessageId, Seq, UserId},
    store::{Block, FormerText},
    time::Timestamp,
};

/// A room on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomView {
    id: String,
    kind: &'static str,
    name: String,
    description: String,
    created_by: Option<String>,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
    member_count: u32,
    last_seq: u64,
    slow_mode_seconds: u32,
    history: &'static str,
    archived: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_messages: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seq: Option<u64>,
    #[serde(flatten)]
    own: Option<OwnRoomView>,
}

/// What a room on the wire has besides in a list of one's own rooms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnRoomView {
    /// What one is there.
    pub role: &'static str,
    /// Messages that one has not read.
    pub unread: u64,
    /// Messages among them that mention one.
    pub mentions: u64,
    /// The newest entry that one has read.
    pub last_read_seq: u64,
    /// The newest message that one may see.
    pub last_message: Option<Box<MessageView>>,
}

impl RoomView {
    /// The room as everybody sees it.
    #[must_use]
    pub fn of(room: &Room) -> Self {
        Self {
            id: room.id.as_str().to_owned(),
            kind: room.kind.as_str(),
            name: room.name.as_str().to_owned(),
            description: room.description.as_str().to_owned(),
            created_by: (room.created_by != UserId::nobody()).then(|| room.created_by.as_str().to_owned()),
            created_at: room.created_at,
            member_count: room.members,
            last_seq: room.head.get(),
            slow_mode_seconds: room.slow_mode_seconds,
            history: room.history.as_str(),
            archived: room.archived,
            retention_days: room.retention.days,
            retention_messages: room.retention.messages,
            first_seq: (room.first > Seq::ZERO.next()).then(|| room.first.get()),
            own: None,
        }
    }

    /// The room in a list of one's own rooms.
    #[must_use]
    pub fn owned(self, own: OwnRoomView) -> Self {
        Self { own: Some(own), ..self }
    }

    /// The room's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// A member on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberView {
    user_id: String,
    username: String,
    role: &'static str,
    status: &'static str,
    #[serde(serialize_with = "maybe_time")]
    last_seen_at: Option<Timestamp>,
    #[serde(serialize_with = "time")]
    joined_at: Timestamp,
}

impl MemberView {
    /// The member under this name, who looks like this to whoever asks.
    #[must_use]
    pub fn of(member: &Member, username: &str, presence: &Presence) -> Self {
        Self {
            user_id: member.user.as_str().to_owned(),
            username: username.to_owned(),
            role: member.role.as_str(),
            status: presence.status.as_str(),
            last_seen_at: presence.last_seen,
            joined_at: member.joined_at,
        }
    }
}

/// How a user looks, on the wire. Its `Debug` form hides what they say of themselves.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PresenceView {
    #[serde(serialize_with = "id")]
    user_id: UserId,
    username: String,
    status: &'static str,
    status_text: Option<String>,
    #[serde(serialize_with = "maybe_time")]
    last_seen_at: Option<Timestamp>,
}

impl PresenceView {
    /// The presence of a user under this name.
    #[must_use]
    pub fn of(user: &UserId, username: &str, presence: &Presence) -> Self {
        Self {
            user_id: user.clone(),
            username: username.to_owned(),
            status: presence.status.as_str(),
            status_text: presence.text.as_str().map(str::to_owned),
            last_seen_at: presence.last_seen,
        }
    }

    /// Whose presence it is.
    #[must_use]
    pub fn user(&self) -> &UserId {
        &self.user_id
    }

    /// Their status: `online`, `away`, `dnd`, `offline`, or to themselves `invisible`.
    #[must_use]
    pub fn status(&self) -> &str {
        self.status
    }

    /// What they say beside it.
    #[must_use]
    pub fn status_text(&self) -> Option<&str> {
        self.status_text.as_deref()
    }
}

impl fmt::Debug for PresenceView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresenceView")
            .field("user_id", &self.user_id)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A record of an audit log on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditView {
    number: u64,
    #[serde(serialize_with = "time")]
    at: Timestamp,
    actor_id: String,
    act: String,
    target_id: Option<String>,
    details: BTreeMap<String, String>,
    previous: String,
    hash: String,
}

impl AuditView {
    /// The record.
    #[must_use]
    pub fn of(record: &AuditRecord) -> Self {
        Self {
            number: record.number,
            at: record.at,
            actor_id: record.actor.as_str().to_owned(),
            act: record.act.clone(),
            target_id: record.target.as_ref().map(|user| user.as_str().to_owned()),
            details: record.details.iter().cloned().collect(),
            previous: record.previous.to_string(),
            hash: record.hash.to_string(),
        }
    }
}

/// An invitation on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InviteView {
    invite_id: String,
    room: RoomView,
    invited_by: String,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
}

impl InviteView {
    /// The invitation to this room.
    #[must_use]
    pub fn of(invite: &Invite, room: &Room) -> Self {
        Self {
            invite_id: invite.id.as_str().to_owned(),
            room: RoomView::of(room),
            invited_by: invite.by.as_str().to_owned(),
            created_at: invite.at,
        }
    }
}

/// An invitation link on the wire, without its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InviteLinkView {
    link_id: String,
    created_by: String,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
    #[serde(serialize_with = "time")]
    expires_at: Timestamp,
    max_uses: Option<u32>,
    uses: u32,
}

impl InviteLinkView {
    /// The link.
    #[must_use]
    pub fn of(link: &InviteLink) -> Self {
        Self {
            link_id: link.id.to_string(),
            created_by: link.by.as_str().to_owned(),
            created_at: link.at,
            expires_at: link.expires_at,
            max_uses: link.max_uses,
            uses: link.uses,
        }
    }
}

/// A blocked user on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockView {
    user_id: String,
    username: String,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
}

impl BlockView {
    /// The block of a user of this name.
    #[must_use]
    pub fn of(block: &Block, username: &str) -> Self {
        let (user_id, username) = (block.user.as_str().to_owned(), username.to_owned());
        Self { user_id, username, created_at: block.at }
    }
}

/// A message on the wire. Fields of features that this version lacks have the value that says so.
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
    #[serde(serialize_with = "some_time")]
    edited_at: Option<Timestamp>,
    #[serde(serialize_with = "some_time")]
    deleted_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_by: Option<String>,
    reply_to: Option<String>,
    thread_id: Option<String>,
    thread_count: u32,
    #[serde(serialize_with = "some_time")]
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
struct ThreadView {
    message_id: String,
    thread_count: u32,
    #[serde(serialize_with = "some_time")]
    last_reply_at: Option<Timestamp>,
}

impl ThreadView {
    fn of(entry: &Entry) -> Option<Self> {
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

fn message_id(entry: &Entry, target: Seq) -> String {
    MessageId::of(&entry.room, target).to_string()
}

fn mentioned(mentions: &Mentions) -> Vec<String> {
    mentions.users.iter().map(|user| user.as_str().to_owned()).collect()
}

/// The one frame of an entry. `username` is the name of the user whom it is about; `own` adds what only the
/// author's sessions see.
#[must_use]
pub fn entry_frame(entry: &Entry, username: &str, own: bool) -> Bytes {
    let seq = entry.seq.get();
    let room_id = entry.room.as_str();
    let frame = match &entry.change {
        Change::Describe(room) => {
            EntryFrame::RoomUpdated { room_id, room: Box::new(RoomView::of(room)), seq }
        }
        Change::Join { user, member_count, .. } => EntryFrame::UserJoined {
            room_id,
            user: UserView { id: user.as_str(), username },
            member_count: *member_count,
            seq,
        },
        Change::Leave { user, reason, member_count, .. } => EntryFrame::UserLeft {
            room_id,
            user_id: user.as_str(),
            member_count: *member_count,
            reason: reason.as_str(),
            seq,
        },
        Change::DeleteRoom => EntryFrame::RoomDeleted { room_id, seq },
        Change::UpdateMember(update) => EntryFrame::MemberUpdated {
            room_id,
            user_id: update.user.as_str(),
            role: update.role.map(Role::as_str),
            muted_until: update.muted_until.map(rfc3339),
            banned: update.role.is_none().then_some(update.banned_until.is_some()),
            seq,
        },
        Change::Send(message) if message.recipient.is_some() => EntryFrame::NewDm {
            message: MessageView::of(entry, username, own).map(Box::new),
            thread: ThreadView::of(entry),
        },
        Change::Send(_) => EntryFrame::NewMessage {
            message: MessageView::of(entry, username, own).map(Box::new),
            thread: ThreadView::of(entry),
        },
        Change::Edit { target, content, mentions } => EntryFrame::MessageEdited {
            room_id,
            message_id: message_id(entry, *target),
            content: content.as_str(),
            mentions: mentioned(mentions),
            mentions_room: mentions.room,
            edited_at: entry.at,
            seq,
        },
        Change::Delete { target, .. } => EntryFrame::MessageDeleted {
            room_id,
            message_id: message_id(entry, *target),
            deleted_by: entry.actor.as_str(),
            deleted_at: entry.at,
            thread: ThreadView::of(entry),
            seq,
        },
        Change::React { target, emoji, count } => EntryFrame::ReactionAdded {
            room_id,
            message_id: message_id(entry, *target),
            user_id: entry.actor.as_str(),
            emoji: emoji.as_str(),
            count: *count,
            seq,
        },
        Change::Unreact { target, emoji, count } => EntryFrame::ReactionRemoved {
            room_id,
            message_id: message_id(entry, *target),
            user_id: entry.actor.as_str(),
            emoji: emoji.as_str(),
            count: *count,
            seq,
        },
        Change::Pin { target } => EntryFrame::MessagePinned {
            room_id,
            message_id: message_id(entry, *target),
            user_id: entry.actor.as_str(),
            seq,
        },
        Change::Unpin { target } => EntryFrame::MessageUnpinned {
            room_id,
            message_id: message_id(entry, *target),
            user_id: entry.actor.as_str(),
            seq,
        },
    };
    encode(&frame)
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum EntryFrame<'a> {
    NewMessage {
        message: Option<Box<MessageView>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        thread: Option<ThreadView>,
    },
    MessageEdited {
        room_id: &'a str,
        message_id: String,
        content: &'a str,
        mentions: Vec<String>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        mentions_room: bool,
        #[serde(serialize_with = "time")]
        edited_at: Timestamp,
        seq: u64,
    },
    MessageDeleted {
        room_id: &'a str,
        message_id: String,
        deleted_by: &'a str,
        #[serde(serialize_with = "time")]
        deleted_at: Timestamp,
        #[serde(skip_serializing_if = "Option::is_none")]
        thread: Option<ThreadView>,
        seq: u64,
    },
    ReactionAdded {
        room_id: &'a str,
        message_id: String,
        user_id: &'a str,
        emoji: &'a str,
        count: u32,
        seq: u64,
    },
    ReactionRemoved {
        room_id: &'a str,
        message_id: String,
        user_id: &'a str,
        emoji: &'a str,
        count: u32,
        seq: u64,
    },
    MessagePinned {
        room_id: &'a str,
        message_id: String,
        user_id: &'a str,
        seq: u64,
    },
    MessageUnpinned {
        room_id: &'a str,
        message_id: String,
        user_id: &'a str,
        seq: u64,
    },
    NewDm {
        message: Option<Box<MessageView>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        thread: Option<ThreadView>,
    },
    UserJoined {
        room_id: &'a str,
        user: UserView<'a>,
        member_count: u32,
        seq: u64,
    },
    UserLeft {
        room_id: &'a str,
        user_id: &'a str,
        member_count: u32,
        reason: &'static str,
        seq: u64,
    },
    RoomUpdated {
        room_id: &'a str,
        room: Box<RoomView>,
        seq: u64,
    },
    RoomDeleted {
        room_id: &'a str,
        seq: u64,
    },
    MemberUpdated {
        room_id: &'a str,
        user_id: &'a str,
        role: Option<&'static str>,
        muted_until: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        banned: Option<bool>,
        seq: u64,
    },
}

#[derive(Serialize)]
struct UserView<'a> {
    id: &'a str,
    username: &'a str,
}

/// Encodes a frame of ours.
pub(super) fn encode(frame: &impl Serialize) -> Bytes {
    // Strings, numbers and maps with string keys always have a JSON form; an empty object is what is left.
    serde_json::to_vec(frame).unwrap_or_else(|_| b"{}".to_vec()).into()
}

/// An instant in the form of RFC 3339, UTC, with milliseconds. Instants outside the years 0000 to 9999 become
/// the nearest one inside.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    const FIRST_MS: i64 = -62_167_219_200_000;
    const LAST_MS: i64 = 253_402_207_200_000;
    let millis = at.as_millis().clamp(FIRST_MS, LAST_MS);
    jiff::Timestamp::from_millisecond(millis).map_or_else(|_| String::new(), |at| format!("{at:.3}"))
}

fn id<S: Serializer>(id: &UserId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id.as_str())
}

fn maybe_time<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}

pub(super) fn time<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

fn some_time<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Content, Message},
        id::{ClientMessageId, RoomId, Seq},
    };

    #[test]
    fn times_are_rfc_3339_in_utc_with_milliseconds() {
        assert_eq!(rfc3339(Timestamp::from_millis(1_769_860_800_000)), "2026-01-31T12:00:00.000Z");
        assert_eq!(rfc3339(Timestamp::from_millis(-1)), "1969-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(Timestamp::from_millis(i64::MAX)).len(), 24);
    }

    #[test]
    fn a_message_travels_with_every_field_and_its_key_only_to_its_author() {
        let entry = Entry {
            room: RoomId::parse("lobby").unwrap(),
            seq: Seq::new(42),
            at: Timestamp::from_millis(1_769_860_800_000),
            actor: UserId::parse("u1").unwrap(),
            change: Change::Send(Message {
                client_message_id: Some(ClientMessageId::parse("k1").unwrap()),
                ..Message::new(1, Content::from_stored("Hello \"you\""))
            }),
        };
        let common = r#"{"type":"new_message","message":{"id":"TAG","roomId":"lobby","seq":42,"userId":"u1","username":"john_doe","content":"Hello \"you\"","messageType":"text","createdAt":"2026-01-31T12:00:00.000Z","editedAt":null,"deletedAt":null,"replyTo":null,"threadId":null,"threadCount":0,"lastReplyAt":null,"attachments":[],"mentions":[],"reactions":[],"pinned":false}}"#
            .replace("TAG", &entry.message_id().unwrap().to_string());
        assert_eq!(entry_frame(&entry, "john_doe", false), common);
        let own = common.replace("\"pinned\":false", "\"pinned\":false,\"clientMessageId\":\"k1\"");
        assert_eq!(entry_frame(&entry, "john_doe", true), own);
    }
}
