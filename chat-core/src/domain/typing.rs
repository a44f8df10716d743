//! Who is typing where, and until when.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use crate::id::{RoomId, SessionId, UserId};

/// How long somebody counts as typing after they last said so.
pub const TYPING_LASTS: Duration = Duration::from_secs(5);

/// Who is typing, as far as others are told. One queue of deadlines for all of them; instants are the time since
/// some beginning and never go back.
///
/// ```
/// use chat_core::domain::{TYPING_LASTS, Typing};
/// use chat_core::id::{RoomId, SessionId, UserId};
/// use std::time::Duration;
///
/// let (alice, lobby) = (UserId::parse("alice").unwrap(), RoomId::parse("lobby").unwrap());
/// let phone = SessionId::parse("phone").unwrap();
/// let mut typing = Typing::new(100_000, 20);
/// assert!(typing.start(&alice, &lobby, &phone, Duration::ZERO));
/// assert_eq!(typing.next_end(), Some(TYPING_LASTS));
/// assert_eq!(typing.expire(TYPING_LASTS), [(alice, lobby)]);
/// ```
#[derive(Debug)]
pub struct Typing {
    typists: BTreeMap<(UserId, RoomId), Typist>,
    ends: BTreeSet<(Duration, UserId, RoomId)>,
    /// Typists by room; only rooms that have some.
    rooms: HashMap<RoomId, usize>,
    most: usize,
    most_per_room: usize,
}

#[derive(Debug)]
struct Typist {
    until: Duration,
    /// Where they typed last: only its going ends their typing.
    session: SessionId,
}

impl Typing {
    /// Nobody types. At most `most` users will be told of as typing, and at most `most_per_room` in one room;
    /// whoever comes after them is not told of until one of them ends.
    #[must_use]
    pub fn new(most: usize, most_per_room: usize) -> Self {
        Self { typists: BTreeMap::new(), ends: BTreeSet::new(), rooms: HashMap::new(), most, most_per_room }
    }

    /// Somebody types, or goes on typing. Whether others are to be told.
    pub fn start(&mut self, user: &UserId, room: &RoomId, session: &SessionId, now: Duration) -> bool {
        let is_new = self.stop(user, room).is_none();
        let in_room = self.rooms.get(room).copied().unwrap_or_default();
        if is_new && (self.typists.len() >= self.most || in_room >= self.most_per_room) {
            return false;
        }
        let until = now + TYPING_LASTS;
        self.ends.insert((until, user.clone(), room.clone()));
        *self.rooms.entry(room.clone()).or_default() += 1;
        self.typists.insert((user.clone(), room.clone()), Typist { until, session: session.clone() });
        true
    }

    /// Somebody types no more: they said so, or sent. The session in which they did, if they did and others are
    /// to be told.
    pub fn stop(&mut self, user: &UserId, room: &RoomId) -> Option<SessionId> {
        let Typist { until, session } = self.typists.remove(&(user.clone(), room.clone()))?;
        self.ends.remove(&(until, user.clone(), room.clone()));
        if let Some(count) = self.rooms.get_mut(room) {
            *count -= 1;
            if *count == 0 {
                self.rooms.remove(room);
            }
        }
        Some(session)
    }

    /// A session is gone. The rooms in which its user typed there last, and types no more.
    pub fn disconnect(&mut self, user: &UserId, session: &SessionId) -> Vec<RoomId> {
        // No room's id is the empty text, so that this is before all of them.
        let first = (user.clone(), RoomId::from_trusted(""));
        let own = self.typists.range(first..).take_while(|((typist, _), _)| typist == user);
        let rooms: Vec<_> =
            own.filter(|(_, typist)| typist.session == *session).map(|((_, room), _)| room.clone()).collect();
        rooms.iter().for_each(|room| drop(self.stop(user, room)));
        rooms
    }

    /// When the next of them ends by itself.
    #[must_use]
    pub fn next_end(&self) -> Option<Duration> {
        self.ends.first().map(|(until, ..)| *until)
    }

    /// Those who have ended by themselves, the first to end first.
    pub fn expire(&mut self, now: Duration) -> Vec<(UserId, RoomId)> {
        let mut ended = Vec::new();
        while let Some((until, user, room)) = self.ends.first().cloned()
            && until <= now
        {
            self.stop(&user, &room);
            ended.push((user, room));
        }
        ended
    }

    /// Whether nobody types.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.typists.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::parse(name).unwrap()
    }

    fn room(name: &str) -> RoomId {
        RoomId::parse(name).unwrap()
    }

    fn session(name: &str) -> SessionId {
        SessionId::parse(name).unwrap()
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn typing_ends_five_seconds_after_it_was_last_said() {
        let mut typing = Typing::new(10, 10);
        let (alice, lobby, phone) = (user("alice"), room("lobby"), session("phone"));
        assert!(typing.start(&alice, &lobby, &phone, at(0)));
        assert!(typing.start(&alice, &lobby, &phone, at(3_000)), "every start is told again");
        assert_eq!(typing.expire(at(7_999)), []);
        assert_eq!(typing.next_end(), Some(at(8_000)));
        assert_eq!(typing.expire(at(8_000)), [(alice, lobby)]);
        assert_eq!((typing.next_end(), typing.is_empty()), (None, true));
    }

    #[test]
    fn stopping_twice_is_told_once() {
        let mut typing = Typing::new(10, 10);
        let (alice, lobby) = (user("alice"), room("lobby"));
        typing.start(&alice, &lobby, &session("phone"), at(0));
        assert!(typing.stop(&alice, &lobby).is_some());
        assert!(typing.stop(&alice, &lobby).is_none());
        assert_eq!(typing.expire(at(60_000)), []);
    }

    #[test]
    fn a_session_that_goes_ends_what_was_typed_there_last_and_nothing_else() {
        let mut typing = Typing::new(10, 10);
        let alice = user("alice");
        typing.start(&alice, &room("a"), &session("phone"), at(0));
        typing.start(&alice, &room("b"), &session("phone"), at(0));
        typing.start(&alice, &room("b"), &session("laptop"), at(1));
        typing.start(&user("bob"), &room("a"), &session("phone"), at(1));
        assert_eq!(typing.disconnect(&alice, &session("phone")), [room("a")]);
        assert_eq!(typing.disconnect(&alice, &session("phone")), []);
        assert_eq!(typing.disconnect(&alice, &session("laptop")), [room("b")]);
        assert_eq!(typing.expire(at(60_000)), [(user("bob"), room("a"))]);
    }

    #[test]
    fn no_more_are_told_of_than_the_bounds_say() {
        let mut typing = Typing::new(3, 2);
        let phone = session("phone");
        let mut start = |name: &str, place: &str| typing.start(&user(name), &room(place), &phone, at(0));
        assert!(start("a", "lobby"));
        assert!(start("b", "lobby"));
        assert!(!start("c", "lobby"), "two in a room");
        assert!(start("a", "lobby"), "who types already goes on");
        assert!(start("c", "other"));
        assert!(!start("d", "third"), "three in all");
        typing.expire(TYPING_LASTS);
        assert!(typing.rooms.is_empty() && typing.ends.is_empty() && typing.typists.is_empty());
    }
}
