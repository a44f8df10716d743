//! Who types on this node: told when it begins, and when it ends by itself or by what happened meanwhile.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::{caller::Caller, error::Error, rate_table::RateTable, shared::Shared};
use crate::{
    domain::{Action, Entry, Needs, Rate, Rejection, Typing},
    id::{RoomId, SessionId, UserId},
    limits::{TYPISTS_MAX, TYPISTS_PER_ROOM_MAX},
    store::StoreError,
    time::Timestamp,
    wire::Notice,
};

/// The typists of this node, on tokio's time.
#[derive(Debug)]
pub(crate) struct Typists {
    begun: Instant,
    state: Mutex<State>,
    rates: RateTable<(UserId, RoomId)>,
    /// Tells [`run`] that there is something to tell or to wait for.
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    typing: Typing,
    /// Who has ended and is still to be told of. Whoever is in here was a typist, so that typists' bound is its own.
    ended: Vec<(UserId, RoomId)>,
}

impl Typists {
    pub(crate) fn new(rate: Rate) -> Self {
        let typing = Typing::new(TYPISTS_MAX, TYPISTS_PER_ROOM_MAX);
        Self {
            begun: Instant::now(),
            state: Mutex::new(State { typing, ended: Vec::new() }),
            rates: RateTable::new(rate),
            changed: Arc::default(),
        }
    }

    /// Forgets the rates of those who have rested.
    pub(crate) fn sweep(&self, now: Timestamp) {
        self.rates.sweep(now);
    }

    /// Somebody begins or goes on. Whether others are to be told.
    fn start(&self, user: &UserId, room: &RoomId, session: &SessionId) -> bool {
        let mut state = self.state.lock();
        let was_empty = state.typing.is_empty();
        let is_told = state.typing.start(user, room, session, self.begun.elapsed());
        drop(state);
        // Later starts end later: only the first one's end has to be waited for anew.
        if was_empty {
            self.changed.notify_one();
        }
        is_told
    }

    /// Somebody ends, as they said themselves.
    fn stop(&self, user: &UserId, room: &RoomId) {
        let mut state = self.state.lock();
        if state.typing.stop(user, room).is_some() {
            state.ended.push((user.clone(), room.clone()));
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Takes note of an entry: who has sent does not type any more, nor does who is gone.
    pub(crate) fn note(&self, entry: &Entry) {
        let ends = match entry.leaves() {
            Some(user) => Some(user),
            None => entry.message().map(|_| &entry.actor),
        };
        if let Some(user) = ends {
            self.stop(user, &entry.room);
        }
    }

    /// A session is gone, and with it what was typed there.
    pub(crate) fn disconnect(&self, user: &UserId, session: &SessionId) {
        let mut state = self.state.lock();
        let rooms = state.typing.disconnect(user, session);
        if !rooms.is_empty() {
            state.ended.extend(rooms.into_iter().map(|room| (user.clone(), room)));
            drop(state);
            self.changed.notify_one();
        }
    }

    /// Takes those who have ended, and says when the next one ends by itself.
    fn take_ended(&self) -> (Vec<(UserId, RoomId)>, Option<Duration>) {
        let mut state = self.state.lock();
        let mut ended = std::mem::take(&mut state.ended);
        ended.extend(state.typing.expire(self.begun.elapsed()));
        (ended, state.typing.next_end())
    }
}

/// Tells of everybody who ends, until the engine has ended.
pub(crate) async fn run(shared: Weak<Shared>, begun: Instant, changed: Arc<Notify>) {
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let (ended, next_end) = strong.typists.take_ended();
        if let Err(error) = tell_ended(&strong, ended).await {
            // Clients end it by themselves a little later.
            tracing::warn!(%error, "can't tell who types no more");
        }
        drop(strong);
        match next_end {
            Some(next_end) => {
                tokio::select! {
                    () = changed.notified() => {}
                    () = tokio::time::sleep_until(begun + next_end) => {}
                }
            }
            None => changed.notified().await,
        }
    }
}

/// What [`run`] has to be given.
pub(crate) fn to_run(typists: &Typists) -> (Instant, Arc<Notify>) {
    (typists.begun, typists.changed.clone())
}

async fn tell_ended(shared: &Shared, ended: Vec<(UserId, RoomId)>) -> Result<(), StoreError> {
    let users: Vec<_> = ended.iter().map(|(user, _)| user.clone()).collect();
    let names = shared.profiles.names(&users).await?;
    for ((user, room), name) in ended.into_iter().zip(names) {
        let notice = Notice::UserStoppedTyping(room.clone(), user.clone(), name);
        shared.tell_room(&room, Some(&user), notice).await;
    }
    Ok(())
}

impl Caller {
    /// Tells the room's other followers that the caller types, which they take to end five seconds after the
    /// last time. It ends earlier with [`Caller::stop_typing`], with a message, with leaving the room, and with
    /// the session on which it was said. Nothing of it is stored, and it may get lost.
    ///
    /// # Errors
    /// `forbidden` or `not_found` to who may not send there, `rate_limited` over one a second and room,
    /// `bad_request` without a session (see [`super::Session::caller`]).
    pub async fn start_typing(&self, room: &RoomId) -> Result<(), Error> {
        let session = self.may_type(room).await?;
        let shared = self.shared();
        shared
            .typists
            .rates
            .admit(&(self.user().clone(), room.clone()), shared.now())
            .map_err(|retry_after_ms| Rejection::RateLimited { retry_after_ms })?;
        if shared.typists.start(self.user(), room, session) {
            let notice = Notice::UserTyping(room.clone(), self.user().clone(), self.username().clone());
            shared.tell_room(room, Some(self.user()), notice).await;
        }
        Ok(())
    }

    /// Tells the room's other followers that the caller types no more, if they did on this node.
    ///
    /// # Errors
    /// As [`Caller::start_typing`], but for the rate.
    pub async fn stop_typing(&self, room: &RoomId) -> Result<(), Error> {
        self.may_type(room).await?;
        self.shared().typists.stop(self.user(), room);
        Ok(())
    }

    /// Whether the caller may send to the room, on which session they speak.
    async fn may_type(&self, room: &RoomId) -> Result<&SessionId, Error> {
        let session = self.session().ok_or(Rejection::BadRequest("only on a live connection"))?;
        let shared = self.shared();
        let cell = shared.open(room).await?;
        shared.permitted(&cell, self.user(), Action::Send).await?;
        let (room, rows, _) = cell.known(Needs { members: vec![self.user().clone()], ..Needs::default() });
        if rows.sanction(self.user()).is_muted(shared.now()) {
            return Err(Rejection::MUTED.into());
        }
        if room.archived {
            return Err(Rejection::ARCHIVED.into());
        }
        if let Some(other) = room.other(self.user())
            && shared.store.are_blocked(self.user(), other).await?
        {
            return Err(Rejection::NOT_PERMITTED.into());
        }
        Ok(session)
    }
}
