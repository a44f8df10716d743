//! What commands are called.

/// The `type` of every command that [`ClientFrame::decode`](super::ClientFrame::decode) knows, in alphabetical order:
/// for who has to say something of each of them, such as a table of permissions.
pub const COMMANDS: &[&str] = &[
    "accept_invite",
    "add_reaction",
    "authenticate",
    "ban",
    "block_user",
    "create_group",
    "create_invite_link",
    "create_room",
    "decline_invite",
    "delete_message",
    "delete_room",
    "discard_held",
    "edit_message",
    "fetch_audit",
    "fetch_edits",
    "fetch_history",
    "fetch_thread",
    "get_presence",
    "get_room",
    "invite",
    "join_by_link",
    "join_room",
    "kick",
    "leave_room",
    "list_blocks",
    "list_held",
    "list_invite_links",
    "list_invites",
    "list_members",
    "list_pins",
    "list_reports",
    "list_rooms",
    "mark_delivered",
    "mark_read",
    "mute",
    "pin_message",
    "ping",
    "pong",
    "release_held",
    "remove_reaction",
    "report_message",
    "resolve_report",
    "revoke_invite_link",
    "send_dm",
    "send_message",
    "set_presence",
    "set_role",
    "subscribe",
    "typing_start",
    "typing_stop",
    "unban",
    "unblock_user",
    "unmute",
    "unpin_message",
    "unsubscribe",
    "update_room",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::ErrorCode, wire::ClientFrame};

    #[test]
    fn every_name_is_one_that_the_decoder_knows_and_stands_there_once() {
        for name in COMMANDS {
            let frame = ClientFrame::decode(format!(r#"{{"type":"{name}"}}"#).as_bytes());
            assert!(!frame.is_err_and(|error| error.code == ErrorCode::UnknownType), "{name}");
        }
        assert!(COMMANDS.is_sorted_by(|a, b| a < b), "{COMMANDS:?}");
    }
}
