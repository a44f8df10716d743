//! Saying how one is, and asking how others are.

use super::Caller;
use crate::{
    domain::{Availability, KeptPresence, Presence, Rejection, StatusText, Username},
    engine::{error::Error, shared::Shared},
    id::UserId,
    limits::PRESENCES_ASKED_MAX,
    store::StoreError,
};

/// Why a question for more people than [`PRESENCES_ASKED_MAX`] is refused.
pub(crate) const TOO_MANY: &str = "at most 100 userIds";

impl Caller {
    /// Says how the caller is, and with `text` what they say beside it. `Away` holds for the session on which it
    /// is said; `Dnd`, `Invisible` and the text hold on all sessions, later ones included, until another status
    /// is set. Who shares a room with them is told, at most once a second.
    ///
    /// # Errors
    /// `bad_request` without a session (see [`crate::engine::Session::caller`]).
    pub fn set_presence(&self, availability: Availability, text: Option<StatusText>) -> Result<(), Error> {
        let session = self.session().ok_or(Rejection::BadRequest("only on a live connection"))?;
        let shared = self.shared();
        shared.presences.set(self.user(), session, availability, text, shared.now());
        Ok(())
    }

    /// How these users are: those who share a room with the caller, and the caller; the others are left out.
    ///
    /// # Errors
    /// `bad_request` for more than 100, or when the store fails.
    pub async fn presences(&self, users: &[UserId]) -> Result<Vec<(UserId, Username, Presence)>, Error> {
        if users.len() > PRESENCES_ASKED_MAX {
            return Err(Rejection::BadRequest(TOO_MANY).into());
        }
        let shared = self.shared();
        let shares = shared.store.share_rooms(self.user(), users).await?;
        let known = users.iter().zip(shares).filter(|(user, shares)| *shares || *user == self.user());
        let known: Vec<_> = known.map(|(user, _)| user.clone()).collect();
        let names = shared.profiles.names(&known).await?;
        let presences = shared.look(self.user(), &known).await?;
        Ok(known.into_iter().zip(names).zip(presences).map(|((user, name), it)| (user, name, it)).collect())
    }
}

impl Shared {
    /// How users look to one of them or to another, whoever may know of it, in the order given.
    pub(crate) async fn look(&self, viewer: &UserId, users: &[UserId]) -> Result<Vec<Presence>, StoreError> {
        let present = |user: &UserId| match user == viewer {
            true => self.presences.own(user),
            false => self.presences.seen_by_others(user),
        };
        let looks: Vec<_> = users.iter().map(present).collect();
        let unknown = users.iter().zip(&looks).filter(|(_, look)| look.is_none());
        let unknown: Vec<_> = unknown.map(|(user, _)| user.clone()).collect();
        let mut kept = match unknown.is_empty() {
            true => Vec::new(),
            false => self.store.presences(&unknown).await?,
        }
        .into_iter();
        let gone = |kept: Option<KeptPresence>| Presence::offline(kept.and_then(|kept| kept.last_seen));
        Ok(looks.into_iter().map(|look| look.unwrap_or_else(|| gone(kept.next().flatten()))).collect())
    }

    /// What is kept of a user who is about to come.
    pub(crate) async fn kept_presence(&self, user: &UserId) -> Result<KeptPresence, StoreError> {
        match self.presences.kept(user) {
            Some(kept) => Ok(kept),
            None => {
                let kept = self.store.presences(std::slice::from_ref(user)).await?;
                Ok(kept.into_iter().next().flatten().unwrap_or_default())
            }
        }
    }
}
