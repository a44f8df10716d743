//! Runs a sequence: engine and model side by side.

use std::{collections::BTreeMap, collections::VecDeque, fmt, sync::Arc, time::Duration};

use chat_core::{
    auth::Hello,
    engine::{Engine, Sabotage},
    limits::Limits,
    store::Store,
    testing::{ManualClock, TestClient},
    time::{Clock, Timestamp},
    transport::{FromPeer, MemoryPeer, ToPeer, memory_link},
};
use serde_json::{Value, json};

use super::{
    acts::{Act, Step, key_text},
    model::{Answer, Model, USERS, User},
    view::{Snapshot, Then, View, text},
    wire::sorted,
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

/// What was done.
#[derive(Debug, Default)]
pub struct Figures {
    sequences: u64,
    checks: u64,
    events: u64,
    crashes: u64,
    answers: BTreeMap<(String, String), u64>,
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
    clock: Arc<ManualClock>,
    engine: Engine,
    model: Model,
    /// By user, then by device.
    devices: Vec<[Device; 2]>,
    figures: Figures,
}

struct Device {
    user: &'static str,
    link: Option<Link>,
    view: View,
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

async fn engine(store: Arc<dyn Store>, clock: Arc<ManualClock>, sabotage: Sabotage) -> Engine {
    let limits = Limits { messages_per_minute: 0, commands_per_second: 0, ..Limits::default() };
    let day = Duration::from_secs(86_400);
    let builder = Engine::builder().shared_store(store).authenticator(TestClient::authenticator);
    let builder = builder.clock(SharedClock(clock)).heartbeat(day, day).limits(limits);
    builder.sabotage(sabotage).build().await.unwrap()
}

impl<D: Disk> World<D> {
    async fn new(mut disk: D, paused: bool) -> Self {
        let clock = Arc::new(ManualClock::at_millis(BEGINNING_MS));
        let engine = engine(disk.open(false).await, clock.clone(), disk.sabotage()).await;
        let model = Model { now: BEGINNING_MS, ..Model::default() };
        let device = |user| Device { user, link: None, view: View::new(user) };
        let devices = USERS.iter().map(|user| [device(user), device(user)]).collect();
        let mut world = Self { disk, paused, clock, engine, model, devices, figures: Figures::default() };
        for user in 0..USERS.len() {
            // Everybody is known from the beginning.
            world.connect(user, 0).await.unwrap();
        }
        // Something for everybody to begin with.
        world.command(0, 0, &Act::Create { name: 2, private: false }).await.unwrap();
        for user in 1..4 {
            world.command(user, 0, &Act::Join { room: 0 }).await.unwrap();
        }
        world
    }

    async fn step(&mut self, step: &Step) -> Result<(), Failed> {
        let Step { who, device, act } = step;
        match act {
            Act::Cut => self.devices[*who][*device].link = None,
            Act::Connect => self.connect(*who, *device).await?,
            Act::Wait { ms } => {
                self.model.now += ms;
                self.clock.advance_millis(*ms);
                if self.paused {
                    tokio::time::advance(Duration::from_millis(ms.unsigned_abs())).await;
                }
            }
            Act::Crash { power } => self.crash(*power).await?,
            Act::CrashAmid { room, key, yields } => {
                self.crash_amid(*who, *device, *room, *key, *yields).await?
            }
            Act::Check => self.check().await?,
            command => self.command(*who, *device, command).await?,
        }
        Ok(())
    }

    /// Has engine and model carry out a command.
    async fn command(&mut self, who: User, device: usize, act: &Act) -> Result<(), Failed> {
        let Some(command) = act.command(&self.model) else { return Ok(()) };
        let answer = self.ask(who, device, &command).await?;
        let expected = self.model.apply(who, act);
        let code = answer["code"].as_str().unwrap_or("ok").to_owned();
        *self.figures.answers.entry((text(&command["type"]), code)).or_default() += 1;
        self.compare_answer(&command, expected, &answer)?;
        if answer["type"] != "error" {
            self.model.learn(&answer);
        }
        Ok(())
    }

    fn compare_answer(&self, command: &Value, expected: Answer, answer: &Value) -> Result<(), Failed> {
        let mut got = answer.clone();
        for field in ["type", "id"] {
            got.as_object_mut().and_then(|got| got.remove(field));
        }
        let failed = match expected {
            Err(code) if answer["type"] == "error" && answer["code"] == code => None,
            Err(code) => Some(format!("expected {code}")),
            Ok(_) if answer["type"] == "error" => Some("expected success".to_owned()),
            Ok(mut expected) => {
                if let (Some(expected), Some(got)) =
                    (expected["items"].as_array_mut(), got["items"].as_array_mut())
                {
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

    async fn ask(&mut self, who: User, device: usize, command: &Value) -> Result<Value, Failed> {
        if self.devices[who][device].link.is_none() {
            self.connect(who, device).await?;
        }
        let link = self.devices[who][device].link.as_mut().ok_or("connected")?;
        link.ask(command.clone()).await
    }

    /// Connects a device, going on where it stopped, and loads the rooms that it did not know.
    async fn connect(&mut self, who: User, device: usize) -> Result<(), Failed> {
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
        let listed = device.ask(json!({"type": "list_rooms", "scope": "mine"})).await?;
        for room in listed["items"].as_array().into_iter().flatten() {
            let room = text(&room["id"]);
            if !device.view.rooms.contains_key(&room) {
                device.load(&room).await?;
            }
        }
        Ok(())
    }

    async fn crash(&mut self, power: bool) -> Result<(), Failed> {
        self.figures.crashes += 1;
        let mut connected = Vec::new();
        for (user, devices) in self.devices.iter_mut().enumerate() {
            for (number, device) in devices.iter_mut().enumerate() {
                if device.link.take().is_some() {
                    connected.push((user, number));
                }
            }
        }
        self.engine.crash();
        // What is left of the old engine goes before the store is opened again.
        let nothing = Arc::new(chat_core::store::MemoryStore::new());
        self.engine = engine(nothing, self.clock.clone(), Sabotage::None).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let (store, sabotage) = (self.disk.open(power).await, self.disk.sabotage());
        self.engine = engine(store, self.clock.clone(), sabotage).await;
        for (user, device) in connected {
            self.connect(user, device).await?;
        }
        Ok(())
    }

    /// A message whose fate is not known is sent again under the same key.
    async fn crash_amid(
        &mut self,
        who: User,
        device: usize,
        room: u8,
        key: u8,
        yields: u8,
    ) -> Result<(), Failed> {
        let act = Act::Send { room, text: 0, key: Some(100 + key), reply: None, thread: None };
        let Some(command) = act.command(&self.model) else { return Ok(()) };
        self.connect(who, device).await?;
        if let Some(link) = &mut self.devices[who][device].link {
            link.start(command.clone()).await?;
        }
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        self.crash(yields.is_multiple_of(2)).await?;
        let mut answer = self.ask(who, device, &command).await?;
        let expected = self.model.apply(who, &act);
        if let Ok(expected) = &expected {
            // Whether the first one was stored is open.
            answer["duplicate"] = expected["duplicate"].clone();
        }
        self.compare_answer(&command, expected, &answer)?;
        if answer["type"] != "error" {
            self.model.learn(&answer);
        }
        debug_assert_eq!(command["clientMessageId"], key_text(100 + key));
        Ok(())
    }

    /// Compares what everybody sees with the model.
    async fn check(&mut self) -> Result<(), Failed> {
        self.figures.checks += 1;
        for (user, name) in USERS.iter().enumerate() {
            let expected = self.model.view(user);
            for number in 0..2 {
                let device = &mut self.devices[user][number];
                self.figures.events += device.settle(&self.model.heads(user)).await?;
                if device.link.is_some() {
                    let what = format!("what {name} has on device {number} by snapshot and events");
                    same(&what, &expected, &device.view.export())?;
                }
            }
            let mut fresh =
                Device { user: name, link: Some(Link::dial(&self.engine)), view: View::new(name) };
            let hello = json!({"type": "authenticate", "token": name, "subscribe": "none"});
            fresh.ask(hello).await?;
            let listed = fresh.ask(json!({"type": "list_rooms", "scope": "mine"})).await?;
            let listed = sorted(listed["items"].as_array().cloned().unwrap_or_default());
            let what = format!("the list of {name}'s rooms");
            let list = self.model.list(user, true).into();
            difference("", &list, &listed.clone().into())
                .map_or(Ok(()), |it| Err(format!("{what}: {it}")))?;
            for room in &listed {
                fresh.load(&text(&room["id"])).await?;
            }
            same(&format!("what {name} is given afresh"), &expected, &fresh.view.export())?;
        }
        let wrong = self.engine.store().verify().await.map_err(|error| error.to_string())?;
        if wrong.is_empty() { Ok(()) } else { Err(format!("the store does not verify: {wrong:?}")) }
    }
}

impl Device {
    async fn ask(&mut self, command: Value) -> Result<Value, Failed> {
        self.link.as_mut().ok_or("connected")?.ask(command).await
    }

    /// Reads events until every room is told up to its head. Returns how many there were.
    async fn settle(&mut self, heads: &BTreeMap<String, u64>) -> Result<u64, Failed> {
        let mut count = 0;
        while self.link.is_some() {
            let link = self.link.as_mut().ok_or("connected")?;
            let event = match link.events.pop_front() {
                Some(event) => event,
                None if self.view.heads() == *heads => break,
                None => link.frame().await.map_err(|failed| {
                    format!("{} is at {:?} of {heads:?}: {failed}", self.user, self.view.heads())
                })?,
            };
            count += 1;
            let then = self.view.apply(&event).map_err(|failed| format!("{}: {failed}", self.user))?;
            if let Then::Load(room) = then {
                self.load(&room).await?;
            }
        }
        Ok(count)
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
        loop {
            let frame = self.frame().await.map_err(|failed| format!("no answer to {command}: {failed}"))?;
            if frame["id"] == id {
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

impl Figures {
    pub fn add(&mut self, other: &Self) {
        self.sequences += other.sequences;
        self.checks += other.checks;
        self.events += other.events;
        self.crashes += other.crashes;
        for (kind, count) in &other.answers {
            *self.answers.entry(kind.clone()).or_default() += count;
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequences, checks, events, crashes, answers } = self;
        let commands: u64 = answers.values().sum();
        writeln!(
            f,
            "{sequences} sequences: {commands} commands, {events} events, {crashes} crashes, {checks} comparisons"
        )?;
        for ((command, outcome), count) in answers {
            writeln!(f, "  {command:16} {outcome:14} {count:8}")?;
        }
        Ok(())
    }
}
