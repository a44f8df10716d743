//! Rooms, members and messages as they look on the wire.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::message::MessageView;
use crate::{
    domain::{AuditRecord, Member, Presence, Room},
    id::{Seq, UserId},
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

/// Reads an instant in the form of RFC 3339, whatever its offset. `None` for what is none.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|at| Timestamp::from_millis(at.as_millisecond()))
}

pub(super) fn id<S: Serializer>(id: &UserId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id.as_str())
}

pub(super) fn maybe_time<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => time(at, serializer),
        None => serializer.serialize_none(),
    }
}

pub(super) fn time<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc_with_milliseconds() {
        assert_eq!(rfc3339(Timestamp::from_millis(1_769_860_800_000)), "2026-01-31T12:00:00.000Z");
        assert_eq!(rfc3339(Timestamp::from_millis(-1)), "1969-12-31T23:59:59.999Z");
        assert_eq!(rfc3339(Timestamp::from_millis(i64::MAX)).len(), 24);
    }
}
