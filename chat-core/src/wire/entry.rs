//! The one frame of each entry of a log.

use bytes::Bytes;
use serde::Serialize;

use super::{
    message::{MessageView, ThreadView, mentioned, message_id},
    view::{RoomView, encode, rfc3339, time},
};
use crate::{
    domain::{Change, Entry, Role},
    time::Timestamp,
};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Content, Message},
        id::{ClientMessageId, RoomId, Seq, UserId},
    };

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
