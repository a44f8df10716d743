//! The fields of commands about people.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{ClientCommand, SendMessage};

/// The fields of `send_dm`: those of `send_message`, with a user instead of a room.
#[derive(Debug, Clone)]
pub struct SendDm {
    /// Whom it is for.
    pub recipient_id: String,
    /// The message; its room is that of both, whatever stands here.
    pub message: SendMessage,
}

/// The fields of `create_group`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateGroup {
    /// Who is in it, beside the caller.
    pub user_ids: Vec<String>,
    /// Its name; none unless told.
    #[serde(default)]
    pub name: Option<String>,
}

/// The fields of `list_blocks`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct ListBlocks {
    /// Where the page before ended.
    pub cursor: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserOnly {
    pub(super) user_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecipientOnly {
    recipient_id: String,
}

/// Reads `send_dm` by the rules of `send_message`, so that the two never differ in what a message may be.
pub(super) fn read_direct(json: &[u8]) -> serde_json::Result<ClientCommand> {
    let RecipientOnly { recipient_id } = serde_json::from_slice(json)?;
    let mut fields: Map<String, Value> = serde_json::from_slice(json)?;
    fields.insert("roomId".to_owned(), Value::String(String::new()));
    let message = serde_json::from_value(Value::Object(fields))?;
    Ok(ClientCommand::SendDm(SendDm { recipient_id, message }))
}
