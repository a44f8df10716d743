//! The fields of what moderators ask for.

use serde::Deserialize;

/// The fields of `kick`, `ban`, `unban`, `mute` and `unmute`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Moderate {
    /// The room's id.
    pub room_id: String,
    /// To whom it is done.
    pub user_id: String,
    /// For how long, for `ban` and `mute`; for ever unless told.
    #[serde(default)]
    pub seconds: Option<u64>,
    /// Why, for the audit log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// The fields of `set_role`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetRole {
    /// The room's id.
    pub room_id: String,
    /// Whose role.
    pub user_id: String,
    /// `owner`, `admin`, `moderator` or `member`.
    pub role: String,
}

/// The fields of `fetch_audit`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FetchAudit {
    /// The room's id.
    pub room_id: String,
    /// Where the page before ended.
    #[serde(default)]
    pub cursor: Option<String>,
}
