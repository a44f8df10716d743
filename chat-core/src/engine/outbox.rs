//! What waits for one connection, and how it is woken: answers, rooms with news, signals, orders to close.
//!
//! Log entries are not in here: a room that has some only marks its place, and the session pulls after its cursor.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
};

use bytes::Bytes;
use futures::task::AtomicWaker;
use parking_lot::Mutex;

use super::{
    cell::Cell,
    dirty::Dirty,
    signal::{Hearing, Signal, Via, WaitingSignals},
};
use crate::{
    close::CloseReason,
    id::{RoomId, Seq, UserId},
};

/// The part of a connection that other tasks reach.
///
/// A connection looks at all of it whenever it is woken, and nearly always finds one thing. What it does not find
/// costs it a look at [`Outbox::has`], not a lock.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waker: AtomicWaker,
    dirty: Dirty,
    /// Commands whose answer is still to come.
    in_flight: AtomicUsize,
    /// Which fields of `waiting` have something, by the constants of [`has`]; changed under its lock.
    has: AtomicU8,
    waiting: Mutex<Waiting>,
}

/// Each field is bounded: answers by the commands in flight, joined rooms by the rooms that one user may belong to,
/// signals by [`crate::limits::SIGNALS_WAITING_MAX`].
#[derive(Debug, Default)]
struct Waiting {
    answers: VecDeque<Bytes>,
    /// Answers that said `rate_limited`, not yet held against the connection.
    refusals: usize,
    joined: Vec<(Arc<Cell>, Seq)>,
    /// Only while there are some.
    signals: Option<Box<WaitingSignals>>,
    order: Option<Order>,
}

/// Bits of [`Outbox::has`].
mod has {
    pub(super) const ANSWERS: u8 = 1;
    pub(super) const REFUSALS: u8 = 2;
    pub(super) const JOINED: u8 = 4;
    pub(super) const SIGNALS: u8 = 8;
    pub(super) const ORDER: u8 = 16;
    /// Nothing of `waiting`: the connection's own stream has something.
    pub(super) const STREAM: u8 = 32;
}

/// What the engine orders a connection to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Answer what is pending, say goodbye, close.
    Drain,
    /// Close at once.
    Close(CloseReason),
}

impl Outbox {
    /// Registers who is to be woken. To be called before looking at what waits.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Whether the stream has woken the connection since this was asked last.
    pub(crate) fn take_stream(&self) -> bool {
        self.holds(has::STREAM) && self.has.fetch_and(!has::STREAM, Ordering::AcqRel) & has::STREAM != 0
    }

    /// Notes that a command will be answered later.
    pub(crate) fn expect_answer(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Hands over the answer to an expected command; `None` when it wants none. `refused` when it went over a rate.
    pub(crate) fn answer(&self, frame: Option<Bytes>, refused: bool) {
        self.put(has::ANSWERS | if refused { has::REFUSALS } else { 0 }, |waiting| {
            waiting.refusals += usize::from(refused);
            waiting.answers.extend(frame);
            // Last of all: who sees that nothing is in flight finds the answer.
            self.in_flight.fetch_sub(1, Ordering::Release);
        });
    }

    /// Commands whose answer is still to come.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Takes the answers that have come.
    pub(crate) fn take_answers(&self) -> VecDeque<Bytes> {
        self.take(has::ANSWERS, |waiting| std::mem::take(&mut waiting.answers))
    }

    /// Takes the count of answers that went over a rate.
    pub(crate) fn take_refusals(&self) -> usize {
        self.take(has::REFUSALS, |waiting| std::mem::take(&mut waiting.refusals))
    }

    /// Gives the places of rooms that have news, and takes note that they are looked at.
    pub(crate) fn take_dirty(&self, each: impl FnMut(u32)) {
        self.dirty.take(each);
    }

    /// Takes the rooms that the user has joined meanwhile, with the first entry to tell.
    pub(crate) fn take_joined(&self) -> Vec<(Arc<Cell>, Seq)> {
        self.take(has::JOINED, |waiting| std::mem::take(&mut waiting.joined))
    }

    /// Tells that the user has joined a room, and from which entry on to tell it. Of several joinings of one room
    /// the first counts: following the log from there meets the others.
    pub(crate) fn joined(&self, cell: &Arc<Cell>, first: Seq) {
        self.put(has::JOINED, |waiting| {
            if !waiting.joined.iter().any(|(known, _)| Arc::ptr_eq(known, cell)) {
                waiting.joined.push((cell.clone(), first));
            }
        });
    }

    /// Adds a signal in the place of an older one of its topic. `via` for one that is told in a room.
    pub(crate) fn signal(&self, signal: Arc<Signal>, via: Option<Via>) {
        self.put(has::SIGNALS, |waiting| waiting.signals.get_or_insert_default().add(signal, via));
    }

    /// Takes the oldest signals, at most `most`, of those whose room may be heard now.
    pub(crate) fn take_signals(&self, most: usize, hears: impl FnMut(&Via) -> Hearing) -> Vec<Arc<Signal>> {
        if !self.holds(has::SIGNALS) {
            return Vec::new();
        }
        let mut waiting = self.waiting.lock();
        let Some(signals) = &mut waiting.signals else { return Vec::new() };
        let taken = signals.take(most, hears);
        if signals.is_empty() {
            waiting.signals = None;
            self.has.fetch_and(!has::SIGNALS, Ordering::Release);
        }
        taken
    }

    /// Gives an order; an order to close is not taken back by one to drain.
    pub(crate) fn order(&self, order: Order) {
        self.put(has::ORDER, |waiting| {
            if !matches!(waiting.order, Some(Order::Close(_))) {
                waiting.order = Some(order);
            }
        });
    }

    /// The order that stands.
    pub(crate) fn ordered(&self) -> Option<Order> {
        if self.holds(has::ORDER) { self.waiting.lock().order } else { None }
    }

    fn holds(&self, what: u8) -> bool {
        self.has.load(Ordering::Acquire) & what != 0
    }

    fn put(&self, what: u8, add: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.waiting.lock();
        // Before it is there: who finds this waits for the lock, and who finds anything of `add` finds this.
        self.has.fetch_or(what, Ordering::Release);
        add(&mut waiting);
        drop(waiting);
        self.waker.wake();
    }

    fn take<T: Default>(&self, what: u8, take: impl FnOnce(&mut Waiting) -> T) -> T {
        if !self.holds(what) {
            return T::default();
        }
        let mut waiting = self.waiting.lock();
        self.has.fetch_and(!what, Ordering::Release);
        take(&mut waiting)
    }
}

/// As the waker of a connection's stream. A connection is woken for what it is to tell far more often than by its peer,
/// and so knows when it need not look there.
impl Wake for Outbox {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has.fetch_or(has::STREAM, Ordering::Release);
        self.waker.wake();
    }
}

/// A subscription as its room knows it.
#[derive(Debug)]
pub(crate) struct Mark {
    /// The subscription's place in its session.
    place: u32,
    user: UserId,
    outbox: Arc<Outbox>,
}

impl Mark {
    pub(crate) fn new(place: u32, user: UserId, outbox: Arc<Outbox>) -> Self {
        Self { place, user, outbox }
    }

    /// Whose session it is.
    pub(crate) fn user(&self) -> &UserId {
        &self.user
    }

    /// Tells sessions apart.
    pub(crate) fn session_key(&self) -> usize {
        Arc::as_ptr(&self.outbox) as usize
    }

    /// Hands over a signal that is told in the mark's room, to who has come to `at` in it.
    pub(crate) fn signal(&self, signal: Arc<Signal>, room: &RoomId, at: Seq) {
        self.outbox.signal(signal, Some(Via { slot: self.place, room: room.clone(), at }));
    }

    /// Called after news was added to the ring. One swap for a session that has not looked yet.
    pub(crate) fn set(&self) {
        if self.outbox.dirty.mark(self.place) {
            self.outbox.waker.wake();
        }
    }
}
