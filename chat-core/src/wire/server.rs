//! What the server says, beside the entries of logs.

use bytes::Bytes;
use serde::Serialize;

use super::{
    client::RequestId,
    invitation::{BlockView, InviteLinkView, InviteView},
    message::{EditView, MessageView},
    review::{HeldView, ReportView},
    view::{AuditView, MemberView, PresenceView, RoomView, encode, time},
};
use crate::{
    auth::Secret,
    domain::{ErrorCode, Username},
    id::{InviteId, RoomId, Seq, UserId},
    limits::Limits,
    store::Reading,
    time::Timestamp,
};

/// The answer to a command: a `type` and fields.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
#[allow(missing_docs, reason = "the fields are those of docs/protocol.md, Commands")]
pub enum Answer {
    /// `authenticated`
    Authenticated {
        user_id: String,
        username: String,
        session_id: String,
        #[serde(serialize_with = "time")]
        server_time: Timestamp,
        epoch: String,
        heartbeat_ms: u64,
        limits: LimitsView,
    },
    /// `ack` of a message
    Sent {
        message_id: String,
        room_id: String,
        seq: u64,
        #[serde(serialize_with = "time")]
        created_at: Timestamp,
        duplicate: bool,
    },
    /// `ack` of a message that waits for review
    Held { held: bool, held_id: String, room_id: String, duplicate: bool },
    /// `held`
    HeldMessages { room_id: String, items: Vec<HeldView>, next_cursor: Option<String> },
    /// `reports`
    Reports { room_id: String, items: Vec<ReportView>, next_cursor: Option<String> },
    /// `ack` of creating or joining a room
    Room { room: RoomView },
    /// `ack` of what moved a log or a cursor
    Seq { seq: u64 },
    /// `ack` without fields
    Done {},
    /// `ack` of reading
    Read { unread: u64, mentions: u64 },
    /// `room`
    KnownRoom { room: RoomView },
    /// `rooms`
    Rooms { items: Vec<RoomView>, next_cursor: Option<String> },
    /// `members`
    Members { room_id: String, items: Vec<MemberView>, next_cursor: Option<String> },
    /// `history`
    History { room_id: String, messages: Vec<MessageView>, has_more_before: bool, has_more_after: bool },
    /// `ack` of what was so before, with the entry since which it is, where that is known
    Unchanged {
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
    },
    /// `thread`
    Thread {
        room_id: String,
        message_id: String,
        messages: Vec<MessageView>,
        has_more_before: bool,
        has_more_after: bool,
    },
    /// `edits`
    Edits { room_id: String, message_id: String, items: Vec<EditView>, has_more_before: bool },
    /// `pins`
    Pins { room_id: String, messages: Vec<MessageView>, has_more_before: bool },
    /// `audit`
    Audit { room_id: String, items: Vec<AuditView>, next_cursor: Option<String> },
    /// `ack` of an invitation; without a name where none was needed
    Invited {
        #[serde(skip_serializing_if = "Option::is_none")]
        invite_id: Option<String>,
    },
    /// `ack` of a new link
    Linked {
        #[serde(serialize_with = "exposed")]
        token: Secret,
        link_id: String,
        #[serde(serialize_with = "time")]
        expires_at: Timestamp,
        max_uses: Option<u32>,
    },
    /// `invites`
    Invites { items: Vec<InviteView> },
    /// `invite_links`
    InviteLinks { room_id: String, items: Vec<InviteLinkView> },
    /// `blocks`
    Blocks { items: Vec<BlockView>, next_cursor: Option<String> },
    /// `presences`
    Presences { items: Vec<PresenceView> },
    /// `pong`
    Pong {
        #[serde(serialize_with = "time")]
        server_time: Timestamp,
    },
}

/// A secret that its owner is told.
fn exposed<S: serde::Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

impl Answer {
    /// The answer's `type`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Authenticated { .. } => "authenticated",
            Self::Held { .. }
            | Self::Sent { .. }
            | Self::Room { .. }
            | Self::Seq { .. }
            | Self::Read { .. }
            | Self::Unchanged { .. }
            | Self::Done {} => "ack",
            Self::KnownRoom { .. } => "room",
            Self::HeldMessages { .. } => "held",
            Self::Reports { .. } => "reports",
            Self::Rooms { .. } => "rooms",
            Self::Members { .. } => "members",
            Self::History { .. } => "history",
            Self::Thread { .. } => "thread",
            Self::Edits { .. } => "edits",
            Self::Pins { .. } => "pins",
            Self::Audit { .. } => "audit",
            Self::Invited { .. } | Self::Linked { .. } => "ack",
            Self::Invites { .. } => "invites",
            Self::InviteLinks { .. } => "invite_links",
            Self::Blocks { .. } => "blocks",
            Self::Presences { .. } => "presences",
            Self::Pong { .. } => "pong",
        }
    }

    /// The answer's fields, without `type` and `id`: the body of the same call over HTTP.
    #[must_use]
    pub fn body(&self) -> Bytes {
        encode(self)
    }

    /// The answer as a frame.
    #[must_use]
    pub fn frame(&self, id: Option<&RequestId>) -> Bytes {
        encode(&Framed { kind: self.kind(), id, body: self })
    }
}

#[derive(Serialize)]
struct Framed<'a, B: Serialize> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RequestId>,
    #[serde(flatten)]
    body: &'a B,
}

/// The limits that a client should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LimitsView {
    messages_per_minute: u32,
    message_burst: u32,
    commands_per_second: u32,
    typing_per_second: u32,
    commands_in_flight: usize,
    frame_bytes: usize,
    content_chars: usize,
    resume_entries: u64,
}

impl From<&Limits> for LimitsView {
    fn from(limits: &Limits) -> Self {
        Self {
            messages_per_minute: limits.messages_per_minute,
            message_burst: limits.message_burst,
            commands_per_second: limits.commands_per_second,
            typing_per_second: limits.typing_per_second,
            commands_in_flight: limits.commands_in_flight,
            frame_bytes: limits.frame_bytes,
            content_chars: limits.content_chars,
            resume_entries: limits.resume_entries,
        }
    }
}

/// What a session is told that stands in no log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// All that was missed in a room has been sent, up to this seq.
    CaughtUp(RoomId, u64),
    /// Too much was missed: reload the last page of history and go on from this seq.
    ResyncRequired(RoomId, u64),
    /// A room of the `resume` list can't be followed. The id is as the client gave it.
    ResumeFailed(String),
    /// The server is about to close; reconnect after that many milliseconds.
    ServerDraining(u64),
    /// A sign of life is wanted.
    Ping,
    /// Somebody types in a room, as of now.
    UserTyping(RoomId, UserId, Username),
    /// Somebody types in a room no more.
    UserStoppedTyping(RoomId, UserId, Username),
    /// How somebody looks now.
    Presence(PresenceView),
    /// One is invited to a room, by that user.
    RoomInvite(InviteId, Box<RoomView>, UserId),
    /// What the user has not read in a room.
    Unread(RoomId, Reading),
    /// How far somebody has read in a room, and when they said so.
    ReadReceipt(RoomId, UserId, Seq, Timestamp),
    /// Up to where a room has reached somebody, and when they said so.
    Delivered(RoomId, UserId, Seq, Timestamp),
}

/// What a signal is about: of two with one topic that wait for a session the newer takes the older's place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Topic {
    /// What kind of thing.
    pub kind: &'static str,
    /// In which room, if in one.
    pub room: Option<RoomId>,
    /// Of which user, if of one.
    pub user: Option<UserId>,
}

impl Notice {
    /// The notice as a frame.
    #[must_use]
    pub fn frame(&self) -> Bytes {
        encode(&match self {
            Self::CaughtUp(room, seq) => NoticeFrame::CaughtUp { room_id: room.as_str(), seq: *seq },
            Self::ResyncRequired(room, seq) => {
                NoticeFrame::ResyncRequired { room_id: room.as_str(), seq: *seq }
            }
            Self::ResumeFailed(room_id) => {
                NoticeFrame::ResumeFailed { room_id, code: ErrorCode::NotFound.as_str() }
            }
            Self::ServerDraining(after) => NoticeFrame::ServerDraining { reconnect_after_ms: *after },
            Self::Ping => NoticeFrame::Ping {},
            Self::Unread(room, Reading { unread, mentions, .. }) => {
                NoticeFrame::Unread { room_id: room.as_str(), unread: *unread, mentions: *mentions }
            }
            Self::ReadReceipt(room, user, seq, at) => NoticeFrame::ReadReceipt {
                room_id: room.as_str(),
                user_id: user.as_str(),
                seq: seq.get(),
                read_at: *at,
            },
            Self::Delivered(room, user, seq, at) => NoticeFrame::Delivered {
                room_id: room.as_str(),
                user_id: user.as_str(),
                seq: seq.get(),
                delivered_at: *at,
            },
            Self::UserTyping(room, user, name) => NoticeFrame::UserTyping {
                room_id: room.as_str(),
                user_id: user.as_str(),
                username: name.as_str(),
            },
            Self::RoomInvite(id, room, by) => {
                NoticeFrame::RoomInvite { invite_id: id.as_str(), room, invited_by: by.as_str() }
            }
            Self::UserStoppedTyping(room, user, name) => NoticeFrame::UserStoppedTyping {
                room_id: room.as_str(),
                user_id: user.as_str(),
                username: name.as_str(),
            },
            Self::Presence(view) => NoticeFrame::Presence(view),
        })
    }

    /// What the notice is about.
    #[must_use]
    pub fn topic(&self) -> Topic {
        let of = |kind, room: Option<&RoomId>, user: Option<&UserId>| Topic {
            kind,
            room: room.cloned(),
            user: user.cloned(),
        };
        match self {
            Self::CaughtUp(room, _) => of("caught_up", Some(room), None),
            Self::ResyncRequired(room, _) => of("resync_required", Some(room), None),
            Self::ResumeFailed(_) => of("resume_failed", None, None),
            Self::ServerDraining(_) => of("server_draining", None, None),
            Self::Ping => of("ping", None, None),
            Self::RoomInvite(_, room, _) => {
                Topic { kind: "room_invite", room: RoomId::parse(room.id()).ok(), user: None }
            }
            Self::Unread(room, _) => of("unread", Some(room), None),
            Self::ReadReceipt(room, user, ..) => of("read_receipt", Some(room), Some(user)),
            Self::Delivered(room, user, ..) => of("delivered", Some(room), Some(user)),
            Self::UserTyping(room, user, _) | Self::UserStoppedTyping(room, user, _) => {
                of("typing", Some(room), Some(user))
            }
            Self::Presence(view) => of("presence", None, Some(view.user())),
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
enum NoticeFrame<'a> {
    CaughtUp {
        room_id: &'a str,
        seq: u64,
    },
    ResyncRequired {
        room_id: &'a str,
        seq: u64,
    },
    ResumeFailed {
        room_id: &'a str,
        code: &'static str,
    },
    ServerDraining {
        reconnect_after_ms: u64,
    },
    Ping {},
    Unread {
        room_id: &'a str,
        unread: u64,
        mentions: u64,
    },
    ReadReceipt {
        room_id: &'a str,
        user_id: &'a str,
        seq: u64,
        #[serde(serialize_with = "time")]
        read_at: Timestamp,
    },
    Delivered {
        room_id: &'a str,
        user_id: &'a str,
        seq: u64,
        #[serde(serialize_with = "time")]
        delivered_at: Timestamp,
    },
    UserTyping {
        room_id: &'a str,
        user_id: &'a str,
        username: &'a str,
    },
    UserStoppedTyping {
        room_id: &'a str,
        user_id: &'a str,
        username: &'a str,
    },
    RoomInvite {
        invite_id: &'a str,
        room: &'a RoomView,
        invited_by: &'a str,
    },
    Presence(&'a PresenceView),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorBody<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

/// An `error` frame.
#[must_use]
pub fn error_frame(
    id: Option<&RequestId>,
    code: ErrorCode,
    message: &str,
    retry_after_ms: Option<u64>,
) -> Bytes {
    encode(&Framed { kind: "error", id, body: &ErrorBody { code: code.as_str(), message, retry_after_ms } })
}

/// An `auth_error` frame.
#[must_use]
pub fn auth_error_frame(id: Option<&RequestId>, code: ErrorCode, message: &str) -> Bytes {
    let body = &ErrorBody { code: code.as_str(), message, retry_after_ms: None };
    encode(&Framed { kind: "auth_error", id, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_errors_and_notices_have_the_form_of_the_protocol() {
        let id = RequestId::Text("a".into());
        let sent = Answer::Sent {
            message_id: "m".into(),
            room_id: "r".into(),
            seq: 3,
            created_at: Timestamp::from_millis(0),
            duplicate: false,
        };
        let place = RoomId::parse("r").unwrap();
        let (ada, name) = (UserId::parse("u1").unwrap(), Username::parse("ada").unwrap());
        let text = crate::domain::StatusText::parse("lunch").unwrap();
        let away = crate::domain::Presence { status: crate::domain::Status::Away, text, last_seen: None };
        let gone = crate::domain::Presence::offline(Some(Timestamp::from_millis(7)));
        let frames = [
            sent.frame(Some(&id)),
            Answer::Done {}.frame(Some(&RequestId::Number(1))),
            error_frame(Some(&id), ErrorCode::RateLimited, "slow down", Some(10)),
            error_frame(None, ErrorCode::BadRequest, "no", None),
            auth_error_frame(Some(&id), ErrorCode::InvalidToken, "no"),
            Notice::CaughtUp(RoomId::parse("r").unwrap(), 3).frame(),
            Notice::ResumeFailed("r".into()).frame(),
            Notice::Ping.frame(),
            Notice::UserTyping(place.clone(), ada.clone(), name.clone()).frame(),
            Notice::UserStoppedTyping(place, ada.clone(), name).frame(),
            Notice::Presence(PresenceView::of(&ada, "ada", &away)).frame(),
            Answer::Presences { items: vec![PresenceView::of(&ada, "ada", &gone)] }.frame(Some(&id)),
        ];
        let expected = [
            r#"{"type":"ack","id":"a","messageId":"m","roomId":"r","seq":3,"createdAt":"1970-01-01T00:00:00.000Z","duplicate":false}"#,
            r#"{"type":"ack","id":1}"#,
            r#"{"type":"error","id":"a","code":"rate_limited","message":"slow down","retryAfterMs":10}"#,
            r#"{"type":"error","code":"bad_request","message":"no"}"#,
            r#"{"type":"auth_error","id":"a","code":"invalid_token","message":"no"}"#,
            r#"{"type":"caught_up","roomId":"r","seq":3}"#,
            r#"{"type":"resume_failed","roomId":"r","code":"not_found"}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"user_typing","roomId":"r","userId":"u1","username":"ada"}"#,
            r#"{"type":"user_stopped_typing","roomId":"r","userId":"u1","username":"ada"}"#,
            r#"{"type":"presence","userId":"u1","username":"ada","status":"away","statusText":"lunch","lastSeenAt":null}"#,
            r#"{"type":"presences","id":"a","items":[{"userId":"u1","username":"ada","status":"offline","statusText":null,"lastSeenAt":"1970-01-01T00:00:00.007Z"}]}"#,
        ];
        assert_eq!(frames.map(|frame| String::from_utf8(frame.to_vec()).unwrap()), expected);
    }
}
