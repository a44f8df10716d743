//! The devices of the users: what they were told, and what they make of it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use chat_core::{
    auth::Hello,
    engine::Engine,
    transport::{FromPeer, MemoryPeer, ToPeer, memory_link},
};
use serde_json::{Value, json};

use super::{
    view::{Snapshot, Then, View},
    wire::text,
};

/// What went wrong, and where.
pub type Failed = String;

/// How long a frame may take: over that it never comes.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Device {
    pub user: &'static str,
    pub link: Option<Link>,
    pub view: View,
    /// Rooms that are not followed, by this device's own wish.
    pub unfollowed: BTreeSet<String>,
}

pub struct Link {
    peer: MemoryPeer,
    next_id: i64,
    events: VecDeque<Value>,
}

impl Device {
    pub fn new(user: &'static str) -> Self {
        Self { user, link: None, view: View::new(user), unfollowed: BTreeSet::new() }
    }

    pub async fn ask(&mut self, command: Value) -> Result<Value, Failed> {
        self.link.as_mut().ok_or("connected")?.ask(command).await
    }

    pub async fn start(&mut self, command: Value) -> Result<i64, Failed> {
        self.link.as_mut().ok_or("connected")?.start(command).await
    }

    pub async fn answer(&mut self, id: i64, command: &Value) -> Result<Value, Failed> {
        self.link.as_mut().ok_or("connected")?.answer(id, command).await
    }

    /// Only the rooms that the device follows.
    pub fn followed<T: Clone>(&self, rooms: &BTreeMap<String, T>) -> BTreeMap<String, T> {
        let followed = rooms.iter().filter(|(room, _)| !self.unfollowed.contains(*room));
        followed.map(|(room, state)| (room.clone(), state.clone())).collect()
    }

    /// Reads events until every room is told up to its head. Returns how many there were.
    pub async fn settle(&mut self, heads: &BTreeMap<String, u64>) -> Result<u64, Failed> {
        let mut count = 0;
        while self.link.is_some() {
            let link = self.link.as_mut().ok_or("connected")?;
            let event = match link.events.pop_front() {
                Some(event) => event,
                None if self.followed(&self.view.heads()) == self.followed(heads) => break,
                None => {
                    let frame = self.link.as_mut().ok_or("connected")?.frame().await;
                    frame.map_err(|failed| {
                        format!("{} is at {:?} of {heads:?}: {failed}", self.user, self.view.heads())
                    })?
                }
            };
            count += 1;
            self.take_in(&event).await?;
        }
        Ok(count)
    }

    pub async fn take_in(&mut self, event: &Value) -> Result<(), Failed> {
        // Who comes back to a room follows it again.
        if event["type"] == "user_joined" && event["user"]["id"] == self.user {
            self.unfollowed.remove(&text(&event["roomId"]));
        }
        let then = self.view.apply(event).map_err(|failed| format!("{}: {failed}", self.user))?;
        match then {
            Then::Load(room) => self.load(&room).await,
            Then::Nothing => Ok(()),
        }
    }

    /// Ends following a room: up to the entry in the answer everything was told, and nothing comes after it.
    pub async fn unfollow(&mut self, room: &str, answer: &Value) -> Result<(), Failed> {
        while let Some(event) = self.link.as_mut().and_then(|link| link.events.pop_front()) {
            self.take_in(&event).await?;
        }
        let followed = self.view.rooms.get(room).filter(|_| !self.unfollowed.contains(room));
        match (followed.map(|state| state.told), answer["seq"].as_u64()) {
            (None, None) => return Ok(()),
            (Some(told), Some(seq)) if told == seq => {}
            // Another device has come into it a moment ago: it was followed, and nothing of it was told yet.
            (None, Some(_)) => {}
            (told, _) => {
                return Err(format!("{} was told up to {told:?}, not as {answer} says", self.user));
            }
        }
        self.unfollowed.insert(room.to_owned());
        Ok(())
    }

    /// Loads a room, unless it is not open any more: then its end is told soon.
    pub async fn load(&mut self, room: &str) -> Result<(), Failed> {
        let got = self.ask(json!({"type": "get_room", "roomId": room})).await?;
        let history = self.ask(json!({"type": "fetch_history", "roomId": room, "limit": 200})).await?;
        let members = self.ask(json!({"type": "list_members", "roomId": room})).await?;
        if history["type"] == "error" {
            self.view.give_up(room);
            return Ok(());
        }
        let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
        self.view.load(Snapshot {
            room: got["room"].clone(),
            messages: all(&history["messages"]),
            members: all(&members["items"]),
        });
        Ok(())
    }
}

impl Link {
    pub fn dial(engine: &Engine) -> Self {
        let (connection, peer) = memory_link(4);
        tokio::spawn(engine.attach(connection, Hello::default()));
        Self { peer, next_id: 1, events: VecDeque::new() }
    }

    pub async fn start(&mut self, mut command: Value) -> Result<i64, Failed> {
        let id = self.next_id;
        self.next_id += 1;
        command["id"] = id.into();
        self.peer
            .send(FromPeer::Text(command.to_string().into_bytes()))
            .await
            .map_err(|_| "the link is gone")?;
        Ok(id)
    }

    pub async fn ask(&mut self, command: Value) -> Result<Value, Failed> {
        let id = self.start(command.clone()).await?;
        self.answer(id, &command).await
    }

    pub async fn answer(&mut self, id: i64, command: &Value) -> Result<Value, Failed> {
        let is_it = |frame: &Value| frame["id"] == id;
        if let Some(answer) = self.events.iter().position(is_it).and_then(|place| self.events.remove(place)) {
            return Ok(answer);
        }
        loop {
            let frame = self.frame().await.map_err(|failed| format!("no answer to {command}: {failed}"))?;
            if is_it(&frame) {
                return Ok(frame);
            }
            self.events.push_back(frame);
        }
    }

    pub async fn frame(&mut self) -> Result<Value, Failed> {
        loop {
            match tokio::time::timeout(PATIENCE, self.peer.next()).await {
                Err(_) => return Err("nothing comes".to_owned()),
                Ok(Some(ToPeer::Text(json))) => {
                    return serde_json::from_slice(&json).map_err(|error| error.to_string());
                }
                Ok(Some(ToPeer::Ping)) => {
                    self.peer.send(FromPeer::Pong).await.map_err(|_| "the link is gone")?
                }
                Ok(other) => return Err(format!("closed: {other:?}")),
            }
        }
    }
}
