//! The first encoding of every value. Frozen: it stands in files that are out there. A change is a `v2`.

use serde::{Deserialize, Serialize};

/// An identifier: the bytes of a canonical UUID, or the text of anything else.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in super::super) enum Id<'a> {
    Uuid([u8; 16]),
    Text(&'a str),
}

/// `10`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct User<'a> {
    #[serde(borrow)]
    pub(in super::super) id: Id<'a>,
    pub(in super::super) username: &'a str,
    pub(in super::super) created_at: i64,
    pub(in super::super) external: bool,
}

/// `12` and `24`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Named<'a> {
    #[serde(borrow)]
    pub(in super::super) id: Id<'a>,
}

/// `14`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct UserCount {
    pub(in super::super) rooms: u32,
    pub(in super::super) version: u64,
}

/// `17`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Presence<'a> {
    #[serde(borrow)]
    pub(in super::super) user: Id<'a>,
    pub(in super::super) mode: u8,
    pub(in super::super) text: &'a str,
    pub(in super::super) last_seen: Option<i64>,
}

/// `20`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Room<'a> {
    #[serde(borrow)]
    pub(in super::super) id: Id<'a>,
    pub(in super::super) kind: u8,
    pub(in super::super) name: &'a str,
    pub(in super::super) description: &'a str,
    #[serde(borrow)]
    pub(in super::super) created_by: Id<'a>,
    pub(in super::super) created_at: i64,
    pub(in super::super) history: u8,
    /// In a direct room the one who did not create it.
    #[serde(borrow)]
    pub(in super::super) peer: Option<Id<'a>>,
    pub(in super::super) slow_mode_seconds: u32,
    pub(in super::super) archived: bool,
    pub(in super::super) deleted: bool,
    pub(in super::super) retention_days: Option<u32>,
    pub(in super::super) retention_messages: Option<u32>,
    /// The first entry that is kept.
    pub(in super::super) first: u64,
    /// The ordinal of the newest message that was cut.
    pub(in super::super) trimmed: u64,
}

/// `21`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct RoomCount {
    pub(in super::super) head: u64,
    pub(in super::super) messages: u64,
    pub(in super::super) members: u32,
    pub(in super::super) owners: u32,
}

/// `22`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Member<'a> {
    #[serde(borrow)]
    pub(in super::super) user: Id<'a>,
    pub(in super::super) role: u8,
    pub(in super::super) joined: u64,
    pub(in super::super) joined_at: i64,
}

/// `25`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Sanction<'a> {
    #[serde(borrow)]
    pub(in super::super) user: Id<'a>,
    pub(in super::super) banned_until: Option<i64>,
    pub(in super::super) muted_until: Option<i64>,
}

/// `2B`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Block<'a> {
    #[serde(borrow)]
    pub(in super::super) by: Id<'a>,
    #[serde(borrow)]
    pub(in super::super) user: Id<'a>,
    pub(in super::super) at: i64,
}

/// `26`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Dropped<'a> {
    #[serde(borrow)]
    pub(in super::super) room: Id<'a>,
    pub(in super::super) head: u64,
}

/// `28`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Invite<'a> {
    #[serde(borrow)]
    pub(in super::super) id: Id<'a>,
    #[serde(borrow)]
    pub(in super::super) room: Id<'a>,
    #[serde(borrow)]
    pub(in super::super) user: Id<'a>,
    #[serde(borrow)]
    pub(in super::super) by: Id<'a>,
    pub(in super::super) at: i64,
}

/// `2A 01`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Link<'a> {
    #[serde(borrow)]
    pub(in super::super) room: Id<'a>,
    #[serde(borrow)]
    pub(in super::super) by: Id<'a>,
    pub(in super::super) at: i64,
    pub(in super::super) expires_at: i64,
    pub(in super::super) max_uses: Option<u32>,
    pub(in super::super) uses: u32,
}

/// `30`; room and seq stand in the key, the rest of a long text in `39`.
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Message<'a> {
    pub(in super::super) at: i64,
    #[serde(borrow)]
    pub(in super::super) actor: Id<'a>,
    pub(in super::super) ordinal: u64,
    pub(in super::super) message_type: u8,
    #[serde(borrow)]
    pub(in super::super) client_message_id: Option<Id<'a>>,
    pub(in super::super) text: &'a str,
    /// Bytes of the text that stand in `39`.
    pub(in super::super) continued: u32,
}

/// `3A`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Event<'a> {
    pub(in super::super) at: i64,
    #[serde(borrow)]
    pub(in super::super) actor: Id<'a>,
    #[serde(borrow)]
    pub(in super::super) change: Change<'a>,
}

/// What an entry that is no message says. Variants are only ever appended.
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) enum Change<'a> {
    Describe {
        #[serde(borrow)]
        room: Room<'a>,
        count: RoomCount,
    },
    Join {
        #[serde(borrow)]
        user: Id<'a>,
        role: u8,
        member_count: u32,
    },
    Leave {
        #[serde(borrow)]
        user: Id<'a>,
        role: u8,
        reason: LeaveReason,
        member_count: u32,
    },
    UpdateMember {
        #[serde(borrow)]
        user: Id<'a>,
        was: Option<u8>,
        role: Option<u8>,
        muted_until: Option<i64>,
        banned_until: Option<i64>,
    },
    /// The text stands with the message.
    Edit {
        target: u64,
    },
    Delete {
        target: u64,
        thread: Option<ThreadLeft>,
    },
    React {
        target: u64,
        emoji: &'a str,
        count: u32,
    },
    Unreact {
        target: u64,
        emoji: &'a str,
        count: u32,
    },
    Pin {
        target: u64,
    },
    Unpin {
        target: u64,
    },
    DeleteRoom,
}

/// What a deletion leaves of a thread.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in super::super) struct ThreadLeft {
    pub(in super::super) root: u64,
    pub(in super::super) count: u32,
    pub(in super::super) last_at: Option<i64>,
}

/// `32`, part 0: a text that a message had before.
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Former<'a> {
    pub(in super::super) written_at: i64,
    pub(in super::super) replaced_at: i64,
    pub(in super::super) text: &'a str,
    /// Bytes of the text that stand in the parts after this one.
    pub(in super::super) continued: u32,
}

/// `3D`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Attachment<'a> {
    pub(in super::super) file_id: &'a str,
    pub(in super::super) name: &'a str,
    pub(in super::super) mime: &'a str,
    pub(in super::super) size: u64,
    pub(in super::super) url: &'a str,
    pub(in super::super) width: Option<u32>,
    pub(in super::super) height: Option<u32>,
}

/// `33`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Reacted<'a> {
    #[serde(borrow)]
    pub(in super::super) user: Id<'a>,
    /// The entry that says so.
    pub(in super::super) seq: u64,
}

/// `34`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Reaction<'a> {
    /// The entry by which the first of its users came, so that emoji keep their order.
    pub(in super::super) first: u64,
    pub(in super::super) count: u32,
    #[serde(borrow)]
    pub(in super::super) users: Vec<Id<'a>>,
}

/// Why a membership ended. Variants are only ever appended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in super::super) enum LeaveReason {
    Left,
    Kicked,
    Banned(i64),
    Erased,
}

/// `65 00`
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in super::super) struct Erasure<'a> {
    #[serde(borrow)]
    pub(in super::super) user: Id<'a>,
    /// Under which it stands in `65 02`.
    pub(in super::super) number: u64,
    pub(in super::super) stage: u8,
    /// Where the stage goes on.
    pub(in super::super) cursor: Option<&'a str>,
}

/// `65 02`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Erased<'a> {
    pub(in super::super) number: u64,
    #[serde(borrow)]
    pub(in super::super) user: Id<'a>,
}

/// `60`; the number stands in the key.
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct AuditRecord<'a> {
    #[serde(borrow)]
    pub(in super::super) room: Id<'a>,
    pub(in super::super) at: i64,
    #[serde(borrow)]
    pub(in super::super) actor: Id<'a>,
    pub(in super::super) act: &'a str,
    #[serde(borrow)]
    pub(in super::super) target: Option<Id<'a>>,
    #[serde(borrow)]
    pub(in super::super) details: Vec<(&'a str, &'a str)>,
    pub(in super::super) previous: [u8; 32],
    pub(in super::super) hash: [u8; 32],
}

/// `61`
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in super::super) struct AuditHead {
    pub(in super::super) count: u64,
    pub(in super::super) hash: [u8; 32],
}

/// `40`, and `41` without ordinal
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Marker {
    pub(in super::super) seq: u64,
    pub(in super::super) ordinal: u64,
}

/// `35` to `37`: the places that count, ascending, and how much.
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Tally {
    pub(in super::super) counts: Vec<(u8, u64)>,
}

/// `50`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Sent {
    pub(in super::super) seq: u64,
    pub(in super::super) at: i64,
}

/// `63 00`; the rest of a long text in `63 04`.
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Held<'a> {
    #[serde(borrow)]
    pub(in super::super) id: Id<'a>,
    #[serde(borrow)]
    pub(in super::super) author: Id<'a>,
    pub(in super::super) at: i64,
    pub(in super::super) message_type: u8,
    #[serde(borrow)]
    pub(in super::super) client_message_id: Option<Id<'a>>,
    /// The message that it answers; 0 for none.
    pub(in super::super) reply_to: u64,
    /// The thread that it belongs to; 0 for none.
    pub(in super::super) thread: u64,
    /// How many files it refers to, which stand in `63 05`.
    pub(in super::super) attachments: u8,
    pub(in super::super) text: &'a str,
    /// Bytes of the text that stand in `63 04`.
    pub(in super::super) continued: u32,
}

/// `62 00`; the rest of a long text in `62 04`.
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Report<'a> {
    #[serde(borrow)]
    pub(in super::super) id: Id<'a>,
    #[serde(borrow)]
    pub(in super::super) reporter: Id<'a>,
    pub(in super::super) at: i64,
    pub(in super::super) reason: &'a str,
    pub(in super::super) seq: u64,
    #[serde(borrow)]
    pub(in super::super) author: Id<'a>,
    pub(in super::super) sent_at: i64,
    pub(in super::super) message_type: u8,
    /// How many files it referred to, which stand in `62 05`.
    pub(in super::super) attachments: u8,
    /// By whom it was resolved, and when.
    #[serde(borrow)]
    pub(in super::super) resolved: Option<(Id<'a>, i64)>,
    pub(in super::super) text: &'a str,
    /// Bytes of the text that stand in `62 04`.
    pub(in super::super) continued: u32,
}

/// `62 01` and `63 01`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Count {
    pub(in super::super) count: u32,
}

/// `01 run`: how the last run of the store wrote, and whether it was closed.
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Run {
    pub(in super::super) durability: u8,
    pub(in super::super) clean: bool,
}

/// `01 epoch`
#[derive(Debug, Serialize, Deserialize)]
pub(in super::super) struct Epoch<'a> {
    pub(in super::super) epoch: &'a str,
}
