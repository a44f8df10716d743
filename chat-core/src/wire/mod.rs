//! The JSON protocol (docs/protocol.md), usable by any transport.
//!
//! One JSON object a frame, field names in camelCase, `type` in snake_case. Fields that this version does not
//! know are ignored, so that newer clients may say more; a `type` that it does not know is answered
//! `unknown_type`. Names that were ever sent are never given another meaning.

mod client;
mod entry;
mod invitation;
mod message;
mod review;
mod server;
mod user;
mod view;

pub use client::{AttachmentFields, COMMANDS, FetchThread};
pub use client::{
    Authenticate, CareCommand, ClientCommand, ClientFrame, CreateGroup, CreateInviteLink, CreateRoom,
    DecodeError, EditMessage, FetchAudit, FetchHistory, GetPresence, Heartbeat, HeldPlace, InviteFields,
    ListBlocks, ListMembers, ListPins, ListRooms, Mark, MessageRef, Moderate, ReactionFields, ReportMessage,
    ReportPlace, RequestId, ResumeFrom, ReviewList, RevokeInviteLink, Scope, SendDm, SendMessage,
    SetPresence, SetRole, StatusTextField, Subscribe, SubscribeTo, UpdateRoom, WishedStatus,
};
pub use entry::entry_frame;
pub use invitation::{BlockView, InviteLinkView, InviteView};
pub use message::{EditView, MessageView};
pub use review::{HeldView, ReportView};
pub use server::{Answer, LimitsView, Notice, Topic, auth_error_frame, error_frame};
pub use user::UserView;
pub use view::{AuditView, MemberView, OwnRoomView, PresenceView, RoomView, parse_rfc3339, rfc3339};
