//! Runs a sequence: engine and model side by side.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use chat_core::{
    domain::Draft,
    engine::{Engine, Sabotage},
    hooks::{Hooks, Verdict},
    id::{RoomId, UserId},
    limits::Limits,
    store::Store,
    testing::{ManualClock, TestClient},
    time::{Clock, Timestamp},
};
use serde_json::{Value, json};

use super::{
    acts::{Act, End, Step, resolved},
    compare::{compare_answer, same},
    device::{Device, Failed, Link, PATIENCE},
    figures::Figures,
    model::Model,
    wire::{Answer, Call, HOUR, USERS, text},
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

const BEGINNING_MS: i64 = 1_800_000_000_000;
/// After this the engine would do by itself what it does now and then.
const UPKEEP: Duration = Duration::from_secs(29);

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
    erased: BTreeSet<&'static str>,
    /// How far the runtime's time was moved since the engine began.
    moved: Duration,
    /// How far the clock of the day was moved by hours.
    hours: i64,
    figures: Figures,
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
        let (model, members, accepted, erased, figures) = Default::default();
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
            erased,
            moved: Duration::ZERO,
            hours: 0,
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
        if self.erased.contains(USERS[*who]) {
            return Ok(());
        }
        match act {
            Act::Do(command) => self.command(*who, *device, command).await?,
            Act::Burst(commands) => self.burst(*who, *device, commands).await?,
            Act::Cut => self.devices[*who][*device].link = None,
            Act::Connect => self.connect(*who, *device).await?,
            Act::Wait { ms } => {
                self.now += ms;
                self.clock.advance_millis(*ms);
                let time = Duration::from_millis(ms.unsigned_abs());
                // What the server does now and then it shall do when it is told to.
                if self.paused && self.moved + time < UPKEEP {
                    self.moved += time;
                    tokio::time::advance(time).await;
                }
            }
            Act::Reopen(end) => self.reopen(*end).await?,
            Act::CrashAmid { send, yields } => self.crash_amid(*who, *device, send, *yields).await?,
            Act::KeepUp { hours } => self.keep_up(*hours).await?,
            Act::Erase => self.erase(*who).await?,
            Act::Check => self.check().await?,
        }
        Ok(())
    }

    async fn keep_up(&mut self, hours: i64) -> Result<(), Failed> {
        // Keys of what was sent are forgotten after a week.
        if self.hours + hours < 24 * 7 {
            self.hours += hours;
            self.now += hours * HOUR;
            self.clock.advance_millis(hours * HOUR);
        }
        self.engine.keep_up().await;
        let before: u64 = self.model.rooms.iter().map(|room| room.head).sum();
        self.model.keep_up(self.now);
        self.figures.kept_up += 1;
        self.figures.cuts += self.model.rooms.iter().map(|room| room.head).sum::<u64>() - before;
        self.check().await
    }

    /// Erases a user, who is let in nowhere from then on.
    async fn erase(&mut self, who: usize) -> Result<(), Failed> {
        let user = USERS[who];
        if self.erased.len() > 1 {
            return Ok(());
        }
        self.figures.erased += 1;
        let id = UserId::parse(user).map_err(|error| error.to_string())?;
        self.engine.erase_user(&id).await.map_err(|error| error.to_string())?;
        self.erased.insert(user);
        self.devices[who].iter_mut().for_each(|device| device.link = None);
        let (name, nothing) = ("erase_user", &Value::Null);
        let call =
            Call { who: user, name, command: nothing, made: nothing, now: self.now, erased: &self.erased };
        self.model.erase(call);
        let answer = Link::dial(&self.engine).ask(json!({"type": "authenticate", "token": user})).await?;
        if answer["type"] != "auth_error" || answer["code"] != "forbidden" {
            return Err(format!("{user} is let in: {answer}"));
        }
        self.check().await
    }

    fn apply(&mut self, who: &str, command: &Value, made: &Value) -> Answer {
        let name = command["type"].as_str().unwrap_or_default();
        self.model.apply(Call { who, name, command, made, now: self.now, erased: &self.erased })
    }

    /// Has engine and model carry out a command.
    async fn command(&mut self, who: usize, device: usize, command: &Value) -> Result<(), Failed> {
        let mut command = resolved(USERS[who], command, &self.model);
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
        let commands: Vec<_> =
            commands.iter().map(|command| resolved(USERS[who], command, &self.model)).collect();
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
        let expected = self.apply(USERS[who], command, answer);
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
        self.moved = Duration::ZERO;
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
        let command = resolved(USERS[who], send, &self.model);
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
            if self.erased.contains(name) {
                continue;
            }
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
                let expected = match command["roomId"].as_str() {
                    Some(_) => {
                        let (made, now, erased) = (&answer, self.now, &self.erased);
                        self.model.look(Call {
                            who: name,
                            name: "get_room",
                            command: &command,
                            made,
                            now,
                            erased,
                        })
                    }
                    None => self.apply(name, &command, &answer),
                };
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
