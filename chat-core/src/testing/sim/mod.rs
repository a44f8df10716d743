//! A simulator of several nodes and their clients: everything that happens follows from one seed.
//!
//! Nodes are engines over one shared store and a bad bus; time is tokio's, paused, so that it jumps from one
//! event to the next. Clients connect, join, send in bursts, read slowly, fetch history, cut their links, come
//! back to another node and resume. Meanwhile nodes crash, the store loses its power, storms make it slow and
//! failing, and the bus goes silent. In the end all is put in order, everybody reads everything, and what was
//! told is compared with what is stored: see [`Check`].
//!
//! ```
//! use chat_core::testing::sim::{SimOptions, simulate};
//!
//! let report = simulate(7, &SimOptions { steps: 10, ..SimOptions::default() });
//! assert!(report.violations.is_empty(), "{report}");
//! ```

mod chaos;
mod device;
mod frame;
mod ledger;
mod logs;
mod rework;
mod store;
mod trace;
mod view;
mod world;

use std::{
    fmt,
    ops::AddAssign,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use self::{chaos::Chaos, device::Device, ledger::Ledger, logs::Logs, world::World};
use super::Loss;
use crate::engine::Sabotage;

/// What is simulated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimOptions {
    /// Engines over the one store.
    pub nodes: usize,
    /// Devices, by the number of each user.
    pub devices: Vec<usize>,
    /// What each device does, in steps.
    pub steps: usize,
    /// How bad the bus is.
    pub loss: Loss,
    /// Whether nodes crash and the store loses its power.
    pub crashes: bool,
    /// Whether the store is slow and fails at times.
    pub storms: bool,
    /// See [`crate::limits::Limits::resume_entries`].
    pub resume_entries: u64,
    /// A bug on purpose, in all engines.
    pub sabotage: Sabotage,
    /// Whether the disk only says that it has synced.
    pub skips_sync: bool,
}

impl Default for SimOptions {
    /// Two nodes; five users, three of them with two devices; everything that goes wrong.
    fn default() -> Self {
        Self {
            nodes: 2,
            devices: vec![2, 2, 2, 1, 1],
            steps: 50,
            loss: Loss::HEAVY,
            crashes: true,
            storms: true,
            resume_entries: 1_000,
            sabotage: Sabotage::None,
            skips_sync: false,
        }
    }
}

/// What must be true of every simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Check {
    /// A room's log has every seq from 1 to its head.
    DenseLog,
    /// The store finds nothing wrong with itself.
    StoreVerifies,
    /// A connection sees a room's entries in order, each once, without holes, from where it began.
    DenseView,
    /// What a connection is told of an entry is, byte for byte, what is stored of it, but for texts that the message
    /// has had.
    LiveIsStored,
    /// Who begins to ask when the editing or deleting of a text was acked is never told it again.
    GoneIsGone,
    /// Nobody is replayed a room that they do not belong to.
    MembersOnly,
    /// Nobody is told of a room that they do not follow.
    OnlyWhatIsFollowed,
    /// What was acked, a message, an edit, a deletion, stands at the acked seq, and the last of them holds.
    AckedIsStored,
    /// A repeated `clientMessageId` makes one message, and every ack names it.
    OneMessagePerKey,
    /// Every stored message was sent, and none that was refused is stored.
    NoPhantom,
    /// What was acked before another was sent stands before it.
    RealTimeOrder,
    /// Sends of one connection take effect in their order.
    PipelineOrder,
    /// A page of history is a piece of the log, and the newest page has what was acked before.
    TrueHistory,
    /// In the end everybody has seen everything, and everything sent is acked.
    EverybodyCatchesUp,
    /// Frames are those of docs/protocol.md.
    Protocol,
    /// A simulation ends.
    Ends,
}

impl Check {
    fn violated(self, text: String) -> Violation {
        Violation { check: self, text }
    }
}

/// Something that must not happen, and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What should have held.
    pub check: Check,
    /// What happened.
    pub text: String,
}

/// What came of a simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimReport {
    /// From what it follows.
    pub seed: u64,
    /// What must not have happened; none is what one hopes for.
    pub violations: Vec<Violation>,
    /// What happened.
    pub trace: Vec<String>,
    /// A hash of all that happened: the same seed gives the same.
    pub hash: u64,
    /// How much happened.
    pub figures: SimFigures,
}

/// How much happened in one or several simulations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct SimFigures {
    pub seeds: u64,
    pub steps: u64,
    pub commits: u64,
    pub acks: u64,
    pub reworks: u64,
    pub frames: u64,
    pub resumes: u64,
    pub resyncs: u64,
    pub node_crashes: u64,
    pub store_crashes: u64,
    pub store_faults: u64,
    pub lost_hints: u64,
}

impl AddAssign for SimFigures {
    fn add_assign(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.commits += other.commits;
        self.acks += other.acks;
        self.reworks += other.reworks;
        self.frames += other.frames;
        self.resumes += other.resumes;
        self.resyncs += other.resyncs;
        self.node_crashes += other.node_crashes;
        self.store_crashes += other.store_crashes;
        self.store_faults += other.store_faults;
        self.lost_hints += other.lost_hints;
    }
}

impl fmt::Display for SimFigures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} seeds: {} steps, {} commits, {} acks, {} edits and deletions, {} frames, {} resumes, {} resyncs, {} node crashes, \
             {} store crashes, {} store faults, {} lost hints",
            self.seeds,
            self.steps,
            self.commits,
            self.acks,
            self.reworks,
            self.frames,
            self.resumes,
            self.resyncs,
            self.node_crashes,
            self.store_crashes,
            self.store_faults,
            self.lost_hints,
        )
    }
}

/// Lines of the trace that a report shows.
const SHOWN_LINES: usize = 100;

impl fmt::Display for SimReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The alternate form has all of it.
        let skipped = if f.alternate() { 0 } else { self.trace.len().saturating_sub(SHOWN_LINES) };
        self.trace.iter().skip(skipped).try_for_each(|line| writeln!(f, "{line}"))?;
        for Violation { check, text } in &self.violations {
            writeln!(f, "VIOLATION {check:?}: {text}")?;
        }
        write!(f, "seed {}, hash {:016x}, {}", self.seed, self.hash, self.figures)
    }
}

/// Longer than any simulation takes in its own time, unless something never ends.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Simulates what follows from a seed. Never panics for what the engines do: that is reported.
#[must_use]
pub fn simulate(seed: u64, options: &SimOptions) -> SimReport {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(seed, options)),
        Err(error) => Err(error.to_string()),
    };
    outcome.unwrap_or_else(|error| SimReport {
        seed,
        violations: vec![Check::Ends.violated(error)],
        trace: Vec::new(),
        hash: 0,
        figures: SimFigures::default(),
    })
}

async fn run(seed: u64, options: &SimOptions) -> Result<SimReport, String> {
    let world = World::new(seed, options).map_err(|error| error.to_string())?;
    for node in 0..options.nodes {
        world.start(node).await.map_err(|error| error.to_string())?;
    }
    world.found_lobby().await.map_err(|error| error.to_string())?;
    let mut violations = Vec::new();
    if tokio::time::timeout(LONGEST, live(&world)).await.is_err() {
        violations.push(Check::Ends.violated("somebody is still busy after an hour".to_owned()));
    }
    check(&world, &mut violations).await;
    let figures = figures(&world);
    let (trace, hash) = world.take_trace();
    Ok(SimReport { seed, violations, trace, hash, figures })
}

/// Lets everybody live to the end of their lives.
async fn live(world: &Arc<World>) {
    let mut lives = Vec::new();
    for (user, devices) in world.options.devices.iter().enumerate() {
        for index in 0..*devices {
            world.busy.fetch_add(1, Ordering::Relaxed);
            world.unsettled.fetch_add(1, Ordering::Relaxed);
            lives.push(tokio::spawn(Device::new(world.clone(), &format!("user_{user}"), index).run()));
        }
    }
    let chaos = tokio::spawn(Chaos::new(world.clone()).run());
    for life in lives {
        if let Err(error) = life.await {
            world.oddities.lock().push(Check::Ends.violated(error.to_string()));
        }
    }
    chaos.abort();
}

async fn check(world: &World, found: &mut Vec<Violation>) {
    found.append(&mut world.oddities.lock());
    let store = world.store();
    let mut rooms = world.rooms();
    // One that was lost may have been created again.
    rooms.sort_unstable();
    rooms.dedup();
    let logs = match Logs::read(&*store, &rooms, found).await {
        Ok(logs) => logs,
        Err(error) => return found.push(Check::StoreVerifies.violated(error.to_string())),
    };
    let ledger = world.ledger.lock();
    for (view, live) in &*world.views.lock() {
        view.check(&logs, &ledger, *live, found);
    }
    ledger.check(&logs, found);
    for history in &*world.histories.lock() {
        check_history(history, &logs, &ledger, found);
    }
}

fn check_history(history: &world::History, logs: &Logs, ledger: &Ledger, found: &mut Vec<Violation>) {
    let world::History { who, room, asked, newest_at_least, messages } = history;
    let Some(log) = logs.get(room) else { return };
    let first = messages.first().map_or(0, |(seq, _)| *seq);
    let last = messages.last().map_or(0, |(seq, _)| *seq);
    let within = log.entries.iter().filter(|entry| (first..=last).contains(&entry.seq.get()));
    let stored = within.filter_map(|entry| entry.message().map(|message| (entry.seq.get(), message)));
    if !stored.clone().map(|(seq, _)| seq).eq(messages.iter().map(|(seq, _)| *seq)) {
        found.push(Check::TrueHistory.violated(format!("{who}: a page of {room} has {messages:?}")));
    }
    for ((seq, message), (_, told)) in stored.zip(messages) {
        if let Err(check) = ledger.may_tell(message, told, *asked) {
            found.push(check.violated(format!("{who}: a page of {room} says {told:?} at {seq}")));
        }
    }
    if let Some(acked) = newest_at_least.filter(|acked| *acked > last) {
        found.push(
            Check::TrueHistory
                .violated(format!("{who}: the newest page of {room} ends at {last} before {acked}")),
        );
    }
}

fn figures(world: &World) -> SimFigures {
    let ledger = world.ledger.lock();
    let counted = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    SimFigures {
        seeds: 1,
        steps: counted(&world.figures.steps),
        commits: counted(&world.weather.commits),
        acks: ledger.acks(),
        reworks: ledger.reworks(),
        frames: counted(&world.figures.frames),
        resumes: counted(&world.figures.resumes),
        resyncs: counted(&world.figures.resyncs),
        node_crashes: counted(&world.figures.node_crashes),
        store_crashes: counted(&world.figures.store_crashes),
        store_faults: counted(&world.weather.faults),
        lost_hints: world.bus.lost(),
    }
}
