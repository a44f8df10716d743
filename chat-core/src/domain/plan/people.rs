//! Rooms between people: direct ones and groups.

use super::Plan;
use crate::{
    domain::{
        Action, Actor, Change, Draft, GroupSpec, Guard, Marker, Member, Outcome, Rejection, Role, Room,
        RoomKind, RowChange,
    },
    id::UserId,
    time::Timestamp,
};

impl Plan<'_> {
    /// Sends a message to one user. The room is theirs alone, whoever was first; its first entry is the first
    /// message.
    pub(super) fn send_direct(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        to: &UserId,
        draft: &Draft,
    ) -> Result<Outcome, Rejection> {
        if actor.user == *to {
            return Err(Rejection::Forbidden("a direct message goes to somebody else"));
        }
        if self.room.exists() {
            // Somebody may have given another room this id.
            return match self.room.other(&actor.user) == Some(to) {
                true => self.send(actor, at, draft),
                false => Err(Rejection::NO_ROOM),
            };
        }
        self.policy.decide(actor, Action::SendDirect, &self.room, None).into_result()?;
        let unborn = self.room.clone();
        self.room = Room::direct(unborn.id.clone(), actor.user.clone(), to.clone(), at);
        // Gathered or not, these rows are known from here on; the first message may mention both already.
        for user in [&actor.user, to] {
            self.rows.members.insert(user.clone(), Some(Member::of_direct(user.clone(), at)));
        }
        let outcome = self.post(actor, at, draft);
        if outcome.is_err() {
            self.room = unborn;
            self.rows.members.extend([&actor.user, to].map(|user| (user.clone(), None)));
            return outcome;
        }
        for user in [&actor.user, to] {
            self.commit.rows.push(RowChange::PutMember(Member::of_direct(user.clone(), at)));
        }
        self.commit.rows.push(RowChange::PutMarker(to.clone(), Marker::default()));
        outcome
    }

    /// Creates a group: everybody is a member at once.
    pub(super) fn create_group(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        spec: &GroupSpec,
    ) -> Result<Outcome, Rejection> {
        if self.room.exists() {
            return Err(Rejection::Conflict("the room exists already"));
        }
        self.policy.decide(actor, Action::Create, &self.room, None).into_result()?;
        let room = Room {
            kind: RoomKind::Group,
            name: spec.name().clone(),
            created_by: actor.user.clone(),
            created_at: at,
            head: self.room.head.next(),
            ..self.room.clone()
        };
        self.append(actor, at, Change::Describe(Box::new(room)));
        self.admit(actor, at, Role::Owner);
        for user in spec.others() {
            self.commit.guards.push(Guard::Unblocked(actor.user.clone(), user.clone()));
            self.admit_by(actor, user, at, Role::Member);
        }
        Ok(Outcome::Created(self.room.head))
    }

    /// Has the commit hold only while nobody in a direct room has blocked the other.
    pub(super) fn guard_block(&mut self, actor: &Actor) {
        if let Some(other) = self.room.other(&actor.user) {
            let guard = Guard::Unblocked(actor.user.clone(), other.clone());
            if !self.commit.guards.contains(&guard) {
                self.commit.guards.push(guard);
            }
        }
    }
}
