//! Deciding what is done to people: ranks, roles, bans and mutes.

use super::Plan;
use crate::{
    domain::{
        Action, Actor, AuditAct, AuditNote, Change, LeaveReason, Measure, Member, MemberUpdate, Moderation,
        Outcome, Rejection, Role, RoomKind, RowChange, Sanction,
    },
    id::UserId,
    limits::SANCTION_SECONDS_MAX,
    time::Timestamp,
};

const NO_USER: Rejection = Rejection::NotFound("user");
const RANK: Rejection = Rejection::Forbidden("only somebody of a higher rank may do this");
const LAST_OWNER: Rejection =
    Rejection::Conflict("a room keeps its last owner: make somebody else owner first");

/// How high somebody stands in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::domain) enum Rank {
    /// As a member of this role.
    Member(Role),
    /// Above all members.
    Operator,
}

impl Rank {
    /// Whether they may do what it takes this role to do.
    pub(in crate::domain) fn is_at_least(self, role: Role) -> bool {
        match self {
            Self::Member(own) => own >= role,
            Self::Operator => true,
        }
    }

    /// Whether they stand above members of this role.
    pub(in crate::domain) fn outranks(self, role: Role) -> bool {
        match self {
            Self::Member(own) => own.outranks(role),
            Self::Operator => true,
        }
    }
}

impl Plan<'_> {
    pub(super) fn moderate(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        moderation: &Moderation,
    ) -> Result<Outcome, Rejection> {
        let Moderation { user, measure, .. } = moderation;
        let own = self.rank(actor, Action::Moderate)?;
        if self.room.kind == RoomKind::Direct {
            return Err(Rejection::Forbidden("in a direct room there is nobody of a higher rank"));
        }
        let is_self = *user == actor.user;
        let least = match measure {
            Measure::SetRole(_) if is_self => Role::Member,
            Measure::SetRole(_) => Role::Admin,
            _ if is_self => return Err(RANK),
            _ => Role::Moderator,
        };
        let own = own.filter(|own| own.is_at_least(least)).ok_or(RANK)?;
        let before = self.room.head;
        match measure {
            Measure::SetRole(role) if is_self => self.step_down(actor, at, *role)?,
            Measure::SetRole(role) => self.set_role(actor, at, own, user, *role)?,
            Measure::Kick => {
                let role = self.lower(own, user)?.role;
                self.expel(actor, at, user, role, LeaveReason::Kicked);
            }
            Measure::Ban(seconds) => self.ban(actor, at, own, user, until(at, *seconds)?)?,
            Measure::Unban => self.unban(actor, at, user)?,
            Measure::Mute(seconds) => {
                let until = until(at, *seconds)?;
                self.mute(actor, at, own, user, Some(until))?;
            }
            Measure::Unmute => self.mute(actor, at, own, user, None)?,
        }
        if self.room.head == before {
            return Ok(Outcome::Unchanged(Some(before)));
        }
        self.audit_measure(actor, at, moderation);
        Ok(Outcome::Changed(self.room.head))
    }

    /// Makes a user owner, as the operator of the server may, who stands above all ranks and sanctions.
    pub(super) fn appoint(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        user: &UserId,
    ) -> Result<Outcome, Rejection> {
        if !self.room.exists() {
            return Err(Rejection::NO_ROOM);
        }
        let is_operator = actor.overrides || actor.user == UserId::nobody();
        if !is_operator || self.room.kind == RoomKind::Direct {
            return Err(Rejection::NOT_PERMITTED);
        }
        match self.rows.member(user).map(|member| member.role) {
            Some(Role::Owner) => return Ok(Outcome::Unchanged(None)),
            Some(_) => self.put_role(actor, at, user, Role::Owner),
            None if self.rows.profiles.contains(user) => self.admit_by(actor, user, at, Role::Owner),
            None => return Err(NO_USER),
        }
        let role = vec![("role", Role::Owner.as_str().to_owned())];
        self.audit(actor, at, AuditAct::SetRole, Some(user.clone()), role);
        Ok(Outcome::Changed(self.room.head))
    }

    /// That the actor may write: in an archived room nobody, while muted not they. For everything that adds to what
    /// others read: sending, editing, reacting.
    pub(in crate::domain) fn may_write(&self, actor: &Actor, at: Timestamp) -> Result<(), Rejection> {
        if self.rows.sanction(&actor.user).is_muted(at) {
            return Err(Rejection::MUTED);
        }
        if self.room.archived { Err(Rejection::ARCHIVED) } else { Ok(()) }
    }

    /// That the user may become a member: they are not banned, and the room is not archived.
    pub(in crate::domain) fn may_enter(&self, user: &UserId, at: Timestamp) -> Result<(), Rejection> {
        if self.rows.sanction(user).is_banned(at) {
            return Err(Rejection::Forbidden("banned from this room"));
        }
        if self.room.archived { Err(Rejection::ARCHIVED) } else { Ok(()) }
    }

    /// Records a privileged act along with the entries that it makes.
    pub(in crate::domain) fn audit(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        act: AuditAct,
        target: Option<UserId>,
        details: Vec<(&'static str, String)>,
    ) {
        let actor = actor.user.clone();
        self.commit.rows.push(RowChange::Audit(AuditNote { at, actor, act, target, details }));
    }

    /// Ends a membership.
    pub(super) fn expel(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        user: &UserId,
        role: Role,
        reason: LeaveReason,
    ) {
        let member_count = self.room.members.saturating_sub(1);
        self.append(actor, at, Change::Leave { user: user.clone(), role, reason, member_count });
        self.commit.rows.push(RowChange::RemoveMember(user.clone()));
    }

    /// The rank of an actor who may do this; none of who is no member.
    pub(in crate::domain) fn rank(&self, actor: &Actor, action: Action) -> Result<Option<Rank>, Rejection> {
        let member = self.may(actor, action)?;
        Ok(match actor.overrides {
            true => Some(Rank::Operator),
            false => member.map(|member| Rank::Member(member.role)),
        })
    }

    /// A member whom somebody of that rank may act on.
    fn lower(&self, own: Rank, user: &UserId) -> Result<&Member, Rejection> {
        let member = self.rows.member(user).ok_or(NO_USER)?;
        if own.outranks(member.role) { Ok(member) } else { Err(RANK) }
    }

    fn step_down(&mut self, actor: &Actor, at: Timestamp, role: Role) -> Result<(), Rejection> {
        let own = self.rows.member(&actor.user).map(|member| member.role).ok_or(NO_USER)?;
        if role > own {
            return Err(RANK);
        }
        if own == Role::Owner && role < own && self.room.owners == 1 {
            return Err(LAST_OWNER);
        }
        self.put_role(actor, at, &actor.user, role);
        Ok(())
    }

    fn set_role(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        own: Rank,
        user: &UserId,
        role: Role,
    ) -> Result<(), Rejection> {
        self.lower(own, user)?;
        if !own.outranks(role) && own != Rank::Member(Role::Owner) {
            return Err(RANK);
        }
        self.put_role(actor, at, user, role);
        Ok(())
    }

    pub(super) fn put_role(&mut self, actor: &Actor, at: Timestamp, user: &UserId, role: Role) {
        let Some(member) = self.rows.member(user).filter(|member| member.role != role) else { return };
        let member = Member { role, ..member.clone() };
        self.update(actor, at, user, Some(role), self.rows.sanction(user).at(at));
        self.commit.rows.push(RowChange::PutMember(member));
    }

    fn ban(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        own: Rank,
        user: &UserId,
        until: Timestamp,
    ) -> Result<(), Rejection> {
        if self.rows.member(user).is_some() {
            let role = self.lower(own, user)?.role;
            self.expel(actor, at, user, role, LeaveReason::Banned(until));
            self.put_sanction(user);
            return Ok(());
        }
        if !self.rows.profiles.contains(user) {
            return Err(NO_USER);
        }
        let sanction = self.rows.sanction(user).at(at);
        if sanction.banned_until != Some(until) {
            self.uninvite(user);
            self.update(actor, at, user, None, Sanction { banned_until: Some(until), ..sanction });
        }
        Ok(())
    }

    fn unban(&mut self, actor: &Actor, at: Timestamp, user: &UserId) -> Result<(), Rejection> {
        let sanction = self.rows.sanction(user).at(at);
        if !sanction.is_banned(at) {
            return if self.rows.profiles.contains(user) { Ok(()) } else { Err(NO_USER) };
        }
        self.update(actor, at, user, None, Sanction { banned_until: None, ..sanction });
        Ok(())
    }

    fn mute(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        own: Rank,
        user: &UserId,
        until: Option<Timestamp>,
    ) -> Result<(), Rejection> {
        let role = self.lower(own, user)?.role;
        let sanction = self.rows.sanction(user).at(at);
        if sanction.muted_until != until {
            self.update(actor, at, user, Some(role), Sanction { muted_until: until, ..sanction });
        }
        Ok(())
    }

    fn update(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        user: &UserId,
        role: Option<Role>,
        sanction: Sanction,
    ) {
        let Sanction { banned_until, muted_until } = sanction;
        let was = self.rows.member(user).map(|member| member.role);
        let update = MemberUpdate { user: user.clone(), was, role, muted_until, banned_until };
        self.append(actor, at, Change::UpdateMember(update));
        self.put_sanction(user);
    }

    /// Stores what the entries so far make of a sanction.
    fn put_sanction(&mut self, user: &UserId) {
        let sanction = self.rows.sanction(user);
        self.commit.rows.push(RowChange::PutSanction(user.clone(), sanction));
    }

    fn audit_measure(&mut self, actor: &Actor, at: Timestamp, moderation: &Moderation) {
        let Moderation { user, measure, reason } = moderation;
        let lasting = |seconds: &Option<u64>| -> Vec<_> {
            seconds.iter().map(|seconds| ("seconds", seconds.to_string())).collect()
        };
        let (act, mut details) = match measure {
            Measure::SetRole(role) => (AuditAct::SetRole, vec![("role", role.as_str().to_owned())]),
            Measure::Kick => (AuditAct::Kick, Vec::new()),
            Measure::Ban(seconds) => (AuditAct::Ban, lasting(seconds)),
            Measure::Unban => (AuditAct::Unban, Vec::new()),
            Measure::Mute(seconds) => (AuditAct::Mute, lasting(seconds)),
            Measure::Unmute => (AuditAct::Unmute, Vec::new()),
        };
        details.extend(reason.as_ref().map(|reason| ("reason", reason.as_str().to_owned())));
        self.audit(actor, at, act, Some(user.clone()), details);
    }
}

/// The end of something that begins at `at`.
fn until(at: Timestamp, seconds: Option<u64>) -> Result<Timestamp, Rejection> {
    match seconds {
        None => Ok(Timestamp::FOREVER),
        Some(seconds @ 1..=SANCTION_SECONDS_MAX) => Ok(at.plus_millis(seconds.cast_signed() * 1_000)),
        Some(_) => Err(Rejection::BadRequest("seconds are 1 to 315,360,000; leave them out for ever")),
    }
}
