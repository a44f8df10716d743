//! What it costs that thousands arrive at once, and that a whole room types.
//!
//! What it measures, each in an engine of its own over the store in memory, with sessions in process that are all
//! read: 5,000 people who arrive at the same moment, each alone in a room (what arriving costs by itself), in 100
//! rooms of 50, and in one room of 5,000, where presence is not told; and ten seconds in which 1,000 members of a
//! room all say every second that they type. `events` are those that sessions were told, summed over all of them;
//! `CPU` is user and system time of the process, the reading sessions included; `until` is when the last event was
//! told, counted from the first arrival.
//!
//! How to read it: rounds are bounded, so that a storm takes longer rather than more at a time. Of 1,000 who type at
//! most 20 are told of, so that a flood costs a room what 20 typists cost it.
//!
//! `cargo bench -p chat-benches --bench presence` (a minute; `-- --quick` for a tenth of the people). Linux only.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark may panic, and prints"
)]

#[path = "common/process.rs"]
#[allow(dead_code, reason = "each benchmark uses its part")]
mod process;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chat_core::{
    auth::Identity,
    domain::{RoomName, RoomSpec},
    engine::{Caller, Engine, Event, Session},
    id::{RoomId, UserId},
    limits::Limits,
    wire::Notice,
};

/// How long nothing must be told for a storm to be over.
const QUIET: Duration = Duration::from_secs(2);

/// How long the members of the room type.
const TYPING_SECONDS: u64 = 10;

fn main() {
    let quick = std::env::args().any(|given| given == "--quick" || given == "--test");
    let scale = if quick { 10 } else { 1 };
    let people = 5_000 / scale;
    println!("{:<44} {:>12} {:>10} {:>12} {:>10}", "", "events", "CPU", "CPU/event", "until");
    let print = |what: String, figures: &Figures| {
        let each = match figures.events {
            0 => "-".to_owned(),
            events => format!("{:.2} µs", figures.cpu.as_secs_f64() * 1e6 / events as f64),
        };
        println!(
            "{what:<44} {:>12} {:>8.2} s {each:>12} {:>8.1} s",
            figures.events,
            figures.cpu.as_secs_f64(),
            figures.until.as_secs_f64()
        );
    };
    for (what, rooms) in
        [("each in a room alone", people), ("in rooms of 50", people / 50), ("in one room", 1)]
    {
        let figures = on_a_runtime(arrivals(people, rooms));
        print(format!("{people} arrivals, {what}"), &figures);
    }
    let members = 1_000 / scale;
    let figures = on_a_runtime(typing(members));
    print(format!("{members} members type for {TYPING_SECONDS} s"), &figures);
}

#[derive(Debug)]
struct Figures {
    events: u64,
    cpu: Duration,
    until: Duration,
}

/// Counts signals and remembers the last one.
struct Counter {
    events: AtomicU64,
    begun: Instant,
    last: Mutex<Duration>,
}

impl Counter {
    fn new() -> Arc<Self> {
        Arc::new(Self { events: AtomicU64::new(0), begun: Instant::now(), last: Mutex::default() })
    }

    fn count(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().unwrap() = self.begun.elapsed();
    }

    async fn quiet(&self) {
        let mut before = u64::MAX;
        loop {
            let now = self.events.load(Ordering::Relaxed);
            if now == before {
                return;
            }
            before = now;
            tokio::time::sleep(QUIET).await;
        }
    }
}

fn on_a_runtime<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

async fn engine() -> Engine {
    let limits = Limits { typing_per_second: 0, ..Limits::default() };
    Engine::builder().limits(limits).build().await.unwrap()
}

fn identity(number: usize) -> Identity {
    let name = format!("user-{number}");
    Identity::new(UserId::parse(&name).unwrap(), &name)
}

/// People in so many rooms, none of whom has a session.
async fn people_in_rooms(engine: &Engine, people: usize, rooms: usize) -> Vec<Caller> {
    for number in 0..rooms {
        let spec = RoomSpec {
            name: RoomName::parse(&format!("Room {number}")).unwrap(),
            owned: false,
            ..RoomSpec::public("Room").unwrap()
        };
        engine.ensure_room(room(number), spec).await.unwrap();
    }
    let mut callers = Vec::new();
    for number in 0..people {
        let caller = engine.caller(identity(number)).await.unwrap();
        caller.join(&room(number % rooms)).await.unwrap();
        callers.push(caller);
    }
    callers
}

fn room(number: usize) -> RoomId {
    RoomId::parse(&format!("room-{number}")).unwrap()
}

/// Reads a session for ever, and counts its signals.
fn read(mut session: Session, counter: Arc<Counter>) {
    tokio::spawn(async move {
        while let Some(event) = session.recv().await {
            if let Event::Notice(
                Notice::Presence(_) | Notice::UserTyping(..) | Notice::UserStoppedTyping(..),
            ) = event
            {
                counter.count();
            }
        }
    });
}

async fn arrivals(people: usize, rooms: usize) -> Figures {
    let engine = engine().await;
    people_in_rooms(&engine, people, rooms).await;
    let cpu = process::cpu_time(std::process::id()).unwrap();
    let counter = Counter::new();
    for number in 0..people {
        read(engine.connect(identity(number)).await.unwrap(), counter.clone());
    }
    counter.quiet().await;
    figures(&counter, cpu)
}

async fn typing(members: usize) -> Figures {
    let engine = engine().await;
    people_in_rooms(&engine, members, 1).await;
    let mut callers = Vec::new();
    let counter = Counter::new();
    for number in 0..members {
        let session = engine.connect(identity(number)).await.unwrap();
        callers.push(session.caller().clone());
        read(session, counter.clone());
    }
    // Their arrivals are another matter.
    counter.quiet().await;
    let before = counter.events.load(Ordering::Relaxed);
    let cpu = process::cpu_time(std::process::id()).unwrap();
    let begun = counter.begun.elapsed();
    let room = room(0);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..TYPING_SECONDS {
        second.tick().await;
        for caller in &callers {
            caller.start_typing(&room).await.unwrap();
        }
    }
    tokio::time::sleep(Duration::from_secs(6)).await;
    counter.quiet().await;
    let figures = figures(&counter, cpu);
    Figures { events: figures.events - before, until: figures.until - begun, ..figures }
}

fn figures(counter: &Counter, cpu_before: Duration) -> Figures {
    Figures {
        events: counter.events.load(Ordering::Relaxed),
        cpu: process::cpu_time(std::process::id()).unwrap() - cpu_before,
        until: *counter.last.lock().unwrap(),
    }
}
