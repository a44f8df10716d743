//! One connection and its session: frames in, commands carried out, answers and entries out.
//!
//! A hand-written future, so that the state of an idle connection is what its fields say and no more. Its
//! `poll` reads as the list of what a connection does.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    caller::Caller,
    error::Error,
    operations::room_id,
    outbox::{Order, Outbox},
    session::{Followed, Prepared, Session},
    shared::{Registration, Shared},
};
use crate::{
    auth::{AuthError, Hello, Identity},
    close::CloseReason,
    domain::{ErrorCode, Gcra, Strikes},
    id::Seq,
    limits::{BAD_FRAMES_PER_MINUTE, OUTBOX_MAX, REFUSALS_PER_TEN_SECONDS},
    time::Timestamp,
    transport::{Connection, Received, SendQueue},
    wire::{
        Answer, Authenticate, ClientCommand, ClientFrame, Heartbeat, Notice, RequestId, Subscribe,
        auth_error_frame, error_frame,
    },
};

/// Runs one connection until it is closed.
pub(crate) struct Pump<C> {
    shared: Arc<Shared>,
    connection: C,
    outbox: Arc<Outbox>,
    _registration: Registration,
    phase: Phase,
    /// What the handshake presented, until it is used.
    hello: Option<Box<Hello>>,
    /// Wire bytes on their way out; empty and without memory when all is written.
    queue: SendQueue,
    /// The one timer: the nearest of all deadlines below.
    timer: Pin<Box<Sleep>>,
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

enum Phase {
    /// Waiting for `authenticate`, until then.
    Greeting(Instant),
    /// Authenticated.
    Live(Box<Session>),
    /// Saying goodbye: what is queued is written until the deadline, then the reason is given.
    Closing(CloseReason, Instant),
}

/// What a command has come to.
enum Done {
    /// It was queued, or needs no more than this answer.
    Answered(Option<Bytes>),
    /// The connection is to follow a room.
    Follow(Option<RequestId>, Result<Followed, Error>, Option<Seq>),
    /// The connection is authenticated, or not.
    Entered(Box<Entered>),
    /// The token was renewed, or not.
    Renewed(Option<RequestId>, Result<Identity, AuthError>),
}

struct Entered {
    id: Option<RequestId>,
    heartbeat: Heartbeat,
    session: Result<Session, Error>,
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
            outbox,
            phase: Phase::Greeting(greeting_ends),
            hello: Some(Box::new(hello)),
            queue: SendQueue::default(),
            timer: Box::pin(sleep_until(greeting_ends)),
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
    fn poll_input(&mut self, cx: &mut Context<'_>) -> bool {
        let draining = self.outbox.ordered().is_some();
        let busy = self.current.is_some()
            || self.held.is_some()
            || self.outbox.in_flight() >= self.shared.limits.commands_in_flight
            || self.queue.frames() >= OUTBOX_MAX;
        if draining || busy || matches!(self.phase, Phase::Closing(..)) {
            return false;
        }
        let Poll::Ready(received) = self.connection.poll_receive(cx) else { return false };
        self.alive_at = Instant::now();
        match received {
            Received::Text(json) => self.receive(&json),
            Received::NotText => self.bad_frame(None, ErrorCode::BadRequest, "frames are JSON text"),
            Received::Alive => {}
            Received::TooLarge => self.close(CloseReason::TooLarge),
            Received::Malformed => self.close(CloseReason::Abuse),
            Received::Closed => self.close(CloseReason::Normal),
        }
        true
    }

    /// Takes what the session has to tell and writes it.
    fn poll_output(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        if self.queue.is_empty() {
            let (queue, framing) = (&mut self.queue, self.connection.framing());
            if let Phase::Live(session) = &mut self.phase {
                let user = session.caller().user().clone();
                let mut tell =
                    |outgoing: super::session::Outgoing| queue.push(outgoing.frame(&user).framed(framing));
                moved = session.poll_pull(cx, &mut tell).is_ready();
            } else {
                self.outbox.register(cx.waker());
            }
        }
        let before = self.queue.bytes();
        let sent = self.connection.poll_send(cx, &mut self.queue);
        if self.queue.bytes() < before {
            // A slow but living reader is one that takes something now and then.
            self.alive_at = Instant::now();
            moved = true;
        }
        if let Poll::Ready(Err(_)) = sent {
            self.phase = Phase::Closing(CloseReason::Normal, Instant::now());
            self.queue = SendQueue::default();
            return true;
        }
        moved
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

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let mut fired = false;
        while self.timer.as_mut().poll(cx).is_ready() {
            fired = true;
            self.deadlines();
            let next = self.next_deadline();
            self.timer.as_mut().reset(next);
        }
        fired
    }

    /// Does what is due.
    fn deadlines(&mut self) {
        let now = Instant::now();
        match &self.phase {
            Phase::Greeting(until) if now >= *until => self.close(CloseReason::TimedOut),
            Phase::Live(_) if now >= self.alive_at + self.shared.timing.silence => {
                // A peer that takes nothing can't be told why either.
                self.queue = SendQueue::default();
                self.close(CloseReason::TimedOut);
            }
            Phase::Live(_) if self.is_expired() => self.close(CloseReason::Unauthenticated),
            Phase::Live(_) if now >= self.ping_at => {
                self.ping_at = now + self.shared.timing.heartbeat;
                match self.heartbeat {
                    Heartbeat::Control => self.connection.ping(),
                    Heartbeat::Message if self.queue.is_empty() => self.push(&Notice::Ping.frame()),
                    // Frames that are on their way ask for as much.
                    Heartbeat::Message => {}
                }
            }
            _ => {}
        }
    }

    fn is_expired(&self) -> bool {
        self.expires_at.is_some_and(|at| self.shared.now() >= at)
    }

    fn next_deadline(&self) -> Instant {
        match &self.phase {
            Phase::Greeting(until) | Phase::Closing(_, until) => *until,
            Phase::Live(_) => {
                let silent = self.alive_at + self.shared.timing.silence;
                let next = self.ping_at.min(silent).max(Instant::now() + Duration::from_millis(1));
                let left = |at: Timestamp| {
                    Instant::now() + Duration::from_millis(at.millis_since(self.shared.now()))
                };
                self.expires_at.map_or(next, |at| next.min(left(at)))
            }
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
        self.timer.as_mut().reset(until);
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, reason: CloseReason, until: Instant) -> Poll<()> {
        if !self.queue.is_empty() {
            let expired = self.timer.as_mut().poll(cx).is_ready() && Instant::now() >= until;
            match self.connection.poll_send(cx, &mut self.queue) {
                Poll::Ready(Ok(())) => {}
                // In the middle of a frame no reason can be given: the connection is just dropped.
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending if expired => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.connection.poll_close(cx, reason)
    }

    /// Looks at a frame from the client.
    fn receive(&mut self, json: &[u8]) {
        let now = self.shared.now();
        let frame = match ClientFrame::decode(json) {
            Ok(frame) => frame,
            Err(error) if error.code == ErrorCode::UnknownType && matches!(self.phase, Phase::Live(_)) => {
                return self.push(&error_frame(error.id.as_ref(), error.code, &error.message, None));
            }
            Err(error) => return self.bad_frame(error.id.as_ref(), error.code, &error.message),
        };
        if matches!(frame.command, ClientCommand::Pong) {
            return;
        }
        if let Err(retry_after_ms) = self.commands.admit(self.shared.limits.commands(), now) {
            let text = "too many commands";
            self.push(&error_frame(frame.id.as_ref(), ErrorCode::RateLimited, text, Some(retry_after_ms)));
            return self.note_refusal();
        }
        let waits = !matches!(frame.command, ClientCommand::SendMessage(_) | ClientCommand::Ping);
        if waits && self.outbox.in_flight() > 0 {
            self.held = Some(Box::new(frame));
        } else {
            self.start(frame);
        }
    }

    fn bad_frame(&mut self, id: Option<&RequestId>, code: ErrorCode, message: &str) {
        // Before authentication nothing else is said, so that a stranger learns nothing of what is understood.
        let greeting = matches!(self.phase, Phase::Greeting(_));
        let (code, message) = match (greeting, code) {
            (true, ErrorCode::UnknownType) => (ErrorCode::Unauthenticated, "authenticate first"),
            _ => (code, message),
        };
        self.push(&error_frame(id, code, message, None));
        if self.bad_frames.note(BAD_FRAMES_PER_MINUTE, 60_000, self.shared.now()) {
            self.close(CloseReason::Abuse);
        }
    }

    /// Holds answers that went over a rate against the connection.
    fn note_refusals(&mut self) {
        for _ in 0..self.outbox.take_refusals() {
            self.note_refusal();
        }
    }

    fn note_refusal(&mut self) {
        if self.refusals.note(REFUSALS_PER_TEN_SECONDS, 10_000, self.shared.now()) {
            self.close(CloseReason::Flood);
        }
    }

    /// Starts a command whose turn has come.
    fn start(&mut self, frame: ClientFrame) {
        let ClientFrame { id, command } = frame;
        let Phase::Live(session) = &mut self.phase else { return self.greet(id, command) };
        let caller = session.caller().clone();
        match command {
            ClientCommand::Authenticate(fields) => {
                self.current = Some(Box::pin(renew(self.shared.clone(), id, fields)))
            }
            ClientCommand::Subscribe(fields) => self.current = Some(Box::pin(prepare(caller, id, fields))),
            ClientCommand::Unsubscribe(room) => {
                if let Ok(room) = room_id(&room) {
                    session.unsubscribe(&room);
                }
                self.answer(id.as_ref(), Ok(Answer::Done {}));
            }
            ClientCommand::SendMessage(fields) => {
                self.outbox.expect_answer();
                let (outbox, answered) = (self.outbox.clone(), id);
                let reply = move |outcome: Result<_, Error>| {
                    let refused = outcome.as_ref().is_err_and(|error| error.code() == ErrorCode::RateLimited);
                    outbox.answer(answer_frame(answered.as_ref(), outcome), refused);
                };
                let send = async move {
                    caller.perform_send(fields, reply).await;
                    Done::Answered(None)
                };
                self.current = Some(Box::pin(send));
            }
            command => self.current = Some(Box::pin(perform(caller, id, command))),
        }
    }

    /// Deals with the first frame.
    fn greet(&mut self, id: Option<RequestId>, command: ClientCommand) {
        let ClientCommand::Authenticate(mut fields) = command else {
            return self.bad_frame(id.as_ref(), ErrorCode::Unauthenticated, "authenticate first");
        };
        let mut hello = self.hello.take().map(|hello| *hello).unwrap_or_default();
        if let Some(token) = fields.token.take() {
            hello.token = Some(token);
        }
        self.current = Some(Box::pin(enter(self.shared.clone(), self.outbox.clone(), hello, id, fields)));
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Answered(frame) => {
                self.flush_answers();
                frame.into_iter().for_each(|frame| self.push(&frame));
            }
            Done::Follow(id, followed, after) => {
                let Phase::Live(session) = &mut self.phase else { return };
                let outcome =
                    followed.map(|followed| Answer::Seq { seq: session.follow(followed, after).get() });
                self.answer(id.as_ref(), outcome);
            }
            Done::Entered(entered) => self.enter(*entered),
            Done::Renewed(id, identity) => self.renew(id.as_ref(), identity),
        }
    }

    fn enter(&mut self, entered: Entered) {
        let Entered { id, heartbeat, session } = entered;
        match session {
            Ok(session) => {
                self.heartbeat = heartbeat;
                self.expires_at = session.caller().identity().expires_at;
                let welcome = self.welcome(&session);
                self.push(&welcome.frame(id.as_ref()));
                self.phase = Phase::Live(Box::new(session));
                self.alive_at = Instant::now();
                self.ping_at = self.alive_at + self.shared.timing.heartbeat;
                let next = self.next_deadline();
                self.timer.as_mut().reset(next);
            }
            Err(error) => self.refuse(id.as_ref(), &error),
        }
    }

    fn welcome(&self, session: &Session) -> Answer {
        let caller = session.caller();
        Answer::Authenticated {
            user_id: caller.user().as_str().to_owned(),
            username: caller.username().as_str().to_owned(),
            session_id: session.id().as_str().to_owned(),
            server_time: self.shared.now(),
            epoch: self.shared.store.epoch(),
            heartbeat_ms: u64::try_from(self.shared.timing.heartbeat.as_millis()).unwrap_or(u64::MAX),
            limits: (&self.shared.limits).into(),
        }
    }

    fn renew(&mut self, id: Option<&RequestId>, identity: Result<Identity, AuthError>) {
        let Phase::Live(session) = &self.phase else { return };
        match identity {
            Ok(identity) if identity.user == *session.caller().user() => {
                self.expires_at = identity.expires_at;
                let welcome = self.welcome(session);
                self.push(&welcome.frame(id));
                let next = self.next_deadline();
                self.timer.as_mut().reset(next);
            }
            Ok(_) => self.refuse(id, &AuthError::Invalid.into()),
            Err(error) => self.refuse(id, &error.into()),
        }
    }

    fn refuse(&mut self, id: Option<&RequestId>, error: &Error) {
        self.push(&auth_error_frame(id, error.code(), &error.to_string()));
        self.close(match error.code() {
            ErrorCode::RateLimited => CloseReason::Flood,
            // Nothing is wrong with the token: come again.
            ErrorCode::Unavailable | ErrorCode::Internal => CloseReason::TimedOut,
            ErrorCode::BadRequest => CloseReason::Abuse,
            _ => CloseReason::Unauthenticated,
        });
    }

    fn answer(&mut self, id: Option<&RequestId>, outcome: Result<Answer, Error>) {
        self.flush_answers();
        if let Some(frame) = answer_frame(id, outcome) {
            self.push(&frame);
        }
    }
}

impl<C: Connection> Future for Pump<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..ROUNDS_MAX {
            if let Phase::Closing(reason, until) = this.phase {
                return this.poll_close(cx, reason, until);
            }
            let mut moved = this.poll_timer(cx);
            moved |= this.poll_current(cx);
            moved |= this.poll_input(cx);
            moved |= this.poll_output(cx);
            this.note_refusals();
            moved |= this.obey();
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

/// Who the connection is, and its session.
async fn enter(
    shared: Arc<Shared>,
    outbox: Arc<Outbox>,
    hello: Hello,
    id: Option<RequestId>,
    fields: Authenticate,
) -> Done {
    let Authenticate { resume, epoch, subscribe, heartbeat, .. } = fields;
    let session = async {
        let identity = shared.authenticator.authenticate(hello).await?;
        let caller = Caller::enter(shared.clone(), identity).await?;
        Session::open(caller, outbox, subscribe, resume, epoch).await
    };
    Done::Entered(Box::new(Entered { id, heartbeat, session: session.await }))
}

/// Whether a newer token is good.
async fn renew(shared: Arc<Shared>, id: Option<RequestId>, fields: Authenticate) -> Done {
    let hello = Hello { token: fields.token, ..Hello::default() };
    Done::Renewed(id, shared.authenticator.authenticate(hello).await)
}

/// Whether a room may be followed.
async fn prepare(caller: Caller, id: Option<RequestId>, fields: Subscribe) -> Done {
    let check = async {
        let room = room_id(&fields.room_id)?;
        Prepared::new(caller.shared().clone(), caller.user().clone(), room).check().await
    };
    let followed = check.await;
    Done::Follow(id, followed, fields.after.map(Seq::new))
}

async fn perform(caller: Caller, id: Option<RequestId>, command: ClientCommand) -> Done {
    let outcome = caller.perform(command).await;
    Done::Answered(answer_frame(id.as_ref(), outcome))
}

/// An outcome as a frame. Success without an id wants no answer.
fn answer_frame(id: Option<&RequestId>, outcome: Result<Answer, Error>) -> Option<Bytes> {
    match outcome {
        Ok(answer) => id.map(|_| answer.frame(id)),
        Err(error) => Some(error_frame(id, error.code(), &error.to_string(), error.retry_after_ms())),
    }
}
