//! A room's log itself, for who reads on without a session.

use std::sync::Arc;

use bytes::Bytes;

use super::Caller;
use crate::{
    engine::{error::Error, shared::Readable, tail::PostedEntry},
    id::{RoomId, Seq, UserId},
    limits::{LOG_PAGE_ENTRIES, PAGE_BYTES_MAX},
    wire::Notice,
};

/// What comes after some seq in a room's log: entries without a hole, or that there is one.
#[derive(Debug, Clone)]
pub struct LogPage {
    room: RoomId,
    entries: Vec<Arc<PostedEntry>>,
    head: Seq,
    is_cut: bool,
}

impl Caller {
    /// Reads on in a room's log: at most `limit` entries after `after`, and no more than fit on a page. Where what
    /// followed was cut, or `after` lies beyond the log's end, it says so instead ([`LogPage::is_cut`]). What the
    /// room's history hides is passed over.
    ///
    /// # Errors
    /// `forbidden` or `not_found` to who may not read the room.
    pub async fn log(&self, room: &RoomId, after: Seq, limit: usize) -> Result<LogPage, Error> {
        let shared = self.shared();
        let cell = shared.open(room).await?;
        let Readable { room, member, at } = shared.readable(&cell, self.user()).await?;
        let hidden_until = member.map_or(Seq::ZERO, |member| room.hidden_by_history(member.joined));
        let from = after.max(hidden_until);
        let page = |entries, is_cut| LogPage { room: room.id.clone(), entries, head: at, is_cut };
        if from < room.first.previous() || after > at {
            return Ok(page(Vec::new(), true));
        }
        if from >= at {
            return Ok(page(Vec::new(), false));
        }
        let limit = limit.clamp(1, LOG_PAGE_ENTRIES);
        let mut entries = shared.store.entries(&room.id, from, limit, PAGE_BYTES_MAX).await?;
        self.still_reads(&cell, at).await?;
        // What came since reading was allowed is for the next page, which asks anew.
        entries.retain(|entry| entry.seq <= at);
        let begins = entries.first().is_none_or(|first| first.seq == from.next());
        if !begins {
            return Ok(page(Vec::new(), true));
        }
        Ok(page(shared.named(entries).await?, false))
    }
}

impl LogPage {
    /// The entries, ascending.
    #[must_use]
    pub fn entries(&self) -> &[Arc<PostedEntry>] {
        &self.entries
    }

    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && !self.is_cut
    }

    /// Whether entries are missing: the last page of history is to be read, and then on from [`LogPage::head`].
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The end of the log when it was read.
    #[must_use]
    pub const fn head(&self) -> Seq {
        self.head
    }

    /// After which seq there is more; `None` at the end.
    #[must_use]
    pub fn next(&self) -> Option<Seq> {
        let last = self.entries.last()?.entry().seq;
        (last < self.head).then_some(last)
    }

    /// The frames that a session of this user would get.
    #[must_use]
    pub fn frames(&self, user: &UserId) -> Vec<Bytes> {
        match self.is_cut {
            true => vec![Notice::ResyncRequired(self.room.clone(), self.head.get()).frame()],
            false => self.entries.iter().map(|posted| posted.frame_for(user).json().clone()).collect(),
        }
    }
}
