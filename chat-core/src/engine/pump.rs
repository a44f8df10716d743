//! One connection and its session: frames in, commands carried out, answers and entries out.
//!
//! A hand-written future, so that the state of an idle connection is what its fields say and no more. Its
//! `poll` reads as the list of what a connection does.

mod commands;
mod deadlines;
mod timer;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use self::{commands::Done, timer::Timer};
use super::{
    outbox::{Order, Outbox},
    session::{Pulled, Session},
    shared::{Registration, Shared},
};
use crate::{
    auth::Hello,
    close::CloseReason,
    domain::{ErrorCode, Gcra, Strikes},
    limits::OUTBOX_MAX,
    time::Timestamp,
    transport::{Connection, Received, SendQueue},
    wire::{ClientFrame, Heartbeat, Notice},
};

/// Runs one connection until it is closed.
pub(crate) struct Pump<C> {
    shared: Arc<Shared>,
    connection: C,
    outbox: Arc<Outbox>,
    /// Wakes by way of the outbox, for the connection.
    stream_waker: Waker,
    /// What the last look at the connection's input has come to.
    input: Input,
    _registration: Registration,
    phase: Phase,
    /// What the handshake presented: its token until that is used, where it comes from for good.
    hello: Option<Box<Hello>>,
    /// Wire bytes on their way out; empty and without memory when all is written.
    queue: SendQueue,
    /// The one timer: the nearest of all deadlines below.
    timer: Timer,
    ping_at: Instant,
    alive_at: Instant,
    expires_at: Option<Timestamp>,
    heartbeat: Heartbeat,
    commands: Gcra,
    bad_frames: Strikes,
    refusals: Strikes,
    /// A command that is being carried out; nothing is read meanwhile, so that order is kept.
    current: Option<Pin<Box<dyn Future<Output = Done> + Send>>>,
    /// A command that waits until all before it are answered.
    held: Option<Box<ClientFrame>>,
}

#[allow(clippy::large_enum_variant, reason = "nearly all are live, nearly all the time")]
enum Phase {
    /// Waiting for `authenticate`, until then.
    Greeting(Instant),
    /// Authenticated.
    Live(Session),
    /// Saying goodbye: what is queued is written until the deadline, then the reason is given.
    Closing(CloseReason, Instant),
}

/// What a look at the connection's input has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    /// Something was read.
    Took,
    /// There is nothing; the stream wakes the connection when there is.
    Waits,
    /// Nothing may be read now.
    Paused,
}

/// How long a closing connection may take to write what is queued.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// Rounds of work before other tasks get their turn.
const ROUNDS_MAX: usize = 16;

/// After how long drained clients should come back, at the earliest.
const RECONNECT_AFTER_MS: u64 = 1_000;

impl<C: Connection> Pump<C> {
    pub(crate) fn new(shared: Arc<Shared>, connection: C, hello: Hello) -> Self {
        let outbox = Arc::new(Outbox::default());
        let now = Instant::now();
        let greeting_ends = now + shared.timing.handshake;
        Self {
            _registration: Registration::new(&shared, &outbox),
            connection,
            stream_waker: Waker::from(outbox.clone()),
            input: Input::Paused,
            outbox,
            phase: Phase::Greeting(greeting_ends),
            hello: Some(Box::new(hello)),
            queue: SendQueue::default(),
            timer: Timer::new(greeting_ends),
            ping_at: now + shared.timing.heartbeat,
            alive_at: now,
            expires_at: None,
            heartbeat: Heartbeat::Control,
            commands: Gcra::default(),
            bad_frames: Strikes::default(),
            refusals: Strikes::default(),
            current: None,
            held: None,
            shared,
        }
    }

    /// Carries on with the command that is under way.
    fn poll_current(&mut self, cx: &mut Context<'_>) -> bool {
        if self.current.is_none() {
            // Commands that depend on what came before wait until all of that is answered.
            if self.held.is_none() || self.outbox.in_flight() > 0 {
                return false;
            }
            if let Some(frame) = self.held.take() {
                self.start(*frame);
            }
        }
        let Some(current) = &mut self.current else { return true };
        let Poll::Ready(done) = current.as_mut().poll(cx) else { return false };
        self.current = None;
        self.finish(done);
        true
    }

    /// Reads the next frame, unless reading has to pause.
    fn poll_input(&mut self, cx: &mut Context<'_>, now: Instant) -> Input {
        let draining = self.outbox.ordered().is_some();
        let busy = self.current.is_some()
            || self.held.is_some()
            || self.outbox.in_flight() >= self.shared.limits.commands_in_flight
            || self.frames_waiting() >= OUTBOX_MAX;
        if draining || busy || matches!(self.phase, Phase::Closing(..)) {
            return Input::Paused;
        }
        let Poll::Ready(received) = self.connection.poll_receive(cx) else { return Input::Waits };
        self.alive_at = now;
        match received {
            Received::Text(json) => self.receive(&json),
            Received::NotText => self.bad_frame(None, ErrorCode::BadRequest, "frames are JSON text"),
            Received::Alive => {}
            Received::TooLarge => self.close(CloseReason::TooLarge),
            Received::Malformed => self.close(CloseReason::Abuse),
            Received::Closed => self.close(CloseReason::Normal),
        }
        Input::Took
    }

    /// Frames that are on their way, and those that each command adds to without being answered.
    fn frames_waiting(&self) -> usize {
        let notices = match &self.phase {
            Phase::Live(session) => session.notices_waiting(),
            Phase::Greeting(_) | Phase::Closing(..) => 0,
        };
        self.queue.frames() + notices
    }

    /// Takes what the session has to tell and writes it. Tells whether there is more to do at once.
    fn poll_output(&mut self, cx: &mut Context<'_>, stream_cx: &mut Context<'_>, now: Instant) -> bool {
        // What is left from before goes first, and then there may be more to pull.
        let mut pulled = if self.queue.is_empty() { Pulled::Nothing } else { Pulled::Part };
        if self.queue.is_empty()
            && let Phase::Live(session) = &mut self.phase
        {
            let (queue, framing) = (&mut self.queue, self.connection.framing());
            pulled = session.poll_pull(cx, &mut |outgoing| queue.push(outgoing.framed(framing)));
        }
        let before = self.queue.bytes();
        let sent = self.connection.poll_send(stream_cx, &mut self.queue);
        let wrote = self.queue.bytes() < before;
        if wrote {
            // A slow but living reader is one that takes something now and then.
            self.alive_at = now;
        }
        match sent {
            // Its waker stands with the connection.
            Poll::Pending => false,
            // Reading may have paused for what is written now.
            Poll::Ready(Ok(())) => pulled == Pulled::Part || (wrote && self.input == Input::Paused),
            Poll::Ready(Err(_)) => {
                self.phase = Phase::Closing(CloseReason::Normal, Instant::now());
                self.queue = SendQueue::default();
                true
            }
        }
    }

    /// Obeys the engine: drain or close.
    fn obey(&mut self) -> bool {
        match (self.outbox.ordered(), &self.phase) {
            (None, _) | (_, Phase::Closing(..)) => false,
            (Some(Order::Close(reason)), _) => {
                self.close(reason);
                true
            }
            (Some(Order::Drain), _) => {
                let answered = self.current.is_none() && self.held.is_none() && self.outbox.in_flight() == 0;
                if answered {
                    self.flush_answers();
                    self.push(&Notice::ServerDraining(RECONNECT_AFTER_MS).frame());
                    self.close(CloseReason::Draining);
                }
                answered
            }
        }
    }

    /// Queues the answers that are waiting, so that a later one does not overtake them.
    fn flush_answers(&mut self) {
        for answer in self.outbox.take_answers() {
            self.push(&answer);
        }
    }

    fn push(&mut self, json: &Bytes) {
        let framing = self.connection.framing();
        self.queue.push((framing.encode)(json));
    }

    fn close(&mut self, reason: CloseReason) {
        let until = Instant::now() + CLOSE_GRACE;
        // The session goes at once: what is told from here on is only what is queued already.
        self.phase = Phase::Closing(reason, until);
        self.current = None;
        self.held = None;
        self.timer.reset(until);
    }

    fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        stream_cx: &mut Context<'_>,
        reason: CloseReason,
        until: Instant,
    ) -> Poll<()> {
        if !self.queue.is_empty() {
            let now = Instant::now();
            let expired = self.timer.poll(cx, now) && now >= until;
            match self.connection.poll_send(stream_cx, &mut self.queue) {
                Poll::Ready(Ok(())) => {}
                // In the middle of a frame no reason can be given: the connection is just dropped.
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending if expired => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.connection.poll_close(stream_cx, reason)
    }
}

impl<C: Connection> Future for Pump<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        // Orders and answers wake a connection even while it waits for its peer to take something.
        this.outbox.register(cx.waker());
        let now = Instant::now();
        let stream_waker = this.stream_waker.clone();
        let stream_cx = &mut Context::from_waker(&stream_waker);
        for _ in 0..ROUNDS_MAX {
            if let Phase::Closing(reason, until) = this.phase {
                return this.poll_close(cx, stream_cx, reason, until);
            }
            let mut moved = this.poll_timer(cx, now);
            moved |= this.poll_current(cx);
            if this.outbox.take_stream() || this.input != Input::Waits {
                this.input = this.poll_input(stream_cx, now);
            }
            moved |= this.input == Input::Took;
            moved |= this.poll_output(cx, stream_cx, now);
            this.note_refusals();
            moved |= matches!(this.phase, Phase::Closing(..)) || this.obey();
            if !moved {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<C> std::fmt::Debug for Pump<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pump")
    }
}
