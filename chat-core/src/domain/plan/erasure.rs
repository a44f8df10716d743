//! Deciding how somebody who is erased goes from a room.

use super::Plan;
use crate::{
    domain::{
        Actor, AuditAct, Change, Entry, Erasing, LeaveReason, Outcome, Rejection, Role, RowChange, Sanction,
    },
    id::{Seq, UserId},
    time::Timestamp,
};

/// Another one has to be proposed.
const NO_SUCCESSOR: Rejection = Rejection::Conflict("the room needs another owner first");

impl Plan<'_> {
    pub(super) fn erase(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        erasing: &Erasing,
    ) -> Result<Outcome, Rejection> {
        match erasing {
            Erasing::Membership { successor } => self.erase_member(actor, at, successor.as_ref()),
            Erasing::Message(target) => self.erase_message(actor, at, *target),
            Erasing::Reaction(target, emoji) => self.take_back(actor, at, *target, emoji),
        }
    }

    /// Ends the membership in a room of any kind. What stood against them goes along.
    fn erase_member(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        successor: Option<&UserId>,
    ) -> Result<Outcome, Rejection> {
        let Some(member) = self.rows.member(&actor.user) else { return Ok(Outcome::AlreadyLeft) };
        let role = member.role;
        let is_last_owner = role == Role::Owner && self.room.owners == 1;
        let is_alone = self.room.members == 1;
        // The operator's rooms are there for whoever comes next.
        let is_operators = self.room.created_by == UserId::nobody();
        let mut details = Vec::new();
        if is_last_owner && is_alone && !is_operators {
            // What they called it is nobody else's.
            self.drop_room(actor, at, Vec::new());
            self.audit(actor, at, AuditAct::EraseUser, Some(actor.user.clone()), details);
            return Ok(Outcome::Changed(self.room.head));
        }
        if is_last_owner && !is_alone {
            let fits = |user: &&UserId| **user != actor.user && self.rows.member(user).is_some();
            let successor = successor.filter(fits).ok_or(NO_SUCCESSOR)?;
            self.put_role(actor, at, successor, Role::Owner);
            details.push(("owner", successor.as_str().to_owned()));
        }
        self.expel(actor, at, &actor.user, role, LeaveReason::Erased);
        self.commit.rows.push(RowChange::PutSanction(actor.user.clone(), Sanction::default()));
        self.audit(actor, at, AuditAct::EraseUser, Some(actor.user.clone()), details);
        Ok(Outcome::Left(self.room.head))
    }

    fn erase_message(&mut self, actor: &Actor, at: Timestamp, target: Seq) -> Result<Outcome, Rejection> {
        let entry = self.rows.target(target).filter(|entry| entry.actor == actor.user);
        let message = entry.and_then(Entry::message).ok_or(Rejection::NO_MESSAGE)?;
        if let Some(deleted) = &message.deleted {
            return Ok(Outcome::Unchanged(Some(deleted.seq)));
        }
        let thread = message.thread.map(|thread| self.thread_without(thread.root, target)).transpose()?;
        Ok(self.change(actor, at, Change::Delete { target, thread: thread.flatten() }))
    }
}
