//! Invitations, and links into rooms.

use super::{Caller, room_at};
use crate::{
    auth::Secret,
    domain::{Command, Invite, InviteLink, LinkId, LinkSpec, Outcome, Rejection, Room},
    engine::error::Error,
    id::{InviteId, RoomId, UserId},
    time::Timestamp,
    wire::{Notice, RoomView},
};

/// A new link into a room. Its token is told here and nowhere else.
#[derive(Debug)]
pub struct NewLink {
    /// Names the link without giving it away.
    pub id: LinkId,
    /// Whoever holds it may come.
    pub token: Secret,
    /// From when on it is good for nothing.
    pub expires_at: Timestamp,
}

impl Caller {
    /// Invites somebody to a room, who is told on all their connections. Who is invited already stays so, under the
    /// same name; for a member there is nothing to be done, and no name.
    ///
    /// Members invite to public rooms, moderators and above to others, unless the policy says otherwise.
    ///
    /// # Errors
    /// `not_found` for a room that the caller may not know of and for a user who is not there, `forbidden` for want
    /// of rank, to direct rooms, for who is banned, while one of both has blocked the other, and when the user or the
    /// room has too many invitations. The last four are not told apart.
    pub async fn invite(&self, room: &RoomId, user: &UserId) -> Result<Option<InviteId>, Error> {
        let shared = self.shared();
        let cell = shared.open(room).await?;
        let id = shared.ids.invite(shared.now());
        match self.ask(&cell, Command::Invite(user.clone(), id)).await? {
            Outcome::Invited { id, is_new } => {
                if is_new {
                    let room = Box::new(RoomView::of(&cell.room()));
                    let notice = Notice::RoomInvite(id.clone(), room, self.user().clone());
                    shared.tell_user(user, None, notice).await;
                }
                Ok(Some(id))
            }
            _ => Ok(None),
        }
    }

    /// The caller's invitations, with the rooms as they are now; at most
    /// [`crate::limits::INVITES_PER_USER_MAX`].
    ///
    /// # Errors
    /// When the store fails.
    pub async fn invites(&self) -> Result<Vec<(Invite, Room)>, Error> {
        Ok(self.shared().store.invites_of(self.user()).await?)
    }

    /// Becomes a member by an invitation, which ends with that.
    ///
    /// # Errors
    /// `not_found` when the caller has no such invitation (any more), `forbidden` over the limit of rooms, `conflict`
    /// when a group is full.
    pub async fn accept_invite(&self, id: &InviteId) -> Result<Room, Error> {
        let shared = self.shared();
        let invite = shared.store.invite(self.user(), id).await?.ok_or(Rejection::NO_INVITE)?;
        let cell =
            shared.open(&invite.room).await.map_err(|error| no_room_is(error, Rejection::NO_INVITE))?;
        self.admitted(&cell, Command::AcceptInvite(id.clone())).await?;
        let outcome = self.ask(&cell, Command::AcceptInvite(id.clone())).await?;
        Ok(room_at(&cell, &outcome))
    }

    /// Declines an invitation, which ends it.
    ///
    /// # Errors
    /// `not_found` when the caller has no such invitation (any more).
    pub async fn decline_invite(&self, id: &InviteId) -> Result<(), Error> {
        let shared = self.shared();
        let invite = shared.store.invite(self.user(), id).await?.ok_or(Rejection::NO_INVITE)?;
        let cell =
            shared.open(&invite.room).await.map_err(|error| no_room_is(error, Rejection::NO_INVITE))?;
        self.ask(&cell, Command::DeclineInvite(id.clone())).await.map(drop)
    }

    /// Makes a link by which whoever holds its token becomes a member of a room.
    ///
    /// # Errors
    /// `not_found` for a room that the caller may not know of, `forbidden` for want of rank (moderators and above)
    /// and to direct rooms, `conflict` when the room has [`crate::limits::LINKS_PER_ROOM_MAX`] good links.
    pub async fn create_invite_link(&self, room: &RoomId, spec: LinkSpec) -> Result<NewLink, Error> {
        let shared = self.shared();
        let cell = shared.open(room).await?;
        let token = shared.ids.token();
        let id = LinkId::of_token(token.expose());
        match self.ask(&cell, Command::CreateLink(id, spec)).await? {
            Outcome::Linked { expires_at } => Ok(NewLink { id, token, expires_at }),
            // The plan answers each command in its own kind.
            _ => Err(Error::Unavailable),
        }
    }

    /// Becomes a member by a link. Who is one already uses nothing up.
    ///
    /// # Errors
    /// `not_found` for a token that is good for nothing, whatever the reason; `forbidden` to who is banned and over
    /// the limit of rooms, `conflict` when a group is full.
    pub async fn join_by_link(&self, token: &Secret) -> Result<Room, Error> {
        let shared = self.shared();
        let id = LinkId::of_token(token.expose());
        let link = shared.store.link(id).await?.ok_or(Rejection::NO_LINK)?;
        let cell = shared.open(&link.room).await.map_err(|error| no_room_is(error, Rejection::NO_LINK))?;
        self.admitted(&cell, Command::JoinByLink(id)).await?;
        let outcome = self.ask(&cell, Command::JoinByLink(id)).await?;
        Ok(room_at(&cell, &outcome))
    }

    /// Makes a link good for nothing, which is recorded in the room's audit log.
    ///
    /// # Errors
    /// As [`Caller::create_invite_link`], and `not_found` when the room has no such link.
    pub async fn revoke_invite_link(&self, room: &RoomId, link: LinkId) -> Result<(), Error> {
        let cell = self.shared().open(room).await?;
        self.ask(&cell, Command::RevokeLink(link)).await.map(drop)
    }

    /// The links into a room, good or not, without their tokens.
    ///
    /// # Errors
    /// As [`Caller::create_invite_link`].
    pub async fn invite_links(&self, room: &RoomId) -> Result<Vec<InviteLink>, Error> {
        let shared = self.shared();
        let cell = shared.open(room).await?;
        let readable = shared.readable(&cell, self.user()).await?;
        let (actor, action) = (shared.actor(self.user()), crate::domain::Action::ManageLinks);
        shared.policy.decide(&actor, action, &readable.room, readable.member.as_ref()).into_result()?;
        Ok(shared.store.links_into(room).await?)
    }
}

/// A room that is gone is not told apart from what led to it.
fn no_room_is(error: Error, instead: Rejection) -> Error {
    match error {
        Error::Rejected(Rejection::NotFound(_)) => instead.into(),
        error => error,
    }
}
