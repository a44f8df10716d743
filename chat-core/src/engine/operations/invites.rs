//! Commands about invitations and links.

use super::{room_id, user_id};
use crate::{
    auth::Secret,
    domain::{LinkId, LinkSpec, Rejection},
    engine::{caller::Caller, error::Error},
    id::InviteId,
    wire::{Answer, CreateInviteLink, InviteFields, InviteLinkView, InviteView, RevokeInviteLink, RoomView},
};

impl Caller {
    pub(super) async fn perform_invite(&self, fields: &InviteFields) -> Result<Answer, Error> {
        let (room, user) = (room_id(&fields.room_id)?, user_id(&fields.user_id));
        // The room comes first: who may not know of it learns nothing of users either.
        let user = match user {
            Ok(user) => user,
            Err(error) => return Err(self.room(&room).await.err().unwrap_or(error)),
        };
        let id = self.invite(&room, &user).await?;
        Ok(Answer::Invited { invite_id: id.map(|id| id.as_str().to_owned()) })
    }

    pub(super) async fn perform_list_invites(&self) -> Result<Answer, Error> {
        let invites = self.invites().await?;
        Ok(Answer::Invites {
            items: invites.iter().map(|(invite, room)| InviteView::of(invite, room)).collect(),
        })
    }

    pub(super) async fn perform_accept(&self, id: &str) -> Result<Answer, Error> {
        Ok(Answer::Room { room: RoomView::of(&self.accept_invite(&invite_id(id)?).await?) })
    }

    pub(super) async fn perform_decline(&self, id: &str) -> Result<Answer, Error> {
        self.decline_invite(&invite_id(id)?).await.map(|()| Answer::Done {})
    }

    pub(super) async fn perform_create_link(&self, fields: &CreateInviteLink) -> Result<Answer, Error> {
        let room = room_id(&fields.room_id)?;
        let spec = LinkSpec::new(fields.expires_in_seconds, fields.max_uses)?;
        let link = self.create_invite_link(&room, spec).await?;
        Ok(Answer::Linked {
            link_id: link.id.to_string(),
            token: link.token,
            expires_at: link.expires_at,
            max_uses: spec.max_uses,
        })
    }

    pub(super) async fn perform_list_links(&self, room: String) -> Result<Answer, Error> {
        let links = self.invite_links(&room_id(&room)?).await?;
        Ok(Answer::InviteLinks { room_id: room, items: links.iter().map(InviteLinkView::of).collect() })
    }

    pub(super) async fn perform_revoke_link(&self, fields: &RevokeInviteLink) -> Result<Answer, Error> {
        let room = room_id(&fields.room_id)?;
        let link = match (&fields.token, &fields.link_id) {
            (Some(token), None) => LinkId::of_token(token.expose()),
            // A name that no link has names one that is not there.
            (None, Some(id)) => LinkId::parse(id).unwrap_or(LinkId::from_bytes([0; 16])),
            _ => return Err(Rejection::BadRequest("give one of token and linkId").into()),
        };
        self.revoke_invite_link(&room, link).await.map(|()| Answer::Done {})
    }

    pub(super) async fn perform_join_by_link(&self, token: &Secret) -> Result<Answer, Error> {
        Ok(Answer::Room { room: RoomView::of(&self.join_by_link(token).await?) })
    }
}

/// An invitation's id as a client gave it. One that none can have names one that is not there.
fn invite_id(text: &str) -> Result<InviteId, Error> {
    InviteId::parse(text).map_err(|_| Rejection::NO_INVITE.into())
}
