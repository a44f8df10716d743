//! The rows that a plan looks at, and how entries move them.

use std::collections::{HashMap, HashSet};

use super::{Change, Emoji, Entry, Invite, InviteLink, LinkId, Member, Sanction, Sent};
use crate::{
    id::{ClientMessageId, Seq, UserId},
    limits::COMMIT_ENTRIES_MAX,
    time::Timestamp,
};

/// Rows read for one batch of requests, true at the head `at`.
///
/// A row that was not gathered counts as absent: a forgotten need refuses, it never permits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The head at which the rows were read.
    pub at: Seq,
    /// Membership by user; `None` for a user who was looked up and is no member.
    pub members: HashMap<UserId, Option<Member>>,
    /// What was sent, by user and key; only keys under which something was sent.
    pub sent: HashMap<(UserId, ClientMessageId), Sent>,
    /// Messages by place, as they stand; `None` for a place that was looked up and holds none.
    pub targets: HashMap<Seq, Option<Entry>>,
    /// The newest replies of threads that are not deleted, by root, ascending: at least [`THREAD_ROWS_MAX`] of them
    /// where there are so many.
    pub threads: HashMap<Seq, Vec<(Seq, Timestamp)>>,
    /// Who has put which emoji under which message, of those who were looked up.
    pub reacted: HashSet<(Seq, Emoji, UserId)>,
    /// How many messages are pinned, if that was looked up.
    pub pins: Option<u32>,
    /// What stands against those of `members` against whom something does.
    pub sanctions: HashMap<UserId, Sanction>,
    /// When those who were looked up sent their last message, if ever.
    pub last_sent: HashMap<UserId, Option<Timestamp>>,
    /// Those who were looked up and have a profile.
    pub profiles: HashSet<UserId>,
    /// The invitations of those who were looked up and have one.
    pub invites: HashMap<UserId, Invite>,
    /// Those of the links looked up that are there.
    pub links: HashMap<LinkId, InviteLink>,
    /// Who has which name, by [`super::Username::key`]; only names that somebody has.
    pub names: HashMap<String, UserId>,
}

/// Replies that are read of a thread to know the last one whatever a commit deletes: one more than it may hold.
pub const THREAD_ROWS_MAX: usize = COMMIT_ENTRIES_MAX + 1;

impl Rows {
    /// The user's membership.
    #[must_use]
    pub fn member(&self, user: &UserId) -> Option<&Member> {
        self.members.get(user).and_then(Option::as_ref)
    }

    /// What stands against the user.
    #[must_use]
    pub fn sanction(&self, user: &UserId) -> Sanction {
        self.sanctions.get(user).copied().unwrap_or_default()
    }

    /// What the user sent under that key, marked as a repeat.
    #[must_use]
    pub fn sent(&self, user: &UserId, key: &ClientMessageId) -> Option<Sent> {
        // Cloning two `Arc`s per keyed send costs less than a borrowed-pair lookup is worth.
        let sent = self.sent.get(&(user.clone(), key.clone()))?;
        Some(Sent { duplicate: true, ..*sent })
    }

    /// The message at that place.
    #[must_use]
    pub fn target(&self, seq: Seq) -> Option<&Entry> {
        self.targets.get(&seq).and_then(Option::as_ref)
    }

    /// Whether the user has that emoji under that message.
    #[must_use]
    pub fn has_reacted(&self, target: Seq, emoji: &Emoji, user: &UserId) -> bool {
        self.reacted.contains(&(target, emoji.clone(), user.clone()))
    }

    /// Moves the rows by one entry, so that rows read at an older head stay true. Only rows that were
    /// gathered are kept up to date.
    pub fn apply(&mut self, entry: &Entry) {
        self.move_target(entry);
        self.move_thread(entry);
        match &entry.change {
            Change::Join { user, role, .. } => {
                if let Some(row) = self.members.get_mut(user) {
                    let member =
                        Member { user: user.clone(), role: *role, joined: entry.seq, joined_at: entry.at };
                    *row = Some(member);
                }
            }
            Change::Leave { user, .. } => {
                if let Some(row) = self.members.get_mut(user) {
                    *row = None;
                }
                self.move_sanction(user, entry);
            }
            Change::UpdateMember(update) => {
                if let (Some(Some(member)), Some(role)) = (self.members.get_mut(&update.user), update.role) {
                    member.role = role;
                }
                self.move_sanction(&update.user, entry);
            }
            Change::Send(message) => {
                if let Some(last) = self.last_sent.get_mut(&entry.actor) {
                    *last = Some(entry.at);
                }
                for user in entry.begins_for() {
                    if let Some(row) = self.members.get_mut(user) {
                        *row = Some(Member::of_direct(user.clone(), entry.at));
                    }
                }
                if let Some(key) = &message.client_message_id {
                    let sent = Sent { seq: entry.seq, at: entry.at, duplicate: false };
                    self.sent.insert((entry.actor.clone(), key.clone()), sent);
                }
            }
            Change::React { target, emoji, .. } => {
                self.reacted.insert((*target, emoji.clone(), entry.actor.clone()));
            }
            Change::Unreact { target, emoji, .. } => {
                self.reacted.remove(&(*target, emoji.clone(), entry.actor.clone()));
            }
            Change::Describe(room) => self.forget_before(room.first),
            Change::DeleteRoom
            | Change::Edit { .. }
            | Change::Delete { .. }
            | Change::Pin { .. }
            | Change::Unpin { .. } => {}
        }
        self.at = self.at.max(entry.seq);
    }

    /// Messages that were cut are not there any more.
    fn forget_before(&mut self, first: Seq) {
        for (seq, message) in &mut self.targets {
            if *seq < first {
                *message = None;
            }
        }
    }

    fn move_sanction(&mut self, user: &UserId, entry: &Entry) {
        if !self.members.contains_key(user) {
            return;
        }
        match self.sanction(user).after(entry) {
            none if none == Sanction::default() => drop(self.sanctions.remove(user)),
            sanction => drop(self.sanctions.insert(user.clone(), sanction)),
        }
    }

    /// Moves the root of a thread that the entry changes, and the list of its replies.
    fn move_thread(&mut self, entry: &Entry) {
        let Some((root, _)) = entry.thread() else { return };
        if let Some(Some(root)) = self.targets.get_mut(&root) {
            root.take_in(entry);
        }
        if let Some(replies) = self.threads.get_mut(&root) {
            match entry.target() {
                Some(deleted) => replies.retain(|(seq, _)| *seq != deleted),
                None => replies.push((entry.seq, entry.at)),
            }
        }
    }

    /// Moves the message that the entry is, or is about, and with it the count of pins.
    fn move_target(&mut self, entry: &Entry) {
        if entry.message().is_some()
            && let Some(row) = self.targets.get_mut(&entry.seq)
        {
            *row = Some(entry.clone());
        }
        let Some(Some(message)) = entry.target().and_then(|target| self.targets.get_mut(&target)) else {
            return;
        };
        let was_pinned = message.message().is_some_and(|message| message.pinned.is_some());
        message.take_in(entry);
        let is_pinned = message.message().is_some_and(|message| message.pinned.is_some());
        if let Some(pins) = &mut self.pins {
            *pins = (*pins + u32::from(is_pinned)).saturating_sub(u32::from(was_pinned));
        }
    }
}
