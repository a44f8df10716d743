//! Invitations, links, and coming by them. They are no entries: only coming in is.

use super::Plan;
use crate::{
    domain::{
        Action, Actor, AuditAct, GROUP_MEMBERS_MAX, Guard, Invite, InviteLink, LinkId, LinkSpec, Outcome,
        Rejection, Role, RoomKind, RowChange,
    },
    id::{InviteId, UserId},
    time::Timestamp,
};

impl Plan<'_> {
    /// Invites somebody. Who is invited already stays so, under the same name; who is a member needs no invitation.
    pub(super) fn invite(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        user: &UserId,
        id: &InviteId,
    ) -> Result<Outcome, Rejection> {
        self.may(actor, Action::Invite)?;
        if self.room.kind == RoomKind::Direct {
            return Err(Rejection::NOT_PERMITTED);
        }
        if self.rows.member(user).is_some() {
            return Ok(Outcome::Unchanged(None));
        }
        if !self.rows.profiles.contains(user) {
            return Err(Rejection::NO_USER);
        }
        if self.rows.sanction(user).is_banned(at) {
            return Err(Rejection::NOT_PERMITTED);
        }
        if let Some(invite) = self.rows.invites.get(user) {
            return Ok(Outcome::Invited { id: invite.id.clone(), is_new: false });
        }
        let invite = Invite {
            id: id.clone(),
            room: self.room.id.clone(),
            user: user.clone(),
            by: actor.user.clone(),
            at,
        };
        self.commit.guards.push(Guard::Unblocked(actor.user.clone(), user.clone()));
        self.rows.invites.insert(user.clone(), invite.clone());
        self.commit.rows.push(RowChange::PutInvite(invite));
        Ok(Outcome::Invited { id: id.clone(), is_new: true })
    }

    /// Becomes a member by one's invitation, which ends with that.
    pub(super) fn accept(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        id: &InviteId,
    ) -> Result<Outcome, Rejection> {
        if self.room.exists() && self.rows.member(&actor.user).is_some() {
            return Ok(Outcome::AlreadyJoined);
        }
        self.invited(actor, id)?;
        self.enter(actor, at)?;
        self.commit.guards.push(Guard::Invited(actor.user.clone(), id.clone()));
        self.rows.invites.remove(&actor.user);
        Ok(Outcome::Joined(self.room.head))
    }

    /// Ends one's invitation.
    pub(super) fn decline(&mut self, actor: &Actor, id: &InviteId) -> Result<Outcome, Rejection> {
        self.invited(actor, id)?;
        self.commit.guards.push(Guard::Invited(actor.user.clone(), id.clone()));
        self.uninvite(&actor.user);
        Ok(Outcome::Done)
    }

    /// Ends the invitation of a user, if there is one.
    pub(super) fn uninvite(&mut self, user: &UserId) {
        self.rows.invites.remove(user);
        self.commit.rows.push(RowChange::RemoveInvite(user.clone()));
    }

    /// Makes a link into the room.
    pub(super) fn create_link(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        id: LinkId,
        spec: LinkSpec,
    ) -> Result<Outcome, Rejection> {
        self.may(actor, Action::ManageLinks)?;
        if self.room.kind == RoomKind::Direct {
            return Err(Rejection::NOT_PERMITTED);
        }
        let (room, by, expires_at) = (self.room.id.clone(), actor.user.clone(), expiry(at, spec.seconds));
        let link = InviteLink { id, room, by, at, expires_at, max_uses: spec.max_uses, uses: 0 };
        self.rows.links.insert(id, link.clone());
        self.commit.rows.push(RowChange::PutLink(link));
        Ok(Outcome::Linked { expires_at })
    }

    /// Makes a link good for nothing.
    pub(super) fn revoke_link(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        id: LinkId,
    ) -> Result<Outcome, Rejection> {
        self.may(actor, Action::ManageLinks)?;
        let link = self.rows.links.remove(&id).ok_or(Rejection::NO_LINK)?;
        self.commit.guards.push(Guard::LinkStands(id));
        self.commit.rows.push(RowChange::RemoveLink(id));
        let details = vec![("link", id.to_string())];
        self.audit(actor, at, AuditAct::RevokeInviteLink, Some(link.by), details);
        Ok(Outcome::Done)
    }

    /// Becomes a member by a link. Who is one already uses nothing up. Every link that is good for nothing is
    /// answered alike.
    pub(super) fn join_by_link(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        id: LinkId,
    ) -> Result<Outcome, Rejection> {
        if !self.room.exists() || !self.rows.links.contains_key(&id) {
            return Err(Rejection::NO_LINK);
        }
        if self.rows.member(&actor.user).is_some() {
            return Ok(Outcome::AlreadyJoined);
        }
        if !self.rows.links.get(&id).is_some_and(|link| link.is_open(at)) {
            return Err(Rejection::NO_LINK);
        }
        self.enter(actor, at)?;
        if let Some(link) = self.rows.links.get_mut(&id) {
            link.uses += 1;
        }
        let guard = Guard::LinkStands(id);
        if !self.commit.guards.contains(&guard) {
            self.commit.guards.push(guard);
        }
        self.commit.rows.push(RowChange::UseLink(id));
        Ok(Outcome::Joined(self.room.head))
    }

    fn invited(&self, actor: &Actor, id: &InviteId) -> Result<(), Rejection> {
        let is_it = |invite: &Invite| invite.id == *id;
        match self.room.exists() && self.rows.invites.get(&actor.user).is_some_and(is_it) {
            true => Ok(()),
            false => Err(Rejection::NO_INVITE),
        }
    }

    /// Makes somebody a member who was asked in.
    fn enter(&mut self, actor: &Actor, at: Timestamp) -> Result<(), Rejection> {
        self.policy.decide(actor, Action::Accept, &self.room, None).into_result()?;
        self.may_enter(&actor.user, at)?;
        if self.room.kind == RoomKind::Group && self.room.members as usize >= GROUP_MEMBERS_MAX {
            return Err(Rejection::Conflict("the group is full"));
        }
        self.admit(actor, at, Role::Member);
        Ok(())
    }
}

fn expiry(at: Timestamp, seconds: u64) -> Timestamp {
    at.plus_millis(i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX))
}
