//! How much a request asks of a store, so that a batch of them is no more than it can take at once.

use super::Plan;
use crate::{
    domain::{Command, Content, Draft, Entry, Message, RoomChange},
    id::Seq,
    limits::{
        EDITS_KEPT_MAX, INVITES_PER_ROOM_MAX, LINKS_PER_ROOM_MAX, MENTIONS_MAX, REACTIONS_DELETED_AT_ONCE,
    },
};

/// Rows that any request may change: those of its entry, its actor and their marker, the audit log.
const ANY: usize = 10;

/// Rows that count one mention, in a room of up to 16 million messages.
const MENTION: usize = 3;

/// Bytes of text that one row holds at least.
const TEXT_BYTES: usize = 4_096;

impl Plan<'_> {
    /// About how many rows a store changes if this command succeeds, at most: what it costs depends on the texts
    /// and mentions of the messages it is about, not on the room.
    #[must_use]
    pub fn weight(&self, command: &Command) -> usize {
        let of_target = |target: &Seq| {
            let message = self.rows.target(*target).and_then(Entry::message);
            message.map_or(0, of_message)
        };
        let more = match command {
            Command::Send(draft) | Command::SendDirect(_, draft) => of_draft(draft),
            Command::Release(release) => of_draft(&release.held.draft),
            // The text that it had goes to the former ones, of which the oldest may go.
            Command::Edit { target, content } => of_text(content) + 3 * of_target(target),
            Command::Delete { target } => {
                let message = self.rows.target(*target).and_then(Entry::message);
                of_target(target) + message.map_or(0, of_history)
            }
            Command::CreateGroup(spec) => ANY * spec.others().len(),
            Command::Update(RoomChange { private: Some(_), .. }) | Command::DeleteRoom => {
                2 * (INVITES_PER_ROOM_MAX + LINKS_PER_ROOM_MAX)
            }
            _ => 0,
        };
        ANY + more
    }
}

fn of_draft(draft: &Draft) -> usize {
    of_text(&draft.content) + FILE * draft.attachments.len()
}

/// A text, and those whom it may mention.
fn of_text(content: &Content) -> usize {
    let text = content.as_str();
    let names = text.bytes().filter(|byte| *byte == b'@').count().min(MENTIONS_MAX + 1);
    MENTION * names + text.len() / TEXT_BYTES
}

/// Rows of one file: what the message says of it, and that it is posted there.
const FILE: usize = 2;

/// What stands of a message.
fn of_message(message: &Message) -> usize {
    let mentioned = message.mentions.users.len() + usize::from(message.mentions.room);
    MENTION * mentioned + FILE * message.attachments.len() + message.content.as_str().len() / TEXT_BYTES
}

/// What was done to a message, and goes with it.
fn of_history(message: &Message) -> usize {
    let reacted: usize = message.reactions.iter().map(|reaction| reaction.count as usize).sum();
    let edits = if message.edited.is_some() { 4 * EDITS_KEPT_MAX } else { 0 };
    message.reactions.len() + reacted.min(REACTIONS_DELETED_AT_ONCE) + edits
}
