//! Invitations, invitation links and blocks as they look on the wire.

use serde::Serialize;

use super::view::{RoomView, time};
use crate::{
    domain::{Invite, InviteLink, Room},
    store::Block,
    time::Timestamp,
};

/// An invitation on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InviteView {
    invite_id: String,
    room: RoomView,
    invited_by: String,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
}

impl InviteView {
    /// The invitation to this room.
    #[must_use]
    pub fn of(invite: &Invite, room: &Room) -> Self {
        Self {
            invite_id: invite.id.as_str().to_owned(),
            room: RoomView::of(room),
            invited_by: invite.by.as_str().to_owned(),
            created_at: invite.at,
        }
    }
}

/// An invitation link on the wire, without its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InviteLinkView {
    link_id: String,
    created_by: String,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
    #[serde(serialize_with = "time")]
    expires_at: Timestamp,
    max_uses: Option<u32>,
    uses: u32,
}

impl InviteLinkView {
    /// The link.
    #[must_use]
    pub fn of(link: &InviteLink) -> Self {
        Self {
            link_id: link.id.to_string(),
            created_by: link.by.as_str().to_owned(),
            created_at: link.at,
            expires_at: link.expires_at,
            max_uses: link.max_uses,
            uses: link.uses,
        }
    }
}

/// A blocked user on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockView {
    user_id: String,
    username: String,
    #[serde(serialize_with = "time")]
    created_at: Timestamp,
}

impl BlockView {
    /// The block of a user of this name.
    #[must_use]
    pub fn of(block: &Block, username: &str) -> Self {
        let (user_id, username) = (block.user.as_str().to_owned(), username.to_owned());
        Self { user_id, username, created_at: block.at }
    }
}
