//! Commands until they are answered.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tokio::sync::{Notify, oneshot};

use super::error::ClientError;
use crate::limits::{FRAME_BYTES_MAX, OUTBOX_BYTES_MAX, OUTBOX_COMMANDS_MAX};

pub(super) type Reply = oneshot::Sender<Result<Value, ClientError>>;

/// Keeps commands in the order given, writes them in that order, and writes those again that were not answered
/// before a connection was lost.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Guards the queue; never held over an await.
    state: Mutex<State>,
    unsent: Notify,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Pending>,
    /// The first so many are written on the present connection.
    sent: usize,
    bytes: usize,
    last_id: u64,
    /// What the server permits.
    frame_bytes: usize,
    stopped: bool,
}

#[derive(Debug)]
struct Pending {
    id: u64,
    json: String,
    /// Whether writing it twice is as good as once.
    repeatable: bool,
    /// The room whose head the answer tells as `seq`.
    follows: Option<String>,
    reply: Reply,
}

/// A command that was answered.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) follows: Option<String>,
    reply: Reply,
}

impl Answered {
    pub(super) fn with(self, answer: Result<Value, ClientError>) {
        // Nobody may be waiting any more.
        drop(self.reply.send(answer));
    }
}

/// A command as it is handed in.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) kind: String,
    pub(super) fields: Value,
    pub(super) repeatable: bool,
    pub(super) follows: Option<String>,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                sent: 0,
                bytes: 0,
                last_id: 0,
                frame_bytes: FRAME_BYTES_MAX,
                stopped: false,
            }),
            unsent: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, command: Command, reply: Reply) -> Result<(), ClientError> {
        let Command { kind, mut fields, repeatable, follows } = command;
        let mut state = self.state();
        if state.stopped {
            return Err(ClientError::Stopped);
        }
        let id = state.last_id + 1;
        if fields.is_null() {
            fields = Value::Object(serde_json::Map::new());
        }
        let Some(object) = fields.as_object_mut() else { return Err(ClientError::NoObject) };
        object.insert("type".into(), kind.into());
        object.insert("id".into(), id.into());
        let json = fields.to_string();
        if json.len() > state.frame_bytes {
            return Err(ClientError::TooLarge);
        }
        if state.queue.len() >= OUTBOX_COMMANDS_MAX || state.bytes + json.len() > OUTBOX_BYTES_MAX {
            return Err(ClientError::Full);
        }
        state.last_id = id;
        state.bytes += json.len();
        state.queue.push_back(Pending { id, json, repeatable, follows, reply });
        drop(state);
        self.unsent.notify_one();
        Ok(())
    }

    /// Waits until there is something to write. Cancel-safe.
    pub(super) async fn has_unsent(&self) {
        loop {
            {
                let state = self.state();
                if state.sent < state.queue.len() {
                    return;
                }
            }
            self.unsent.notified().await;
        }
    }

    /// The next command to write on the present connection.
    pub(super) fn next_unsent(&self) -> Option<String> {
        let mut state = self.state();
        let json = state.queue.get(state.sent)?.json.clone();
        state.sent += 1;
        Some(json)
    }

    /// The command that this answer is for.
    pub(super) fn answered(&self, id: u64) -> Option<Answered> {
        let mut state = self.state();
        // Answers come in about the order of the commands, so that this looks at few.
        let at = state.queue.iter().take(state.sent).position(|pending| pending.id == id)?;
        let Pending { follows, reply, .. } = state.remove(at)?;
        Some(Answered { follows, reply })
    }

    /// The connection is lost: what is repeatable is written again on the next; of the rest nobody knows what
    /// became.
    pub(super) fn cut(&self) {
        let mut state = self.state();
        let unknown: Vec<_> = (0..state.sent).rev().filter(|at| !state.queue[*at].repeatable).collect();
        for at in unknown {
            if let Some(pending) = state.remove(at) {
                drop(pending.reply.send(Err(ClientError::Interrupted)));
            }
        }
        state.sent = 0;
    }

    /// The server closed because a frame was too large: it must not come again.
    pub(super) fn drop_largest_sent(&self) {
        let mut state = self.state();
        let largest = (0..state.sent).max_by_key(|at| state.queue[*at].json.len());
        if let Some(pending) = largest.and_then(|at| state.remove(at)) {
            drop(pending.reply.send(Err(ClientError::TooLarge)));
        }
    }

    pub(super) fn permit_frames_of(&self, bytes: usize) {
        self.state().frame_bytes = bytes;
    }

    /// Nothing will be written any more.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        (state.sent, state.bytes) = (0, 0);
        for pending in state.queue.drain(..) {
            drop(pending.reply.send(Err(ClientError::Stopped)));
        }
    }
}

impl State {
    fn remove(&mut self, at: usize) -> Option<Pending> {
        let pending = self.queue.remove(at)?;
        self.bytes -= pending.json.len();
        if at < self.sent {
            self.sent -= 1;
        }
        Some(pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(
        outbox: &Outbox,
        kind: &str,
        repeatable: bool,
    ) -> Result<oneshot::Receiver<Result<Value, ClientError>>, ClientError> {
        let (reply, answer) = oneshot::channel();
        let command = Command { kind: kind.into(), fields: Value::Null, repeatable, follows: None };
        outbox.push(command, reply).map(|()| answer)
    }

    fn unsent(outbox: &Outbox) -> Vec<String> {
        std::iter::from_fn(|| outbox.next_unsent()).collect()
    }

    #[test]
    fn what_was_not_answered_is_written_again_in_its_order_under_its_id() {
        let outbox = Outbox::new();
        let _answers: Vec<_> = ["a", "b", "c", "d"].map(|kind| push(&outbox, kind, true).unwrap()).into();
        let mut first = (0..3).map(|_| outbox.next_unsent().unwrap()).collect::<Vec<_>>();
        assert!(outbox.answered(4).is_none(), "not written yet");
        outbox.answered(2).unwrap().with(Ok(Value::Null));
        outbox.cut();
        first.remove(1);
        first.push(r#"{"id":4,"type":"d"}"#.into());
        assert_eq!(unsent(&outbox), first);
    }

    #[test]
    fn of_what_must_not_be_repeated_the_outcome_is_unknown_unless_it_was_never_written() {
        let outbox = Outbox::new();
        let mut written = push(&outbox, "create_room", false).unwrap();
        outbox.next_unsent().unwrap();
        let mut waiting = push(&outbox, "create_room", false).unwrap();
        outbox.cut();
        assert_eq!(written.try_recv().unwrap(), Err(ClientError::Interrupted));
        assert!(waiting.try_recv().is_err(), "still waiting");
        assert_eq!(unsent(&outbox), [r#"{"id":2,"type":"create_room"}"#]);
    }

    #[test]
    fn a_full_outbox_tells_its_caller() {
        let outbox = Outbox::new();
        let answers: Vec<_> =
            (0..OUTBOX_COMMANDS_MAX).map(|_| push(&outbox, "ping", true).unwrap()).collect();
        assert_eq!(push(&outbox, "ping", true).unwrap_err(), ClientError::Full);
        outbox.next_unsent();
        outbox.answered(1).unwrap().with(Ok(Value::Null));
        assert!(push(&outbox, "ping", true).is_ok());
        drop(answers);
    }

    #[test]
    fn a_command_over_the_frame_limit_is_never_written() {
        let outbox = Outbox::new();
        outbox.permit_frames_of(20);
        assert_eq!(push(&outbox, "a_long_command", true).unwrap_err(), ClientError::TooLarge);
        assert_eq!(unsent(&outbox), Vec::<String>::new());
    }
}
