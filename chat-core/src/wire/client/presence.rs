//! The fields of commands about presence.

use std::fmt;

use serde::{Deserialize, Deserializer};

use crate::domain::Availability;

/// The fields of `set_presence`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetPresence {
    /// How the user is.
    pub status: WishedStatus,
    /// What they say beside it: left out, it stays as it is; `null` or empty, it goes.
    #[serde(default, deserialize_with = "said")]
    pub status_text: Option<StatusTextField>,
}

/// A status text as a client sent it. Its `Debug` form hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusTextField(pub Option<String>);

impl fmt::Debug for StatusTextField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatusTextField")
    }
}

/// A status that a client may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WishedStatus {
    /// There.
    Online,
    /// Not looking at this connection.
    Away,
    /// Not to be disturbed.
    Dnd,
    /// Offline to others.
    Invisible,
}

impl From<WishedStatus> for Availability {
    fn from(status: WishedStatus) -> Self {
        match status {
            WishedStatus::Online => Self::Online,
            WishedStatus::Away => Self::Away,
            WishedStatus::Dnd => Self::Dnd,
            WishedStatus::Invisible => Self::Invisible,
        }
    }
}

/// The fields of `get_presence`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetPresence {
    /// Of whom.
    pub user_ids: Vec<String>,
}

fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<StatusTextField>, D::Error> {
    Ok(Some(StatusTextField(Option::<String>::deserialize(deserializer)?)))
}
