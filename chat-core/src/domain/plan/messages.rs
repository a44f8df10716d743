//! What is done to messages that stand in the log.

use super::Plan;
use crate::{
    domain::{
        Action, Actor, AuditAct, Change, Content, Emoji, Entry, InThread, Message, Outcome, PINS_MAX,
        REACTIONS_DISTINCT_MAX, Rejection, Replies, ThreadLeft,
    },
    id::{MessageId, Seq, UserId},
    time::Timestamp,
};

impl Plan<'_> {
    pub(super) fn edit(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        target: Seq,
        content: &Content,
    ) -> Result<Outcome, Rejection> {
        self.may(actor, Action::Edit)?;
        self.may_write(actor, at)?;
        let (author, message) = self.living(actor, target)?;
        if *author != actor.user {
            return Err(Rejection::Forbidden("only its author may edit a message"));
        }
        if message.content == *content {
            return Ok(Outcome::Unchanged(Some(message.edited.map_or(target, |edited| edited.seq))));
        }
        self.check_length(content)?;
        self.guard_block(actor);
        let mentions = self.mentions(actor, content);
        Ok(self.change(actor, at, Change::Edit { target, content: content.clone(), mentions }))
    }

    /// One's own message goes whenever one may delete; somebody else's only from above their rank. Who is no
    /// member any more has no rank.
    pub(super) fn delete(&mut self, actor: &Actor, at: Timestamp, target: Seq) -> Result<Outcome, Rejection> {
        let rank = self.rank(actor, Action::Delete)?;
        let (author, message) = self.visible(actor, target)?;
        if *author != actor.user {
            self.may(actor, Action::DeleteOthers)?;
            let outranked = self.rows.member(author).map(|member| member.role);
            if outranked.is_some_and(|author| rank.is_none_or(|rank| !rank.outranks(author))) {
                return Err(Rejection::Forbidden("the author's rank is not below yours"));
            }
        }
        if let Some(deleted) = &message.deleted {
            return Ok(Outcome::Unchanged(Some(deleted.seq)));
        }
        let (author, thread) = (author.clone(), message.thread);
        let thread = thread.map(|thread| self.thread_without(thread.root, target)).transpose()?.flatten();
        let outcome = self.change(actor, at, Change::Delete { target, thread });
        if author != actor.user {
            let details = vec![("messageId", MessageId::of(&self.room.id, target).to_string())];
            self.audit(actor, at, AuditAct::DeleteMessage, Some(author), details);
        }
        Ok(outcome)
    }

    pub(super) fn react(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        target: Seq,
        emoji: &Emoji,
    ) -> Result<Outcome, Rejection> {
        self.may(actor, Action::React)?;
        self.may_write(actor, at)?;
        let (_, message) = self.living(actor, target)?;
        if self.rows.has_reacted(target, emoji, &actor.user) {
            return Ok(Outcome::Unchanged(None));
        }
        let others = message.count(emoji);
        if others == 0 && message.reactions.len() >= REACTIONS_DISTINCT_MAX {
            return Err(Rejection::Conflict("the message has as many different reactions as it can take"));
        }
        self.guard_block(actor);
        Ok(self.change(actor, at, Change::React { target, emoji: emoji.clone(), count: others + 1 }))
    }

    pub(super) fn unreact(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        target: Seq,
        emoji: &Emoji,
    ) -> Result<Outcome, Rejection> {
        self.may(actor, Action::React)?;
        self.take_back(actor, at, target, emoji)
    }

    /// Takes back a reaction of the actor's, whatever they may do.
    pub(super) fn take_back(
        &mut self,
        actor: &Actor,
        at: Timestamp,
        target: Seq,
        emoji: &Emoji,
    ) -> Result<Outcome, Rejection> {
        let (_, message) = self.living(actor, target)?;
        if !self.rows.has_reacted(target, emoji, &actor.user) {
            return Ok(Outcome::Unchanged(None));
        }
        let count = message.count(emoji).saturating_sub(1);
        Ok(self.change(actor, at, Change::Unreact { target, emoji: emoji.clone(), count }))
    }

    pub(super) fn pin(&mut self, actor: &Actor, at: Timestamp, target: Seq) -> Result<Outcome, Rejection> {
        self.may(actor, Action::Pin)?;
        let (_, message) = self.living(actor, target)?;
        if message.pinned.is_some() {
            return Ok(Outcome::Unchanged(message.pinned));
        }
        // A count that was not looked up refuses, as every row does.
        if self.rows.pins.is_none_or(|pins| pins >= PINS_MAX) {
            return Err(Rejection::Conflict("the room has as many pinned messages as it can take"));
        }
        Ok(self.change(actor, at, Change::Pin { target }))
    }

    pub(super) fn unpin(&mut self, actor: &Actor, at: Timestamp, target: Seq) -> Result<Outcome, Rejection> {
        self.may(actor, Action::Pin)?;
        let (_, message) = self.living(actor, target)?;
        if message.pinned.is_none() {
            return Ok(Outcome::Unchanged(None));
        }
        Ok(self.change(actor, at, Change::Unpin { target }))
    }

    /// The place of a new reply in the thread of a message: a thread within a thread is the same thread.
    pub(super) fn thread_of(&self, actor: &Actor, of: Seq) -> Result<InThread, Rejection> {
        let (_, message) = self.living(actor, of)?;
        let root = message.thread.map_or(of, |thread| thread.root);
        let message = self.rows.target(root).and_then(Entry::message);
        match message.filter(|message| message.deleted.is_none()) {
            Some(message) => Ok(InThread { root, count: message.replies.count + 1 }),
            None => Err(Rejection::NO_MESSAGE),
        }
    }

    /// What is left of a thread without one of its replies; `None` when its root is not there any more.
    pub(super) fn thread_without(&self, root: Seq, reply: Seq) -> Result<Option<ThreadLeft>, Rejection> {
        let (Some(found), Some(replies)) = (self.rows.targets.get(&root), self.rows.threads.get(&root))
        else {
            // The reply came with this very batch: its sender was not told its id yet.
            return Err(Rejection::NO_MESSAGE);
        };
        let Some(message) = found.as_ref().and_then(Entry::message) else { return Ok(None) };
        let last_at = replies.iter().rev().find(|(seq, _)| *seq != reply).map(|(_, at)| *at);
        let replies = Replies { count: message.replies.count.saturating_sub(1), last_at };
        Ok(Some(ThreadLeft { root, replies }))
    }

    pub(super) fn change(&mut self, actor: &Actor, at: Timestamp, change: Change) -> Outcome {
        self.append(actor, at, change);
        Outcome::Changed(self.room.head)
    }

    /// The author and the message at that place, if the actor may see it; it may be deleted.
    fn visible(&self, actor: &Actor, target: Seq) -> Result<(&UserId, &Message), Rejection> {
        let hidden_until = self.room.hidden_from(self.rows.member(&actor.user));
        let entry = self.rows.target(target).filter(|_| target > hidden_until);
        entry.and_then(|entry| Some((&entry.actor, entry.message()?))).ok_or(Rejection::NO_MESSAGE)
    }

    /// The same for a message that is not deleted.
    pub(super) fn living(&self, actor: &Actor, target: Seq) -> Result<(&UserId, &Message), Rejection> {
        self.visible(actor, target).and_then(|(author, message)| match message.deleted {
            None => Ok((author, message)),
            Some(_) => Err(Rejection::NO_MESSAGE),
        })
    }
}
