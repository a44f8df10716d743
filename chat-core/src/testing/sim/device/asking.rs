//! What a device asks for, and what it remembers of that until it is answered.

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Asked, Device, IN_FLIGHT_MAX, PATIENCE, ROOMS_MAX, Unacked};
use crate::{
    id::{ClientMessageId, RoomId},
    transport::FromPeer,
};

impl Device {
    pub(super) async fn ask(&mut self, mut command: Value, asked: Asked) {
        let Some(link) = &mut self.link else { return };
        let id = link.next_id;
        link.next_id += 1;
        command["id"] = id.into();
        link.pending.insert(id, asked);
        self.world.note(&format!("{} says {command}", self.name));
        if matches!(link.pending.get(&id), Some(Asked::Authenticate)) {
            // Chosen by the system's randomness: not to be noted.
            command["epoch"] = self.epoch.clone().into();
        }
        let frame = command.to_string();
        if !matches!(timeout(PATIENCE, link.peer.send(FromPeer::Text(frame.into_bytes()))).await, Ok(Ok(())))
        {
            self.cut("since it takes nothing");
        }
    }

    fn has_room(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.authenticated && link.pending.len() < IN_FLIGHT_MAX)
    }

    /// One of the rooms, mostly one that is followed.
    fn pick_room(&mut self) -> Option<RoomId> {
        let followed: Vec<_> =
            self.cursors.keys().filter(|room| !self.left.contains(*room)).cloned().collect();
        let all = self.world.rooms();
        let rooms = if followed.is_empty() || self.chance(10) { all } else { followed };
        (!rooms.is_empty()).then(|| rooms[self.random.below(rooms.len() as u64) as usize].clone())
    }

    pub(super) async fn send_burst(&mut self) {
        let Some(room) = self.pick_room() else { return };
        for _ in 0..=self.random.below(4) {
            if !self.has_room() {
                return;
            }
            self.sends += 1;
            let text = format!("{} says {}", self.name, self.sends);
            if self.chance(10) {
                self.send(text, room.clone(), None, true).await;
            } else {
                let key = ClientMessageId::from_trusted(&format!("{}-{}", self.name, self.sends));
                self.unacked.push_back(Unacked {
                    text: text.clone(),
                    room: room.clone(),
                    key: key.clone(),
                    under_way: true,
                });
                self.send(text, room.clone(), Some(key), true).await;
            }
        }
    }

    /// Sends again, under the same key, what was not acked.
    pub(super) async fn send_unacked(&mut self) {
        while self.has_room() {
            let Some(next) = self.unacked.iter_mut().find(|unacked| !unacked.under_way) else { return };
            next.under_way = true;
            let (text, room, key) = (next.text.clone(), next.room.clone(), next.key.clone());
            self.send(text, room, Some(key), false).await;
        }
    }

    /// Sends again what was acked long ago, perhaps by another device or node.
    pub(super) async fn repeat(&mut self) {
        let choice = self.random.below(1_000);
        let acked = self.world.ledger.lock().acked_of(&self.user, choice);
        if let (Some((text, room, key)), true) = (acked, self.has_room()) {
            self.send(text, room, Some(key), false).await;
        }
    }

    async fn send(&mut self, text: String, room: RoomId, key: Option<ClientMessageId>, first: bool) {
        self.world.ledger.lock().sending(&text, &self.user, &room, key.as_ref());
        let mut command = json!({"type": "send_message", "roomId": room.as_str(), "content": text});
        if let Some(key) = &key {
            command["clientMessageId"] = key.as_str().into();
        }
        let Some(link) = &mut self.link else { return };
        link.sent += 1;
        let first = first.then_some(link.sent);
        self.ask(command, Asked::Send { text, key, first, room }).await;
    }

    /// Edits or deletes what was acked, perhaps to another device.
    pub(super) async fn rework(&mut self) {
        let choice = self.random.below(1_000);
        let acked = self.world.ledger.lock().acked_of(&self.user, choice);
        let (Some((original, ..)), true) = (acked, self.has_room()) else { return };
        self.sends += 1;
        let text = (!self.chance(30)).then(|| format!("{} corrects {}", self.name, self.sends));
        let asked = self.world.ledger.lock().reworking(&original, text.clone());
        let Some((room, id, number)) = asked else { return };
        let mut command = json!({"type": "delete_message", "roomId": room.as_str(), "messageId": id});
        if let Some(text) = text {
            command["type"] = "edit_message".into();
            command["content"] = text.into();
        }
        self.ask(command, Asked::Rework { original, number }).await;
    }

    pub(super) async fn join(&mut self) {
        let rooms = self.world.rooms();
        if rooms.is_empty() || !self.has_room() {
            return;
        }
        let room = &rooms[self.random.below(rooms.len() as u64) as usize];
        self.ask(json!({"type": "join_room", "roomId": room.as_str()}), Asked::Membership).await;
    }

    pub(super) async fn leave(&mut self) {
        let Some(room) = self.pick_room() else { return };
        if self.has_room() {
            self.ask(json!({"type": "leave_room", "roomId": room.as_str()}), Asked::Membership).await;
        }
    }

    pub(super) async fn create(&mut self) {
        let rooms = self.world.rooms().len();
        if rooms < ROOMS_MAX && self.has_room() {
            let command =
                json!({"type": "create_room", "name": format!("Room {rooms}"), "private": self.chance(30)});
            self.ask(command, Asked::Create).await;
        }
    }

    pub(super) async fn fetch(&mut self) {
        let Some(room) = self.pick_room() else { return };
        if !self.has_room() {
            return;
        }
        let mut command = json!({"type": "fetch_history", "roomId": room.as_str(), "limit": 10});
        let mut newest_at_least = None;
        let place = self.random.below(30);
        match self.random.below(4) {
            0 => command["before"] = place.into(),
            1 => command["after"] = place.into(),
            2 => command["around"] = place.into(),
            _ => newest_at_least = Some(self.world.ledger.lock().newest_acked(&room)),
        }
        let asked = self.world.ledger.lock().tick();
        self.ask(command, Asked::History { room, asked, newest_at_least }).await;
    }

    pub(super) async fn unsubscribe(&mut self) {
        let Some(room) = self.pick_room() else { return };
        if self.has_room() {
            let command = json!({"type": "unsubscribe", "roomId": room.as_str()});
            self.ask(command, Asked::Unsubscribe { room }).await;
        }
    }

    pub(super) async fn subscribe(&mut self) {
        let Some(room) = self.pick_room() else { return };
        if !self.has_room() {
            return;
        }
        let head = self.world.head(&room).await;
        let after = self.chance(60).then(|| self.random.below(head + 2));
        let command = json!({"type": "subscribe", "roomId": room.as_str(), "after": after});
        self.ask(command, Asked::Subscribe { room, after, head }).await;
    }
}
