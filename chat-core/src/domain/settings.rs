//! What of a room can be changed.

use super::{Description, History, RoomName};

/// A change of a room: what is `None` stays as it is.
///
/// ```
/// use chat_core::domain::{RoomChange, RoomName};
///
/// let change = RoomChange { name: Some(RoomName::parse("Garden").unwrap()), ..RoomChange::default() };
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoomChange {
    /// Its name; unique among public rooms.
    pub name: Option<RoomName>,
    /// What it is about.
    pub description: Option<Description>,
    /// Whether it is archived: everything can be read, nothing sent, and nobody joins.
    pub archived: Option<bool>,
    /// How many seconds have to pass between two messages of one member; 0 for none. At most
    /// [`crate::limits::SLOW_MODE_SECONDS_MAX`].
    pub slow_mode_seconds: Option<u32>,
    /// What new members see.
    pub history: Option<History>,
    /// Whether only members may know of it.
    pub private: Option<bool>,
    /// After how many days messages go; `Some(None)` takes the bound away. See [`super::Retention::days`].
    pub retention_days: Option<Option<u32>>,
    /// How many of the newest messages stay; `Some(None)` takes the bound away. See
    /// [`super::Retention::messages`].
    pub retention_messages: Option<Option<u32>>,
}
