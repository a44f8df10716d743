//! One user of a worker: a connection, what comes over it, and how far the user has come in rooms.

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::HashMap,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Poll, ready},
};

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    net::tcp::OwnedReadHalf,
    sync::{Notify, mpsc},
    time::timeout,
};

use crate::{
    Failure, floor,
    follow::Follow,
    frames,
    limits::{PATIENCE, READ_BYTES},
    link::{self, Link},
    orders::{Begin, Target},
    scanner::{Fields, Frame, Kind, Scanner},
    stamp,
    tally::Tally,
};

/// When tokens expire: in the year 2100. No run lasts longer.
const EXPIRY: u64 = 4_102_444_800;

/// What all users of a worker share.
pub(crate) struct Shared {
    /// The plan, and whose part of it this is.
    pub(crate) begin: Begin,
    /// What is counted.
    pub(crate) tally: RefCell<Tally>,
    /// By the id of a room its number.
    pub(crate) rooms: RefCell<HashMap<Box<[u8]>, usize>>,
    /// By the number of a room its newest acked entry.
    pub(crate) heads: RefCell<Vec<u64>>,
    /// Acks of messages, since the beginning.
    pub(crate) acked: Cell<u64>,
    /// How many deliveries, and how many acks, somebody waits for.
    pub(crate) awaited: Cell<(u64, u64)>,
    /// Tells that somebody when there are so many.
    pub(crate) progress: Notify,
    /// Where failures go: the first one ends the run.
    pub(crate) failures: mpsc::Sender<Failure>,
    fields: Fields,
    buffer: RefCell<Vec<u8>>,
    epoch: OnceCell<String>,
    key: EncodingKey,
    stamped: Cell<u64>,
}

impl Shared {
    /// Nothing counted yet.
    pub(crate) fn new(begin: Begin, failures: mpsc::Sender<Failure>) -> Self {
        Self {
            key: EncodingKey::from_secret(begin.secret.as_bytes()),
            begin,
            tally: RefCell::default(),
            rooms: RefCell::default(),
            heads: RefCell::default(),
            acked: Cell::new(0),
            awaited: Cell::new((u64::MAX, u64::MAX)),
            progress: Notify::new(),
            failures,
            fields: Fields::default(),
            buffer: RefCell::new(vec![0; READ_BYTES]),
            epoch: OnceCell::new(),
            stamped: Cell::new(0),
        }
    }

    /// The time, but never the same twice.
    pub(crate) fn stamp(&self) -> u64 {
        let stamp = stamp::now().max(self.stamped.get() + 1);
        self.stamped.set(stamp);
        stamp
    }

    /// Waits for so many deliveries and acks in all.
    pub(crate) async fn wait_for(&self, delivered: u64, acked: u64) {
        self.awaited.set((delivered, acked));
        while self.tally.borrow().delivered < delivered || self.acked.get() < acked {
            self.progress.notified().await;
        }
    }

    fn note_progress(&self) {
        let (delivered, acked) = self.awaited.get();
        if self.tally.borrow().delivered >= delivered && self.acked.get() >= acked {
            self.awaited.set((u64::MAX, u64::MAX));
            self.progress.notify_one();
        }
    }

    /// Ends the run.
    pub(crate) fn fail(&self, failure: Failure) {
        // Only the first failure counts.
        let _ = self.failures.try_send(failure);
    }
}

/// How a connection is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// As one who follows nothing.
    Silent,
    /// As one who follows all rooms from now on.
    Follow,
    /// As one who follows all rooms from where they were left.
    Resume,
}

/// One user.
pub(crate) struct User {
    /// The number in the plan.
    pub(crate) number: usize,
    /// The id and name.
    pub(crate) name: String,
    /// The rooms, with how far the user has come.
    pub(crate) follows: RefCell<Vec<Follow>>,
    /// Answers to commands, since the beginning.
    pub(crate) answers: Cell<u64>,
    /// Answers are kept, to be looked at.
    pub(crate) kept: RefCell<Option<Vec<Value>>>,
    /// Something of this has changed.
    pub(crate) changed: Notify,
    /// When the first frame was sent.
    pub(crate) greeted: Cell<u64>,
    /// Nothing is read.
    pub(crate) stalled: Cell<bool>,
    /// It is read again.
    pub(crate) woken: Notify,
    link: RefCell<Option<Rc<Link>>>,
    token: OnceCell<String>,
    welcomed: Cell<bool>,
    caught_up: Cell<usize>,
}

impl User {
    /// Not connected, in no room.
    pub(crate) fn new(number: usize, name: String) -> Rc<Self> {
        Rc::new(Self {
            number,
            name,
            follows: RefCell::default(),
            answers: Cell::new(0),
            kept: RefCell::default(),
            changed: Notify::new(),
            greeted: Cell::new(0),
            stalled: Cell::new(false),
            woken: Notify::new(),
            link: RefCell::default(),
            token: OnceCell::new(),
            welcomed: Cell::new(false),
            caught_up: Cell::new(0),
        })
    }

    /// Connects, and waits for the answer. Returns how many nanoseconds that took.
    pub(crate) async fn open(
        self: &Rc<Self>,
        shared: &Rc<Shared>,
        (target, address): (Target, SocketAddr),
        how: How,
    ) -> Result<u64, Failure> {
        let hello = match target {
            Target::Server => self.hello(shared, how)?,
            Target::Floor if how == How::Silent => vec![floor::PUBLISHER],
            Target::Floor => vec![floor::SUBSCRIBER],
        };
        let begun_at = stamp::now();
        let opened = async {
            let mut stream = link::dial(address, self.number).await?;
            let mut begun = Vec::new();
            if target == Target::Server {
                begun = link::upgrade(&mut stream, address).await?;
            }
            self.welcomed.set(false);
            self.caught_up.set(0);
            self.greeted.set(stamp::now());
            stream.write_all(&hello).await?;
            let (user, heard_by) = (Rc::clone(self), Rc::clone(shared));
            let link = Link::new(stream, |reader| user.listen(heard_by, reader, begun));
            self.link.replace(Some(link));
            while !self.welcomed.get() {
                self.changed.notified().await;
            }
            Ok(stamp::now() - begun_at)
        };
        match timeout(PATIENCE, opened).await {
            Ok(opened) => opened,
            Err(_) => Err(format!("no answer to {} within {PATIENCE:?}", self.name).into()),
        }
    }

    fn hello(&self, shared: &Shared, how: How) -> Result<Vec<u8>, Failure> {
        if self.token.get().is_none() {
            let claims = json!({ "sub": self.name, "name": self.name, "exp": EXPIRY });
            // Nobody else sets it.
            let _ = self.token.set(jsonwebtoken::encode(&Header::default(), &claims, &shared.key)?);
        }
        let subscribe = if how == How::Silent { "none" } else { "all" };
        let mut hello =
            json!({ "type": "authenticate", "id": 0, "token": self.token.get(), "subscribe": subscribe });
        if how == How::Resume {
            let follows = self.follows.borrow();
            let each = follows.iter().map(
                |follow| json!({ "roomId": String::from_utf8_lossy(&follow.room), "after": follow.next - 1 }),
            );
            hello["resume"] = each.collect();
            hello["epoch"] = json!(shared.epoch.get());
        }
        Ok(frames::command(&hello))
    }

    /// Waits until all rooms that were resumed are caught up with.
    pub(crate) async fn until_caught_up(&self) {
        while self.caught_up.get() < self.follows.borrow().len() {
            self.changed.notified().await;
        }
    }

    /// Waits until so many commands were answered.
    pub(crate) async fn until_answered(&self, answers: u64) {
        while self.answers.get() < answers {
            self.changed.notified().await;
        }
    }

    /// Ends the connection.
    pub(crate) fn close(&self) {
        self.link.replace(None);
    }

    /// Whether there is a connection.
    pub(crate) fn connected(&self) -> bool {
        self.link.borrow().is_some()
    }

    /// Sends.
    ///
    /// # Errors
    /// When there is no connection, or it is broken.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<(), Failure> {
        match &*self.link.borrow() {
            Some(link) => link.put(bytes),
            None => Err(format!("{} is not connected", self.name).into()),
        }
    }

    async fn listen(self: Rc<Self>, shared: Rc<Shared>, mut reader: OwnedReadHalf, begun: Vec<u8>) {
        let mut scanner = Scanner::default();
        let heard = async {
            let now = stamp::now();
            scanner.feed(&begun, |frame| self.hear(&shared, frame, now))?;
            drop(begun);
            loop {
                while self.stalled.get() {
                    self.woken.notified().await;
                }
                self.read(&shared, &mut reader, &mut scanner).await?;
                shared.note_progress();
            }
        };
        let heard: Result<(), Failure> = heard.await;
        if let Err(failure) = heard {
            shared.fail(format!("{}: {failure}", self.name).into());
        }
    }

    /// Reads once, into the buffer that all share, and looks at it before anybody else may.
    async fn read(
        &self,
        shared: &Rc<Shared>,
        reader: &mut OwnedReadHalf,
        scanner: &mut Scanner,
    ) -> Result<(), Failure> {
        std::future::poll_fn(|context| {
            let mut buffer = shared.buffer.borrow_mut();
            let mut read = ReadBuf::new(&mut buffer);
            ready!(Pin::new(&mut *reader).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Err("the server hung up".into()));
            }
            let now = stamp::now();
            Poll::Ready(scanner.feed(read.filled(), |frame| self.hear(shared, frame, now)))
        })
        .await
    }

    fn hear(&self, shared: &Shared, frame: Frame<'_>, now: u64) -> Result<(), Failure> {
        let tally = &mut *shared.tally.borrow_mut();
        match frame.kind {
            Kind::Message => {
                let (Some((room, seq)), Some(sent)) =
                    (shared.fields.place(frame.payload), shared.fields.stamp(frame.payload))
                else {
                    return Err("a message without a place or a time".into());
                };
                tally.delivered += 1;
                tally.latency.record(now.saturating_sub(sent));
                if let Some(follow) = self.follows.borrow_mut().iter_mut().find(|it| *it.room == *room) {
                    follow.take(seq, &mut tally.checks);
                    if follow.number == 0 {
                        tally.arrived(seq, sent, now);
                    }
                }
            }
            Kind::Entry | Kind::CaughtUp => {
                tally.others += 1;
                let (mut follows, place) = (self.follows.borrow_mut(), shared.fields.place(frame.payload));
                if let Some((room, seq)) = place
                    && let Some(follow) = follows.iter_mut().find(|it| *it.room == *room)
                {
                    match frame.kind {
                        Kind::CaughtUp => follow.end_at(seq, &mut tally.checks),
                        _ => follow.take(seq, &mut tally.checks),
                    }
                }
                if frame.kind == Kind::CaughtUp {
                    self.caught_up.set(self.caught_up.get() + 1);
                    self.changed.notify_one();
                }
            }
            Kind::Answer => self.hear_answer(shared, frame.payload, now, tally)?,
            Kind::Welcome => {
                if shared.epoch.get().is_none() {
                    let welcome: Value = serde_json::from_slice(frame.payload)?;
                    // Nobody has set it meanwhile.
                    let _ = shared.epoch.set(welcome["epoch"].as_str().unwrap_or_default().to_owned());
                }
                self.welcome();
            }
            Kind::Pong => self.welcome(),
            Kind::Ping => {
                tally.pings += 1;
                let mut pong = Vec::new();
                frames::put_pong(&mut pong, frame.payload);
                self.put(&pong)?;
            }
            Kind::Other | Kind::Trouble => tally.others += 1,
        }
        Ok(())
    }

    fn welcome(&self) {
        self.welcomed.set(true);
        self.changed.notify_one();
    }

    fn hear_answer(
        &self,
        shared: &Shared,
        payload: &[u8],
        now: u64,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        if let Some(kept) = &mut *self.kept.borrow_mut() {
            kept.push(serde_json::from_slice(payload)?);
        } else if let (Some(sent), Some((room, seq))) =
            (shared.fields.id(payload), shared.fields.place(payload))
        {
            // The id of a message is its stamp.
            tally.acks.record(now.saturating_sub(sent));
            shared.acked.set(shared.acked.get() + 1);
            let (rooms, mut heads) = (shared.rooms.borrow(), shared.heads.borrow_mut());
            if let Some(head) = rooms.get(room).and_then(|number| heads.get_mut(*number)) {
                *head = seq.max(*head);
            }
        }
        self.answers.set(self.answers.get() + 1);
        self.changed.notify_one();
        Ok(())
    }
}
