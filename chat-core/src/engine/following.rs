//! What a session asks of the store to follow a room: whether it may, and what lies behind the ring.

use std::{sync::Arc, time::Duration};

use super::{
    cell::Cell,
    error::Error,
    shared::{Readable, Shared},
    tail::{After, PostedEntry},
};
use crate::{
    domain::{Change, Room},
    id::{RoomId, Seq, UserId},
    limits::{CATCH_UP_ENTRIES, PULL_BYTES_MAX},
};

/// A room that is about to be followed, and by whom.
pub(crate) struct Prepared {
    shared: Arc<Shared>,
    user: UserId,
    room: RoomId,
}

/// A room that may be followed.
pub(crate) struct Followed {
    pub(super) cell: Arc<Cell>,
    /// The head at which the user was allowed to read.
    pub(super) allowed_at: Seq,
    /// What the room's history hides from the user.
    pub(super) hidden_until: Seq,
    /// Where the log began then.
    pub(super) first: Seq,
}

/// What came of reading on after a cursor.
pub(crate) enum Read {
    /// What follows.
    Entries(Vec<Arc<PostedEntry>>),
    /// What followed was cut. The user may follow the room, as it is looked up anew: an entry that ended that may be
    /// among those that are gone.
    Gap(Followed),
    /// What followed was cut, and the user might not follow the room at this head, or a later one.
    Closed(Seq),
}

impl Prepared {
    pub(crate) fn new(shared: Arc<Shared>, user: UserId, room: RoomId) -> Self {
        Self { shared, user, room }
    }

    /// Whether the user may follow the room, and from where.
    pub(crate) async fn check(self) -> Result<Followed, Error> {
        let cell = self.shared.open(&self.room).await?;
        let readable = self.shared.readable(&cell, &self.user).await;
        #[cfg(feature = "testing")]
        let readable = match readable {
            Err(Error::Rejected(_)) if self.shared.sabotage.skips_membership() => {
                self.shared.membership(&cell, &self.user).await
            }
            readable => readable,
        };
        let Readable { room, member, at } = readable?;
        let hidden_until = member.map_or(Seq::ZERO, |member| room.hidden_by_history(member.joined));
        Ok(Followed { cell, allowed_at: at, hidden_until, first: room.first })
    }
}

/// Whether the user may have come into the room after this head.
pub(super) fn may_have_joined(cell: &Cell, user: &UserId, head: Seq) -> bool {
    match cell.after(head, usize::MAX, usize::MAX) {
        After::Nothing => false,
        After::Entries { entries: since, .. } => {
            since.iter().any(|posted| posted.entry().joins() == Some(user))
        }
        After::Older => true,
    }
}

/// Reads on after a cursor, for as long as it takes: a store that fails is asked again, ever more slowly.
pub(crate) async fn read_entries(shared: Arc<Shared>, user: UserId, room: RoomId, cursor: Seq) -> Read {
    let mut pause = Duration::from_millis(50);
    loop {
        match read_on(&shared, &user, &room, cursor).await {
            // There is something after the cursor, or nobody would ask; a store that does not show it yet will.
            Ok(None) => {}
            Ok(Some(read)) => return read,
            Err(error) => tracing::warn!(%error, "can't read on for a session that is behind"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

async fn read_on(
    shared: &Arc<Shared>,
    user: &UserId,
    room: &RoomId,
    cursor: Seq,
) -> Result<Option<Read>, Error> {
    let entries = shared.store.entries(room, cursor, CATCH_UP_ENTRIES, PULL_BYTES_MAX).await?;
    let Some(first) = entries.first() else { return Ok(None) };
    // Of a room that was deleted its end alone may be left, which says all.
    if first.seq == cursor.next() || first.change == Change::DeleteRoom {
        return Ok(Some(Read::Entries(shared.named(entries).await?)));
    }
    let head = shared.rooms.get(room).map_or(Seq::ZERO, |cell| cell.head());
    match Prepared::new(shared.clone(), user.clone(), room.clone()).check().await {
        Ok(followed) => Ok(Some(Read::Gap(followed))),
        Err(Error::Rejected(_)) => match shared.store.room(room).await? {
            Some(Room { deleted: true, head, .. }) => {
                let end = shared.store.entries(room, head.previous(), 1, PULL_BYTES_MAX).await?;
                Ok(Some(Read::Entries(shared.named(end).await?)))
            }
            _ => Ok(Some(Read::Closed(head))),
        },
        Err(error) => Err(error),
    }
}
