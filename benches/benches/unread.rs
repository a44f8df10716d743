//! What reading costs in small rooms and in large ones.
//!
//! What it measures, each on the memory store and on sled:
//!
//! - **the list of 200 rooms** of one user who has read nothing in them: two pages with role, unread, mentions and
//!   newest message of each, through the async traits of the store, for rooms of 10 messages and of 10,000, every
//!   tenth of them deleted and every seventh a mention;
//! - **marking as read** the message in the middle of a room, in rooms of the same two sizes;
//! - **opening a room** in an engine that has just started: the room, the first page of its history and the first
//!   page of its members, for a room of 10 members and 100 messages and for one of 100,000 and 1,000,000.
//!
//! How to read it: times are medians. The ratio of the large to the small is the result, and near 1 it says that
//! the cost does not grow with the room. Sled writes to the directory of cargo's target, and its ratios hold
//! the cost of what is no more in its cache.
//!
//! ```sh
//! cargo bench -p chat-benches --bench unread              # some minutes, 4 GB of memory
//! cargo bench -p chat-benches --bench unread -- --quick   # rooms a hundred times smaller: some seconds
//! ```
#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark may panic")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chat_core::{
    auth::Identity,
    domain::{
        Actor, Command, Draft, MembersOnly, Needs, Plan, Request, Room, RoomSpec, Rows, TextRules, Username,
    },
    engine::Engine,
    id::{RoomId, Seq, UserId},
    limits::Limits,
    store::{Durability, MemoryStore, PageRequest, Place, Store, UserProfile},
    testing::TestClient,
    time::Timestamp,
};
use chat_store_sled::SledStore;

/// Rooms of the user whose list is asked for.
const ROOMS: usize = 200;

/// Times that each list is asked for.
const LISTS: usize = 50;

/// Rooms that are opened, or marked, for one figure.
const OPENINGS: usize = 50;

/// Requests that become one commit.
const COMMIT: usize = 100;

/// How large the large rooms are.
#[derive(Clone, Copy)]
struct Sizes {
    listed: usize,
    members: usize,
    messages: usize,
}

#[tokio::main]
async fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick" || argument == "--test");
    let sizes = match quick {
        true => Sizes { listed: 100, members: 1_000, messages: 10_000 },
        false => Sizes { listed: 10_000, members: 100_000, messages: 1_000_000 },
    };
    println!("| store | what | small | large | ratio |");
    println!("|---|---|---|---|---|");
    measure("memory", sizes, async || MemoryStore::new()).await;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut number = 0;
    measure("sled", sizes, async || {
        number += 1;
        let options = SledStore::builder().durability(Durability::None).ballast_bytes(0);
        options.open(directory.path().join(number.to_string())).unwrap()
    })
    .await;
}

async fn measure<S: Store>(name: &str, sizes: Sizes, mut open: impl AsyncFnMut() -> S) {
    let (list, mark) = {
        let small = listed(&open().await, 10).await;
        let large = listed(&open().await, sizes.listed).await;
        ((small.0, large.0), (small.1, large.1))
    };
    let of = format!("10 and {} messages each", sizes.listed);
    row(name, &format!("list of {ROOMS} rooms, {of}"), list);
    row(name, &format!("marking as read, {of}"), mark);
    let store = Arc::new(open().await);
    let small = opened(&store, "small", 10, 100).await;
    let large = opened(&store, "large", sizes.members, sizes.messages).await;
    let of = format!("10 members and 100 messages, and {} and {}", sizes.members, sizes.messages);
    row(name, &format!("opening a room, {of}"), (small.whole, large.whole));
    row(name, "of that the room and its newest 50 messages", (small.history, large.history));
    row(name, "of that the first page of members, for each one on it", (small.member, large.member));
}

fn row(store: &str, what: &str, (small, large): (Duration, Duration)) {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let ratio = millis(large) / millis(small);
    println!("| {store} | {what} | {:.4} ms | {:.4} ms | {ratio:.2} |", millis(small), millis(large));
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn user(id: &str) -> UserId {
    UserId::from_trusted(id)
}

fn request(actor: &str, command: Command) -> Request {
    Request { actor: Actor::new(user(actor)), at: Timestamp::from_millis(1_790_000_000_000), command }
}

/// A room that is being filled.
struct Filling<'a, S> {
    store: &'a S,
    room: Room,
}

impl<S: Store> Filling<'_, S> {
    async fn decide(&mut self, requests: &[Request]) {
        for requests in requests.chunks(COMMIT) {
            let mut needs = Needs::default();
            requests.iter().for_each(|request| needs.add(request));
            let rows = match self.room.exists() {
                true => self.store.gather(&self.room.id, &needs).await.unwrap(),
                false => Rows::default(),
            };
            let mut plan = Plan::on(&self.room, rows, &MembersOnly, TextRules::default());
            for request in requests {
                plan.decide(request).unwrap();
            }
            if let Some(commit) = plan.into_commit() {
                self.room = commit.room.clone();
                self.store.commit(commit).await.unwrap();
            }
        }
    }
}

/// A room of `reader`, `author` and more members, with so many messages of the author.
async fn filled<S: Store>(store: &S, id: &str, members: usize, messages: usize, delete: bool) -> RoomId {
    let mut filling = Filling { store, room: Room::unborn(RoomId::from_trusted(id)) };
    filling.decide(&[request("author", Command::Create(RoomSpec::public(id).unwrap()))]).await;
    let more: Vec<_> =
        (2..members).map(|number| request(&format!("member-{number}"), Command::Join)).collect();
    filling.decide(&[request("reader", Command::Join)]).await;
    filling.decide(&more).await;
    let text = |number: usize| match number % 7 {
        0 => "As far as I remember it was @reader who had the key.",
        _ => "The train at a quarter past eight is late again.",
    };
    let first = filling.room.head.get() + 1;
    for start in (0..messages).step_by(COMMIT) {
        let numbers = start..messages.min(start + COMMIT);
        let send = |number| request("author", Command::Send(Draft::text(text(number)).unwrap()));
        filling.decide(&numbers.map(send).collect::<Vec<_>>()).await;
    }
    if delete {
        let target = |number: usize| Seq::new(first + number as u64);
        let deletions = (0..messages).step_by(10).map(|number| Command::Delete { target: target(number) });
        filling.decide(&deletions.map(|command| request("author", command)).collect::<Vec<_>>()).await;
    }
    filling.room.id
}

async fn enter<S: Store>(store: &S, name: &str) {
    let profile = UserProfile::new(user(name), Username::parse(name).unwrap(), Timestamp::from_millis(0));
    store.create_user(profile).await.unwrap();
}

/// The times of listing rooms of so many messages, and of marking one.
async fn listed<S: Store>(store: &S, messages: usize) -> (Duration, Duration) {
    enter(store, "reader").await;
    enter(store, "author").await;
    let mut rooms = Vec::new();
    for number in 0..ROOMS {
        rooms.push(filled(store, &format!("room-{number}"), 2, messages, true).await);
    }
    let reader = user("reader");
    let unread = (messages - messages.div_ceil(10)) as u64;
    let mut lists = Vec::new();
    for _ in 0..LISTS {
        let (begun, mut cursor, mut seen) = (Instant::now(), None, 0);
        loop {
            let page = store.overview(&reader, PageRequest { cursor, limit: 100 }).await.unwrap();
            assert!(page.items.iter().all(|room| room.reading.unread == unread));
            seen += page.items.len();
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        lists.push(begun.elapsed());
        assert_eq!(seen, ROOMS);
    }
    let mut marks = Vec::new();
    for room in rooms.iter().take(OPENINGS) {
        let begun = Instant::now();
        let marked = store.mark_read(&reader, room, Seq::new(3 + messages as u64 / 2)).await.unwrap();
        marks.push(begun.elapsed());
        assert!(marked.unwrap().moved);
    }
    (median(lists), median(marks))
}

/// The times of opening one room.
struct Opening {
    whole: Duration,
    history: Duration,
    /// Of the members' page divided by how many are on it: a page of the small room is not full.
    member: Duration,
}

async fn opened<S: Store>(store: &Arc<S>, id: &str, members: usize, messages: usize) -> Opening {
    let room = filled(&**store, id, members, messages, false).await;
    let (mut whole, mut history, mut member) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..OPENINGS {
        let limits = Limits { connections_per_user: 0, ..Limits::default() };
        let engine = Engine::builder()
            .authenticator(TestClient::authenticator)
            .limits(limits)
            .shared_store(store.clone())
            .build()
            .await
            .unwrap();
        let reader = engine.caller(Identity::new(user("reader"), "reader")).await.unwrap();
        let begun = Instant::now();
        reader.room(&room).await.unwrap();
        let page = reader.messages(&room, Place::Latest, 50).await.unwrap();
        history.push(begun.elapsed());
        let first = reader.members(&room, None).await.unwrap();
        whole.push(begun.elapsed());
        let shown = members.min(100);
        assert_eq!((page.items.len(), first.items.len()), (50, shown));
        member.push((begun.elapsed() - history[history.len() - 1]) / shown as u32);
    }
    Opening { whole: median(whole), history: median(history), member: median(member) }
}
