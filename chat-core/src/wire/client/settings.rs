//! The fields of what admins ask for.

use serde::Deserialize;

/// The fields of `update_room`; what is left out stays as it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UpdateRoom {
    /// The room's id.
    pub room_id: String,
    /// Its new name.
    #[serde(default)]
    pub name: Option<String>,
    /// What it is about.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether nothing may be sent and nobody join.
    #[serde(default)]
    pub archived: Option<bool>,
    /// The pause between two messages of one member; 0 for none.
    #[serde(default)]
    pub slow_mode_seconds: Option<u64>,
    /// `all` or `since_join`.
    #[serde(default)]
    pub history: Option<String>,
    /// Whether only members may know of it.
    #[serde(default)]
    pub private: Option<bool>,
}
