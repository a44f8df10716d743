//! Who is there, on all nodes together: one table of people, changed at once, told in rounds.

mod rounds;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

pub(crate) use rounds::{flush, run};

use crate::{
    domain::{Attendance, Availability, KeptPresence, Person, Presence, PresenceNews, StatusText},
    id::{NodeId, SessionId, UserId},
    limits::PRESENCE_GONE_MAX,
    time::Timestamp,
};

/// How often a node tells the others of everybody who is there.
const ATTENDANCE_EVERY: Duration = Duration::from_secs(10);

/// After how long a node that says nothing of a user any more has lost them: more than three times.
const ATTENDANCE_LASTS: Duration = Duration::from_secs(35);

/// The people of whom this node knows, on tokio's time.
#[derive(Debug)]
pub(crate) struct Presences {
    begun: Instant,
    state: Mutex<State>,
    changed: Arc<Notify>,
    /// Whether others are to hear of this node's people.
    announces: bool,
}

#[derive(Debug, Default)]
struct State {
    /// Those with sessions, bounded by the connections of all nodes, and those who went a moment ago.
    people: BTreeMap<UserId, Known>,
    /// When whom is to be looked at next.
    due: BTreeSet<(Duration, UserId)>,
    /// How many of `people` have no session, bounded by [`PRESENCE_GONE_MAX`].
    gone: usize,
    /// Of whom other nodes are still to hear.
    unannounced: BTreeSet<UserId>,
}

#[derive(Debug)]
struct Known {
    person: Person,
    due: Option<Duration>,
    /// Whether it is for this node to save what is kept: it had sessions of theirs, or the node that had them is lost.
    saves: bool,
    /// When other nodes told of them last.
    heard: Vec<(NodeId, Duration)>,
}

/// What is to be done about one user.
struct Turn {
    user: UserId,
    news: Option<PresenceNews>,
    /// What others were told before.
    before: Presence,
    unsaved: Option<KeptPresence>,
}

impl Presences {
    pub(crate) fn new(announces: bool) -> Self {
        Self { begun: Instant::now(), state: Mutex::default(), changed: Arc::default(), announces }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What is kept of a user who is known here.
    pub(crate) fn kept(&self, user: &UserId) -> Option<KeptPresence> {
        self.state.lock().people.get(user).map(|known| known.person.kept().clone())
    }

    /// A session of this node begins. `kept` counts for a user who was not known.
    pub(crate) fn connect(&self, user: &UserId, session: &SessionId, kept: KeptPresence, at: Timestamp) {
        let now = self.now();
        let mut state = self.state.lock();
        state.meet(user, kept);
        state.change(user, now, |known| {
            known.saves = true;
            known.person.connect(session, now, at);
        });
        self.wake(state, user);
    }

    /// A session of this node is gone.
    pub(crate) fn disconnect(&self, user: &UserId, session: &SessionId, at: Timestamp) {
        let now = self.now();
        let mut state = self.state.lock();
        state.change(user, now, |known| known.person.disconnect(session, now, at));
        self.wake(state, user);
    }

    /// A user says how they are.
    pub(crate) fn set(
        &self,
        user: &UserId,
        session: &SessionId,
        availability: Availability,
        text: Option<StatusText>,
        at: Timestamp,
    ) {
        let now = self.now();
        let mut state = self.state.lock();
        state.change(user, now, |known| known.person.set(session, availability, text, now, at));
        self.wake(state, user);
    }

    /// A user says something about how they are, whether or not they are there. `kept` counts for a user who was not
    /// known.
    pub(crate) fn say(&self, user: &UserId, kept: KeptPresence, text: StatusText, at: Timestamp) {
        let now = self.now();
        let mut state = self.state.lock();
        state.meet(user, kept);
        state.change(user, now, |known| {
            known.saves = true;
            known.person.say(text, now, at);
        });
        self.wake(state, user);
    }

    /// Another node tells of its people.
    pub(crate) fn attend(&self, node: &NodeId, people: &[Attendance], at: Timestamp) {
        let now = self.now();
        let mut state = self.state.lock();
        for told in people {
            if told.away.is_some() {
                state.meet(&told.user, told.kept.clone());
            }
            state.change(&told.user, now, |known| {
                known.heard.retain(|(heard, _)| heard != node);
                known.heard.extend(told.away.map(|_| (node.clone(), now)));
                known.person.attend(&session_of(node), told, now, at);
            });
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Ends the attendance of those of whom their node has not told for long.
    fn expire(&self, at: Timestamp) {
        let now = self.now();
        let mut state = self.state.lock();
        let lost = |(_, heard): &(NodeId, Duration)| *heard + ATTENDANCE_LASTS <= now;
        let users: Vec<_> = state
            .people
            .iter()
            .filter(|(_, known)| known.heard.iter().any(lost))
            .map(|(user, _)| user.clone())
            .collect();
        for user in users {
            state.change(&user, now, |known| {
                let nodes: Vec<_> =
                    known.heard.extract_if(.., |heard| lost(heard)).map(|(node, _)| node).collect();
                for node in nodes {
                    let gone = Attendance { away: None, ..known.person.attendance(&user) };
                    known.person.attend(&session_of(&node), &gone, now, at);
                    known.saves = true;
                }
            });
        }
    }

    /// How a user looks to others, if anything is known of them here.
    pub(crate) fn seen_by_others(&self, user: &UserId) -> Option<Presence> {
        let now = self.now();
        self.state.lock().people.get(user).map(|known| known.person.seen_by_others(now))
    }

    /// How a user looks to themselves.
    pub(crate) fn own(&self, user: &UserId) -> Option<Presence> {
        self.state.lock().people.get(user).map(|known| known.person.own())
    }

    fn wake(&self, mut state: parking_lot::MutexGuard<'_, State>, user: &UserId) {
        if self.announces {
            state.unannounced.insert(user.clone());
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Takes the next user about whom there is something to do now.
    fn take_turn(&self) -> Option<Turn> {
        let now = self.now();
        let mut state = self.state.lock();
        let user = state.due.first().filter(|(due, _)| *due <= now).map(|(_, user)| user.clone())?;
        let mut turn = None;
        let mut over = false;
        state.change(&user, now, |known| {
            let before = known.person.told().clone();
            let news = known.person.take_news(now);
            let unsaved = known.person.take_unsaved(now).filter(|_| known.saves);
            over = unsaved.is_none() && known.person.is_forgettable(now);
            turn = Some(Turn { user: user.clone(), news, before, unsaved });
        });
        if over {
            state.forget(&user);
        }
        turn
    }

    /// Takes back that others were told.
    fn untell(&self, user: &UserId, before: Presence) {
        let now = self.now();
        self.state.lock().change(user, now, |known| known.person.untell(before, now));
    }

    /// Takes back that presences were saved.
    fn unsave(&self, presences: Vec<(UserId, KeptPresence)>) {
        let now = self.now();
        let mut state = self.state.lock();
        for (user, kept) in presences {
            state.meet(&user, kept);
            state.change(&user, now, |known| {
                known.saves = true;
                known.person.unsave();
            });
        }
    }

    /// When there is next something to do.
    fn next_due(&self) -> Option<Instant> {
        let state = self.state.lock();
        let now = (!state.unannounced.is_empty()).then(|| self.now());
        now.or_else(|| state.due.first().map(|(due, _)| *due)).map(|due| self.begun + due)
    }

    /// Has the others hear of everybody who is here.
    fn announce_all(&self) {
        let mut state = self.state.lock();
        let State { people, unannounced, .. } = &mut *state;
        let here = people.iter().filter(|(user, known)| known.person.attendance(user).away.is_some());
        unannounced.extend(here.map(|(user, _)| user.clone()));
    }

    /// Takes what the others are still to hear, at most `most`.
    fn take_unannounced(&self, most: usize) -> Vec<Attendance> {
        let mut state = self.state.lock();
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some(user) = state.unannounced.pop_first()
        {
            taken.push(match state.people.get(&user) {
                Some(known) => known.person.attendance(&user),
                None => Person::new(KeptPresence::default()).attendance(&user),
            });
        }
        taken
    }

    /// What is to be saved when everything ends now.
    fn kept_at_the_end(&self, at: Timestamp) -> Vec<(UserId, KeptPresence)> {
        let state = self.state.lock();
        let own = state.people.iter().filter(|(_, known)| known.saves);
        own.filter_map(|(user, known)| Some((user.clone(), known.person.kept_at_the_end(at)?))).collect()
    }
}

impl State {
    /// Knows a user from now on. They are there when somebody says so.
    fn meet(&mut self, user: &UserId, kept: KeptPresence) {
        if !self.people.contains_key(user) {
            let known = Known { person: Person::new(kept), due: None, saves: false, heard: Vec::new() };
            self.people.insert(user.clone(), known);
            self.gone += 1;
        }
    }

    /// Changes what is known of a user, and sees to it that they are looked at in time.
    fn change(&mut self, user: &UserId, now: Duration, change: impl FnOnce(&mut Known)) {
        let Some(known) = self.people.get_mut(user) else { return };
        let was_present = known.person.is_present();
        change(known);
        let is_present = known.person.is_present();
        self.gone = self.gone + usize::from(was_present) - usize::from(is_present);
        let due = known.person.next(now);
        let old = std::mem::replace(&mut known.due, due);
        if old != due {
            old.map(|old| self.due.remove(&(old, user.clone())));
            self.due.extend(due.map(|due| (due, user.clone())));
        }
        if !is_present && self.gone > PRESENCE_GONE_MAX {
            self.forget(user);
        }
    }

    fn forget(&mut self, user: &UserId) {
        if let Some(known) = self.people.remove(user) {
            self.gone -= usize::from(!known.person.is_present());
            known.due.map(|due| self.due.remove(&(due, user.clone())));
        }
    }
}

/// All of a user's sessions on another node, as one.
fn session_of(node: &NodeId) -> SessionId {
    SessionId::from_trusted(node.as_str())
}
