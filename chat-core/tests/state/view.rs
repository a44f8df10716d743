//! What a good client makes of snapshots and events: one user's rooms as one of their devices sees them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    shown::unordered,
    wire::{number, text},
};

/// The rooms of one device, by id.
#[derive(Default)]
pub struct View {
    user: String,
    pub rooms: BTreeMap<String, RoomState>,
}

/// One room.
pub struct RoomState {
    /// The newest entry that was told, or was in the snapshot.
    pub told: u64,
    /// The snapshot has all up to here; what is told again is passed over.
    loaded: u64,
    room: Value,
    messages: BTreeMap<u64, Value>,
    roles: BTreeMap<String, Value>,
}

/// What the client has to do next.
#[derive(Debug, PartialEq)]
pub enum Then {
    Nothing,
    /// Load a room: its own joining was told.
    Load(String),
}

/// A snapshot of one room.
pub struct Snapshot {
    pub room: Value,
    pub messages: Vec<Value>,
    pub members: Vec<Value>,
}

impl View {
    pub fn new(user: &str) -> Self {
        Self { user: user.to_owned(), ..Self::default() }
    }

    /// Takes a snapshot in.
    pub fn load(&mut self, snapshot: Snapshot) {
        let Snapshot { mut room, messages, members } = snapshot;
        for own in ["role", "unread", "mentions", "lastReadSeq", "lastMessage"] {
            room.as_object_mut().and_then(|room| room.remove(own));
        }
        let (id, head) = (text(&room["id"]), number(&room["lastSeq"]));
        let told = self.rooms.get(&id).map_or(head, |state| state.told);
        let messages = messages.into_iter().map(|message| (number(&message["seq"]), message)).collect();
        let roles = members.into_iter().map(|member| (text(&member["userId"]), member["role"].clone()));
        self.rooms.insert(id, RoomState { told, loaded: head, room, messages, roles: roles.collect() });
    }

    /// Could not load a room: it is not open any more, and what is still told until its end is of no use.
    pub fn give_up(&mut self, room: &str) {
        if let Some(state) = self.rooms.get_mut(room) {
            state.loaded = u64::MAX;
        }
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: &Value) -> Result<Then, String> {
        let kind = event["type"].as_str().unwrap_or_default();
        let (room, seq) = match kind {
            "new_message" | "new_dm" => (text(&event["message"]["roomId"]), &event["message"]["seq"]),
            // Their `seq` says how far somebody has come, not where they stand in the log.
            "caught_up" | "read_receipt" | "delivered" => return Ok(Then::Nothing),
            "resume_failed" => {
                self.rooms.remove(&text(&event["roomId"]));
                return Ok(Then::Nothing);
            }
            // What it would be told next was cut.
            "resync_required" => {
                let room = text(&event["roomId"]);
                let state = self.rooms.get_mut(&room).ok_or("a resync of a room that is not followed")?;
                state.told = number(&event["seq"]);
                return Ok(Then::Load(room));
            }
            "user_typing" | "user_stopped_typing" if !self.rooms.contains_key(&text(&event["roomId"])) => {
                return Err(format!("a signal of a room that is not followed: {event}"));
            }
            "server_draining" | "error" => return Err(format!("unexpected: {event}")),
            _ if event["seq"].is_null() => return Ok(Then::Nothing),
            _ => (text(&event["roomId"]), &event["seq"]),
        };
        let seq = number(seq);
        let joins = kind == "user_joined" && event["user"]["id"] == *self.user;
        let Some(state) = self.rooms.get_mut(&room) else {
            let begins = joins || (["room_updated", "new_dm"].contains(&kind) && seq == 1);
            if !begins {
                return Err(format!("told of a room that is not followed: {event}"));
            }
            let state = RoomState {
                told: seq,
                loaded: 0,
                room: event["room"].clone(),
                messages: BTreeMap::new(),
                roles: BTreeMap::new(),
            };
            self.rooms.insert(room.clone(), state);
            let load = joins || kind == "new_dm";
            return Ok(if load { Then::Load(room) } else { Then::Nothing });
        };
        if seq != state.told + 1 && !(joins && seq > state.told) {
            return Err(format!("after {} came {event}", state.told));
        }
        state.told = seq;
        if kind == "user_left" && event["userId"] == *self.user {
            self.rooms.remove(&room);
            return Ok(Then::Nothing);
        }
        if kind == "room_deleted" {
            self.rooms.remove(&room);
            return Ok(Then::Nothing);
        }
        // What may be seen of the past is another matter then.
        let reaches = kind == "room_updated" && event["room"]["history"] != state.room["history"];
        if joins || (reaches && seq > state.loaded) {
            return Ok(Then::Load(room));
        }
        if seq > state.loaded {
            state.apply(kind, event, seq)?;
        }
        Ok(Then::Nothing)
    }

    /// Up to where each room was told.
    pub fn heads(&self) -> BTreeMap<String, u64> {
        self.rooms.iter().map(|(room, state)| (room.clone(), state.told)).collect()
    }

    /// In the form of [`super::model::Model::client_view`].
    pub fn export(&self) -> BTreeMap<String, Value> {
        self.rooms.iter().map(|(id, state)| (id.clone(), state.export())).collect()
    }
}

impl RoomState {
    fn apply(&mut self, kind: &str, event: &Value, seq: u64) -> Result<(), String> {
        self.room["lastSeq"] = seq.into();
        match kind {
            "new_message" | "new_dm" => {
                self.messages.insert(seq, event["message"].clone());
                self.note_thread(&event["thread"]);
            }
            "user_joined" => {
                self.roles.insert(text(&event["user"]["id"]), "member".into());
                self.room["memberCount"] = event["memberCount"].clone();
            }
            "user_left" => {
                self.roles.remove(&text(&event["userId"]));
                self.room["memberCount"] = event["memberCount"].clone();
            }
            "member_updated" => {
                if !event["role"].is_null() {
                    self.roles.insert(text(&event["userId"]), event["role"].clone());
                }
            }
            "room_updated" => {
                self.room = event["room"].clone();
                let first = number(&self.room["firstSeq"]);
                self.messages.retain(|seq, _| *seq >= first);
            }
            _ => {
                self.note_thread(&event["thread"]);
                let id = &event["messageId"];
                match self.messages.values_mut().find(|message| message["id"] == *id) {
                    Some(message) => apply_to(message, kind, event)?,
                    // It was sent before one joined, or it was cut.
                    None if self.room["history"] == "since_join" || !self.room["firstSeq"].is_null() => {}
                    None => return Err(format!("of a message that is not there: {event}")),
                }
            }
        }
        Ok(())
    }

    /// Takes in how many replies a thread has.
    fn note_thread(&mut self, thread: &Value) {
        for root in self.messages.values_mut().filter(|message| message["id"] == thread["messageId"]) {
            root["threadCount"] = thread["threadCount"].clone();
            root["lastReplyAt"] = thread["lastReplyAt"].clone();
        }
    }

    fn export(&self) -> Value {
        let messages: Vec<_> = self.messages.values().cloned().map(unordered).collect();
        let roles: Map<_, _> = self.roles.iter().map(|(user, role)| (user.clone(), role.clone())).collect();
        json!({"room": self.room, "messages": messages, "roles": roles})
    }
}

/// Takes in what was done to a message. It may be newer than that already: whoever comes late is told messages as
/// they are by then.
fn apply_to(message: &mut Value, kind: &str, event: &Value) -> Result<(), String> {
    match kind {
        "message_edited" => {
            message["content"] = event["content"].clone();
            message["mentions"] = event["mentions"].clone();
            let room = event["mentionsRoom"] == true;
            message.as_object_mut().and_then(|message| message.remove("mentionsRoom"));
            if room {
                message["mentionsRoom"] = true.into();
            }
            message["editedAt"] = event["editedAt"].clone();
        }
        "message_deleted" => {
            message["content"] = "".into();
            message["deletedAt"] = event["deletedAt"].clone();
            message["deletedBy"] = event["deletedBy"].clone();
            message["pinned"] = false.into();
            message.as_object_mut().and_then(|message| message.remove("mentionsRoom"));
            for list in ["attachments", "mentions", "reactions"] {
                message[list] = json!([]);
            }
        }
        "reaction_added" | "reaction_removed" => {
            let Some(reactions) = message["reactions"].as_array_mut() else {
                return Err("no reactions".into());
            };
            if !reactions.iter().any(|reaction| reaction["emoji"] == event["emoji"]) {
                reactions.push(json!({"emoji": event["emoji"], "userIds": []}));
            }
            for reaction in reactions.iter_mut().filter(|reaction| reaction["emoji"] == event["emoji"]) {
                let Some(users) = reaction["userIds"].as_array_mut() else { return Err("no users".into()) };
                users.retain(|user| *user != event["userId"]);
                if kind == "reaction_added" {
                    users.push(event["userId"].clone());
                }
                reaction["count"] = event["count"].clone();
            }
            reactions.retain(|reaction| reaction["userIds"] != json!([]));
        }
        "message_pinned" | "message_unpinned" => message["pinned"] = (kind == "message_pinned").into(),
        _ => return Err(format!("an entry of an unknown kind: {event}")),
    }
    Ok(())
}
