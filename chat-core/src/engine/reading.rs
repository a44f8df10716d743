//! Telling of what was read: to a user's other sessions, and to the others in a room.

use std::collections::{BTreeMap, HashMap};

use super::{shared::Shared, signal::Signal};
use crate::{
    domain::{Change, Entry},
    id::{RoomId, SessionId, UserId},
    store::Reading,
    wire::Notice,
};

impl Shared {
    /// Tells who has sent some of these entries, the newest of a room, what is left unread there, on the sessions
    /// of this node but for those on which they speak: sending counts as reading.
    pub(crate) fn tell_senders(
        &self,
        room: &RoomId,
        entries: &[&Entry],
        speaking: &HashMap<UserId, SessionId>,
    ) {
        let mut told: Vec<&UserId> = Vec::new();
        for (place, entry) in entries.iter().enumerate().rev() {
            let sender = &entry.actor;
            if entry.message().is_none() || told.contains(&sender) {
                continue;
            }
            told.push(sender);
            let except = speaking.get(sender);
            if self.users.has_besides(sender, except) {
                let reading = Reading { seq: entry.seq, ..left_unread(&entries[place + 1..], sender) };
                self.users.signal(sender, &Signal::new(Notice::Unread(room.clone(), reading)), except);
            }
        }
    }
}

/// What these entries leave unread to a user who has read all before them, and has sent none of them.
fn left_unread(entries: &[&Entry], user: &UserId) -> Reading {
    let mut left = BTreeMap::new();
    for entry in entries {
        match &entry.change {
            Change::Send(message) if message.deleted.is_none() => {
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
