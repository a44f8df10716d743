//! Engines for tests, over stores that are recounted at the end.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{ops::ControlFlow, sync::Arc};

use chat_core::{
    bus::MemoryBus,
    engine::{Engine, EngineBuilder},
    id::{MessageId, RoomId, Seq},
    limits::Limits,
    store::{
        Maintenance, MemoryStore,
        kv::{Direction, KvBatch, KvError, KvStore, MemKv, OrderedKv},
    },
    testing::{Loss, LossyBus, ManualClock, TestClient},
};
use futures::FutureExt;
use serde_json::{Value, json};

/// Limits that are out of the way.
pub fn no_rates() -> Limits {
    Limits { messages_per_minute: 0, commands_per_second: 0, typing_per_second: 0, ..Limits::default() }
}

pub fn builder() -> EngineBuilder {
    let builder = Engine::builder().authenticator(TestClient::authenticator).limits(no_rates());
    builder.shared_store(Arc::new(watched()))
}

pub async fn engine() -> Engine {
    builder().build().await.unwrap()
}

/// An engine and its store, to look into.
pub async fn engine_and_store() -> (Engine, Arc<WatchedStore>) {
    let store = Arc::new(watched());
    (builder().shared_store(store.clone()).build().await.unwrap(), store)
}

/// Two engines on one store, and the bus between them.
pub struct Nodes {
    pub a: Engine,
    pub b: Engine,
    pub store: Arc<WatchedStore>,
    pub bus: LossyBus<MemoryBus>,
}

/// Two engines on one store, with that much lost between them.
pub async fn two_nodes(loss: Loss) -> Nodes {
    two_nodes_of(loss, |builder| builder).await
}

/// The same, of which each is made as `made` says.
pub async fn two_nodes_of(loss: Loss, made: impl Fn(EngineBuilder) -> EngineBuilder) -> Nodes {
    let store = Arc::new(watched());
    let bus = LossyBus::new(MemoryBus::new(), 1, loss);
    let node = async || made(builder().shared_store(store.clone()).bus(bus.clone())).build().await.unwrap();
    Nodes { a: node().await, b: node().await, store: store.clone(), bus: bus.clone() }
}

/// Alice, whose room it is, and Bob in one room, each on a node; both have seen everything so far.
pub async fn two_in_a_room(alices: &Engine, bobs: &Engine) -> (TestClient, TestClient, String) {
    let mut alice = TestClient::connect(alices, "alice").await;
    let mut bob = TestClient::connect(bobs, "bob").await;
    let room = alice.create_room("Lobby").await;
    bob.join(&room).await;
    for kind in ["room_updated", "user_joined", "user_joined"] {
        alice.expect(kind).await;
    }
    bob.expect("user_joined").await;
    (alice, bob, room)
}

/// The id of the message at a place.
pub fn message_id(room: &str, seq: u64) -> String {
    MessageId::of(&RoomId::parse(room).unwrap(), Seq::new(seq)).to_string()
}

/// A command about the message at a place.
pub fn about(kind: &str, room: &str, seq: u64) -> Value {
    json!({"type": kind, "roomId": room, "messageId": message_id(room, seq)})
}

/// A clock that stands at a full hour until it is moved.
pub fn standing_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at_millis(1_789_999_200_000))
}

/// See [`watched`].
pub type WatchedStore = KvStore<Watched>;

/// A store in memory that says so if it contradicts itself when its test is over.
pub fn watched() -> WatchedStore {
    KvStore::inline(Watched(MemKv::new())).unwrap()
}

/// Rows in memory that are recounted by [`Maintenance::verify`] when nobody needs them any more.
pub struct Watched(MemKv);

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let store = MemoryStore::inline(self.0.clone()).unwrap();
        // Memory does not wait.
        let differences = store.verify().now_or_never().unwrap().unwrap();
        if !differences.is_empty() {
            eprintln!("the store contradicts itself at the end: {differences:#?}");
            // A panic would be lost where the runtime ends what is left of a test.
            std::process::abort();
        }
    }
}

impl OrderedKv for Watched {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.0.get(key)
    }

    fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        direction: Direction,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), KvError> {
        self.0.scan(from, to, direction, visit)
    }

    fn apply(&self, batch: KvBatch) -> Result<(), KvError> {
        self.0.apply(batch)
    }

    fn sync(&self) -> Result<(), KvError> {
        self.0.sync()
    }
}

/// Spoils every row in which this text stands.
pub fn spoil(rows: &MemKv, text: &str) {
    let mut spoiled = KvBatch::default();
    rows.scan(&[], &[0xff; 64], Direction::Ascending, &mut |key, row| {
        if row.windows(text.len()).any(|found| found == text.as_bytes()) {
            spoiled.changes.push((key.to_vec(), Some(b"spoiled".to_vec())));
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(!spoiled.changes.is_empty());
    rows.apply(spoiled).unwrap();
}
