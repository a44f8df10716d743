//! Letting go of what a room's retention lets go.

use super::Plan;
use crate::{
    domain::{Actor, Change, Cut, Outcome, Rejection, Room, RowChange},
    time::Timestamp,
};

impl Plan<'_> {
    /// Cuts the log, unless the room was cut as far or got another retention since the cut was found.
    pub(super) fn trim(&mut self, actor: &Actor, at: Timestamp, cut: &Cut) -> Result<Outcome, Rejection> {
        if !self.room.exists() {
            return Err(Rejection::NO_ROOM);
        }
        if !cut.fits(&self.room) {
            return Ok(Outcome::Unchanged(None));
        }
        let Cut { first, trimmed, .. } = *cut;
        let room = Room { first, trimmed, head: self.room.head.next(), ..self.room.clone() };
        self.append(actor, at, Change::Describe(Box::new(room)));
        self.commit.rows.push(RowChange::Trim);
        Ok(Outcome::Changed(self.room.head))
    }
}
