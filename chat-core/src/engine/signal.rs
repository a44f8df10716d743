//! Signals: what is told of the present and stands in no log. Of one topic the newest wins, and nothing is
//! repeated to who was not there.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use super::shared::Shared;
use crate::{
    bus::{Audience, Hint},
    id::{RoomId, Seq, SessionId, UserId},
    limits::SIGNALS_WAITING_MAX,
    transport::Frame,
    wire::{Notice, Topic},
};

/// One signal, encoded once for all who are told.
#[derive(Debug)]
pub(crate) struct Signal {
    topic: Topic,
    topic_hash: u64,
    notice: Notice,
    frame: Frame,
}

impl Signal {
    pub(crate) fn new(notice: Notice) -> Arc<Self> {
        let (topic, mut hasher) = (notice.topic(), DefaultHasher::new());
        topic.hash(&mut hasher);
        Arc::new(Self { topic, topic_hash: hasher.finish(), frame: Frame::new(notice.frame()), notice })
    }

    pub(crate) fn notice(&self) -> &Notice {
        &self.notice
    }

    pub(crate) fn frame(&self) -> &Frame {
        &self.frame
    }
}

/// The room in which a signal is told.
#[derive(Debug)]
pub(crate) struct Via {
    /// The room's place in the session.
    pub(crate) slot: u32,
    pub(crate) room: RoomId,
    /// The room's head when the signal was made.
    pub(crate) at: Seq,
}

/// Whether a signal may be told to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hearing {
    /// Yes.
    Now,
    /// When the session has been told all that came before.
    Later,
    /// Never: the session does not follow the room any more.
    NoMore,
}

/// Signals that wait for one session, in the order of their making: one for each topic.
///
/// Mostly one or two, now and then those of everybody in a room: a list that is searched by a number needs less memory
/// than a table beside it would, and its bound keeps the search short.
#[derive(Debug, Default)]
pub(crate) struct WaitingSignals(VecDeque<Waiting>);

#[derive(Debug)]
struct Waiting {
    signal: Arc<Signal>,
    topic_hash: u64,
    via: Option<Via>,
}

impl WaitingSignals {
    /// Adds a signal in the place of the one of its topic, else at the end. Over the bound the oldest goes.
    pub(crate) fn add(&mut self, signal: Arc<Signal>, via: Option<Via>) {
        let new = Waiting { topic_hash: signal.topic_hash, signal, via };
        let is_older =
            |it: &&mut Waiting| it.topic_hash == new.topic_hash && it.signal.topic == new.signal.topic;
        if let Some(older) = self.0.iter_mut().find(is_older) {
            *older = new;
            return;
        }
        if self.0.len() >= SIGNALS_WAITING_MAX {
            self.0.pop_front();
        }
        self.0.push_back(new);
    }

    /// Takes the oldest, at most `most`, of those that may be told now; forgets those that never may.
    pub(crate) fn take(&mut self, most: usize, mut hears: impl FnMut(&Via) -> Hearing) -> Vec<Arc<Signal>> {
        let mut taken = Vec::new();
        self.0.retain(|Waiting { signal, via, .. }| {
            if taken.len() >= most {
                return true;
            }
            let hearing = via.as_ref().map_or(Hearing::Now, &mut hears);
            if hearing == Hearing::Now {
                taken.push(signal.clone());
            }
            hearing == Hearing::Later
        });
        taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Shared {
    /// Tells all sessions of a user, on all nodes; not the session `except`, on which they speak.
    pub(crate) async fn tell_user(&self, user: &UserId, except: Option<&SessionId>, notice: Notice) {
        self.users.signal(user, &Signal::new(notice.clone()), except);
        self.tell_others(Audience::Users(vec![user.clone()]), notice).await;
    }

    /// Tells all who follow a room, on all nodes; not the sessions of `except`. Who has left the room, or leaves
    /// before the signal has come to them, is not told.
    pub(crate) async fn tell_room(&self, room: &RoomId, except: Option<&UserId>, notice: Notice) {
        let at = self.rooms.get(room).map_or(Seq::ZERO, |cell| cell.head());
        let to = Audience::Room { room: room.clone(), at, except: except.cloned() };
        self.tell_here(&to, notice.clone());
        self.tell_others(to, notice).await;
    }

    /// Tells the sessions of this node.
    pub(crate) fn tell_here(&self, to: &Audience, notice: Notice) {
        let signal = Signal::new(notice);
        match to {
            Audience::Users(users) => {
                users.iter().for_each(|user| self.users.signal(user, &signal, None));
            }
            Audience::Room { room, at, except } => {
                if let Some(cell) = self.rooms.get(room) {
                    cell.signal(&signal, (*at).max(cell.head()), except.as_ref());
                }
            }
        }
    }

    /// Tells the other nodes, which may not hear it.
    async fn tell_others(&self, to: Audience, notice: Notice) {
        if self.bus.has_other_nodes() {
            self.bus.publish(Hint::Signal { from: self.node.clone(), to, notice }).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Username;

    fn typing(user: &str, starts: bool) -> Arc<Signal> {
        let (room, name) = (RoomId::parse("lobby").unwrap(), Username::parse("somebody").unwrap());
        let user = UserId::parse(user).unwrap();
        Signal::new(if starts {
            Notice::UserTyping(room, user, name)
        } else {
            Notice::UserStoppedTyping(room, user, name)
        })
    }

    fn lobby(at: u64) -> Option<Via> {
        Some(Via { slot: 0, room: RoomId::parse("lobby").unwrap(), at: Seq::new(at) })
    }

    fn notices(signals: &[Arc<Signal>]) -> Vec<Notice> {
        signals.iter().map(|signal| signal.notice().clone()).collect()
    }

    #[test]
    fn of_one_topic_only_the_newest_waits() {
        let mut waiting = WaitingSignals::default();
        waiting.add(typing("alice", true), None);
        waiting.add(typing("bob", true), None);
        waiting.add(typing("alice", false), None);
        let expected = [typing("alice", false), typing("bob", true)].map(|signal| signal.notice().clone());
        assert_eq!(notices(&waiting.take(10, |_| Hearing::Now)), expected);
        assert!(waiting.is_empty());
    }

    #[test]
    fn the_oldest_goes_when_too_many_wait() {
        let mut waiting = WaitingSignals::default();
        for number in 0..=SIGNALS_WAITING_MAX {
            waiting.add(typing(&format!("user-{number}"), true), None);
        }
        assert_eq!(waiting.0.len(), SIGNALS_WAITING_MAX);
        assert_eq!(notices(&waiting.take(1, |_| Hearing::Now)), [typing("user-1", true).notice().clone()]);
    }

    #[test]
    fn a_signal_waits_until_all_before_it_was_told_and_goes_when_its_room_is_left() {
        let mut waiting = WaitingSignals::default();
        waiting.add(typing("alice", true), lobby(7));
        waiting.add(typing("bob", true), lobby(5));
        let at =
            |head: u64| move |via: &Via| if via.at <= Seq::new(head) { Hearing::Now } else { Hearing::Later };
        assert_eq!(notices(&waiting.take(10, at(6))), [typing("bob", true).notice().clone()]);
        assert!(waiting.take(10, at(6)).is_empty());
        assert!(waiting.take(10, |_| Hearing::NoMore).is_empty());
        assert!(waiting.is_empty());
    }
}
