//! A worker: a process with a slice of the users and their connections, on one thread. It does what it is told on
//! standard input, one order after the other, and ends with it.

mod enrolment;

use std::{cell::RefCell, collections::HashMap, net::SocketAddr, rc::Rc, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    runtime,
    sync::mpsc,
    task::{JoinHandle, LocalSet, spawn_local, yield_now},
    time::{Instant, sleep, timeout},
};

use crate::{
    Failure,
    flow::{Lane, Messages, Stream},
    follow::Follow,
    frames,
    limits::PATIENCE,
    machine,
    orders::{Begin, Flow, Order, Pace, Reply, Sent, Target, Who},
    stamp,
    tally::{Recorded, Times},
    user::{How, Shared, User},
};

/// How often it is looked whether members have everything.
const LOOKING: Duration = Duration::from_millis(5);

/// Runs the program `worker`.
pub(crate) fn run() -> Result<(), Failure> {
    // Before any token is made. It fails only if it was done before.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    machine::raise_descriptors();
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let result = LocalSet::new().block_on(&runtime, serve());
    if let Err(failure) = &result {
        answer(&Reply::Failed { reason: failure.to_string() })?;
    }
    // The thread that reads standard input may still wait there.
    runtime.shutdown_background();
    result
}

async fn serve() -> Result<(), Failure> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let Some(line) = lines.next_line().await? else { return Ok(()) };
    let Order::Begin(begin) = serde_json::from_str(&line)? else {
        return Err("the first order is to begin".into());
    };
    let (failures, mut failed) = mpsc::channel(1);
    let mut worker = Worker::new(*begin, failures);
    answer(&Reply::Done)?;
    let obey = async {
        while let Some(line) = lines.next_line().await? {
            answer(&worker.obey(serde_json::from_str(&line)?).await?)?;
        }
        Ok(())
    };
    tokio::select! {
        result = obey => result,
        Some(failure) = failed.recv() => Err(failure),
    }
}

fn answer(reply: &Reply) -> Result<(), Failure> {
    println!("{}", serde_json::to_string(reply)?);
    Ok(())
}

/// The users of one target: the same people have a connection to the server and one to the floor.
struct Stage {
    address: Option<SocketAddr>,
    members: Vec<Rc<User>>,
    speakers: Vec<Rc<User>>,
}

struct Worker {
    shared: Rc<Shared>,
    server: Stage,
    floor: Stage,
    room_ids: Vec<String>,
    flow: Option<JoinHandle<Result<Sent, Failure>>>,
}

impl Stage {
    fn new(begin: &Begin) -> Self {
        let Begin { plan, worker, workers, .. } = begin;
        let user = |number| User::new(number, plan.user(number));
        let speakers = (*worker..plan.speakers).step_by(*workers);
        Self {
            address: None,
            members: plan.members_of(*worker, *workers).map(user).collect(),
            speakers: speakers.map(|speaker| user(plan.members + speaker)).collect(),
        }
    }

    fn users(&self, who: Who) -> &[Rc<User>] {
        match who {
            Who::Members => &self.members,
            Who::Speakers => &self.speakers,
            Who::First => &self.members[..self.members.len().min(1)],
        }
    }
}

impl Worker {
    fn new(begin: Begin, failures: mpsc::Sender<Failure>) -> Self {
        let (server, floor) = (Stage::new(&begin), Stage::new(&begin));
        let shared = Rc::new(Shared::new(begin, failures));
        Self { shared, server, floor, room_ids: Vec::new(), flow: None }
    }

    fn stage(&self, target: Target) -> &Stage {
        match target {
            Target::Server => &self.server,
            Target::Floor => &self.floor,
        }
    }

    fn place(&self, target: Target) -> Result<(Target, SocketAddr), Failure> {
        match self.stage(target).address {
            Some(address) => Ok((target, address)),
            None => Err("nobody has said where to connect to".into()),
        }
    }

    async fn obey(&mut self, order: Order) -> Result<Reply, Failure> {
        match order {
            Order::Begin(_) => return Err("that was begun".into()),
            Order::Aim { target, address } => self.aim(target, address),
            Order::Create => return Ok(Reply::Created { ids: self.create().await? }),
            Order::Rooms { ids } => self.take_rooms(ids),
            Order::Enrol => self.enrol().await?,
            Order::Heads => return Ok(Reply::Heads { heads: self.ask_heads().await? }),
            Order::From { heads } => self.go_on_from(&heads),
            Order::Connect { target, who, opening } => {
                let how = if who == Who::Speakers { How::Silent } else { How::Follow };
                let authenticated = self.connect(self.stage(target).users(who), target, how, opening).await?;
                return Ok(Reply::Opened { authenticated, caught_up: Recorded::new() });
            }
            Order::Resume { opening } => return self.resume(opening).await,
            Order::Return { missed, times } => return self.come_back(missed, times).await,
            Order::Cut { target, who } => {
                self.stage(target).users(who).iter().for_each(|user| user.close());
                // The tasks that read end when they next have their turn.
                yield_now().await;
            }
            Order::Send { target, flow } => self.send(target, flow)?,
            Order::Sent => {
                let Some(flow) = self.flow.take() else { return Err("nothing is being sent".into()) };
                return Ok(Reply::Sent(flow.await??));
            }
            Order::Reach { target, heads } => self.reach(target, heads).await?,
            Order::Tally { arrivals } => {
                let counts = self.shared.tally.borrow_mut().take(arrivals)?;
                return Ok(Reply::Tally(Box::new(counts)));
            }
            Order::Stall { members } => {
                self.server.members.iter().take(members).for_each(|user| user.stalled.set(true));
            }
            Order::Wake => {
                for user in self.server.members.iter().filter(|user| user.stalled.replace(false)) {
                    user.woken.notify_one();
                }
            }
        }
        Ok(Reply::Done)
    }

    fn aim(&mut self, target: Target, address: SocketAddr) {
        match target {
            Target::Server => self.server.address = Some(address),
            Target::Floor => {
                self.floor = Stage::new(&self.shared.begin);
                self.floor.address = Some(address);
                // Everybody there gets everything, which is what a room is.
                let room = self.room_ids.first().map_or("floor", String::as_str);
                for user in &self.floor.members {
                    user.follows.borrow_mut().push(Follow::new(room, 0));
                }
            }
        }
    }

    async fn connect(
        &self,
        users: &[Rc<User>],
        target: Target,
        how: How,
        opening: usize,
    ) -> Result<Recorded, Failure> {
        let place = self.place(target)?;
        let mut times = Times::default();
        let opened = users.iter().map(|user| user.open(&self.shared, place, how));
        let mut opened = stream::iter(opened).buffer_unordered(opening.max(1));
        while let Some(nanos) = opened.try_next().await? {
            times.record(nanos);
        }
        Ok(times.recorded())
    }

    fn take_rooms(&mut self, ids: Vec<String>) {
        let numbers = ids.iter().enumerate().map(|(number, id)| (id.as_bytes().into(), number));
        self.shared.rooms.replace(numbers.collect::<HashMap<_, _>>());
        self.shared.heads.replace(vec![0; ids.len()]);
        for user in self.server.members.iter().chain(&self.server.speakers) {
            let rooms = self.shared.begin.plan.rooms_of(user.number).into_iter();
            user.follows.replace(rooms.map(|room| Follow::new(&ids[room], room)).collect());
        }
        self.room_ids = ids;
    }

    fn go_on_from(&self, heads: &[u64]) {
        for user in &self.server.members {
            for follow in user.follows.borrow_mut().iter_mut() {
                if let Some(head) = heads.get(follow.number) {
                    follow.go_on_after(*head);
                }
            }
        }
        heads.clone_into(&mut self.shared.heads.borrow_mut());
    }

    /// Everybody comes back at once. The times are those of all since they began to.
    async fn resume(&self, opening: usize) -> Result<Reply, Failure> {
        let (place, begun) = (self.place(Target::Server)?, stamp::now());
        let (authenticated, caught_up) = (RefCell::new(Times::default()), RefCell::new(Times::default()));
        let back = self.server.members.iter().map(|user| async {
            user.open(&self.shared, place, How::Resume).await?;
            authenticated.borrow_mut().record(stamp::now() - begun);
            if timeout(PATIENCE, user.until_caught_up()).await.is_err() {
                return Err(Failure::from(format!("{} is not caught up", user.name)));
            }
            caught_up.borrow_mut().record(stamp::now() - begun);
            Ok(())
        });
        let () = stream::iter(back).buffer_unordered(opening.max(1)).try_collect().await?;
        let (authenticated, caught_up) = (authenticated.borrow().recorded(), caught_up.borrow().recorded());
        Ok(Reply::Opened { authenticated, caught_up })
    }

    async fn come_back(&self, missed: u64, times: usize) -> Result<Reply, Failure> {
        let (place, mut authenticated, mut caught_up) =
            (self.place(Target::Server)?, Times::default(), Times::default());
        let heads = self.shared.heads.borrow().clone();
        for user in self.server.users(Who::First) {
            for _ in 0..times {
                for follow in user.follows.borrow_mut().iter_mut() {
                    follow.go_on_after(heads.get(follow.number).copied().unwrap_or(0).saturating_sub(missed));
                }
                authenticated.record(user.open(&self.shared, place, How::Resume).await?);
                if timeout(PATIENCE, user.until_caught_up()).await.is_err() {
                    return Err(format!("{} is not caught up", user.name).into());
                }
                caught_up.record(stamp::now() - user.greeted.get());
                user.close();
                yield_now().await;
            }
        }
        Ok(Reply::Opened { authenticated: authenticated.recorded(), caught_up: caught_up.recorded() })
    }

    fn send(&mut self, target: Target, mut flow: Flow) -> Result<(), Failure> {
        let Begin { plan, .. } = &self.shared.begin;
        let stage = self.stage(target);
        let (senders, all) = match flow.who {
            Who::Speakers => (&stage.speakers, plan.speakers),
            Who::Members | Who::First => (&stage.members, plan.members),
        };
        let mut lanes = Vec::new();
        if target == Target::Floor {
            if let Some(user) = senders.first() {
                let room = self.room_ids.first().map_or("floor", String::as_str);
                let messages = Messages::Ready(frames::Ready::new(room, plan.bytes)?);
                lanes.push(Lane { user: user.clone(), messages });
            }
        } else {
            for user in senders.iter().filter(|user| user.connected()) {
                lanes.extend(self.lanes_of(user));
            }
        }
        if let Pace::Rate(rate) = &mut flow.pace {
            *rate *= senders.len() as f64 / all.max(1) as f64;
        }
        let members = stage.members.iter().filter(|user| user.connected()).count() as u64;
        let stream = Stream::new(self.shared.clone(), target, lanes, members, flow);
        self.flow = Some(spawn_local(stream.run()));
        Ok(())
    }

    /// Where a user sends to: to the partner of a pair, else to all of the user's rooms.
    fn lanes_of(&self, user: &Rc<User>) -> Vec<Lane> {
        let plan = &self.shared.begin.plan;
        let lane = |messages| Lane { user: user.clone(), messages: Messages::Commands(messages) };
        if plan.direct {
            let partner = user.number ^ 1;
            let known = partner < plan.members;
            return known
                .then(|| lane(frames::Messages::to_user(&plan.user(partner), plan.bytes)))
                .into_iter()
                .collect();
        }
        let follows = user.follows.borrow();
        let each = follows.iter().map(|follow| {
            lane(frames::Messages::to_room(&String::from_utf8_lossy(&follow.room), plan.bytes))
        });
        each.collect()
    }

    /// What has not come in time is lost.
    async fn reach(&self, target: Target, mut heads: Vec<u64>) -> Result<(), Failure> {
        if heads.is_empty() {
            heads.clone_from(&self.shared.heads.borrow());
        }
        let (until, members) = (Instant::now() + PATIENCE, &self.stage(target).members);
        let due = |user: &Rc<User>| {
            let follows = user.follows.borrow();
            follows.iter().any(|follow| heads.get(follow.number).is_some_and(|head| follow.next <= *head))
        };
        // What is last in a stream that stands still does not come later either.
        let (mut delivered, mut quiet) = (self.shared.tally.borrow().delivered, Instant::now());
        while members.iter().any(due) && Instant::now() < until && quiet.elapsed() < QUIET {
            sleep(LOOKING).await;
            let now = self.shared.tally.borrow().delivered;
            if now != delivered {
                (delivered, quiet) = (now, Instant::now());
            }
        }
        let checks = &mut self.shared.tally.borrow_mut().checks;
        for user in members {
            for follow in user.follows.borrow_mut().iter_mut() {
                follow.end_at(heads.get(follow.number).copied().unwrap_or(0), checks);
            }
        }
        Ok(())
    }
}

/// How long nothing may come to anybody before what is missing is lost.
const QUIET: Duration = Duration::from_secs(10);
