//! What moderators do.

use super::Caller;
use crate::{
    domain::{AuditRecord, Command, ErrorCode, Member, Moderation, Outcome, Rejection, Role},
    engine::error::Error,
    id::{RoomId, Seq, UserId},
    limits::PAGE_ITEMS_MAX,
    store::{Page, PageRequest},
};

impl Caller {
    /// Makes a user owner of a room, whatever they were there before, a member or not: for who acts for the operator
    /// ([`Caller::for_the_operator`]). Who is owner already stays so. The room's audit log has it, under the name of who
    /// did it.
    ///
    /// # Errors
    /// `not_found` for a room or a user that is not there, `forbidden` for a direct room and to everybody else.
    pub async fn appoint_owner(&self, room: &RoomId, user: &UserId) -> Result<(), Error> {
        let cell = self.shared().open(room).await?;
        self.ask(&cell, Command::Appoint(user.clone())).await.map(drop)
    }

    /// Does something to somebody in a room: another role, removing, banning, muting, and their opposites. It is in
    /// force when this returns: who was removed is told nothing that came later, on any of their connections, and
    /// what they had queued is refused.
    ///
    /// Nobody acts on an equal or higher rank; it takes a moderator, and for roles an admin. What is already so is
    /// accepted and changes nothing. Returns the entry that says so, or the newest one where nothing was changed.
    ///
    /// # Errors
    /// `forbidden` for want of rank (so to oneself) and in direct rooms, `not_found` for who is no member (for a ban:
    /// no user),
    /// `conflict` for the last owner, `bad_request` for a time out of bounds.
    pub async fn moderate(&self, room: &RoomId, moderation: Moderation) -> Result<Seq, Error> {
        let user = moderation.user.clone();
        let cell = self.shared().open(room).await?;
        match self.ask(&cell, Command::Moderate(moderation)).await {
            Ok(Outcome::Changed(seq) | Outcome::Unchanged(Some(seq))) => Ok(seq),
            // The plan answers each command in its own kind.
            Ok(_) => Err(Error::Unavailable),
            Err(error) => {
                if error.code() == ErrorCode::Forbidden {
                    tracing::warn!(%room, actor = %self.user(), target = %user, "a privileged act was refused");
                }
                Err(error)
            }
        }
    }

    /// Removes a member, who may come back.
    ///
    /// # Errors
    /// As [`Caller::moderate`].
    pub async fn kick(&self, room: &RoomId, user: &UserId) -> Result<Seq, Error> {
        self.moderate(room, Moderation::kick(user.clone())).await
    }

    /// Keeps somebody out of a room for so many seconds, or for good; a member is removed.
    ///
    /// # Errors
    /// As [`Caller::moderate`].
    pub async fn ban(&self, room: &RoomId, user: &UserId, seconds: Option<u64>) -> Result<Seq, Error> {
        self.moderate(room, Moderation::ban(user.clone(), seconds)).await
    }

    /// Ends a ban.
    ///
    /// # Errors
    /// As [`Caller::moderate`].
    pub async fn unban(&self, room: &RoomId, user: &UserId) -> Result<Seq, Error> {
        self.moderate(room, Moderation::unban(user.clone())).await
    }

    /// Keeps a member from writing for so many seconds, or for good.
    ///
    /// # Errors
    /// As [`Caller::moderate`].
    pub async fn mute(&self, room: &RoomId, user: &UserId, seconds: Option<u64>) -> Result<Seq, Error> {
        self.moderate(room, Moderation::mute(user.clone(), seconds)).await
    }

    /// Ends a mute.
    ///
    /// # Errors
    /// As [`Caller::moderate`].
    pub async fn unmute(&self, room: &RoomId, user: &UserId) -> Result<Seq, Error> {
        self.moderate(room, Moderation::unmute(user.clone())).await
    }

    /// Gives a member another role, below the caller's own; an owner may make owners, and everybody may lower
    /// themselves.
    ///
    /// # Errors
    /// As [`Caller::moderate`].
    pub async fn set_role(&self, room: &RoomId, user: &UserId, role: Role) -> Result<Seq, Error> {
        self.moderate(room, Moderation::set_role(user.clone(), role)).await
    }

    /// The room's audit log, the newest record first, for admins and above. Of a room that was deleted the log is
    /// kept, for the embedder: [`crate::store::AuditStore::audit`].
    ///
    /// # Errors
    /// `forbidden` to who has a lower rank, `not_found` to who may not know of the room.
    pub async fn audit(&self, room: &RoomId, cursor: Option<String>) -> Result<Page<AuditRecord>, Error> {
        let shared = self.shared();
        let cell = shared.open(room).await?;
        let acts_for_operator = self.actor().overrides;
        let member = match acts_for_operator {
            true => None,
            false => shared.readable(&cell, self.user()).await?.member,
        };
        if !acts_for_operator && member.is_none_or(|Member { role, .. }| role < Role::Admin) {
            tracing::warn!(%room, actor = %self.user(), "a look at the audit log was refused");
            return Err(Rejection::Forbidden("only admins and above may do this").into());
        }
        Ok(shared.store.audit(room, PageRequest { cursor, limit: PAGE_ITEMS_MAX }).await?)
    }
}
