//! The fields of commands about reading.

use serde::Deserialize;

/// The fields of `mark_read` and `mark_delivered`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mark {
    /// The room's id.
    pub room_id: String,
    /// Up to where; beyond the head is the head.
    pub seq: u64,
}
