//! What a client's frames ask for, and what comes of it.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;

use super::{Phase, Pump};
use crate::{
    auth::{AuthError, Hello, Identity},
    close::CloseReason,
    domain::ErrorCode,
    engine::{
        caller::Caller,
        error::Error,
        following::{Followed, Prepared},
        operations::room_id,
        outbox::Outbox,
        session::Session,
        shared::Shared,
    },
    id::{Seq, SessionId},
    limits::{BAD_FRAMES_PER_MINUTE, REFUSALS_PER_TEN_SECONDS},
    transport::Connection,
    wire::{
        Answer, Authenticate, ClientCommand, ClientFrame, Heartbeat, RequestId, Subscribe, auth_error_frame,
        error_frame,
    },
};

/// What a command has come to.
pub(super) enum Done {
    /// It was queued, or needs no more than this answer.
    Answered(Option<Bytes>),
    /// The connection is to follow a room.
    Follow(Option<RequestId>, Result<Followed, Error>, Option<Seq>),
    /// The connection is authenticated, or not.
    Entered(Box<Entered>),
    /// The token was renewed, or not.
    Renewed(Option<RequestId>, Result<Identity, Error>),
}

pub(super) struct Entered {
    id: Option<RequestId>,
    heartbeat: Heartbeat,
    session: Result<Session, Error>,
}

impl<C: Connection> Pump<C> {
    /// Looks at a frame from the client.
    pub(super) fn receive(&mut self, json: &[u8]) {
        let now = self.shared.now();
        let decoded = ClientFrame::decode(json);
        let is_unknown = matches!(&decoded, Err(error) if error.code == ErrorCode::UnknownType);
        if let Err(error) = &decoded
            && !(is_unknown && matches!(self.phase, Phase::Live(_)))
        {
            return self.bad_frame(error.id.as_ref(), error.code, &error.message);
        }
        // Whatever is no fault counts, what is not understood and what asks for nothing too.
        if let Err(retry_after_ms) = self.commands.admit(self.shared.limits.commands(), now) {
            let id = decoded.as_ref().map_or_else(|error| error.id.as_ref(), |frame| frame.id.as_ref());
            let text = "too many commands";
            self.push(&error_frame(id, ErrorCode::RateLimited, text, Some(retry_after_ms)));
            return self.note_refusal();
        }
        let frame = match decoded {
            Ok(frame) if matches!(frame.command, ClientCommand::Pong) => return,
            Ok(frame) => frame,
            Err(error) => {
                return self.push(&error_frame(error.id.as_ref(), error.code, &error.message, None));
            }
        };
        let waits = !matches!(
            frame.command,
            ClientCommand::SendMessage(_) | ClientCommand::SendDm(_) | ClientCommand::Ping
        );
        if waits && self.outbox.in_flight() > 0 {
            self.held = Some(Box::new(frame));
        } else {
            self.start(frame);
        }
    }

    pub(super) fn bad_frame(&mut self, id: Option<&RequestId>, code: ErrorCode, message: &str) {
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
    pub(super) fn note_refusals(&mut self) {
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
    pub(super) fn start(&mut self, frame: ClientFrame) {
        let ClientFrame { id, command } = frame;
        let Phase::Live(session) = &mut self.phase else { return self.greet(id, command) };
        let caller = session.caller().clone();
        match command {
            ClientCommand::Authenticate(fields) => {
                let address = self.hello.as_ref().and_then(|hello| hello.address);
                let hello = Hello { token: fields.token, address };
                self.current = Some(Box::pin(renew(caller, session.id().clone(), id, hello)));
            }
            ClientCommand::Subscribe(fields) => self.current = Some(Box::pin(prepare(caller, id, fields))),
            ClientCommand::Unsubscribe(room) => {
                let told = room_id(&room).ok().and_then(|room| session.unsubscribe(&room));
                self.answer(
                    id.as_ref(),
                    Ok(told.map_or(Answer::Done {}, |seq| Answer::Seq { seq: seq.get() })),
                );
            }
            ClientCommand::SendMessage(fields) => {
                let reply = self.later(id);
                let send = async move {
                    caller.perform_send(fields, reply).await;
                    Done::Answered(None)
                };
                self.current = Some(Box::pin(send));
            }
            ClientCommand::SendDm(fields) => {
                let reply = self.later(id);
                let send = async move {
                    caller.perform_send_dm(fields, reply).await;
                    Done::Answered(None)
                };
                self.current = Some(Box::pin(send));
            }
            command => self.current = Some(Box::pin(perform(caller, id, command))),
        }
    }

    /// Counts a command that is answered later, and gives what answers it.
    fn later(&self, id: Option<RequestId>) -> impl FnOnce(Result<Answer, Error>) + Send + use<C> {
        self.outbox.expect_answer();
        let outbox = self.outbox.clone();
        move |outcome| {
            let refused = outcome.as_ref().is_err_and(|error| error.code() == ErrorCode::RateLimited);
            outbox.answer(answer_frame(id.as_ref(), outcome), refused);
        }
    }

    /// Deals with the first frame.
    fn greet(&mut self, id: Option<RequestId>, command: ClientCommand) {
        let ClientCommand::Authenticate(mut fields) = command else {
            return self.bad_frame(id.as_ref(), ErrorCode::Unauthenticated, "authenticate first");
        };
        let mut hello = self.hello.take().map(|hello| *hello).unwrap_or_default();
        if let Some(address) = hello.address {
            self.hello = Some(Box::new(Hello { token: None, address: Some(address) }));
        }
        if let Some(token) = fields.token.take() {
            hello.token = Some(token);
        }
        self.current = Some(Box::pin(enter(self.shared.clone(), self.outbox.clone(), hello, id, fields)));
    }

    pub(super) fn finish(&mut self, done: Done) {
        match done {
            Done::Answered(frame) => {
                self.flush_answers();
                frame.into_iter().for_each(|frame| self.push(&frame));
            }
            Done::Follow(id, followed, after) => {
                let Phase::Live(session) = &mut self.phase else { return };
                let outcome =
                    followed.map(|followed| Answer::Seq { seq: session.follow_asked(followed, after).get() });
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
                self.phase = Phase::Live(session);
                self.alive_at = Instant::now();
                self.ping_at = self.alive_at + self.shared.timing.heartbeat;
                let next = self.next_deadline();
                self.timer.reset(next);
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

    fn renew(&mut self, id: Option<&RequestId>, identity: Result<Identity, Error>) {
        let Phase::Live(session) = &self.phase else { return };
        match identity {
            Ok(identity) => {
                self.expires_at = identity.expires_at;
                let welcome = self.welcome(session);
                self.push(&welcome.frame(id));
                let next = self.next_deadline();
                self.timer.reset(next);
            }
            Err(error) => self.refuse(id, &error),
        }
    }

    fn refuse(&mut self, id: Option<&RequestId>, error: &Error) {
        self.push(&auth_error_frame(id, error.code(), &error.to_string()));
        if matches!(error, Error::Auth(AuthError::Erased | AuthError::Disabled)) {
            return self.close(CloseReason::Banned);
        }
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
        let closings = shared.users.closings();
        let identity = shared.authenticator.authenticate(hello.clone()).await?;
        let caller = Caller::enter(shared.clone(), identity).await?;
        let session = Session::open(caller, outbox, subscribe, resume, epoch).await?;
        if shared.users.closings() != closings {
            // What was revoked since it was looked at is seen now.
            shared.authenticator.authenticate(hello).await?;
        }
        Ok(session)
    };
    Done::Entered(Box::new(Entered { id, heartbeat, session: session.await }))
}

/// Whether a newer token is good for the session: it has to pass whatever a first one has to.
async fn renew(caller: Caller, session: SessionId, id: Option<RequestId>, hello: Hello) -> Done {
    let shared = caller.shared();
    let identity = async {
        let closings = shared.users.closings();
        let identity = shared.authenticator.authenticate(hello.clone()).await?;
        if identity.user != *caller.user() {
            return Err(AuthError::Invalid.into());
        }
        let identity = Caller::enter(shared.clone(), identity).await?.identity().clone();
        shared.users.renew(&identity, &session);
        if shared.users.closings() != closings {
            // Its login may have ended while the session still stood under an earlier one, and was passed over.
            shared.authenticator.authenticate(hello).await?;
        }
        Ok(identity)
    };
    let identity = identity.await;
    Done::Renewed(id, identity)
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
