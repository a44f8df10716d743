//! Deciding what counts as read, and who is mentioned.

use super::Plan;
use crate::{
    domain::{Action, Actor, Addressed, Content, Marker, Mentions, RowChange},
    id::UserId,
};

impl Plan<'_> {
    /// Joining and sending count as reading all there is.
    pub(super) fn mark_read(&mut self, user: &UserId) {
        self.commit.rows.push(RowChange::PutMarker(user.clone(), self.end()));
    }

    /// A message of the user's was sent without them: they have read no more than before.
    pub(super) fn mark_unattended(&mut self, user: &UserId) {
        self.commit.rows.push(RowChange::SentFor(user.clone(), self.end()));
    }

    fn end(&self) -> Marker {
        Marker { seq: self.room.head, ordinal: self.room.messages }
    }

    /// Whom a text mentions: members whose names it addresses, and the whole room, if the actor may do that.
    pub(super) fn mentions(&self, actor: &Actor, content: &Content) -> Mentions {
        let Addressed { names, room } = Addressed::by(content.as_str());
        let named = names.iter().filter_map(|name| self.rows.names.get(&name.key()));
        let users = named.filter(|user| self.rows.member(user).is_some()).cloned().collect();
        let member = self.rows.member(&actor.user);
        let may = || self.policy.decide(actor, Action::MentionRoom, &self.room, member).into_result().is_ok();
        Mentions { users, room: room && may() }
    }
}
