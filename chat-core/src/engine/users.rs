//! Which sessions a user has on this node.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;

use super::{
    cell::Cell,
    outbox::{Order, Outbox},
    signal::Signal,
};
use crate::{
    close::CloseReason,
    id::{Seq, SessionId, UserId},
};

/// Sessions by user.
#[derive(Debug, Default)]
pub(crate) struct Users {
    sessions: Mutex<HashMap<UserId, Own>>,
}

/// The sessions of one user.
type Own = Vec<(SessionId, Arc<Outbox>)>;

impl Users {
    /// Adds a session, unless the user has `most` already (0: no bound). Returns whether it was added.
    pub(crate) fn add(&self, user: &UserId, session: &SessionId, outbox: &Arc<Outbox>, most: usize) -> bool {
        let mut sessions = self.sessions.lock();
        let own = sessions.entry(user.clone()).or_default();
        let fits = most == 0 || own.len() < most;
        if fits {
            own.push((session.clone(), outbox.clone()));
        }
        fits
    }

    pub(crate) fn remove(&self, user: &UserId, session: &SessionId) {
        let mut sessions = self.sessions.lock();
        if let Some(own) = sessions.get_mut(user) {
            own.retain(|(known, _)| known != session);
            if own.is_empty() {
                sessions.remove(user);
            }
        }
    }

    /// Tells all sessions of a user that they have joined a room.
    pub(crate) fn joined(&self, user: &UserId, cell: &Arc<Cell>, seq: Seq) {
        let own = self.sessions.lock().get(user).cloned().unwrap_or_default();
        own.iter().for_each(|(_, outbox)| outbox.joined(cell, seq));
    }

    /// Gives a signal to all sessions of a user but `except`.
    pub(crate) fn signal(&self, user: &UserId, signal: &Arc<Signal>, except: Option<&SessionId>) {
        let sessions = self.sessions.lock();
        let own = sessions.get(user).into_iter().flatten();
        own.filter(|(session, _)| Some(session) != except)
            .for_each(|(_, outbox)| outbox.signal(signal.clone(), None));
    }

    /// Orders all sessions of a user to close.
    pub(crate) fn close(&self, user: &UserId, reason: CloseReason) {
        let sessions = self.sessions.lock();
        let own = sessions.get(user).into_iter().flatten();
        own.for_each(|(_, outbox)| outbox.order(Order::Close(reason)));
    }

    /// Whether the user has a session here besides `except`.
    pub(crate) fn has_besides(&self, user: &UserId, except: Option<&SessionId>) -> bool {
        let sessions = self.sessions.lock();
        sessions.get(user).into_iter().flatten().any(|(session, _)| Some(session) != except)
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
