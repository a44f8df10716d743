//! Runs a sequence: engine and model side by side.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use chat_core::{
    auth::Hello,
    domain::Draft,
    engine::{Engine, Sabotage},
    hooks::{Hooks, Verdict},
    id::{RoomId, UserId},
    limits::Limits,
    store::Store,
    testing::{ManualClock, TestClient},
    time::{Clock, Timestamp},
    transport::{FromPeer, MemoryPeer, ToPeer, memory_link},
};
use serde_json::{Value, json};

use super::{
    acts::{Act, End, Step, resolved},
    figures::Figures,
    model::{Answer, Model},
    shown::sorted,
    view::{Snapshot, Then, View},
    wire::{Call, USERS, text},
};

/// A store that outlives its engine.
pub trait Disk {
    /// Opens it; again after everything that was opened before was dropped. `power`: what was not synced is lost.
    fn open(&mut self, power: bool) -> impl Future<Output = Arc<dyn Store>>;

    /// A bug that is planted in the engine.
    fn sabotage(&self) -> Sabotage {
        Sabotage::None
    }
}

type Failed = String;

const BEGINNING_MS: i64 = 1_800_000_000_000;
/// How long a frame may take: over that it never comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs one sequence to its end.
pub async fn run<D: Disk>(disk: D, steps: &[Step], paused: bool) -> Result<Figures, Failed> {
    let mut world = World::new(disk, paused).await;
    for (number, step) in steps.iter().enumerate() {
        world.step(step).await.map_err(|failed| format!("step {number}, {step:?}: {failed}"))?;
    }
    world.check().await.map_err(|failed| format!("at the end: {failed}"))?;
    world.figures.sequences = 1;
    Ok(world.figures)
}

struct World<D> {
    disk: D,
    paused: bool,
    now: i64,
    clock: Arc<ManualClock>,
    engine: Engine,
    model: Model,
    /// By user, then by device.
    devices: Vec<[Device; 2]>,
    /// Rooms and who has ever been in them.
    members: BTreeSet<(String, &'static str)>,
    /// What was accepted since the last comparison, and in which room.
    accepted: BTreeSet<(String, String)>,
    figures: Figures,
}

struct Device {
    user: &'static str,
    link: Option<Link>,
    view: View,
    /// Rooms that are not followed, by this device's own wish.
    unfollowed: BTreeSet<String>,
}

struct Link {
    peer: MemoryPeer,
    next_id: i64,
    events: VecDeque<Value>,
}

struct SharedClock(Arc<ManualClock>);

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

/// Holds messages for review.
struct Holding;

#[async_trait]
impl Hooks for Holding {
    async fn before_send(&self, _room: &RoomId, _author: &UserId, draft: &Draft) -> Verdict {
        if draft.content.as_str().contains("hold") { Verdict::Hold } else { Verdict::Allow }
    }
}

async fn engine(store: Arc<dyn Store>, clock: Arc<ManualClock>, sabotage: Sabotage) -> Engine {
    let limits = Limits {
        messages_per_minute: 0,
        commands_per_second: 0,
        typing_per_second: 0,
        connections_per_user: 0,
        ..Limits::default()
    };
    let day = Duration::from_secs(86_400);
    let builder =
        Engine::builder().shared_store(store).authenticator(TestClient::authenticator).hooks(Holding);
    let builder = builder.clock(SharedClock(clock)).heartbeat(day, day).limits(limits);
    builder.sabotage(sabotage).build().await.unwrap()
}

impl<D: Disk> World<D> {
    async fn new(mut disk: D, paused: bool) -> Self {
        let clock = Arc::new(ManualClock::at_millis(BEGINNING_MS));
        let engine = engine(disk.open(false).await, clock.clone(), disk.sabotage()).await;
        let devices = USERS.iter().map(|user| [Device::new(user), Device::new(user)]).collect();
        let (model, members, accepted, figures) = Default::default();
        let mut world = Self {
            disk,
            paused,
            now: BEGINNING_MS,
            clock,
            engine,
            model,
            devices,
            members,
            accepted,
            figures,
        };
        for user in 0..USERS.len() {
            // Everybody is known from the beginning.
            world.connect(user, 0).await.unwrap();
        }
        // Something for everybody to begin with.
        world.command(0, 0, &json!({"type": "create_room", "name": "Hall"})).await.unwrap();
        for user in 1..4 {
            world.command(user, 0, &json!({"type": "join_room", "roomId": 0})).await.unwrap();
        }
        for (user, role) in [(1, "admin"), (2, "moderator")] {
            let command = json!({"type": "set_role", "roomId": 0, "userId": user, "role": role});
            world.command(0, 0, &command).await.unwrap();
        }
        world
    }

    async fn step(&mut self, step: &Step) -> Result<(), Failed> {
        let Step { who, device, act } = step;
        match act {
            Act::Do(command) => self.command(*who, *device, command).await?,
            Act::Burst(commands) => self.burst(*who, *device, commands).await?,
            Act::Cut => self.devices[*who][*device].link = None,
            Act::Connect => self.connect(*who, *device).await?,
            Act::Wait { ms } => {
                self.now += ms;
                self.clock.advance_millis(*ms);
                if self.paused {
                    tokio::time::advance(Duration::from_millis(ms.unsigned_abs())).await;
                }
            }
            Act::Reopen(end) => self.reopen(*end).await?,
            Act::CrashAmid { send, yields } => self.crash_amid(*who, *device, send, *yields).await?,
            Act::Check => self.check().await?,
        }
        Ok(())
    }

    /// Has engine and model carry out a command.
    async fn command(&mut self, who: usize, device: usize, command: &Value) -> Result<(), Failed> {
        let mut command = resolved(command, &self.model);
        self.connect(who, device).await?;
        let place = &mut self.devices[who][device];
        let room = text(&command["roomId"]);
        match command["type"].as_str().unwrap_or_default() {
            "authenticate" => command["token"] = place.user.into(),
            // What was missed meanwhile is asked for.
            "subscribe" if place.unfollowed.contains(&room) => {
                command["after"] = place.view.rooms.get(&room).map(|state| state.told).into();
            }
            "pong" => {
                place.start(command.clone()).await?;
                *self.figures.answers.entry(("pong".to_owned(), "ok".to_owned())).or_default() += 1;
                return Ok(());
            }
            _ => {}
        }
        let answer = place.ask(command.clone()).await?;
        match command["type"].as_str().unwrap_or_default() {
            "unsubscribe" => self.devices[who][device].unfollow(&room, &answer).await?,
            "subscribe" if answer["type"] == "ack" => {
                self.devices[who][device].unfollowed.remove(&room);
            }
            _ => {}
        }
        self.settle(who, &command, &answer)
    }

    /// Sends messages without waiting for answers; they are stored in this order.
    async fn burst(&mut self, who: usize, device: usize, commands: &[Value]) -> Result<(), Failed> {
        self.figures.bursts += 1;
        self.connect(who, device).await?;
        let commands: Vec<_> = commands.iter().map(|command| resolved(command, &self.model)).collect();
        let place = &mut self.devices[who][device];
        let mut ids = Vec::new();
        for command in &commands {
            ids.push(place.start(command.clone()).await?);
        }
        let mut answers = Vec::new();
        for (id, command) in ids.into_iter().zip(&commands) {
            answers.push(place.answer(id, command).await?);
        }
        for (command, answer) in commands.iter().zip(&answers) {
            self.settle(who, command, answer)?;
        }
        Ok(())
    }

    /// Has the model do what was answered, and compares.
    fn settle(&mut self, who: usize, command: &Value, answer: &Value) -> Result<(), Failed> {
        let name = text(&command["type"]);
        let code = answer["code"].as_str().unwrap_or("ok").to_owned();
        let is_accepted = code == "ok";
        *self.figures.answers.entry((name.clone(), code)).or_default() += 1;
        if let Some(room) = command["roomId"].as_str() {
            let standing = self.standing(room, USERS[who]);
            let outcomes = self.figures.acted.entry((name.clone(), standing)).or_default();
            outcomes[usize::from(!is_accepted)] += 1;
        }
        let expected = self.model.apply(Call::new(USERS[who], command, answer, self.now));
        for room in &self.model.rooms {
            let members = USERS.iter().filter(|user| room.members.contains_key(**user));
            self.members.extend(members.map(|user| (text(&room.shown["id"]), *user)));
        }
        if is_accepted {
            let rooms = [&command["roomId"], &answer["roomId"], &answer["room"]["id"]];
            let room = rooms.into_iter().find_map(Value::as_str);
            self.accepted.extend(room.map(|room| (name, room.to_owned())));
        }
        compare_answer(command, expected, answer)
    }

    /// How a user stands to a room.
    fn standing(&self, id: &str, user: &'static str) -> &'static str {
        let room = self.model.rooms.iter().find(|room| room.shown["id"] == *id);
        let is_under = |what: &str| {
            room.is_some_and(|room| {
                room.sanctions.get(&format!("{what} {user}")).is_some_and(|until| self.now < *until)
            })
        };
        match room.and_then(|room| room.rank(user)) {
            Some(_) if is_under("mute") => "muted",
            Some(rank) => ["member", "moderator", "admin", "owner"][rank],
            None if is_under("ban") => "banned",
            None if room.is_some_and(|room| room.invites.iter().any(|it| it["userId"] == user)) => "invited",
            None if self.members.contains(&(id.to_owned(), user)) => "ex-member",
            None => "stranger",
        }
    }

    /// Connects a device, going on where it stopped, and loads the rooms that it did not know.
    async fn connect(&mut self, who: usize, device: usize) -> Result<(), Failed> {
        let device = &mut self.devices[who][device];
        if device.link.is_some() {
            return Ok(());
        }
        let mut link = Link::dial(&self.engine);
        let resume = device.view.rooms.iter();
        let resume: Vec<_> =
            resume.map(|(room, state)| json!({"roomId": room, "after": state.told})).collect();
        let hello = json!({"type": "authenticate", "token": device.user, "resume": resume});
        let answer = link.ask(hello).await?;
        if answer["type"] != "authenticated" {
            return Err(format!("{} was not let in: {answer}", device.user));
        }
        device.link = Some(link);
        device.unfollowed.clear();
        let listed = device.ask(json!({"type": "list_rooms", "scope": "mine"})).await?;
        for room in listed["items"].as_array().into_iter().flatten() {
            let room = text(&room["id"]);
            if !device.view.rooms.contains_key(&room) {
                device.load(&room).await?;
            }
        }
        Ok(())
    }

    /// Ends the engine, opens its store again, and compares.
    async fn reopen(&mut self, end: End) -> Result<(), Failed> {
        *self.figures.reopened.entry(end).or_default() += 1;
        let mut connected = Vec::new();
        for (user, devices) in self.devices.iter_mut().enumerate() {
            for (number, device) in devices.iter_mut().enumerate() {
                if device.link.take().is_some() {
                    connected.push((user, number));
                }
            }
        }
        match end {
            End::Graceful => self.engine.shutdown(PATIENCE).await.map_err(|error| error.to_string())?,
            End::Crash | End::PowerCut => self.engine.crash(),
        }
        // What is left of the old engine goes before the store is opened again.
        let nothing = Arc::new(chat_core::store::MemoryStore::new());
        self.engine = engine(nothing, self.clock.clone(), Sabotage::None).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let (store, sabotage) = (self.disk.open(end == End::PowerCut).await, self.disk.sabotage());
        self.engine = engine(store, self.clock.clone(), sabotage).await;
        self.verify().await?;
        for (user, device) in connected {
            self.connect(user, device).await?;
        }
        Ok(())
    }

    /// A message whose fate is not known is sent again under the same key.
    async fn crash_amid(
        &mut self,
        who: usize,
        device: usize,
        send: &Value,
        yields: u8,
    ) -> Result<(), Failed> {
        self.figures.amid += 1;
        let command = resolved(send, &self.model);
        self.connect(who, device).await?;
        self.devices[who][device].start(command.clone()).await?;
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        self.reopen(if yields.is_multiple_of(2) { End::PowerCut } else { End::Crash }).await?;
        self.connect(who, device).await?;
        let mut answer = self.devices[who][device].ask(command.clone()).await?;
        // Whether the first one was stored is open.
        if answer["type"] == "ack" {
            let is_known =
                |room: &super::model::Room| room.messages.iter().any(|it| it["id"] == answer["messageId"]);
            answer["duplicate"] = self.model.rooms.iter().any(is_known).into();
        }
        self.settle(who, &command, &answer)?;
        self.check().await
    }

    /// Compares what everybody sees with the model.
    async fn check(&mut self) -> Result<(), Failed> {
        self.figures.checks += 1;
        for (name, room) in std::mem::take(&mut self.accepted) {
            for user in USERS {
                *self.figures.seen.entry((name.clone(), self.standing(&room, user))).or_default() += 1;
            }
        }
        for (user, name) in USERS.iter().enumerate() {
            let (expected, heads) = (self.model.client_view(name), self.model.heads(name));
            for number in 0..2 {
                let device = &mut self.devices[user][number];
                self.figures.events += device.settle(&heads).await?;
                if device.link.is_some() {
                    let what = format!("what {name} has on device {number} by snapshot and events");
                    same(&what, &device.followed(&expected), &device.followed(&device.view.export()))?;
                }
            }
            let mut fresh = Device { link: Some(Link::dial(&self.engine)), ..Device::new(name) };
            fresh.ask(json!({"type": "authenticate", "token": name, "subscribe": "none"})).await?;
            let of_rooms =
                self.model.rooms.iter().map(|room| json!({"type": "get_room", "roomId": room.shown["id"]}));
            let lists = [
                json!({"type": "list_rooms", "scope": "mine"}),
                json!({"type": "list_rooms", "scope": "public"}),
                json!({"type": "list_invites"}),
                json!({"type": "list_blocks"}),
            ];
            for command in
                of_rooms.filter(|command| command["roomId"].is_string()).chain(lists).collect::<Vec<_>>()
            {
                let answer = fresh.ask(command.clone()).await?;
                let expected = self.model.apply(Call::new(name, &command, &answer, self.now));
                compare_answer(&command, expected, &answer).map_err(|failed| format!("{name}: {failed}"))?;
            }
            for room in expected.keys() {
                fresh.load(room).await?;
            }
            same(&format!("what {name} is given afresh"), &expected, &fresh.view.export())?;
        }
        self.verify().await
    }

    /// Has the store recount everything that it keeps count of.
    async fn verify(&self) -> Result<(), Failed> {
        let wrong = self.engine.store().verify().await.map_err(|error| error.to_string())?;
        if wrong.is_empty() { Ok(()) } else { Err(format!("the store does not verify: {wrong:?}")) }
    }
}

impl Device {
    fn new(user: &'static str) -> Self {
        Self { user, link: None, view: View::new(user), unfollowed: BTreeSet::new() }
    }

    async fn ask(&mut self, command: Value) -> Result<Value, Failed> {
        self.link.as_mut().ok_or("connected")?.ask(command).await
    }

    async fn start(&mut self, command: Value) -> Result<i64, Failed> {
        self.link.as_mut().ok_or("connected")?.start(command).await
    }

    async fn answer(&mut self, id: i64, command: &Value) -> Result<Value, Failed> {
        self.link.as_mut().ok_or("connected")?.answer(id, command).await
    }

    /// Only the rooms that the device follows.
    fn followed<T: Clone>(&self, rooms: &BTreeMap<String, T>) -> BTreeMap<String, T> {
        let followed = rooms.iter().filter(|(room, _)| !self.unfollowed.contains(*room));
        followed.map(|(room, state)| (room.clone(), state.clone())).collect()
    }

    /// Reads events until every room is told up to its head. Returns how many there were.
    async fn settle(&mut self, heads: &BTreeMap<String, u64>) -> Result<u64, Failed> {
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

    async fn take_in(&mut self, event: &Value) -> Result<(), Failed> {
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
    async fn unfollow(&mut self, room: &str, answer: &Value) -> Result<(), Failed> {
        while let Some(event) = self.link.as_mut().and_then(|link| link.events.pop_front()) {
            self.take_in(&event).await?;
        }
        let followed = self.view.rooms.get(room).filter(|_| !self.unfollowed.contains(room));
        let told = followed.map_or(Value::Null, |state| state.told.into());
        if answer["seq"] != told {
            return Err(format!("{} was told up to {told}, not as {answer} says", self.user));
        }
        if !told.is_null() {
            self.unfollowed.insert(room.to_owned());
        }
        Ok(())
    }

    /// Loads a room, unless it is not open any more: then its end is told soon.
    async fn load(&mut self, room: &str) -> Result<(), Failed> {
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
    fn dial(engine: &Engine) -> Self {
        let (connection, peer) = memory_link(4);
        tokio::spawn(engine.attach(connection, Hello::default()));
        Self { peer, next_id: 1, events: VecDeque::new() }
    }

    async fn start(&mut self, mut command: Value) -> Result<i64, Failed> {
        let id = self.next_id;
        self.next_id += 1;
        command["id"] = id.into();
        self.peer
            .send(FromPeer::Text(command.to_string().into_bytes()))
            .await
            .map_err(|_| "the link is gone")?;
        Ok(id)
    }

    async fn ask(&mut self, command: Value) -> Result<Value, Failed> {
        let id = self.start(command.clone()).await?;
        self.answer(id, &command).await
    }

    async fn answer(&mut self, id: i64, command: &Value) -> Result<Value, Failed> {
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

    async fn frame(&mut self) -> Result<Value, Failed> {
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

fn same(what: &str, expected: &BTreeMap<String, Value>, got: &BTreeMap<String, Value>) -> Result<(), Failed> {
    let (expected, got) = (json!(expected), json!(got));
    difference("", &expected, &got).map_or(Ok(()), |it| Err(format!("{what}: {it}")))
}

/// Where two values differ first. `"?"` is equal to any string, `"*"` to anything.
fn difference(path: &str, expected: &Value, got: &Value) -> Option<String> {
    match (expected, got) {
        (Value::String(any), Value::String(_)) if any == "?" => None,
        (Value::String(any), _) if any == "*" => None,
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));

            keys.filter_map(|key| match (a.get(key), b.get(key)) {
                (Some(a), Some(b)) => difference(&format!("{path}.{key}"), a, b),
                (a, b) => Some(format!("{path}.{key}: expected {a:?}, got {b:?}")),
            })
            .next()
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs.filter_map(|(at, (a, b))| difference(&format!("{path}[{at}]"), a, b)).next()
        }
        _ if expected == got => None,
        _ => Some(format!("{path}: expected {expected}, got {got}")),
    }
}

fn compare_answer(command: &Value, expected: Answer, answer: &Value) -> Result<(), Failed> {
    let mut got = answer.clone();
    for field in ["type", "id"] {
        got.as_object_mut().and_then(|got| got.remove(field));
    }
    let failed = match expected {
        Err(code) if answer["type"] == "error" && answer["code"] == code => None,
        Err(code) => Some(format!("expected {code}")),
        Ok(_) if answer["type"] == "error" => Some("expected success".to_owned()),
        Ok(mut expected) => {
            if let (Some(expected), Some(got)) = (
                expected.get_mut("items").and_then(Value::as_array_mut),
                got.get_mut("items").and_then(Value::as_array_mut),
            ) {
                // The order of lists of rooms and members is the store's.
                for items in [expected, got] {
                    // Who is there changes by itself.
                    for item in items.iter_mut().filter_map(Value::as_object_mut) {
                        item.retain(|field, _| !["status", "lastSeenAt"].contains(&field.as_str()));
                    }
                    *items = sorted(std::mem::take(items));
                }
            }
            difference("", &expected, &got)
        }
    };
    failed.map_or(Ok(()), |failed| Err(format!("{command} was answered {answer}: {failed}")))
}
