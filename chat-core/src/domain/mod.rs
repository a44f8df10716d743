//! The rules of chat, pure.
//!
//! A [`Request`] is planned on top of a [`Room`] and the [`Rows`] it needs; the plan yields a [`Commit`], one
//! value that a store saves atomically; its entries are then applied to the room. In prose, and by absence:
//!
//! * nothing here awaits, reads a clock, draws a random number or knows a store;
//! * a plan changes nothing that anybody can see: it works on a copy, and only [`Room::apply`] with a stored
//!   entry moves the real room;
//! * [`Room::apply`] needs nothing but the entry, so any node that reads the log ends in the same state;
//! * the order of a room's entries is their `seq`, never a time or an id.
//!
//! ```
//! use chat_core::domain::{Actor, Command, MembersOnly, Plan, Request, Room, RoomSpec, Rows, TextRules};
//! use chat_core::id::{RoomId, UserId};
//! use chat_core::time::Timestamp;
//!
//! let room = Room::unborn(RoomId::parse("lobby").unwrap());
//! let alice = Actor::new(UserId::parse("alice").unwrap());
//! let spec = RoomSpec::public("Lobby").unwrap();
//! let mut plan = Plan::on(&room, Rows::default(), &MembersOnly, TextRules::default());
//! plan.decide(&Request { actor: alice, at: Timestamp::from_millis(0), command: Command::Create(spec) }).unwrap();
//! let commit = plan.into_commit().unwrap();
//! assert_eq!(commit.entries.len(), 2, "seq 1 describes the room, seq 2 is the owner's joining");
//! ```

mod attachment;
mod audit;
mod code;
mod command;
mod commit;
mod emoji;
mod entry;
mod erasure;
mod group;
mod invite;
mod kept;
mod member;
mod mention;
mod message;
mod moderation;
mod plan;
mod policy;
mod presence;
mod rate;
mod rejection;
mod retention;
mod review;
mod room;
mod rows;
mod settings;
mod text;
mod typing;

pub use attachment::{Attachment, Attachments};
pub use audit::{AuditAct, AuditHash, AuditNote, AuditRecord};
pub use code::ErrorCode;
pub use command::{Actor, Command, Draft, Needs, Outcome, Request, RoomSpec, Sent};
pub use commit::{Commit, Guard, RowChange};
pub use emoji::Emoji;
pub use entry::{Change, Entry, LeaveReason, ThreadLeft};
pub use erasure::Erasing;
pub use group::{GROUP_MEMBERS_MAX, GroupSpec};
pub use invite::{
    Invite, InviteLink, LINK_SECONDS_DEFAULT, LINK_SECONDS_MAX, LINK_USES_MAX, LinkId, LinkSpec,
};
pub(crate) use kept::kept_as_accepted;
pub use member::{Marker, Member, Role};
pub use mention::{Addressed, MENTIONS_MAX, Mentions};
pub use message::{
    Deleted, Edited, InThread, Message, MessageType, PINS_MAX, REACTION_USERS_MAX, REACTIONS_DISTINCT_MAX,
    Reaction, Replies,
};
pub use moderation::{Measure, MemberUpdate, Moderation, Sanction};
pub use plan::Plan;
pub use policy::{Action, Decision, MembersOnly, Policy};
pub use presence::{
    Attendance, Availability, KeptPresence, PRESENCE_EVERY, PRESENCE_GRACE, Person, Presence, PresenceMode,
    PresenceNews, Status,
};
pub use rate::{Gcra, Rate, Strikes};
pub use rejection::Rejection;
pub use retention::{Cut, Retention};
pub use review::{HeldMessage, Release, Report, ReportReason, Resolution, Snapshot};
pub use room::{History, Room, RoomKind};
pub use rows::{Rows, THREAD_ROWS_MAX};
pub use settings::RoomChange;
pub use text::{
    Content, Description, DisplayName, Reason, RoomName, StatusText, TextError, TextRules, Username,
};
pub use typing::{TYPING_LASTS, Typing};
