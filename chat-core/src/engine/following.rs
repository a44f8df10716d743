//! What a session asks of the store to follow a room: whether it may, and what lies behind the ring.

use std::{sync::Arc, time::Duration};

use super::{
    cell::Cell,
    error::Error,
    shared::{Readable, Shared},
    tail::PostedEntry,
};
use crate::{
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
    pub(super) hidden_until: Seq,
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
        let hidden_until = member.map_or(Seq::ZERO, |member| room.hidden_until(member.joined));
        Ok(Followed { cell, allowed_at: at, hidden_until })
    }
}

/// Reads on after a cursor, for as long as it takes: a store that fails is asked again, ever more slowly.
pub(crate) async fn read_entries(shared: Arc<Shared>, room: RoomId, cursor: Seq) -> Vec<Arc<PostedEntry>> {
    let mut pause = Duration::from_millis(50);
    loop {
        let read = shared.store.entries(&room, cursor, CATCH_UP_ENTRIES, PULL_BYTES_MAX).await;
        let named = match read {
            Ok(entries) => shared.named(entries).await,
            Err(error) => Err(error),
        };
        match named {
            // There is something after the cursor, or nobody would ask; a store that does not show it yet will.
            Ok(posted) if posted.is_empty() => {}
            Ok(posted) => return posted,
            Err(error) => tracing::warn!(%error, "can't read on for a session that is behind"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}
