//! A client of a simulation: one device of one user, which remembers what every good client remembers.

mod asking;
mod hearing;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::json;
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep},
};

use super::{view::View, world::World};
use crate::{
    id::{ClientMessageId, RoomId, UserId},
    testing::random::Random,
    transport::MemoryPeer,
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
}
