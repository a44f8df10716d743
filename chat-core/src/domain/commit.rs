//! What a store saves at once.

use super::{AuditNote, Entry, Invite, InviteLink, LinkId, Marker, Member, Room, RoomName, Sanction, Sent};
use crate::id::{ClientMessageId, HeldId, InviteId, Seq, UserId};

/// One value, saved atomically or not at all: entries of one room's log and all row changes that follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The head on which it was planned. If the stored head differs, nothing is saved and planning starts over.
    pub after: Seq,
    /// The room as it stands after the last entry.
    pub room: Room,
    /// The new entries, dense from `after + 1`; none when only rows change.
    pub entries: Vec<Entry>,
    /// Rows of this room that change with them, in order: a later change of the same row wins.
    pub rows: Vec<RowChange>,
    /// What must hold outside the room's log for the commit to be right.
    pub guards: Vec<Guard>,
}

/// A row of the room that a commit changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowChange {
    /// The user is a member, so. The store also lists the room among the user's rooms.
    PutMember(Member),
    /// The user is no member any more; the room leaves their list, their marker goes.
    RemoveMember(UserId),
    /// What was sent under this key, kept for at least 24 hours.
    PutSent(UserId, ClientMessageId, Sent),
    /// How far the user has read.
    PutMarker(UserId, Marker),
    /// A message of the user's has come by somebody else's act. Their marker stays, and the message does not count as
    /// unread to them; only when [`crate::limits::UNATTENDED_UNREAD_MAX`] of theirs lie behind it, it moves here.
    SentFor(UserId, Marker),
    /// The room takes this name among public rooms.
    TakeName(RoomName),
    /// The room gives this name back.
    FreeName(RoomName),
    /// The room is deleted: its rows may go, a few at a time.
    DropRoom,
    /// What stands against the user; nothing is kept of an empty one.
    PutSanction(UserId, Sanction),
    /// A privileged act, appended to the room's audit log: numbered and chained to the record before in the same
    /// step. The log has no other way in, and none to change or delete a record.
    Audit(AuditNote),
    /// The message is not held for review any more.
    RemoveHeld(HeldId),
    /// Somebody is invited to the room.
    PutInvite(Invite),
    /// The user is invited to the room no more, if they were. Goes with each [`RowChange::PutMember`] without being
    /// named.
    RemoveInvite(UserId),
    /// There is a link into the room.
    PutLink(InviteLink),
    /// One more has come by the link.
    UseLink(LinkId),
    /// The link is no more.
    RemoveLink(LinkId),
    /// The room's retention is now that of the commit's room: the store lists the room among those that have one, or
    /// does so no more.
    PutRetention,
    /// What stands before the first kept entry of the commit's room may go, a few rows at a time.
    Trim,
}

/// A condition on what lies outside the room's log, checked in the same atomic step as the save.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// No other public room has this name.
    NameFree(RoomName),
    /// This message is still held for review in the room.
    IsHeld(HeldId),
    /// The user belongs to fewer rooms than this, before the commit.
    RoomsBelow(UserId, u32),
    /// Neither of these users has blocked the other; the first is the one who acts.
    Unblocked(UserId, UserId),
    /// The user's invitation to the commit's room is this one.
    Invited(UserId, InviteId),
    /// The user has no invitation to the commit's room. Goes with each [`RowChange::PutInvite`] without being named.
    Uninvited(UserId),
    /// With the user's one more, neither the room nor the user has too many invitations. Goes with each
    /// [`RowChange::PutInvite`] without being named.
    InviteFits(UserId),
    /// This is a link into the commit's room.
    LinkStands(LinkId),
    /// The user was not erased. Goes without being named with every entry and row by which something new would be
    /// saved of a user or about them, but for what erases them.
    NotErased(UserId),
    /// With one more, the room has not too many links that are good. Goes with each [`RowChange::PutLink`] without
    /// being named.
    LinkFits,
    /// The user has sent nothing under this key to the commit's room. Goes with each [`RowChange::PutSent`] without
    /// being named, so that nobody has to look up a key before: nearly all are new.
    KeyNew(UserId, ClientMessageId),
}
