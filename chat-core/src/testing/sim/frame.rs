//! A server's frame as a client of a simulation reads it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::id::RoomId;

/// The fields of all frames that a simulation looks at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerFrame<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(default)]
    pub(super) id: Option<i64>,
    #[serde(default, borrow)]
    pub(super) room_id: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) seq: Option<u64>,
    #[serde(default, borrow)]
    pub(super) code: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(super) duplicate: Option<bool>,
    #[serde(default, borrow)]
    pub(super) epoch: Option<Cow<'a, str>>,
    /// An object in events and a sentence in errors.
    #[serde(default, borrow)]
    message: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub(super) messages: Option<Vec<Message<'a>>>,
    #[serde(default, borrow)]
    pub(super) room: Option<RoomIdOnly<'a>>,
    #[serde(default, borrow)]
    pub(super) user_id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    pub(super) message_id: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub(super) room_id: Cow<'a, str>,
    pub(super) seq: u64,
    #[serde(borrow)]
    pub(super) content: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RoomIdOnly<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
}

impl ServerFrame<'_> {
    /// The place of a log entry, if the frame is one.
    pub(super) fn entry(&self) -> Option<(RoomId, u64)> {
        match (&*self.kind, &self.room, &self.room_id) {
            ("new_message", ..) => {
                let message: Message<'_> = serde_json::from_str(self.message?.get()).ok()?;
                Some((RoomId::from_trusted(&message.room_id), message.seq))
            }
            ("room_updated", Some(room), _) => Some((RoomId::from_trusted(&room.id), self.seq?)),
            ("user_joined" | "user_left" | "message_edited" | "message_deleted", _, Some(room)) => {
                Some((RoomId::from_trusted(room), self.seq?))
            }
            _ => None,
        }
    }

    /// The room of a notice.
    pub(super) fn room(&self) -> Option<RoomId> {
        self.room_id.as_deref().map(RoomId::from_trusted)
    }
}
