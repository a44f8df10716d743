//! The fields of commands about messages that stand in the log.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// One message of a room: the fields of `delete_message`, `pin_message`, `unpin_message` and `fetch_edits`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageRef {
    /// The room's id.
    pub room_id: String,
    /// The message's id.
    pub message_id: String,
}

/// The fields of `edit_message`. Its `Debug` form hides the text.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EditMessage {
    /// The room's id.
    pub room_id: String,
    /// The message's id.
    pub message_id: String,
    /// The new text.
    pub content: String,
}

impl fmt::Debug for EditMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { room_id, message_id, .. } = self;
        f.debug_struct("EditMessage")
            .field("room_id", room_id)
            .field("message_id", message_id)
            .finish_non_exhaustive()
    }
}

/// A file that a message refers to; of an uploaded one its id is enough. Its `Debug` form hides what the sender wrote.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachmentFields {
    /// The file's id.
    pub file_id: String,
    /// The name to show.
    #[serde(default)]
    pub name: Option<String>,
    /// The media type.
    #[serde(default)]
    pub mime: Option<String>,
    /// Bytes.
    #[serde(default, deserialize_with = "whole")]
    pub size: Option<u64>,
    /// Where to get it.
    #[serde(default)]
    pub url: Option<String>,
    /// Pixels.
    #[serde(default, deserialize_with = "whole")]
    pub width: Option<u32>,
    /// Pixels.
    #[serde(default, deserialize_with = "whole")]
    pub height: Option<u32>,
}

/// A whole number, also where it is written with a fraction of zero: to JSON Schema, and to JavaScript, that is one.
fn whole<'de, D: Deserializer<'de>, N: TryFrom<u64>>(deserializer: D) -> Result<Option<N>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(deserializer)? else { return Ok(None) };
    let safe = |number: &f64| (0.0..9_007_199_254_740_992.0).contains(number) && number.fract() == 0.0;
    let whole = number.as_u64().or_else(|| number.as_f64().filter(safe).map(|number| number as u64));
    whole
        .and_then(|whole| N::try_from(whole).ok())
        .map(Some)
        .ok_or_else(|| de::Error::custom("expected a whole number"))
}

impl fmt::Debug for AttachmentFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttachmentFields").field("size", &self.size).finish_non_exhaustive()
    }
}

/// The fields of `add_reaction` and `remove_reaction`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReactionFields {
    /// The room's id.
    pub room_id: String,
    /// The message's id.
    pub message_id: String,
    /// The emoji.
    pub emoji: String,
}

/// The fields of `fetch_thread`; at most one of the two places.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FetchThread {
    /// The room's id.
    pub room_id: String,
    /// The id of the message that began the thread, or of any reply in it.
    pub message_id: String,
    /// Messages before this seq.
    #[serde(default)]
    pub before: Option<u64>,
    /// Messages after this seq.
    #[serde(default)]
    pub after: Option<u64>,
    /// At most so many replies; 50 unless told, 200 at most.
    #[serde(default)]
    pub limit: Option<u64>,
}

/// The fields of `list_pins`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListPins {
    /// The room's id.
    pub room_id: String,
    /// Messages before this seq.
    #[serde(default)]
    pub before: Option<u64>,
}
