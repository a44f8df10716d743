//! Telling of what was read: to a user's other sessions, and to the others in a room.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    cell::{Cell, Pending},
    shared::Shared,
    signal::Signal,
};
use crate::{
    domain::{Change, Command, Entry},
    id::{Seq, SessionId, UserId},
    store::{Reading, StoreError},
    wire::Notice,
};

impl Shared {
    /// Those about to send who may have to be told of it, and of whom it is not known whether they have read all.
    pub(crate) fn unknown_readers(&self, cell: &Cell, batch: &[Pending]) -> BTreeSet<UserId> {
        let readers = cell.readers();
        let sends = |pending: &&Pending| {
            matches!(pending.request.command, Command::Send(_) | Command::SendDirect(..))
                && self.users.has_besides(&pending.request.actor.user, pending.session.as_ref())
                && readers.misses(&pending.request.actor.user)
        };
        batch.iter().filter(sends).map(|pending| pending.request.actor.user.clone()).collect()
    }

    /// Looks up whether they have.
    pub(crate) async fn learn_readers(&self, cell: &Cell, unknown: BTreeSet<UserId>) {
        for user in unknown {
            match self.store.overview_of(&user, cell.id()).await {
                Ok(Some(overview)) if overview.reading.unread == 0 => {
                    cell.readers().note(&user, overview.room.head);
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "can't look up whether a sender has read all"),
            }
        }
    }

    /// Tells who has sent some of these entries, the newest of a room, what is left unread there, on the sessions
    /// of this node but for those on which they speak: sending counts as reading. Who had nothing unread is told
    /// nothing, nor is the author of what somebody else has `released`.
    pub(crate) fn tell_senders(
        &self,
        cell: &Cell,
        entries: &[&Entry],
        speaking: &HashMap<UserId, SessionId>,
        released: &HashSet<Seq>,
    ) {
        for (sender, place) in self.changed(cell, entries, speaking, released) {
            let reading = Reading { seq: entries[place].seq, ..left_unread(&entries[place + 1..], sender) };
            self.tell_unread(cell, sender, reading, speaking.get(sender));
        }
    }

    /// The same for entries of other nodes, of which it is not known who has sent them.
    pub(crate) async fn tell_senders_elsewhere(
        &self,
        cell: &Cell,
        entries: &[&Entry],
    ) -> Result<(), StoreError> {
        for (sender, _) in self.changed(cell, entries, &HashMap::new(), &HashSet::new()) {
            if let Some(overview) = self.store.overview_of(sender, cell.id()).await? {
                self.tell_unread(cell, sender, overview.reading, None);
            }
        }
        Ok(())
    }

    /// Those to whom their sending has read something, each with the place of their newest message.
    fn changed<'e>(
        &self,
        cell: &Cell,
        entries: &[&'e Entry],
        speaking: &HashMap<UserId, SessionId>,
        released: &HashSet<Seq>,
    ) -> BTreeMap<&'e UserId, usize> {
        let (mut changed, mut newest) = (HashSet::new(), BTreeMap::new());
        let mut readers = cell.readers();
        for (place, entry) in entries.iter().enumerate() {
            if let Some(user) = entry.joins()
                && self.users.has_besides(user, None)
            {
                readers.note(user, entry.seq);
            }
            if entry.message().is_none() {
                continue;
            }
            let left = readers.take_in(entry);
            let sender = &entry.actor;
            if !released.contains(&entry.seq) && self.users.has_besides(sender, speaking.get(sender)) {
                if left {
                    changed.insert(sender);
                }
                readers.note(sender, entry.seq);
                newest.insert(sender, place);
            }
        }
        newest.retain(|sender, _| changed.contains(sender));
        newest
    }

    fn tell_unread(&self, cell: &Cell, user: &UserId, reading: Reading, except: Option<&SessionId>) {
        self.users.signal(user, &Signal::new(Notice::Unread(cell.id().clone(), reading)), except);
    }
}

/// What these entries leave unread to a user who has read all before them.
fn left_unread(entries: &[&Entry], user: &UserId) -> Reading {
    let mut left = BTreeMap::new();
    for entry in entries {
        match &entry.change {
            Change::Send(message) if message.deleted.is_none() && entry.actor != *user => {
                left.insert(entry.seq, message.mentions.mentions(user));
            }
            Change::Edit { target, mentions, .. } => {
                left.entry(*target).and_modify(|mentioned| *mentioned = mentions.mentions(user));
            }
            Change::Delete { target, .. } => drop(left.remove(target)),
            _ => {}
        }
    }
    let mentions = left.values().filter(|mentioned| **mentioned).count() as u64;
    Reading { unread: left.len() as u64, mentions, ..Reading::default() }
}
