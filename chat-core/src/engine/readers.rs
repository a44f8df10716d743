//! Who has read all of a room, so that they are told what is unread only when that changes.
//!
//! Kept for those alone who are to be told: users on several connections. It is a hint about the store's markers:
//! what is not known here is asked there.

use std::collections::HashMap;

use crate::{
    domain::Entry,
    id::{Seq, UserId},
    limits::ROOM_MEMBERS_CACHED_MAX,
};

/// What is known of who has read all.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    /// Up to where somebody has left nothing unread. Bounded by [`ROOM_MEMBERS_CACHED_MAX`], then emptied.
    read_all: HashMap<UserId, Seq>,
    /// The newest message and its author, and the newest of anybody else.
    newest: Option<(UserId, Seq)>,
    newest_of_others: Seq,
}

impl Readers {
    /// Notes that a user has left nothing unread up to there.
    pub(crate) fn note(&mut self, user: &UserId, seq: Seq) {
        if self.read_all.len() >= ROOM_MEMBERS_CACHED_MAX && !self.read_all.contains_key(user) {
            self.read_all.clear();
        }
        let known = self.read_all.entry(user.clone()).or_default();
        *known = seq.max(*known);
    }

    /// Whether nothing is known of a user.
    pub(crate) fn misses(&self, user: &UserId) -> bool {
        !self.read_all.contains_key(user)
    }

    /// Forgets everything: entries were passed over.
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Takes a message in. Whether its author, if they sent it themselves, may have left something unread before.
    pub(crate) fn take_in(&mut self, entry: &Entry) -> bool {
        let author = &entry.actor;
        let of_others = match &self.newest {
            Some((newest, seq)) if newest != author => *seq,
            _ => self.newest_of_others,
        };
        let left = self.read_all.get(author).is_none_or(|read| of_others > *read);
        if self.newest.as_ref().is_none_or(|(_, seq)| entry.seq > *seq) {
            self.newest_of_others = of_others;
            self.newest = Some((author.clone(), entry.seq));
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{Change, Content, Message},
        id::RoomId,
        time::Timestamp,
    };

    fn message(author: &str, seq: u64) -> Entry {
        let (room, actor) = (RoomId::parse("lobby").unwrap(), UserId::parse(author).unwrap());
        let change = Change::Send(Message::new(seq, Content::from_stored("text")));
        Entry { room, seq: Seq::new(seq), at: Timestamp::default(), actor, change }
    }

    #[test]
    fn only_what_others_have_sent_since_can_be_left_unread() {
        let alice = UserId::parse("alice").unwrap();
        let mut readers = Readers::default();
        assert!(readers.take_in(&message("alice", 3)), "nothing is known");
        readers.note(&alice, Seq::new(3));
        assert!(!readers.take_in(&message("alice", 4)));
        readers.note(&alice, Seq::new(4));
        readers.take_in(&message("bob", 5));
        readers.take_in(&message("carol", 6));
        assert!(readers.take_in(&message("alice", 7)));
        readers.note(&alice, Seq::new(7));
        assert!(!readers.take_in(&message("alice", 8)));
        readers.take_in(&message("bob", 9));
        readers.note(&alice, Seq::new(9));
        assert!(!readers.take_in(&message("alice", 10)));
        readers.forget();
        assert!(readers.take_in(&message("alice", 11)));
    }

    #[test]
    fn no_more_readers_are_kept_than_the_bound() {
        let mut readers = Readers::default();
        for number in 0..=ROOM_MEMBERS_CACHED_MAX {
            readers.note(&UserId::parse(&format!("user-{number}")).unwrap(), Seq::new(1));
        }
        assert_eq!(readers.read_all.len(), 1);
    }
}
