//! Decides requests on top of a room; nothing becomes visible before it is stored.

mod care;
mod erasure;
mod invites;
mod messages;
mod moderation;
mod people;
mod reading;
mod retention;
mod settings;
mod weight;

use super::{
    Action, Actor, Change, Command, Commit, Content, Draft, Entry, Guard, LeaveReason, Member, Message,
    Outcome, Policy, Rejection, Request, Role, Room, RoomKind, RoomSpec, RowChange, Rows, Sent, TextRules,
};
use crate::{
    id::{Seq, UserId},
    time::Timestamp,
};

/// A batch of requests being decided, one after the other, each on top of those before it.
pub struct Plan<'a> {
    policy: &'a dyn Policy,
    rules: TextRules,
    /// The room and rows as they will be once the entries so far are stored.
    room: Room,
    rows: Rows,
    commit: Commit,
}

impl<'a> Plan<'a> {
    /// Starts planning on a room as it is, with the rows that [`super::Needs`] names for the coming requests.
    #[must_use]
    pub fn on(room: &Room, rows: Rows, policy: &'a dyn Policy, rules: TextRules) -> Self {
        let (entries, changes, guards) = Default::default();
        let commit = Commit { after: room.head, room: room.clone(), entries, rows: changes, guards };
        Self { policy, rules, room: room.clone(), rows, commit }
    }

    /// Decides one request. Its outcome holds once the commit is stored, and only then.
    ///
    /// # Errors
    /// A [`Rejection`] when the rules refuse it; the plan is as it was before.
    pub fn decide(&mut self, request: &Request) -> Result<Outcome, Rejection> {
        let Request { actor, at, command } = request;
        if self.room.deleted && !matches!(command, Command::Create(_)) {
            return Err(Rejection::NO_ROOM);
        }
        match command {
            Command::Create(spec) => self.create(actor, *at, spec),
            Command::Join => self.join(actor, *at),
            Command::Leave => self.leave(actor, *at),
            Command::Send(draft) => self.send(actor, *at, draft),
            Command::Edit { target, content } => self.edit(actor, *at, *target, content),
            Command::Delete { target } => self.delete(actor, *at, *target),
            Command::React { target, emoji } => self.react(actor, *at, *target, emoji),
            Command::Unreact { target, emoji } => self.unreact(actor, *at, *target, emoji),
            Command::Pin { target } => self.pin(actor, *at, *target),
            Command::Unpin { target } => self.unpin(actor, *at, *target),
            Command::Moderate(moderation) => self.moderate(actor, *at, moderation),
            Command::Appoint(user) => self.appoint(actor, *at, user),
            Command::SendDirect(to, draft) => self.send_direct(actor, *at, to, draft),
            Command::CreateGroup(spec) => self.create_group(actor, *at, spec),
            Command::Release(release) => self.release(actor, *at, release),
            Command::Update(change) => self.update_room(actor, *at, change),
            Command::DeleteRoom => self.delete_room(actor, *at),
            Command::Trim(cut) => self.trim(actor, *at, cut),
            Command::Invite(user, id) => self.invite(actor, *at, user, id),
            Command::AcceptInvite(id) => self.accept(actor, *at, id),
            Command::DeclineInvite(id) => self.decline(actor, id),
            Command::CreateLink(id, spec) => self.create_link(actor, *at, *id, *spec),
            Command::RevokeLink(id) => self.revoke_link(actor, *at, *id),
            Command::JoinByLink(id) => self.join_by_link(actor, *at, *id),
            Command::Erase(erasing) => self.erase(actor, *at, erasing),
        }
    }

    /// How many entries the plan holds so far.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.commit.entries.len()
    }

    /// The value to store, or `None` when nothing changes.
    #[must_use]
    pub fn into_commit(self) -> Option<Commit> {
        let changes = !self.commit.entries.is_empty() || !self.commit.rows.is_empty();
        changes.then_some(Commit { room: self.room, ..self.commit })
    }

    fn create(&mut self, actor: &Actor, at: Timestamp, spec: &RoomSpec) -> Result<Outcome, Rejection> {
        if self.room.head > Seq::ZERO {
            return Err(Rejection::Conflict("the room exists already"));
        }
        self.policy.decide(actor, Action::Create, &self.room, None).into_result()?;
        let room = Room {
            kind: spec.kind,
            name: spec.name.clone(),
            description: spec.description.clone(),
            created_by: actor.user.clone(),
            created_at: at,
            history: spec.history,
            head: self.room.head.next(),
            ..self.room.clone()
        };
        self.append(actor, at, Change::Describe(Box::new(room)));
        if spec.kind == RoomKind::Public {
            self.commit.guards.push(Guard::NameFree(spec.name.clone()));
            self.commit.rows.push(RowChange::TakeName(spec.name.clone()));
        }
        if spec.owned {
            self.admit(actor, at, Role::Owner);
        }
        Ok(Outcome::Created(self.room.head))
    }

    fn join(&mut self, actor: &Actor, at: Timestamp) -> Result<Outcome, Rejection> {
        if self.may(actor, Action::Join)?.is_some() {
            return Ok(Outcome::AlreadyJoined);
        }
        self.may_enter(&actor.user, at)?;
        self.admit(actor, at, Role::Member);
        Ok(Outcome::Joined(self.room.head))
    }

    fn leave(&mut self, actor: &Actor, at: Timestamp) -> Result<Outcome, Rejection> {
        let Some(member) = self.rows.member(&actor.user) else {
            return match self.room.exists() && self.room.kind == RoomKind::Public {
                true => Ok(Outcome::AlreadyLeft),
                false => Err(Rejection::NO_ROOM),
            };
        };
        let role = member.role;
        if self.room.kind == RoomKind::Direct {
            return Err(Rejection::NOT_PERMITTED);
        }
        if role == Role::Owner && self.room.owners == 1 && self.room.members > 1 {
            return Err(Rejection::Conflict("the last owner can't leave: make somebody else owner first"));
        }
        self.expel(actor, at, &actor.user, role, LeaveReason::Left);
        Ok(Outcome::Left(self.room.head))
    }

    fn send(&mut self, actor: &Actor, at: Timestamp, draft: &Draft) -> Result<Outcome, Rejection> {
        self.may(actor, Action::Send)?;
        self.post(actor, at, draft)
    }

    /// Sends a message in the place of the actor, who may not even be there.
    fn send_unattended(&mut self, actor: &Actor, at: Timestamp, draft: &Draft) -> Result<Outcome, Rejection> {
        self.may(actor, Action::Send)?;
        let outcome = self.put(actor, at, draft, false)?;
        if matches!(outcome, Outcome::Sent(Sent { duplicate: false, .. })) {
            self.mark_unattended(&actor.user);
        }
        Ok(outcome)
    }

    /// Sends a message of somebody who may.
    fn post(&mut self, actor: &Actor, at: Timestamp, draft: &Draft) -> Result<Outcome, Rejection> {
        let outcome = self.put(actor, at, draft, true)?;
        if matches!(outcome, Outcome::Sent(Sent { duplicate: false, .. })) {
            self.mark_read(&actor.user);
        }
        Ok(outcome)
    }

    /// `paced`: whether the pace of the room counts, as it does for who writes now.
    fn put(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        draft: &Draft,
        paced: bool,
    ) -> Result<Outcome, Rejection> {
        if let Some(first) = draft.client_message_id.as_ref().and_then(|key| self.rows.sent(&actor.user, key))
        {
            return Ok(Outcome::Sent(first));
        }
        self.may_write(actor, at)?;
        if paced {
            self.may_hurry(actor, at)?;
        }
        self.check_length(&draft.content)?;
        if draft.content.as_str().is_empty() && draft.attachments.is_empty() {
            return Err(Rejection::BadRequest("the message is empty"));
        }
        if let Some(target) = draft.reply_to {
            self.living(actor, target)?;
        }
        let thread = draft.thread.map(|of| self.thread_of(actor, of)).transpose()?;
        let message = Message {
            message_type: draft.message_type,
            attachments: draft.attachments.clone(),
            client_message_id: draft.client_message_id.clone(),
            reply_to: draft.reply_to,
            recipient: self.room.other(&actor.user).cloned(),
            mentions: self.mentions(actor, &draft.content),
            thread,
            ..Message::new(self.room.messages + 1, draft.content.clone())
        };
        self.guard_block(actor);
        self.append(actor, at, Change::Send(message));
        let sent = Sent { seq: self.room.head, at, duplicate: false };
        if let Some(key) = &draft.client_message_id {
            self.commit.rows.push(RowChange::PutSent(actor.user.clone(), key.clone(), sent));
        }
        Ok(Outcome::Sent(sent))
    }

    /// The text was checked when it was made; hooks may have rewritten it since, under the same rules.
    fn check_length(&self, content: &Content) -> Result<(), Rejection> {
        match content.as_str().chars().nth(self.rules.content_chars) {
            None => Ok(()),
            Some(_) => Err(Rejection::BadRequest("the message is too long")),
        }
    }

    /// The actor's membership, if the policy lets them do this.
    fn may(&self, actor: &Actor, action: Action) -> Result<Option<&Member>, Rejection> {
        if !self.room.exists() {
            return Err(Rejection::NO_ROOM);
        }
        let member = self.rows.member(&actor.user);
        if !(actor.overrides && action.is_authority()) {
            self.policy.decide(actor, action, &self.room, member).into_result()?;
        }
        Ok(member)
    }

    fn admit(&mut self, actor: &Actor, at: Timestamp, role: Role) {
        self.admit_by(actor, &actor.user, at, role);
    }

    /// Makes `user` a member, because the actor says so.
    fn admit_by(&mut self, actor: &Actor, user: &UserId, at: Timestamp, role: Role) {
        let member_count = self.room.members + 1;
        // Gathered or not, the row is known from here on.
        self.rows.members.entry(user.clone()).or_default();
        self.append(actor, at, Change::Join { user: user.clone(), role, member_count });
        let member = Member { user: user.clone(), role, joined: self.room.head, joined_at: at };
        self.commit.rows.push(RowChange::PutMember(member));
        if let Some(most) = actor.rooms_max {
            self.commit.guards.push(Guard::RoomsBelow(user.clone(), most));
        }
        self.mark_read(user);
    }

    fn append(&mut self, actor: &Actor, at: Timestamp, change: Change) {
        let (room, seq) = (self.room.id.clone(), self.room.head.next());
        let entry = Entry { room, seq, at, actor: actor.user.clone(), change };
        self.room.apply(&entry);
        self.rows.apply(&entry);
        self.commit.entries.push(entry);
    }
}

impl std::fmt::Debug for Plan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan").field("commit", &self.commit).finish_non_exhaustive()
    }
}
