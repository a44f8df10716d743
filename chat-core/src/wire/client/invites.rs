//! The fields of commands about invitations and links.

use serde::Deserialize;

use crate::auth::Secret;

/// The fields of `invite`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InviteFields {
    /// The room's id.
    pub room_id: String,
    /// Who is invited.
    pub user_id: String,
}

/// The fields of `create_invite_link`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateInviteLink {
    /// The room's id.
    pub room_id: String,
    /// How long it is good; a week unless told.
    #[serde(default)]
    pub expires_in_seconds: Option<u64>,
    /// How many may come by it; any number unless told.
    #[serde(default)]
    pub max_uses: Option<u64>,
}

/// The fields of `revoke_invite_link`: one of token and name.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevokeInviteLink {
    /// The room's id.
    pub room_id: String,
    /// The link's token.
    #[serde(default, deserialize_with = "super::secret")]
    pub token: Option<Secret>,
    /// The link's name.
    #[serde(default)]
    pub link_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InviteOnly {
    pub(super) invite_id: String,
}

#[derive(Deserialize)]
pub(super) struct TokenOnly {
    token: String,
}

impl TokenOnly {
    pub(super) fn secret(self) -> Secret {
        Secret::new(self.token)
    }
}
