//! What the parts of one simulation share: the nodes, the store under them, and the notes that are compared.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use tokio::{task::AbortHandle, time::Instant};

use super::{
    SimOptions,
    ledger::Ledger,
    store::{NodeStore, Weather},
    trace::Trace,
    view::{Heads, View},
};
use crate::{
    auth::Hello,
    bus::MemoryBus,
    domain::RoomSpec,
    engine::{Engine, Error},
    id::{RoomId, Seq},
    limits::Limits,
    store::{
        RoomStore, StoreError,
        kv::{KvStore, MemKv},
    },
    testing::{LossyBus, TestClient, random::Random},
    time::{Clock, Timestamp},
    transport::{MemoryPeer, memory_link},
};

/// The time of the first moment, in milliseconds since the epoch.
const BEGINNING_MS: i64 = 1_800_000_000_000;

pub(super) struct World {
    pub(super) options: SimOptions,
    random: Mutex<Random>,
    begun: Instant,
    disk: MemKv,
    store: Mutex<Arc<KvStore<MemKv>>>,
    pub(super) weather: Arc<Weather>,
    pub(super) bus: LossyBus<MemoryBus>,
    nodes: Mutex<Vec<Option<Node>>>,
    trace: Mutex<Trace>,
    pub(super) ledger: Mutex<Ledger>,
    /// What connections saw, and whether they stood to the end.
    pub(super) views: Mutex<Vec<(View, bool)>>,
    pub(super) histories: Mutex<Vec<History>>,
    pub(super) oddities: Mutex<Vec<super::Violation>>,
    /// Devices that have not done all their steps, and those with messages that are not acked.
    pub(super) busy: AtomicUsize,
    pub(super) unsettled: AtomicUsize,
    pub(super) figures: Counters,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) steps: AtomicU64,
    pub(super) resumes: AtomicU64,
    pub(super) frames: AtomicU64,
    pub(super) node_crashes: AtomicU64,
    pub(super) store_crashes: AtomicU64,
    pub(super) resyncs: AtomicU64,
}

/// A page of history as a client got it.
pub(super) struct History {
    pub(super) who: String,
    pub(super) room: RoomId,
    /// When, by the ledger.
    pub(super) asked: u64,
    /// The newest seq that was acked to anybody when the newest page was asked for.
    pub(super) newest_at_least: Option<u64>,
    pub(super) messages: Vec<(u64, String)>,
}

struct Node {
    engine: Engine,
    alive: Arc<AtomicBool>,
    pumps: Vec<AbortHandle>,
}

/// A node's clock: the simulation's time, and wrong by a constant.
struct SkewedClock {
    begun: Instant,
    skew_ms: i64,
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(BEGINNING_MS + self.skew_ms).plus_millis(elapsed)
    }
}

impl World {
    pub(super) fn new(seed: u64, options: &SimOptions) -> Result<Arc<Self>, StoreError> {
        let mut random = Random::seeded(seed);
        let disk = MemKv::crashable();
        let store = Arc::new(KvStore::inline(disk.clone())?);
        disk.lie_about_sync(options.skips_sync);
        let mut seed = || random.below(u64::MAX);
        Ok(Arc::new(Self {
            weather: Arc::new(Weather::new(seed())),
            bus: LossyBus::new(MemoryBus::new(), seed(), options.loss),
            begun: Instant::now(),
            disk,
            store: Mutex::new(store),
            nodes: Mutex::new((0..options.nodes).map(|_| None).collect()),
            trace: Mutex::new(Trace::new()),
            ledger: Mutex::default(),
            views: Mutex::default(),
            histories: Mutex::default(),
            oddities: Mutex::default(),
            busy: AtomicUsize::new(0),
            unsettled: AtomicUsize::new(0),
            figures: Counters::default(),
            options: options.clone(),
            random: Mutex::new(random),
        }))
    }

    pub(super) fn note(&self, line: &str) {
        self.trace.lock().note(line);
    }

    pub(super) fn count(&self, bytes: &[u8]) {
        self.trace.lock().count(bytes);
    }

    pub(super) fn take_trace(&self) -> (Vec<String>, u64) {
        std::mem::replace(&mut *self.trace.lock(), Trace::new()).into_parts()
    }

    /// A seed for a part of the simulation.
    pub(super) fn seed(&self) -> u64 {
        self.random.lock().below(u64::MAX)
    }

    /// The store itself, without way and weather.
    pub(super) fn store(&self) -> Arc<KvStore<MemKv>> {
        self.store.lock().clone()
    }

    /// Every room that was ever created.
    pub(super) fn rooms(&self) -> Vec<RoomId> {
        self.weather.rooms.lock().clone()
    }

    /// The heads of all rooms at this moment.
    pub(super) async fn heads(&self) -> Heads {
        let rooms = self.rooms();
        let heads = self.store().heads(&rooms).await.unwrap_or_default();
        rooms.into_iter().zip(heads.into_iter().map(Seq::get)).collect()
    }

    pub(super) async fn head(&self, room: &RoomId) -> u64 {
        let heads = self.store().heads(std::slice::from_ref(room)).await.unwrap_or_default();
        heads.first().copied().map_or(0, Seq::get)
    }

    /// Starts a node on the store.
    pub(super) async fn start(&self, node: usize) -> Result<(), Error> {
        let alive = Arc::new(AtomicBool::new(true));
        let store = NodeStore { inner: self.store(), weather: self.weather.clone(), alive: alive.clone() };
        let random = Mutex::new(Random::seeded(self.seed()));
        let random_bytes = move || {
            let mut random = random.lock();
            std::array::from_fn(|_| random.below(256) as u8)
        };
        let skew_ms = i64::try_from(self.random.lock().below(4_000)).unwrap_or(0) - 2_000;
        let limits = Limits {
            messages_per_minute: 0,
            commands_per_second: 0,
            commands_in_flight: 8,
            resume_entries: self.options.resume_entries,
            ..Limits::default()
        };
        let engine = Engine::builder()
            .shared_store(Arc::new(store))
            .bus(self.bus.clone())
            .authenticator(TestClient::authenticator)
            .clock(SkewedClock { begun: self.begun, skew_ms })
            .random_bytes(Box::new(random_bytes))
            .heartbeat(std::time::Duration::from_secs(3), std::time::Duration::from_secs(6))
            .limits(limits)
            .sabotage(self.options.sabotage)
            .build()
            .await?;
        self.nodes.lock()[node] = Some(Node { engine, alive, pumps: Vec::new() });
        self.note(&format!("node {node} starts"));
        Ok(())
    }

    /// Makes sure that there is a room to begin with.
    pub(super) async fn found_lobby(&self) -> Result<(), Error> {
        let lobby = RoomId::from_trusted("lobby");
        let engine = self.nodes.lock()[0].as_ref().map(|node| node.engine.clone());
        if let (Some(engine), Ok(spec)) = (engine, RoomSpec::public("Lobby")) {
            engine.ensure_room(lobby, spec).await?;
        }
        Ok(())
    }

    /// Ends a node as a loss of its power would: links are cut, nothing is drained. What it has sent to the store
    /// still arrives there, unless it is `severed`.
    pub(super) fn crash(&self, node: usize, severed: bool) {
        let Some(Node { engine, alive, pumps }) = self.nodes.lock()[node].take() else { return };
        pumps.iter().for_each(AbortHandle::abort);
        engine.crash();
        if severed {
            alive.store(false, Ordering::Relaxed);
        }
        self.note(&format!("node {node} crashes{}", if severed { ", severed from the store" } else { "" }));
    }

    /// Ends everything as a loss of the store's power would, and brings the store back with what it had synced.
    pub(super) fn crash_store(&self) -> Result<(), StoreError> {
        for node in 0..self.options.nodes {
            self.crash(node, true);
        }
        self.disk.lie_about_sync(false);
        self.disk.crash();
        let store = KvStore::inline(self.disk.clone())?;
        self.disk.lie_about_sync(self.options.skips_sync);
        *self.store.lock() = Arc::new(store);
        self.note("the store lost its power and is back");
        Ok(())
    }

    pub(super) fn is_up(&self, node: usize) -> bool {
        self.nodes.lock()[node].is_some()
    }

    /// Dials a node, with room for `window` frames each way.
    pub(super) fn dial(&self, node: usize, window: usize) -> Option<(MemoryPeer, AbortHandle)> {
        let mut nodes = self.nodes.lock();
        let node = nodes[node].as_mut()?;
        let (connection, peer) = memory_link(window);
        let pump = tokio::spawn(node.engine.attach(connection, Hello::default())).abort_handle();
        node.pumps.retain(|pump| !pump.is_finished());
        node.pumps.push(pump.clone());
        Some((peer, pump))
    }
}
