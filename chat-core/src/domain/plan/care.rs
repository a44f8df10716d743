//! Plans what moderators do with messages that are held for review.

use super::Plan;
use crate::{
    domain::{Action, Actor, AuditAct, Guard, Outcome, Rejection, Release, RowChange},
    time::Timestamp,
};

impl Plan<'_> {
    /// Sends a held message as its author's. The row that holds it goes with the same commit, so of any number of
    /// releases one sends it.
    pub(super) fn release(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        release: &Release,
    ) -> Result<Outcome, Rejection> {
        self.may(actor, Action::Review)?;
        let held = &release.held;
        let gone = RowChange::RemoveHeld(held.id.clone());
        if self.commit.rows.contains(&gone) {
            return Err(Rejection::NO_HELD);
        }
        let author = Actor::new(held.author.clone());
        let outcome = self.send_unattended(&author, at, &held.draft).map_err(|_| AUTHOR_MAY_NOT)?;
        // A key under which its author has sent something since: there is nothing left to send.
        if !matches!(&outcome, Outcome::Sent(sent) if sent.duplicate) {
            self.commit.guards.push(Guard::IsHeld(held.id.clone()));
            self.commit.rows.push(gone);
            let held_id = vec![("heldId", held.id.as_str().to_owned())];
            self.audit(actor, at, AuditAct::ReleaseMessage, Some(held.author.clone()), held_id);
        }
        Ok(outcome)
    }
}

const AUTHOR_MAY_NOT: Rejection = Rejection::Forbidden("its author may not send it to this room any more");
