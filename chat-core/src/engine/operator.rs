//! What the operator may do beside what members may: look at everybody and every room, and keep somebody out.

use super::{
    Engine,
    caller::{Caller, care},
    error::Error,
};
use crate::{
    bus::Hint,
    close::CloseReason,
    domain::{AuditAct, AuditNote, AuditRecord, Rejection, Report, Room, RoomSpec, Username},
    id::{RoomId, UserId},
    limits::PAGE_ITEMS_MAX,
    store::{Page, PageRequest, ProfileChange, UserProfile},
};

/// How much is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Activity {
    /// Connections that are open, authenticated or not.
    pub connections: usize,
    /// Users who have a session.
    pub users: usize,
    /// Rooms that are held in memory, since somebody follows them or did a moment ago.
    pub rooms: usize,
}

impl Engine {
    /// Makes sure that a public room without an owner is there, for the operator. A room that exists is left
    /// as it is.
    ///
    /// # Errors
    /// `conflict` when another public room has the name.
    pub async fn ensure_room(&self, id: RoomId, spec: RoomSpec) -> Result<(), Error> {
        let operator = Caller::operator(self.shared.clone());
        match operator.create_room_as(id.clone(), RoomSpec { owned: false, ..spec }).await {
            Ok(_) => Ok(()),
            Err(Error::Rejected(Rejection::Conflict(_)))
                if self.shared.open(&id).await.is_ok_and(|cell| cell.room().exists()) =>
            {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Makes a user owner of a room, for the operator themselves: [`Caller::appoint_owner`] under nobody's name.
    ///
    /// # Errors
    /// As [`Caller::appoint_owner`].
    pub async fn appoint_owner(&self, room: &RoomId, user: &UserId) -> Result<(), Error> {
        Caller::operator(self.shared.clone()).appoint_owner(room, user).await
    }

    /// Keeps a user out, or lets them in again. Who is kept out is answered `forbidden` wherever they come, whatever
    /// the authenticator says, and their sessions close with [`CloseReason::Banned`] at once, on other nodes as soon
    /// as the bus tells them. What they wrote stays, and so do their memberships.
    ///
    /// # Errors
    /// `not_found` for an unknown user, and when the store fails.
    pub async fn set_disabled(&self, user: &UserId, disabled: bool) -> Result<(), Error> {
        let change = ProfileChange { disabled: Some(disabled), ..ProfileChange::default() };
        let changed = self.shared.change_profile(user, change).await;
        // Also when it is not known whether it was saved: who is not kept out comes back.
        if disabled && !matches!(changed, Err(Error::Rejected(_))) {
            self.disconnect(user, CloseReason::Banned).await;
        }
        changed
    }

    /// A user's profile; also that of somebody who was erased, as long as their id is shown anywhere.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn user(&self, user: &UserId) -> Result<Option<UserProfile>, Error> {
        Ok(self.shared.store.users(std::slice::from_ref(user)).await?.pop().flatten())
    }

    /// The users whose name begins like this, in the order of their names; all for an empty beginning.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn users_like(
        &self,
        beginning: &str,
        cursor: Option<String>,
    ) -> Result<Page<UserProfile>, Error> {
        Ok(self.shared.store.users_like(beginning, PageRequest { cursor, limit: PAGE_ITEMS_MAX }).await?)
    }

    /// A room, whatever kind it is.
    ///
    /// # Errors
    /// `not_found` when it is not there, and when the store fails.
    pub async fn room(&self, room: &RoomId) -> Result<Room, Error> {
        let room = self.shared.store.room(room).await?;
        room.filter(|room| room.exists() && !room.deleted).ok_or_else(|| Rejection::NO_ROOM.into())
    }

    /// All rooms, whatever kind they are, in the order of the store.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn all_rooms(&self, cursor: Option<String>) -> Result<Page<Room>, Error> {
        Ok(self.shared.store.all_rooms(PageRequest { cursor, limit: PAGE_ITEMS_MAX }).await?)
    }

    /// The open reports of all rooms, with the names of reporter and author.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn open_reports(&self, cursor: Option<String>) -> Result<Page<(Report, [Username; 2])>, Error> {
        let page = PageRequest { cursor, limit: PAGE_ITEMS_MAX };
        let page = self.shared.store.open_reports(page).await?;
        Ok(care::with_names(&self.shared, page).await?)
    }

    /// Records in the server's own audit log what somebody did for the operator.
    ///
    /// # Errors
    /// When the store fails: then it is not known that it was recorded.
    pub async fn note(
        &self,
        actor: &UserId,
        act: AuditAct,
        target: Option<UserId>,
        details: Vec<(&'static str, String)>,
    ) -> Result<(), Error> {
        let note = AuditNote { at: self.shared.now(), actor: actor.clone(), act, target, details };
        Ok(self.shared.store.note(&RoomId::server(), note).await?)
    }

    /// The records of the server's own audit log, the newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn audit(&self, cursor: Option<String>) -> Result<Page<AuditRecord>, Error> {
        let page = PageRequest { cursor, limit: PAGE_ITEMS_MAX };
        Ok(self.shared.store.audit(&RoomId::server(), page).await?)
    }

    /// What is going on at this moment, on this node.
    #[must_use]
    pub fn activity(&self) -> Activity {
        let shared = &self.shared;
        Activity {
            connections: shared.connections.count(),
            users: shared.users.present().len(),
            rooms: shared.rooms.count(),
        }
    }

    /// Ends all sessions of a user, over every device: [`CloseReason::Banned`] for who was banned from the server or
    /// erased, [`CloseReason::Unauthenticated`] for whose tokens were revoked. On this node they are closed at once;
    /// on others as soon as the bus tells them, which it does as well as can be. Keeping the user from coming back is
    /// up to the authenticator, which therefore has to know before this is called.
    pub async fn disconnect(&self, user: &UserId, reason: CloseReason) {
        self.shared.users.close(user, reason);
        if self.shared.bus.has_other_nodes() {
            let (from, user) = (self.shared.node.clone(), user.clone());
            self.shared.bus.publish(Hint::Disconnect { from, user, login: None, reason }).await;
        }
    }

    /// Ends the sessions of one login of a user ([`crate::auth::Identity::login`]) with
    /// [`CloseReason::Unauthenticated`], since it was revoked; the user's other logins go on. As well as
    /// [`Engine::disconnect`] does it, and under the same condition.
    pub async fn disconnect_login(&self, user: &UserId, login: &str) {
        let reason = CloseReason::Unauthenticated;
        self.shared.users.close_login(user, login, reason);
        if self.shared.bus.has_other_nodes() {
            let (from, user, login) = (self.shared.node.clone(), user.clone(), Some(login.to_owned()));
            self.shared.bus.publish(Hint::Disconnect { from, user, login, reason }).await;
        }
    }
}
