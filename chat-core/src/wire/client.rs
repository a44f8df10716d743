//! What a client may say.

mod care;
mod invites;
mod messages;
mod moderation;
mod names;
mod people;
mod presence;
mod reading;
mod settings;

use std::{borrow::Cow, fmt};

pub use messages::{AttachmentFields, EditMessage, FetchThread, ListPins, MessageRef, ReactionFields};
use serde::{Deserialize, Deserializer, Serialize, de};

pub use care::{CareCommand, HeldPlace, ReportMessage, ReportPlace, ReviewList};
pub use invites::{CreateInviteLink, InviteFields, RevokeInviteLink};
pub use moderation::{FetchAudit, Moderate, SetRole};
pub use names::COMMANDS;
pub use people::{CreateGroup, ListBlocks, SendDm};
pub use presence::{GetPresence, SetPresence, StatusTextField, WishedStatus};
pub use reading::Mark;
pub use settings::UpdateRoom;

use invites::{InviteOnly, TokenOnly};
use people::UserOnly;

use crate::{auth::Secret, domain::ErrorCode};

/// One frame of a client.
#[derive(Debug, Clone)]
pub struct ClientFrame {
    /// Echoed in the answer. Without one only failures are answered.
    pub id: Option<RequestId>,
    /// What it asks.
    pub command: ClientCommand,
}

/// A client's own name for a request: a string of at most 64 characters, or an integer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum RequestId {
    /// A string.
    Text(Box<str>),
    /// An integer.
    Number(i64),
}

/// What a client asks for.
#[derive(Debug, Clone)]
pub enum ClientCommand {
    /// `authenticate`
    Authenticate(Authenticate),
    /// `create_room`
    CreateRoom(CreateRoom),
    /// `list_rooms`
    ListRooms(ListRooms),
    /// `join_room`, with the room's id
    JoinRoom(String),
    /// `leave_room`, with the room's id
    LeaveRoom(String),
    /// `subscribe`
    Subscribe(Subscribe),
    /// `unsubscribe`, with the room's id
    Unsubscribe(String),
    /// `list_members`
    ListMembers(ListMembers),
    /// `send_message`
    SendMessage(SendMessage),
    /// `get_room`, with the room's id
    GetRoom(String),
    /// `mark_read`
    MarkRead(Mark),
    /// `mark_delivered`
    MarkDelivered(Mark),
    /// `fetch_history`
    FetchHistory(FetchHistory),
    /// `edit_message`
    EditMessage(EditMessage),
    /// `delete_message`
    DeleteMessage(MessageRef),
    /// `add_reaction`
    AddReaction(ReactionFields),
    /// `remove_reaction`
    RemoveReaction(ReactionFields),
    /// `pin_message`
    PinMessage(MessageRef),
    /// `unpin_message`
    UnpinMessage(MessageRef),
    /// `fetch_thread`
    FetchThread(FetchThread),
    /// `fetch_edits`
    FetchEdits(MessageRef),
    /// `list_pins`
    ListPins(ListPins),
    /// `set_role`
    SetRole(SetRole),
    /// `kick`
    Kick(Moderate),
    /// `ban`
    Ban(Moderate),
    /// `unban`
    Unban(Moderate),
    /// `mute`
    Mute(Moderate),
    /// `unmute`
    Unmute(Moderate),
    /// `fetch_audit`
    FetchAudit(FetchAudit),
    /// `send_dm`
    SendDm(SendDm),
    /// `create_group`
    CreateGroup(CreateGroup),
    /// `block_user`, with the user's id
    BlockUser(String),
    /// `unblock_user`, with the user's id
    UnblockUser(String),
    /// `list_blocks`
    ListBlocks(ListBlocks),
    /// What is to be reviewed: held messages and reports
    Care(CareCommand),
    /// `update_room`
    UpdateRoom(UpdateRoom),
    /// `delete_room`, with the room's id
    DeleteRoom(String),
    /// `invite`
    Invite(InviteFields),
    /// `list_invites`
    ListInvites,
    /// `accept_invite`, with the invitation's id
    AcceptInvite(String),
    /// `decline_invite`, with the invitation's id
    DeclineInvite(String),
    /// `create_invite_link`
    CreateInviteLink(CreateInviteLink),
    /// `list_invite_links`, with the room's id
    ListInviteLinks(String),
    /// `revoke_invite_link`
    RevokeInviteLink(RevokeInviteLink),
    /// `join_by_link`, with the link's token
    JoinByLink(Secret),
    /// `ping`
    Ping,
    /// `typing_start`
    TypingStart(String),
    /// `typing_stop`
    TypingStop(String),
    /// `set_presence`
    SetPresence(SetPresence),
    /// `get_presence`
    GetPresence(GetPresence),
    /// `pong`, the answer to the server's `ping`
    Pong,
}

/// The fields of `authenticate`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Authenticate {
    /// The token; may be left out where the handshake carried one.
    #[serde(deserialize_with = "secret")]
    pub token: Option<Secret>,
    /// From where to go on, for rooms that were followed before.
    pub resume: Vec<ResumeFrom>,
    /// The epoch of the connection before.
    pub epoch: Option<String>,
    /// Which rooms to follow.
    pub subscribe: SubscribeTo,
    /// How to ask for signs of life.
    pub heartbeat: Heartbeat,
}

/// Where a client stopped in one room.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResumeFrom {
    /// The room's id.
    pub room_id: String,
    /// The newest seq that was seen.
    pub after: u64,
}

/// Which rooms a session follows by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscribeTo {
    /// Every room the user is a member of, also those joined later.
    #[default]
    All,
    /// None but those of `resume` and `subscribe`.
    None,
}

/// How a session asks for signs of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Heartbeat {
    /// By control frames of the transport.
    #[default]
    Control,
    /// By `ping` frames, for clients that do not see control frames.
    Message,
}

/// The fields of `create_room`.
#[derive(Debug, Clone, Deserialize)]
pub struct CreateRoom {
    /// The room's name.
    pub name: String,
    /// What it is about.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether only members may know of it.
    #[serde(default)]
    pub private: bool,
}

/// The fields of `list_rooms`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ListRooms {
    /// Which rooms.
    pub scope: Scope,
    /// Only those whose name contains this; for public rooms.
    pub query: Option<String>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Which rooms to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All public ones.
    #[default]
    Public,
    /// The caller's.
    Mine,
}

/// The fields of `subscribe`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscribe {
    /// The room's id.
    pub room_id: String,
    /// Replay what came after this seq first.
    #[serde(default)]
    pub after: Option<u64>,
}

/// The fields of `list_members`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListMembers {
    /// The room's id.
    pub room_id: String,
    /// Where the page before ended.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// The fields of `send_message`. Its `Debug` form hides the text.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendMessage {
    /// The room's id.
    pub room_id: String,
    /// The text.
    pub content: String,
    /// `text` unless told.
    #[serde(default)]
    pub message_type: Option<String>,
    /// Makes a repeat the same send.
    #[serde(default)]
    pub client_message_id: Option<String>,
    /// The id of the message that this one answers.
    #[serde(default)]
    pub reply_to: Option<String>,
    /// The id of the message whose thread it belongs to.
    #[serde(default)]
    pub thread_id: Option<String>,
    /// Files that it refers to.
    #[serde(default)]
    pub attachments: Option<Vec<AttachmentFields>>,
}

impl fmt::Debug for SendMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendMessage").field("room_id", &self.room_id).finish_non_exhaustive()
    }
}

/// The fields of `fetch_history`; at most one of the three places.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FetchHistory {
    /// The room's id.
    pub room_id: String,
    /// Messages before this seq.
    #[serde(default)]
    pub before: Option<u64>,
    /// Messages after this seq.
    #[serde(default)]
    pub after: Option<u64>,
    /// Messages around this seq, itself included.
    #[serde(default)]
    pub around: Option<u64>,
    /// At most so many; 50 unless told, 200 at most.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// A frame that is no command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// The frame's id, where it could be read.
    pub id: Option<RequestId>,
    /// `bad_request` or `unknown_type`.
    pub code: ErrorCode,
    /// For a person.
    pub message: Cow<'static, str>,
}

impl ClientFrame {
    /// Reads a frame.
    ///
    /// # Errors
    /// [`DecodeError`] to be answered as an `error` frame.
    pub fn decode(json: &[u8]) -> Result<Self, DecodeError> {
        let head: Head<'_> = serde_json::from_slice(json).map_err(|error| DecodeError {
            id: None,
            code: ErrorCode::BadRequest,
            message: describe("not a command", &error),
        })?;
        match command(&head.kind, json) {
            Some(Ok(command)) => Ok(Self { id: head.id, command }),
            Some(Err(error)) => {
                let message = describe("malformed field", &error);
                Err(DecodeError { id: head.id, code: ErrorCode::BadRequest, message })
            }
            None => {
                let message = "this server does not know the type".into();
                Err(DecodeError { id: head.id, code: ErrorCode::UnknownType, message })
            }
        }
    }
}

/// What every frame has.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    id: Option<RequestId>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoomOnly {
    room_id: String,
}

fn command(kind: &str, json: &[u8]) -> Option<serde_json::Result<ClientCommand>> {
    fn read<'a, T: Deserialize<'a>>(
        json: &'a [u8],
        command: impl FnOnce(T) -> ClientCommand,
    ) -> Option<serde_json::Result<ClientCommand>> {
        Some(serde_json::from_slice(json).map(command))
    }
    match kind {
        "authenticate" => read(json, ClientCommand::Authenticate),
        "create_room" => read(json, ClientCommand::CreateRoom),
        "list_rooms" => read(json, ClientCommand::ListRooms),
        "join_room" => read(json, |room: RoomOnly| ClientCommand::JoinRoom(room.room_id)),
        "leave_room" => read(json, |room: RoomOnly| ClientCommand::LeaveRoom(room.room_id)),
        "subscribe" => read(json, ClientCommand::Subscribe),
        "unsubscribe" => read(json, |room: RoomOnly| ClientCommand::Unsubscribe(room.room_id)),
        "list_members" => read(json, ClientCommand::ListMembers),
        "send_message" => read(json, ClientCommand::SendMessage),
        "get_room" => read(json, |room: RoomOnly| ClientCommand::GetRoom(room.room_id)),
        "mark_read" => read(json, ClientCommand::MarkRead),
        "mark_delivered" => read(json, ClientCommand::MarkDelivered),
        "fetch_history" => read(json, ClientCommand::FetchHistory),
        "edit_message" => read(json, ClientCommand::EditMessage),
        "delete_message" => read(json, ClientCommand::DeleteMessage),
        "add_reaction" => read(json, ClientCommand::AddReaction),
        "remove_reaction" => read(json, ClientCommand::RemoveReaction),
        "pin_message" => read(json, ClientCommand::PinMessage),
        "unpin_message" => read(json, ClientCommand::UnpinMessage),
        "fetch_thread" => read(json, ClientCommand::FetchThread),
        "fetch_edits" => read(json, ClientCommand::FetchEdits),
        "list_pins" => read(json, ClientCommand::ListPins),
        "set_role" => read(json, ClientCommand::SetRole),
        "kick" => read(json, ClientCommand::Kick),
        "ban" => read(json, ClientCommand::Ban),
        "unban" => read(json, ClientCommand::Unban),
        "mute" => read(json, ClientCommand::Mute),
        "unmute" => read(json, ClientCommand::Unmute),
        "fetch_audit" => read(json, ClientCommand::FetchAudit),
        "typing_start" => read(json, |room: RoomOnly| ClientCommand::TypingStart(room.room_id)),
        "typing_stop" => read(json, |room: RoomOnly| ClientCommand::TypingStop(room.room_id)),
        "send_dm" => Some(people::read_direct(json)),
        "create_group" => read(json, ClientCommand::CreateGroup),
        "block_user" => read(json, |user: UserOnly| ClientCommand::BlockUser(user.user_id)),
        "unblock_user" => read(json, |user: UserOnly| ClientCommand::UnblockUser(user.user_id)),
        "list_blocks" => read(json, ClientCommand::ListBlocks),
        "set_presence" => read(json, ClientCommand::SetPresence),
        "get_presence" => read(json, ClientCommand::GetPresence),
        "update_room" => read(json, ClientCommand::UpdateRoom),
        "delete_room" => read(json, |room: RoomOnly| ClientCommand::DeleteRoom(room.room_id)),
        kind if care::knows(kind) => Some(care::read(kind, json).map(ClientCommand::Care)),
        "invite" => read(json, ClientCommand::Invite),
        "list_invites" => Some(Ok(ClientCommand::ListInvites)),
        "accept_invite" => read(json, |it: InviteOnly| ClientCommand::AcceptInvite(it.invite_id)),
        "decline_invite" => read(json, |it: InviteOnly| ClientCommand::DeclineInvite(it.invite_id)),
        "create_invite_link" => read(json, ClientCommand::CreateInviteLink),
        "list_invite_links" => read(json, |room: RoomOnly| ClientCommand::ListInviteLinks(room.room_id)),
        "revoke_invite_link" => read(json, ClientCommand::RevokeInviteLink),
        "join_by_link" => read(json, |it: TokenOnly| ClientCommand::JoinByLink(it.secret())),
        "ping" => Some(Ok(ClientCommand::Ping)),
        "pong" => Some(Ok(ClientCommand::Pong)),
        _ => None,
    }
}

/// Says where and of what kind a mistake is, without repeating what was sent.
fn describe(what: &str, error: &serde_json::Error) -> Cow<'static, str> {
    let kind = match error.classify() {
        serde_json::error::Category::Data => "missing field or wrong type",
        _ => "broken JSON",
    };
    format!("{what}: {kind} at line {} column {}", error.line(), error.column()).into()
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = RequestId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string of at most 64 characters or an integer")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RequestId, E> {
                match text.chars().nth(64) {
                    None => Ok(RequestId::Text(text.into())),
                    Some(_) => Err(E::custom("the id is too long")),
                }
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<RequestId, E> {
                Ok(RequestId::Number(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<RequestId, E> {
                i64::try_from(number).map(RequestId::Number).map_err(|_| E::custom("the id is too large"))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests;
