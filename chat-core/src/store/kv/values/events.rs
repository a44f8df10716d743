//! The rows of entries that are no messages.

use super::{count_row, decode, encode, role_byte, role_of, room_of, room_row, v1};
use crate::{
    domain::{Change, Content, Emoji, Entry, LeaveReason, MemberUpdate, Mentions, Replies, ThreadLeft},
    id::{RoomId, Seq},
    store::StoreError,
    time::Timestamp,
};

/// The row of an entry that is no message; `None` for one that is.
pub(in super::super) fn encode_event(entry: &Entry) -> Result<Option<Vec<u8>>, StoreError> {
    let change = match &entry.change {
        Change::Send(_) => return Ok(None),
        Change::Describe(room) => v1::Change::Describe { room: room_row(room), count: count_row(room) },
        Change::Join { user, role, member_count } => v1::Change::Join {
            user: v1::Id::of(user.as_str()),
            role: role_byte(*role),
            member_count: *member_count,
        },
        Change::Leave { user, role, reason, member_count } => v1::Change::Leave {
            user: v1::Id::of(user.as_str()),
            role: role_byte(*role),
            reason: match reason {
                LeaveReason::Left => v1::LeaveReason::Left,
                LeaveReason::Kicked => v1::LeaveReason::Kicked,
                LeaveReason::Banned(until) => v1::LeaveReason::Banned(until.as_millis()),
                LeaveReason::Erased => v1::LeaveReason::Erased,
            },
            member_count: *member_count,
        },
        Change::DeleteRoom => v1::Change::DeleteRoom,
        Change::UpdateMember(update) => v1::Change::UpdateMember {
            user: v1::Id::of(update.user.as_str()),
            was: update.was.map(role_byte),
            role: update.role.map(role_byte),
            muted_until: update.muted_until.map(Timestamp::as_millis),
            banned_until: update.banned_until.map(Timestamp::as_millis),
        },
        Change::Edit { target, .. } => v1::Change::Edit { target: target.get() },
        Change::Delete { target, thread } => v1::Change::Delete {
            target: target.get(),
            thread: thread.map(|left| v1::ThreadLeft {
                root: left.root.get(),
                count: left.replies.count,
                last_at: left.replies.last_at.map(Timestamp::as_millis),
            }),
        },
        Change::React { target, emoji, count } => {
            v1::Change::React { target: target.get(), emoji: emoji.as_str(), count: *count }
        }
        Change::Unreact { target, emoji, count } => {
            v1::Change::Unreact { target: target.get(), emoji: emoji.as_str(), count: *count }
        }
        Change::Pin { target } => v1::Change::Pin { target: target.get() },
        Change::Unpin { target } => v1::Change::Unpin { target: target.get() },
    };
    let (at, actor) = (entry.at.as_millis(), v1::Id::of(entry.actor.as_str()));
    encode(&v1::Event { at, actor, change }).map(Some)
}

/// The entry in a row of the table of entries that are no messages. `text` yields the text that a message has
/// now, for an entry that tells it.
pub(in super::super) fn decode_event(
    room: &RoomId,
    seq: Seq,
    bytes: &[u8],
    text: impl FnOnce(Seq) -> Result<(Content, Mentions), StoreError>,
) -> Result<Entry, StoreError> {
    let row: v1::Event<'_> = decode(bytes)?;
    let change = match &row.change {
        v1::Change::Describe { room, count } => Change::Describe(Box::new(room_of(room, count)?)),
        v1::Change::Join { user, role, member_count } => {
            Change::Join { user: user.user()?, role: role_of(*role)?, member_count: *member_count }
        }
        v1::Change::Leave { user, role, reason, member_count } => Change::Leave {
            user: user.user()?,
            role: role_of(*role)?,
            reason: match reason {
                v1::LeaveReason::Left => LeaveReason::Left,
                v1::LeaveReason::Kicked => LeaveReason::Kicked,
                v1::LeaveReason::Banned(until) => LeaveReason::Banned(Timestamp::from_millis(*until)),
                v1::LeaveReason::Erased => LeaveReason::Erased,
            },
            member_count: *member_count,
        },
        v1::Change::DeleteRoom => Change::DeleteRoom,
        v1::Change::UpdateMember { user, was, role, muted_until, banned_until } => {
            Change::UpdateMember(MemberUpdate {
                user: user.user()?,
                was: was.map(role_of).transpose()?,
                role: role.map(role_of).transpose()?,
                muted_until: muted_until.map(Timestamp::from_millis),
                banned_until: banned_until.map(Timestamp::from_millis),
            })
        }
        v1::Change::Edit { target } => {
            let target = Seq::new(*target);
            let (content, mentions) = text(target)?;
            Change::Edit { target, content, mentions }
        }
        v1::Change::Delete { target, thread } => Change::Delete {
            target: Seq::new(*target),
            thread: thread.map(|left| {
                let last_at = left.last_at.map(Timestamp::from_millis);
                ThreadLeft { root: Seq::new(left.root), replies: Replies { count: left.count, last_at } }
            }),
        },
        v1::Change::React { target, emoji, count } => {
            Change::React { target: Seq::new(*target), emoji: Emoji::from_stored(emoji), count: *count }
        }
        v1::Change::Unreact { target, emoji, count } => {
            Change::Unreact { target: Seq::new(*target), emoji: Emoji::from_stored(emoji), count: *count }
        }
        v1::Change::Pin { target } => Change::Pin { target: Seq::new(*target) },
        v1::Change::Unpin { target } => Change::Unpin { target: Seq::new(*target) },
    };
    let (at, actor) = (Timestamp::from_millis(row.at), row.actor.user()?);
    Ok(Entry { room: room.clone(), seq, at, actor, change })
}
