//! What a client hears.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::Stream;
use serde_json::Value;
use tokio::sync::mpsc;

use super::Task;

/// What a client hears, in the order in which it happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Connected and authenticated; on a reconnect the missed entries follow.
    Connected(Welcome),
    /// A frame of docs/protocol.md, Events.
    Frame(Incoming),
    /// All missed entries of a room have come.
    CaughtUp {
        /// The room.
        room: String,
        /// The newest entry of the replay.
        seq: u64,
    },
    /// Too much of a room was missed: load the last page of its history. What comes after `seq` follows here.
    Resync {
        /// The room.
        room: String,
        /// From where events go on; unknown where the client had more rooms than can be resumed.
        seq: Option<u64>,
    },
    /// A room that was followed is no longer open to the user.
    Lost {
        /// The room.
        room: String,
    },
    /// The connection is lost. The client tries again after `retry_in`.
    Disconnected {
        /// The close code, if the server gave one.
        code: Option<u16>,
        /// When it tries again.
        retry_in: Duration,
    },
    /// The token was refused; the client waits for a new one.
    TokenNeeded {
        /// The server's word for it.
        code: String,
    },
    /// The client has stopped for good, with the close code that says why, if there was one. Nothing follows.
    Stopped {
        /// The close code, if the server gave one.
        code: Option<u16>,
    },
}

/// What the server said on authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// Who one is.
    pub user_id: String,
    /// Under which name.
    pub username: String,
    /// The session.
    pub session_id: String,
    /// Changes when the store lost or restored data.
    pub epoch: String,
}

/// One frame that is no answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    /// Its `type`.
    pub kind: String,
    /// The room and the seq, if it is an entry of a log.
    pub place: Option<(String, u64)>,
    /// The whole object.
    pub body: Value,
}

impl Incoming {
    pub(super) fn new(body: Value) -> Self {
        let kind = body["type"].as_str().unwrap_or_default().to_owned();
        let place = place(&kind, &body);
        Self { kind, place, body }
    }

    /// The room that a frame is about.
    #[must_use]
    pub fn room(&self) -> Option<&str> {
        self.place.as_ref().map(|(room, _)| room.as_str()).or_else(|| self.body["roomId"].as_str())
    }

    /// The text of a new message.
    #[must_use]
    pub fn content(&self) -> Option<&str> {
        self.body["message"]["content"].as_str()
    }

    /// The author's name of a new message.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.body["message"]["username"].as_str()
    }
}

/// Where in a log a frame stands. Signals carry a room, and receipts a seq, without being entries.
fn place(kind: &str, body: &Value) -> Option<(String, u64)> {
    let fields = match kind {
        "new_message" | "new_dm" => &body["message"],
        "message_edited" | "message_deleted" | "reaction_added" | "reaction_removed" | "message_pinned"
        | "message_unpinned" | "user_joined" | "user_left" | "member_updated" | "room_updated" => body,
        _ => return None,
    };
    let room = fields["roomId"].as_str().or_else(|| fields["room"]["id"].as_str())?;
    Some((room.to_owned(), fields["seq"].as_u64()?))
}

/// The events of one client. They must be taken: while too many wait the client reads nothing, answers included.
/// Dropped, they are thrown away as they come.
#[derive(Debug)]
pub struct Events {
    pub(super) receiver: mpsc::Receiver<Event>,
    pub(super) _task: Task,
}

impl Events {
    /// The next event; `None` once the client has stopped. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.receiver.poll_recv(cx)
    }
}
