//! Users as they look on the wire.

use std::fmt;

use serde::Serialize;

use super::view::maybe_time;
use crate::{domain::Presence, store::UserProfile, time::Timestamp};

/// A user as others see them. Its `Debug` form hides what they say of themselves.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserView {
    id: String,
    username: String,
    display_name: Option<String>,
    avatar_url: Option<String>,
    status: &'static str,
    status_text: Option<String>,
    #[serde(serialize_with = "maybe_time")]
    last_seen_at: Option<Timestamp>,
}

impl UserView {
    /// The user of this profile, who looks like this to whoever asks.
    #[must_use]
    pub fn of(profile: &UserProfile, presence: &Presence) -> Self {
        Self {
            id: profile.id.as_str().to_owned(),
            username: profile.username.as_str().to_owned(),
            display_name: profile.display_name.as_ref().map(|name| name.as_str().to_owned()),
            avatar_url: profile.avatar_url.as_deref().map(str::to_owned),
            status: presence.status.as_str(),
            status_text: presence.text.as_str().map(str::to_owned),
            last_seen_at: presence.last_seen,
        }
    }
}

impl fmt::Debug for UserView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserView").field("id", &self.id).finish_non_exhaustive()
    }
}
