//! A cursor in a room's log. What a member may see is read off the log itself: their own leaving ends it,
//! their own joining begins it anew.

use std::sync::Arc;

use super::{cell::Cell, outbox::Outbox, signal::Hearing, tail::PostedEntry};
use crate::{
    domain::Change,
    id::{Seq, UserId},
};

/// One room that a session follows.
#[derive(Debug)]
pub(crate) struct Subscription {
    cell: Arc<Cell>,
    key: u32,
    /// The newest entry that was considered.
    cursor: Seq,
    /// Whether the user is a member at the cursor; entries outside are passed over in silence.
    inside: bool,
    /// Where a replay ends and is announced as caught up.
    replay_until: Option<Seq>,
}

impl Subscription {
    /// Starts following after `cursor`, as somebody who may read there. News from now on wakes the session;
    /// what came between `cursor` and now is found at the first look.
    pub(crate) fn after(
        cell: &Arc<Cell>,
        cursor: Seq,
        slot: u32,
        user: &UserId,
        outbox: &Arc<Outbox>,
    ) -> Self {
        let key = cell.follow(slot, user, outbox);
        Self { cell: cell.clone(), key, cursor, inside: true, replay_until: None }
    }

    pub(crate) fn cell(&self) -> &Arc<Cell> {
        &self.cell
    }

    pub(crate) fn cursor(&self) -> Seq {
        self.cursor
    }

    /// Goes back to `cursor` and announces when it has come to the head of now.
    pub(crate) fn replay_from(&mut self, cursor: Seq) {
        self.replay_until = Some(self.cursor);
        self.cursor = cursor;
    }

    /// Leaves out what comes before a head at which the user was allowed to read.
    pub(crate) fn jump_to(&mut self, allowed_at: Seq) {
        self.cursor = self.cursor.max(allowed_at);
        self.inside = true;
        self.replay_until = None;
    }

    /// Passes an entry. Tells whether the session's user is to see it.
    pub(crate) fn pass(&mut self, posted: &PostedEntry, user: &UserId) -> bool {
        let entry = posted.entry();
        // Two reads of the store may overlap; the cursor makes each entry count once.
        if entry.seq <= self.cursor {
            return false;
        }
        self.cursor = entry.seq;
        let was_inside = self.inside;
        if entry.joins() == Some(user) {
            self.inside = true;
        } else if entry.leaves() == Some(user) || matches!(entry.change, Change::DeleteRoom) {
            self.inside = false;
        }
        was_inside || self.inside
    }

    /// The seq to announce as caught up, once, when the replay has come there.
    pub(crate) fn caught_up(&mut self) -> Option<Seq> {
        self.replay_until.take_if(|until| *until <= self.cursor).map(|_| self.cursor)
    }

    /// Whether a signal that was made when the room's head was `at` may be told.
    pub(crate) fn hears(&self, at: Seq) -> Hearing {
        match (self.inside, self.cursor >= at) {
            (false, _) => Hearing::NoMore,
            (true, false) => Hearing::Later,
            (true, true) => Hearing::Now,
        }
    }

    /// Whether everything was seen and the user is not a member any more.
    pub(crate) fn is_over(&self) -> bool {
        !self.inside && self.cursor >= self.cell.head()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.cell.unfollow(self.key);
    }
}
