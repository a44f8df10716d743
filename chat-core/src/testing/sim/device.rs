//! A client of a simulation: one device of one user, which remembers what every good client remembers.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    frame::ServerFrame,
    view::{Heads, View},
    world::{History, World},
};
use crate::{
    id::{ClientMessageId, RoomId, UserId},
    testing::random::Random,
    transport::{FromPeer, MemoryPeer, ToPeer},
};

/// Commands that a device has under way at most. More would wait in small windows for a server that waits for it.
const IN_FLIGHT_MAX: usize = 6;

/// Rooms that one simulation has at most.
const ROOMS_MAX: usize = 5;

/// How long a device waits for the server to take a frame, or to answer `authenticate`.
const PATIENCE: Duration = Duration::from_secs(8);

pub(super) struct Device {
    world: Arc<World>,
    random: Random,
    name: String,
    user: UserId,
    link: Option<Link>,
    links: u32,
    /// The newest seq that was seen of each room that is followed.
    cursors: BTreeMap<RoomId, u64>,
    /// Rooms that the user has left, as far as this device knows.
    left: BTreeSet<RoomId>,
    epoch: Option<String>,
    /// Messages that are not acked, in the order of their first sending.
    unacked: VecDeque<Unacked>,
    sends: u64,
}

struct Unacked {
    text: String,
    room: RoomId,
    key: ClientMessageId,
    /// Sent on the present connection and not answered.
    under_way: bool,
}

struct Link {
    peer: MemoryPeer,
    pump: AbortHandle,
    since: Instant,
    authenticated: bool,
    next_id: i64,
    pending: BTreeMap<i64, Asked>,
    view: View,
    /// Sends of this connection so far.
    sent: u64,
}

/// A command whose answer is awaited.
enum Asked {
    Authenticate,
    Create,
    Membership,
    Send { text: String, key: Option<ClientMessageId>, first: Option<u64>, room: RoomId },
    Rework { original: String, number: usize },
    History { room: RoomId, asked: u64, newest_at_least: Option<u64> },
    Subscribe { room: RoomId, after: Option<u64>, head: u64 },
    Unsubscribe { room: RoomId },
    Ping,
}

impl Device {
    pub(super) fn new(world: Arc<World>, user: &str, index: usize) -> Self {
        let random = Random::seeded(world.seed());
        Self {
            world,
            random,
            name: format!("{user}/{index}"),
            user: UserId::from_trusted(user),
            link: None,
            links: 0,
            cursors: BTreeMap::new(),
            left: BTreeSet::new(),
            epoch: None,
            unacked: VecDeque::new(),
            sends: 0,
        }
    }

    /// A life: some steps, then coming to rest.
    pub(super) async fn run(mut self) {
        for step in 0..self.world.options.steps {
            let think = self.random.below(120);
            self.read_for(Duration::from_millis(think)).await;
            self.step(step).await;
            self.world.figures.steps.fetch_add(1, Ordering::Relaxed);
        }
        if self.chance(40) {
            self.cut("at the end");
        }
        self.world.busy.fetch_sub(1, Ordering::Relaxed);
        while self.world.busy.load(Ordering::Relaxed) > 0 {
            self.read_for(Duration::from_millis(100)).await;
        }
        self.settle().await;
        if let Some(link) = self.link.take() {
            self.world.views.lock().push((link.view, link.authenticated));
        } else {
            let line = format!("{} has no connection at the end", self.name);
            self.world.oddities.lock().push(super::Check::EverybodyCatchesUp.violated(line));
        }
    }

    /// Connects, sends what is not acked, and reads until everybody must have read everything.
    async fn settle(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(90);
        while !self.is_settled() && Instant::now() < deadline {
            self.connect_if_needed().await;
            self.send_unacked().await;
            self.read_for(Duration::from_millis(200)).await;
        }
        for unacked in &self.unacked {
            let line = format!("{}: {} was never acked", self.name, unacked.text);
            self.world.oddities.lock().push(super::Check::EverybodyCatchesUp.violated(line));
        }
        self.world.unsettled.fetch_sub(1, Ordering::Relaxed);
        while self.world.unsettled.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
            self.connect_if_needed().await;
            self.read_for(Duration::from_millis(200)).await;
        }
        // Longer than it takes to notice a lost hint, and to read on with it.
        let rest = Instant::now() + Duration::from_secs(8);
        while Instant::now() < rest {
            self.connect_if_needed().await;
            self.read_for(Duration::from_millis(500)).await;
        }
    }

    fn is_settled(&self) -> bool {
        let at_rest = |link: &Link| link.authenticated && link.pending.is_empty();
        self.unacked.is_empty() && self.link.as_ref().is_some_and(at_rest)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random.below(100) < percent
    }

    async fn step(&mut self, step: usize) {
        let Some(link) = &self.link else {
            if self.chance(80) {
                self.connect().await;
            }
            return;
        };
        if !link.authenticated {
            let too_long = link.since.elapsed() > PATIENCE;
            if self.chance(5) || too_long {
                self.cut("while it waits to be let in");
            }
            return;
        }
        self.send_unacked().await;
        if step < 4 || (self.cursors.is_empty() && self.chance(50)) {
            return self.join().await;
        }
        match self.random.below(100) {
            0..42 => self.send_burst().await,
            42..45 => self.rework().await,
            45..53 => self.join().await,
            53..58 => self.leave().await,
            58..61 => self.create().await,
            61..69 => self.fetch().await,
            69..72 => self.unsubscribe().await,
            72..77 => self.subscribe().await,
            77..80 => self.repeat().await,
            80..83 => self.rework().await,
            83..84 => self.ask(json!({"type": "ping"}), Asked::Ping).await,
            84..92 => self.cut("on a whim"),
            _ => {
                // A slow reader: it takes nothing for a while, mostly not for too long.
                let most = if self.chance(10) { 8_000 } else { 900 };
                let stall = self.random.below(most);
                self.world.note(&format!("{} stalls for {stall} ms", self.name));
                sleep(Duration::from_millis(stall)).await;
            }
        }
    }

    // ---- connecting

    async fn connect_if_needed(&mut self) {
        match &self.link {
            None => self.connect().await,
            Some(link) if !link.authenticated && link.since.elapsed() > PATIENCE => {
                self.cut("out of patience")
            }
            Some(_) => {}
        }
    }

    async fn connect(&mut self) {
        let node = self.random.below(self.world.options.nodes as u64) as usize;
        let window = self.random.below(4) as usize;
        if !self.world.is_up(node) {
            return;
        }
        let asked = self.world.heads().await;
        let Some((peer, pump)) = self.world.dial(node, window) else { return };
        self.links += 1;
        let follows_all = !self.chance(8) || self.world.busy.load(Ordering::Relaxed) == 0;
        let mut view = View::new(
            format!("{}#{} on node {node}", self.name, self.links),
            self.user.clone(),
            follows_all,
            self.world.ledger.lock().tick(),
            asked,
        );
        // Some clients ask for rooms that they have left.
        let impudent = self.chance(15);
        let mut resume = Vec::new();
        for (room, after) in &self.cursors {
            if impudent || !self.left.contains(room) {
                view.resumes(room, *after);
                resume.push(json!({"roomId": room.as_str(), "after": after}));
            }
        }
        self.world.note(&format!(
            "{} connects to node {node}, window {window}, resumes {}",
            self.name,
            resume.len()
        ));
        self.world.figures.resumes.fetch_add(u64::from(!resume.is_empty()), Ordering::Relaxed);
        let subscribe = if follows_all { "all" } else { "none" };
        let fields = json!({
            "type": "authenticate", "token": self.user.as_str(), "resume": resume, "subscribe": subscribe,
        });
        self.link = Some(Link {
            peer,
            pump,
            since: Instant::now(),
            authenticated: false,
            next_id: 1,
            pending: BTreeMap::new(),
            view,
            sent: 0,
        });
        self.ask(fields, Asked::Authenticate).await;
    }

    fn cut(&mut self, why: &str) {
        let Some(link) = self.link.take() else { return };
        self.world.note(&format!("{} cuts its link {why}", self.name));
        if self.random.below(2) == 0 {
            // The server hears of it late or never: it writes into the void.
            link.pump.abort();
        }
        self.lost(link);
    }

    /// The connection is no more: what was not answered has no known outcome.
    fn lost(&mut self, link: Link) {
        for asked in link.pending.into_values() {
            if let Asked::Send { text, .. } = asked {
                self.world.ledger.lock().uncertain(&text);
            }
        }
        for unacked in &mut self.unacked {
            unacked.under_way = false;
        }
        self.world.views.lock().push((link.view, false));
    }

    // ---- asking

    async fn ask(&mut self, mut command: Value, asked: Asked) {
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

    async fn send_burst(&mut self) {
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
    async fn send_unacked(&mut self) {
        while self.has_room() {
            let Some(next) = self.unacked.iter_mut().find(|unacked| !unacked.under_way) else { return };
            next.under_way = true;
            let (text, room, key) = (next.text.clone(), next.room.clone(), next.key.clone());
            self.send(text, room, Some(key), false).await;
        }
    }

    /// Sends again what was acked long ago, perhaps by another device or node.
    async fn repeat(&mut self) {
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
    async fn rework(&mut self) {
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

    async fn join(&mut self) {
        let rooms = self.world.rooms();
        if rooms.is_empty() || !self.has_room() {
            return;
        }
        let room = &rooms[self.random.below(rooms.len() as u64) as usize];
        self.ask(json!({"type": "join_room", "roomId": room.as_str()}), Asked::Membership).await;
    }

    async fn leave(&mut self) {
        let Some(room) = self.pick_room() else { return };
        if self.has_room() {
            self.ask(json!({"type": "leave_room", "roomId": room.as_str()}), Asked::Membership).await;
        }
    }

    async fn create(&mut self) {
        let rooms = self.world.rooms().len();
        if rooms < ROOMS_MAX && self.has_room() {
            let command =
                json!({"type": "create_room", "name": format!("Room {rooms}"), "private": self.chance(30)});
            self.ask(command, Asked::Create).await;
        }
    }

    async fn fetch(&mut self) {
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

    async fn unsubscribe(&mut self) {
        let Some(room) = self.pick_room() else { return };
        if self.has_room() {
            let command = json!({"type": "unsubscribe", "roomId": room.as_str()});
            self.ask(command, Asked::Unsubscribe { room }).await;
        }
    }

    async fn subscribe(&mut self) {
        let Some(room) = self.pick_room() else { return };
        if !self.has_room() {
            return;
        }
        let head = self.world.head(&room).await;
        let after = self.chance(60).then(|| self.random.below(head + 2));
        let command = json!({"type": "subscribe", "roomId": room.as_str(), "after": after});
        self.ask(command, Asked::Subscribe { room, after, head }).await;
    }

    // ---- hearing

    /// Reads whatever comes for so long.
    async fn read_for(&mut self, duration: Duration) {
        let until = Instant::now() + duration;
        loop {
            let Some(link) = &mut self.link else { return sleep_until(until).await };
            let heard = tokio::select! {
                biased;
                heard = link.peer.next() => heard,
                () = sleep_until(until) => return,
            };
            match heard {
                Some(ToPeer::Text(json)) => self.hear(json).await,
                Some(ToPeer::Ping) => {
                    if !matches!(timeout(PATIENCE, link.peer.send(FromPeer::Pong)).await, Ok(Ok(()))) {
                        self.cut("since it takes no pong");
                    }
                }
                Some(ToPeer::Close(reason)) => {
                    self.world.note(&format!("{} is told goodbye: {}", self.name, reason.text()));
                }
                None => {
                    self.world.note(&format!("{} finds its link cut", self.name));
                    if let Some(link) = self.link.take() {
                        self.lost(link);
                    }
                }
            }
        }
    }

    async fn hear(&mut self, json: bytes::Bytes) {
        self.world.figures.frames.fetch_add(1, Ordering::Relaxed);
        let frame: ServerFrame<'_> = match serde_json::from_slice(&json) {
            Ok(frame) => frame,
            Err(error) => {
                let line = format!("{}: {error}: {}", self.name, String::from_utf8_lossy(&json));
                return self.world.oddities.lock().push(super::Check::Protocol.violated(line));
            }
        };
        if let Some((room, seq)) = frame.entry() {
            self.world.count(&json);
            self.world.note(&format!("{} sees {} {seq} of {room}", self.name, frame.kind));
            let leaves = frame.kind == "user_left" && frame.user_id.as_deref() == Some(self.user.as_str());
            if leaves {
                self.left.insert(room.clone());
            } else {
                self.left.remove(&room);
            }
            let cursor = self.cursors.entry(room.clone()).or_default();
            *cursor = seq.max(*cursor);
            if let Some(link) = &mut self.link {
                link.view.saw(&room, seq, json, leaves);
            }
            return;
        }
        self.world.note(&format!(
            "{} hears {} id {:?} seq {:?} {}",
            self.name,
            frame.kind,
            frame.id,
            frame.seq,
            frame.code.as_deref().unwrap_or_default(),
        ));
        let heads = if frame.id.is_some() { self.world.heads().await } else { Heads::new() };
        let Some(link) = &mut self.link else { return };
        match (frame.id, &*frame.kind, frame.room()) {
            (Some(id), ..) => match link.pending.remove(&id) {
                Some(asked) => self.answered(asked, &frame, heads),
                None => {
                    let line = format!("{}: an answer to nothing, id {id}", self.name);
                    self.world.oddities.lock().push(super::Check::Protocol.violated(line));
                }
            },
            (None, "caught_up", Some(room)) => link.view.caught_up(&room, frame.seq.unwrap_or(0)),
            (None, "resync_required", Some(room)) => {
                let seq = frame.seq.unwrap_or(0);
                self.world.figures.resyncs.fetch_add(1, Ordering::Relaxed);
                link.view.resync(&room, seq);
                self.cursors.insert(room, seq);
            }
            (None, "resume_failed", Some(room)) => {
                link.view.resume_failed(&room);
                self.cursors.remove(&room);
            }
            // Signals promise nothing that could be compared with the log.
            (None, "presence" | "user_typing" | "user_stopped_typing" | "unread", _) => {}
            _ => {
                let line = format!("{}: an unexpected {}", self.name, frame.kind);
                self.world.oddities.lock().push(super::Check::Protocol.violated(line));
            }
        }
    }

    fn answered(&mut self, asked: Asked, frame: &ServerFrame<'_>, heads: Heads) {
        let Some(link) = &mut self.link else { return };
        let code = frame.code.as_deref();
        match asked {
            Asked::Authenticate if code.is_none() => {
                link.authenticated = true;
                self.epoch = frame.epoch.as_deref().map(str::to_owned);
                link.view.authenticated(heads);
            }
            Asked::Send { text, key, first, room } => {
                let place = |unacked: &Unacked| Some(&unacked.key) == key.as_ref();
                let place = self.unacked.iter().position(place);
                match (code, frame.seq) {
                    (None, Some(seq)) => {
                        let duplicate = frame.duplicate.unwrap_or(false);
                        let id = frame.message_id.as_deref();
                        self.world.ledger.lock().acked(&text, id, seq, duplicate);
                        if let (Some(first), false) = (first, duplicate) {
                            link.view.acked.push((room, first, seq));
                        }
                        place.map(|place| self.unacked.remove(place));
                    }
                    (Some("forbidden" | "not_found"), _) => {
                        self.world.ledger.lock().refused(&text);
                        place.map(|place| self.unacked.remove(place));
                    }
                    _ => {
                        self.world.ledger.lock().uncertain(&text);
                        if let Some(unacked) = place.and_then(|place| self.unacked.get_mut(place)) {
                            unacked.under_way = false;
                        }
                    }
                }
            }
            Asked::Rework { original, number } => {
                if let (None, Some(seq)) = (code, frame.seq) {
                    self.world.ledger.lock().rework_acked(&original, number, seq);
                }
            }
            Asked::History { room, asked, newest_at_least } if code.is_none() => {
                let messages = frame.messages.iter().flatten();
                self.world.histories.lock().push(History {
                    who: link.view.name.clone(),
                    room,
                    asked,
                    newest_at_least,
                    messages: messages.map(|message| (message.seq, message.content.to_string())).collect(),
                });
            }
            Asked::Subscribe { room, after, head } if code.is_none() => {
                let high = heads.get(&room).copied().unwrap_or(head);
                link.view.subscribed(&room, after, frame.seq.unwrap_or(0), (head, high));
            }
            Asked::Unsubscribe { room } if code.is_none() => link.view.unsubscribed(&room),
            _ => {}
        }
    }
}
