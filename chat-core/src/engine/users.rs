//! Which sessions a user has on this node.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::{
    cell::Cell,
    outbox::{Order, Outbox},
    signal::Signal,
};
use crate::{
    auth::Identity,
    close::CloseReason,
    id::{Seq, SessionId, UserId},
};

/// Sessions by user.
#[derive(Debug, Default)]
pub(crate) struct Users {
    sessions: Mutex<HashMap<UserId, Own>>,
    /// How often sessions were closed.
    closings: AtomicU64,
}

/// The sessions of one user: mostly one.
type Own = SmallVec<[OwnSession; 1]>;

#[derive(Debug, Clone)]
struct OwnSession {
    id: SessionId,
    /// The login that it was authenticated by last.
    login: Option<String>,
    outbox: Arc<Outbox>,
}

impl Users {
    /// Adds a session, unless the user has `most` already (0: no bound). Returns whether it was added.
    pub(crate) fn add(
        &self,
        identity: &Identity,
        session: &SessionId,
        outbox: &Arc<Outbox>,
        most: usize,
    ) -> bool {
        let mut sessions = self.sessions.lock();
        let own = sessions.entry(identity.user.clone()).or_default();
        let fits = most == 0 || own.len() < most;
        if fits {
            let (id, login, outbox) = (session.clone(), identity.login.clone(), outbox.clone());
            own.push(OwnSession { id, login, outbox });
        }
        fits
    }

    /// A session was authenticated anew, perhaps by another login.
    pub(crate) fn renew(&self, identity: &Identity, session: &SessionId) {
        let mut sessions = self.sessions.lock();
        let own = sessions.get_mut(&identity.user).into_iter().flatten();
        own.filter(|own| own.id == *session).for_each(|own| own.login.clone_from(&identity.login));
    }

    pub(crate) fn remove(&self, user: &UserId, session: &SessionId) {
        let mut sessions = self.sessions.lock();
        if let Some(own) = sessions.get_mut(user) {
            own.retain(|known| known.id != *session);
            if own.is_empty() {
                sessions.remove(user);
            }
        }
    }

    /// Tells all sessions of a user that they have joined a room.
    pub(crate) fn joined(&self, user: &UserId, cell: &Arc<Cell>, seq: Seq) {
        let own = self.sessions.lock().get(user).cloned().unwrap_or_default();
        own.iter().for_each(|own| own.outbox.joined(cell, seq));
    }

    /// Gives a signal to all sessions of a user but `except`.
    pub(crate) fn signal(&self, user: &UserId, signal: &Arc<Signal>, except: Option<&SessionId>) {
        let sessions = self.sessions.lock();
        let own = sessions.get(user).into_iter().flatten();
        own.filter(|own| Some(&own.id) != except).for_each(|own| own.outbox.signal(signal.clone(), None));
    }

    /// Orders all sessions of a user to close.
    pub(crate) fn close(&self, user: &UserId, reason: CloseReason) {
        self.close_those(user, reason, |_| true);
    }

    /// Orders the sessions of one login to close.
    pub(crate) fn close_login(&self, user: &UserId, login: &str, reason: CloseReason) {
        self.close_those(user, reason, |own| own.login.as_deref() == Some(login));
    }

    fn close_those(&self, user: &UserId, reason: CloseReason, is_one: impl Fn(&OwnSession) -> bool) {
        let sessions = self.sessions.lock();
        self.closings.fetch_add(1, Ordering::SeqCst);
        let own = sessions.get(user).into_iter().flatten();
        own.filter(|own| is_one(own)).for_each(|own| own.outbox.order(Order::Close(reason)));
    }

    /// A number that has changed when any sessions were closed meanwhile: who was authenticated before may have been
    /// meant, and added too late to be found.
    pub(crate) fn closings(&self) -> u64 {
        self.closings.load(Ordering::SeqCst)
    }

    /// Whether the user has a session here besides `except`.
    pub(crate) fn has_besides(&self, user: &UserId, except: Option<&SessionId>) -> bool {
        let sessions = self.sessions.lock();
        sessions.get(user).into_iter().flatten().any(|own| Some(&own.id) != except)
    }

    /// Everybody who has a session here, in an order that does not depend on chance.
    pub(crate) fn present(&self) -> Vec<UserId> {
        let mut present: Vec<_> = self.sessions.lock().keys().cloned().collect();
        present.sort_unstable();
        present
    }

    /// Whether the user has a session here.
    pub(crate) fn has(&self, user: &UserId) -> bool {
        self.sessions.lock().contains_key(user)
    }
}
