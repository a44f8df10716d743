//! The fields of what admins ask for.

use serde::{Deserialize, Deserializer};

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
    /// After how many days messages go; `null` for never.
    #[serde(default, deserialize_with = "bound")]
    pub retention_days: Option<Option<u64>>,
    /// How many of the newest messages stay; `null` for all.
    #[serde(default, deserialize_with = "bound")]
    pub retention_messages: Option<Option<u64>>,
}

/// A bound that `null` takes away; one that is left out stays.
fn bound<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
