//! What waits for one connection, and how it is woken: answers, rooms with news, signals, orders to close.
//!
//! Log entries are not in here: a room that has some only marks itself, and the session pulls after its cursor.

use std::{collections::VecDeque, sync::Arc, task::Waker};

use bytes::Bytes;
use futures::task::AtomicWaker;
use parking_lot::Mutex;

use super::{
    cell::Cell,
    flag::Flag,
    signal::{Hearing, Signal, Via, WaitingSignals},
};
use crate::{
    close::CloseReason,
    id::{RoomId, Seq, UserId},
};

/// The part of a connection that other tasks reach.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waker: AtomicWaker,
    waiting: Mutex<Waiting>,
}

/// Each field is bounded: answers by the commands in flight, dirty rooms and joined rooms by the rooms that one
/// user may belong to, signals by [`crate::limits::SIGNALS_WAITING_MAX`].
#[derive(Debug, Default)]
struct Waiting {
    answers: VecDeque<Bytes>,
    in_flight: usize,
    /// Answers that said `rate_limited`, not yet held against the connection.
    refusals: usize,
    dirty: Vec<u32>,
    joined: Vec<(Arc<Cell>, Seq)>,
    /// Only while there are some.
    signals: Option<Box<WaitingSignals>>,
    order: Option<Order>,
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

    /// Notes that a command will be answered later.
    pub(crate) fn expect_answer(&self) {
        self.waiting.lock().in_flight += 1;
    }

    /// Hands over the answer to a command; `None` when it wants none. `refused` when it went over a rate.
    pub(crate) fn answer(&self, frame: Option<Bytes>, refused: bool) {
        let mut waiting = self.waiting.lock();
        waiting.refusals += usize::from(refused);
        waiting.in_flight = waiting.in_flight.saturating_sub(1);
        waiting.answers.extend(frame);
        drop(waiting);
        self.waker.wake();
    }

    /// Commands whose answer is still to come.
    pub(crate) fn in_flight(&self) -> usize {
        self.waiting.lock().in_flight
    }

    /// Takes the answers that have come.
    pub(crate) fn take_answers(&self) -> VecDeque<Bytes> {
        std::mem::take(&mut self.waiting.lock().answers)
    }

    /// Takes the count of answers that went over a rate.
    pub(crate) fn take_refusals(&self) -> usize {
        std::mem::take(&mut self.waiting.lock().refusals)
    }

    /// Takes the places of rooms that have news.
    pub(crate) fn take_dirty(&self) -> Vec<u32> {
        std::mem::take(&mut self.waiting.lock().dirty)
    }

    /// Takes the rooms that the user has joined meanwhile, with the first entry to tell.
    pub(crate) fn take_joined(&self) -> Vec<(Arc<Cell>, Seq)> {
        std::mem::take(&mut self.waiting.lock().joined)
    }

    /// Tells that the user has joined a room, and from which entry on to tell it. Of several joinings of one room the first counts: following the
    /// log from there meets the others.
    pub(crate) fn joined(&self, cell: &Arc<Cell>, first: Seq) {
        let mut waiting = self.waiting.lock();
        if !waiting.joined.iter().any(|(known, _)| Arc::ptr_eq(known, cell)) {
            waiting.joined.push((cell.clone(), first));
        }
        drop(waiting);
        self.waker.wake();
    }

    /// Adds a signal in the place of an older one of its topic. `via` for one that is told in a room.
    pub(crate) fn signal(&self, signal: Arc<Signal>, via: Option<Via>) {
        self.waiting.lock().signals.get_or_insert_default().add(signal, via);
        self.waker.wake();
    }

    /// Takes the oldest signals, at most `most`, of those whose room may be heard now.
    pub(crate) fn take_signals(&self, most: usize, hears: impl FnMut(&Via) -> Hearing) -> Vec<Arc<Signal>> {
        let mut waiting = self.waiting.lock();
        let Some(signals) = &mut waiting.signals else { return Vec::new() };
        let taken = signals.take(most, hears);
        if signals.is_empty() {
            waiting.signals = None;
        }
        taken
    }

    /// Gives an order; an order to close is not taken back by one to drain.
    pub(crate) fn order(&self, order: Order) {
        let mut waiting = self.waiting.lock();
        if !matches!(waiting.order, Some(Order::Close(_))) {
            waiting.order = Some(order);
        }
        drop(waiting);
        self.waker.wake();
    }

    /// The order that stands.
    pub(crate) fn ordered(&self) -> Option<Order> {
        self.waiting.lock().order
    }
}

/// One subscription's mark in its room: set when the room has news that the session has not looked at.
#[derive(Debug)]
pub(crate) struct Mark {
    news: Flag,
    /// The subscription's place in its session.
    slot: u32,
    user: UserId,
    outbox: Arc<Outbox>,
}

impl Mark {
    pub(crate) fn new(slot: u32, user: UserId, outbox: Arc<Outbox>) -> Self {
        Self { news: Flag::default(), slot, user, outbox }
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
        self.outbox.signal(signal, Some(Via { slot: self.slot, room: room.clone(), at }));
    }

    /// Called after news was added to the ring. One swap for a session that has not looked yet.
    pub(crate) fn set(&self) {
        if self.news.raise() {
            self.outbox.waiting.lock().dirty.push(self.slot);
            self.outbox.waker.wake();
        }
    }

    /// Called before looking at the ring.
    pub(crate) fn clear(&self) {
        self.news.lower();
    }
}
