//! A client for tests: speaks JSON over a link in memory and asserts what comes back.

use std::{collections::VecDeque, time::Duration};

use serde_json::{Value, json};
use tokio::time::timeout;

use super::sniffer::{Ear, Sniffer};
use crate::{
    auth::{AuthError, Hello, Identity, Secret},
    close::CloseReason,
    engine::Engine,
    id::UserId,
    transport::{FromPeer, MemoryPeer, ToPeer, memory_link},
};

/// A client of an engine, over a link in memory.
///
/// Its methods panic when something else comes than what is expected: it is for tests only.
#[derive(Debug)]
pub struct TestClient {
    peer: MemoryPeer,
    /// Events that came while an answer was awaited.
    events: VecDeque<Value>,
    next_id: i64,
    /// Whether it looks at who comes and goes: tests of anything else are not about that.
    heeds_presence: bool,
    /// Hears all that comes.
    ear: Option<Ear>,
}

#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
impl TestClient {
    /// Frames that a link holds for a client that does not read.
    const WINDOW: usize = 16;

    /// For [`crate::engine::EngineBuilder::authenticator`]: the token is the user's id, and their name.
    ///
    /// # Errors
    /// [`AuthError`] for a token that is no id; `expired` is expired.
    pub async fn authenticator(hello: Hello) -> Result<Identity, AuthError> {
        let token = hello.token.ok_or(AuthError::Missing)?;
        if token.expose() == "expired" {
            return Err(AuthError::Expired);
        }
        let user = UserId::parse(token.expose()).map_err(|_| AuthError::Invalid)?;
        Ok(Identity::new(user, token.expose()))
    }

    /// A connection that has not said anything yet.
    #[must_use]
    pub fn dial(engine: &Engine) -> Self {
        Self::dial_presenting(engine, Hello::default())
    }

    /// A connection whose handshake carried a token.
    #[must_use]
    pub fn dial_with(engine: &Engine, token: &str) -> Self {
        Self::dial_presenting(engine, Hello { token: Some(Secret::new(token)), ..Hello::default() })
    }

    /// A connection whose handshake presented this.
    #[must_use]
    pub fn dial_presenting(engine: &Engine, hello: Hello) -> Self {
        let (connection, peer) = memory_link(Self::WINDOW);
        tokio::spawn(engine.attach(connection, hello));
        Self { peer, events: VecDeque::new(), next_id: 1, heeds_presence: false, ear: None }
    }

    /// An authenticated connection of a user.
    pub async fn connect(engine: &Engine, user: &str) -> Self {
        Self::connect_with(engine, user, json!({})).await
    }

    /// An authenticated connection, with more fields for `authenticate`.
    pub async fn connect_with(engine: &Engine, user: &str, more: Value) -> Self {
        let mut client = Self::dial(engine);
        let mut fields = json!({"type": "authenticate", "token": user});
        merge(&mut fields, more);
        let answer = client.ask(fields).await;
        assert_eq!(answer["type"], "authenticated", "{answer}");
        client
    }

    /// Has it look at `presence` events too, which it passes over otherwise.
    #[must_use]
    pub fn heeding_presence(self) -> Self {
        Self { heeds_presence: true, ..self }
    }

    /// An authenticated connection to which a sniffer listens.
    pub async fn connect_heard(engine: &Engine, user: &str, more: Value, sniffer: &Sniffer) -> Self {
        let mut client = Self { ear: Some(sniffer.ear(user)), ..Self::dial(engine) };
        let mut fields = json!({"type": "authenticate", "token": user});
        merge(&mut fields, more);
        let answer = client.ask(fields).await;
        assert_eq!(answer["type"], "authenticated", "{answer}");
        client
    }

    /// Sends a frame as it is.
    pub async fn say(&mut self, frame: Value) {
        self.say_text(&frame.to_string()).await;
    }

    /// Sends any text.
    pub async fn say_text(&mut self, text: &str) {
        self.peer.send(FromPeer::Text(text.as_bytes().to_vec())).await.expect("the server is there");
    }

    /// Sends something that is no text, or a sign of life.
    pub async fn say_raw(&mut self, what: FromPeer) {
        self.peer.send(what).await.expect("the server is there");
    }

    /// Sends a command under an id of its own; the answer is to be awaited with [`TestClient::answer`].
    pub async fn start(&mut self, mut command: Value) -> i64 {
        let id = self.next_id;
        self.next_id += 1;
        if let Some(ear) = &self.ear {
            ear.asks(id);
        }
        merge(&mut command, json!({"id": id}));
        self.say(command).await;
        id
    }

    /// The answer to a command; events that come before it are kept.
    pub async fn answer(&mut self, id: i64) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["id"] == id {
                return frame;
            }
            assert!(frame["id"].is_null(), "an answer out of turn: {frame}");
            self.events.push_back(frame);
        }
    }

    /// Sends a command and awaits its answer.
    pub async fn ask(&mut self, command: Value) -> Value {
        let id = self.start(command).await;
        self.answer(id).await
    }

    /// Sends a command and gives its answer, if it has one before that of a command after it: some are answered
    /// only when they fail.
    pub async fn ask_perhaps(&mut self, command: Value) -> Option<Value> {
        let id = self.start(command).await;
        let fence = self.start(json!({"type": "list_rooms"})).await;
        loop {
            let frame = self.frame().await;
            match frame["id"].as_i64() {
                Some(answered) if answered == id => {
                    self.answer(fence).await;
                    return Some(frame);
                }
                Some(answered) if answered == fence => return None,
                Some(_) => panic!("an answer out of turn: {frame}"),
                None => self.events.push_back(frame),
            }
        }
    }

    /// Reads until nothing comes for a second, and gives the frames as they came, answers too. As
    /// [`TestClient::settle`].
    pub async fn settle_raw(&mut self) -> Vec<String> {
        let mut frames = Vec::new();
        while let Ok(Some(next)) = timeout(Duration::from_secs(1), self.next()).await {
            match next {
                ToPeer::Text(json) => frames.push(String::from_utf8(json.to_vec()).unwrap()),
                ToPeer::Ping => drop(self.peer.send(FromPeer::Pong).await),
                ToPeer::Close(_) => break,
            }
        }
        frames
    }

    /// Reads until nothing comes for a second, and gives the events. To be used with a paused clock, which moves on
    /// only when nothing is left to do.
    pub async fn settle(&mut self) -> Vec<Value> {
        while let Ok(Some(next)) = timeout(Duration::from_secs(1), self.next()).await {
            match next {
                ToPeer::Text(json) => self.events.push_back(serde_json::from_slice(&json).unwrap()),
                ToPeer::Ping => drop(self.peer.send(FromPeer::Pong).await),
                ToPeer::Close(_) => break,
            }
        }
        self.events.drain(..).collect()
    }

    /// Sends a command that must be acked.
    pub async fn ack(&mut self, command: Value) -> Value {
        let answer = self.ask(command).await;
        assert_eq!(answer["type"], "ack", "{answer}");
        answer
    }

    /// Sends a command that must be refused, and gives the code.
    pub async fn refused(&mut self, command: Value) -> String {
        let answer = self.ask(command).await;
        assert_eq!(answer["type"], "error", "{answer}");
        answer["code"].as_str().unwrap().to_owned()
    }

    /// Creates a public room and gives its id.
    pub async fn create_room(&mut self, name: &str) -> String {
        let ack = self.ack(json!({"type": "create_room", "name": name})).await;
        ack["room"]["id"].as_str().unwrap().to_owned()
    }

    /// Joins a room.
    pub async fn join(&mut self, room: &str) -> Value {
        self.ack(json!({"type": "join_room", "roomId": room})).await
    }

    /// Sends a message that must be acked, and gives its seq.
    pub async fn send(&mut self, room: &str, text: &str) -> u64 {
        let ack = self.ack(json!({"type": "send_message", "roomId": room, "content": text})).await;
        ack["seq"].as_u64().unwrap()
    }

    /// The next event.
    pub async fn event(&mut self) -> Value {
        match self.events.pop_front() {
            Some(event) => event,
            None => self.frame().await,
        }
    }

    /// The next event, which must be of that type.
    pub async fn expect(&mut self, kind: &str) -> Value {
        let event = self.event().await;
        assert_eq!(event["type"], kind, "{event}");
        event
    }

    /// The next event, which must be a message of that text; gives its seq.
    pub async fn expect_text(&mut self, text: &str) -> u64 {
        let event = self.expect("new_message").await;
        assert_eq!(event["message"]["content"], text, "{event}");
        event["message"]["seq"].as_u64().unwrap()
    }

    /// That nothing has come beside what was awaited: the server answers in order, so a `pong` is a fence.
    pub async fn expect_silence(&mut self) {
        let pong = self.ask(json!({"type": "ping"})).await;
        assert_eq!(pong["type"], "pong");
        assert_eq!(self.events, VecDeque::<Value>::new());
    }

    /// How the server closes; frames before that are kept as events.
    pub async fn closed(&mut self) -> Option<CloseReason> {
        loop {
            match self.next().await {
                Some(ToPeer::Close(reason)) => return Some(reason),
                Some(ToPeer::Text(json)) => self.events.push_back(serde_json::from_slice(&json).unwrap()),
                Some(ToPeer::Ping) => {}
                None => return None,
            }
        }
    }

    /// What comes next on the link itself.
    pub async fn raw(&mut self) -> Option<ToPeer> {
        self.next().await
    }

    async fn next(&mut self) -> Option<ToPeer> {
        let next = self.peer.next().await;
        if let (Some(ear), Some(ToPeer::Text(frame))) = (&self.ear, &next) {
            ear.hears(frame);
        }
        next
    }

    async fn frame(&mut self) -> Value {
        loop {
            match self.next().await {
                Some(ToPeer::Text(json)) => {
                    let frame: Value = serde_json::from_slice(&json).expect("frames are JSON");
                    if self.heeds_presence || frame["type"] != "presence" {
                        return frame;
                    }
                }
                Some(ToPeer::Ping) => {
                    // A pong that can't be sent is no matter: what comes next says so.
                    let _ = self.peer.send(FromPeer::Pong).await;
                }
                other => panic!("the server has closed: {other:?}"),
            }
        }
    }
}

fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}
