//! The task behind a client: connect, authenticate, read and write, and again.

use std::{sync::Arc, time::Duration};

use chat_core::auth::Secret;
use futures::{SinkExt, StreamExt, stream::SplitSink, stream::SplitStream};
use http::{StatusCode, Uri};
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Error, Message, protocol::WebSocketConfig},
};

use super::{BoxStream, ClientError, Dial, Event, Incoming, Shared, TokenSource, Welcome, backoff::Backoff};
use crate::limits::{CONNECT_TIMEOUT, FRAME_BYTES_MAX, READ_BYTES, SERVER_FRAME_BYTES_MAX};

type Socket = WebSocketStream<BoxStream>;

pub(super) struct Link {
    pub(super) shared: Arc<Shared>,
    pub(super) token: watch::Receiver<Option<Secret>>,
    pub(super) address: Uri,
    pub(super) source: Option<TokenSource>,
    pub(super) dialer: Arc<dyn Dial>,
    pub(super) subscribe_none: bool,
    pub(super) epoch: Option<String>,
    /// Who one is, once connected.
    pub(super) user: String,
    pub(super) backoff: Backoff,
    pub(super) events: mpsc::Sender<Event>,
    /// The delay that `server_draining` asked for.
    pub(super) draining: Option<Duration>,
    /// Tokens refused since the last that was taken.
    pub(super) refusals: u32,
}

/// A connection that is authenticated.
struct Open {
    socket: Socket,
    welcome: Welcome,
    heartbeat: Duration,
    /// Rooms that were too many to resume.
    left_out: Vec<String>,
}

/// How a connection ended.
#[derive(Debug)]
enum End {
    /// Without a word, or never came about.
    Lost,
    /// With a close code.
    Closed(u16),
    /// The token was refused, with the server's word for it.
    TokenRefused(String),
    /// The server asks to be left alone for a while.
    Busy,
    /// By the caller's wish.
    Finished,
}

/// What to do after a connection.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Retry(Duration),
    NewToken,
    Stop,
}

/// Doublings of the delay for a server that is flooded.
const BUSY_STEPS: u32 = 4;

/// How long a goodbye of ours may take.
const GOODBYE: Duration = Duration::from_secs(2);

impl Link {
    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let code = tokio::select! {
            code = self.hold_up() => code,
            () = async { shared.finished().await; sleep(GOODBYE).await } => None,
        };
        shared.outbox.stop();
        self.tell(Event::Stopped { code }).await;
    }

    /// Connects again and again; ends with the close code for which it may not.
    async fn hold_up(&mut self) -> Option<u16> {
        loop {
            let end = self.connect_once().await;
            let code = match &end {
                End::Closed(code) => Some(*code),
                _ => None,
            };
            if code == Some(1009) {
                self.shared.outbox.drop_largest_sent();
            }
            self.shared.outbox.cut();
            let shared = Arc::clone(&self.shared);
            tokio::select! {
                biased;
                () = shared.finished() => return None,
                go_on = self.recover(end, code) => if !go_on { return code },
            }
        }
    }

    /// Waits until it may connect again. False when it never may.
    async fn recover(&mut self, end: End, code: Option<u16>) -> bool {
        match self.after(&end) {
            Next::Retry(delay) => {
                self.tell(Event::Disconnected { code, retry_in: delay }).await;
                sleep(delay).await;
            }
            Next::NewToken => self.renew_token(end).await,
            Next::Stop => return false,
        }
        true
    }

    /// The table of docs/protocol.md, Errors and closing.
    fn after(&mut self, end: &End) -> Next {
        let draining = self.draining.take();
        match end {
            End::Finished | End::Closed(4400 | 4403) => Next::Stop,
            End::TokenRefused(_) | End::Closed(4401) => Next::NewToken,
            End::Busy | End::Closed(4429) => Next::Retry(self.backoff.next(BUSY_STEPS)),
            End::Lost | End::Closed(_) => Next::Retry(match draining {
                Some(least) => self.backoff.asked_for(least),
                None => self.backoff.next(1),
            }),
        }
    }

    /// Gets another token than the one that was refused, from its source at first, then from the caller.
    async fn renew_token(&mut self, end: End) {
        self.refusals += 1;
        if self.refusals == 1
            && let Some(source) = &self.source
            && let Some(token) = source().await
        {
            self.shared.token.send_replace(Some(token));
            return;
        }
        if self.token.has_changed().unwrap_or(false) {
            return;
        }
        let code = if let End::TokenRefused(code) = end { code } else { "token_expired".into() };
        self.tell(Event::TokenNeeded { code }).await;
        // The sender lives in what is shared, hence as long as this task.
        drop(self.token.changed().await);
    }

    async fn tell(&self, event: Event) {
        // Nobody may listen any more.
        drop(self.events.send(event).await);
    }

    async fn connect_once(&mut self) -> End {
        let shared = Arc::clone(&self.shared);
        let opened = tokio::select! {
            biased;
            () = shared.finished() => return End::Finished,
            opened = timeout(CONNECT_TIMEOUT, self.open()) => opened,
        };
        let Open { socket, welcome, heartbeat, left_out } = match opened {
            Ok(Ok(open)) => open,
            Ok(Err(end)) => return end,
            Err(_) => return End::Lost,
        };
        self.backoff.reset();
        self.refusals = 0;
        self.epoch = Some(welcome.epoch.clone());
        self.user = welcome.user_id.clone();
        self.tell(Event::Connected(welcome)).await;
        for room in left_out {
            self.tell(Event::Resync { room, seq: None }).await;
        }
        let (mut sink, stream) = socket.split();
        let token = self.token.clone();
        tokio::select! {
            end = self.read(stream, heartbeat * 2) => end,
            end = write(&mut sink, &shared, token, heartbeat) => end,
        }
    }

    /// Dials, shakes hands and authenticates.
    async fn open(&mut self) -> Result<Open, End> {
        if self.token.borrow().is_none()
            && let Some(source) = &self.source
        {
            let token = source().await;
            self.shared.token.send_replace(token);
        }
        let token = self.token.borrow_and_update().clone();
        let stream = self.dialer.dial(&self.address).await.map_err(|_| End::Lost)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(READ_BYTES)
            .max_message_size(Some(SERVER_FRAME_BYTES_MAX))
            .max_frame_size(Some(SERVER_FRAME_BYTES_MAX));
        let upgraded = client_async_with_config(self.address.clone(), stream, Some(config)).await;
        let (mut socket, _) = upgraded.map_err(|error| match error {
            Error::Http(answer) => match answer.status() {
                StatusCode::UNAUTHORIZED => End::TokenRefused("invalid_token".into()),
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => End::Busy,
                _ => End::Lost,
            },
            _ => End::Lost,
        })?;
        let resume = self.shared.with_cursors(|cursors| cursors.resume());
        let mut hello = json!({
            "type": "authenticate",
            "id": AUTHENTICATE,
            "subscribe": if self.subscribe_none { "none" } else { "all" },
            "resume": resume.rooms.iter().map(|(room, after)| json!({ "roomId": room, "after": after }))
                .collect::<Vec<_>>(),
        });
        if let Some(epoch) = &self.epoch {
            hello["epoch"] = epoch.as_str().into();
        }
        if let Some(token) = &token {
            hello["token"] = token.expose().into();
        }
        socket.send(Message::text(hello.to_string())).await.map_err(|_| End::Lost)?;
        let (welcome, heartbeat) = self.welcomed(&mut socket).await?;
        Ok(Open { socket, welcome, heartbeat, left_out: resume.left_out })
    }

    /// Waits for the answer to `authenticate`; it comes before everything else.
    async fn welcomed(&self, socket: &mut Socket) -> Result<(Welcome, Duration), End> {
        loop {
            let body = match socket.next().await {
                Some(Ok(Message::Text(text))) => serde_json::from_str::<Value>(&text).unwrap_or_default(),
                Some(Ok(Message::Close(frame))) => return Err(closed(frame.map(|frame| frame.code.into()))),
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return Err(End::Lost),
            };
            let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
            match body["type"].as_str() {
                Some("authenticated") => {
                    let bytes = body["limits"]["frameBytes"].as_u64().and_then(|bytes| bytes.try_into().ok());
                    self.shared.outbox.permit_frames_of(bytes.unwrap_or(FRAME_BYTES_MAX));
                    let welcome = Welcome {
                        user_id: text("userId"),
                        username: text("username"),
                        session_id: text("sessionId"),
                        epoch: text("epoch"),
                    };
                    let heartbeat = body["heartbeatMs"].as_u64().unwrap_or(25_000).clamp(1_000, 600_000);
                    return Ok((welcome, Duration::from_millis(heartbeat)));
                }
                Some("auth_error" | "error") => return Err(refused(&body)),
                _ => {}
            }
        }
    }

    /// Reads until the connection ends. Nothing is read while too many events wait.
    async fn read(&mut self, mut stream: SplitStream<Socket>, silence: Duration) -> End {
        loop {
            // An error means that nobody listens: then events are thrown away.
            let place = self.events.clone().reserve_owned().await.ok();
            let body = match timeout(silence, stream.next()).await {
                Ok(Some(Ok(Message::Text(text)))) => serde_json::from_str::<Value>(&text).unwrap_or_default(),
                Ok(Some(Ok(Message::Close(frame)))) => return closed(frame.map(|frame| frame.code.into())),
                Ok(Some(Ok(_))) => continue,
                Ok(Some(Err(_)) | None) | Err(_) => return End::Lost,
            };
            match self.hear(body) {
                Heard::Event(event) => {
                    if let Some(place) = place {
                        place.send(event);
                    }
                }
                Heard::Nothing => {}
                Heard::End(end) => return end,
            }
        }
    }

    fn hear(&mut self, body: Value) -> Heard {
        if body["type"] == "auth_error" {
            return Heard::End(refused(&body));
        }
        if let Some(id) = body["id"].as_u64() {
            self.answer(id, body);
            return Heard::Nothing;
        }
        let room = body["roomId"].as_str().map(str::to_owned);
        let seq = body["seq"].as_u64();
        match (body["type"].as_str(), room, seq) {
            (Some("authenticated"), ..) => Heard::Nothing,
            (Some("caught_up"), Some(room), Some(seq)) => {
                self.shared.with_cursors(|cursors| cursors.settle(&room, seq));
                Heard::Event(Event::CaughtUp { room, seq })
            }
            (Some("resync_required"), Some(room), Some(seq)) => {
                self.shared.with_cursors(|cursors| cursors.settle(&room, seq));
                Heard::Event(Event::Resync { room, seq: Some(seq) })
            }
            (Some("resume_failed"), Some(room), _) => {
                self.shared.with_cursors(|cursors| cursors.forget(&room));
                Heard::Event(Event::Lost { room })
            }
            (Some("server_draining"), ..) => {
                self.draining = body["reconnectAfterMs"].as_u64().map(Duration::from_millis);
                Heard::Event(Event::Frame(Incoming::new(body)))
            }
            _ => self.hear_frame(Incoming::new(body)),
        }
    }

    fn hear_frame(&self, frame: Incoming) -> Heard {
        if let Some((room, seq)) = &frame.place
            && !self.shared.with_cursors(|cursors| cursors.hear(room, *seq))
        {
            return Heard::Nothing;
        }
        let gone = frame.kind == "room_deleted"
            || frame.kind == "user_left" && frame.body["userId"] == self.user.as_str();
        if gone && let Some(room) = frame.room() {
            self.shared.with_cursors(|cursors| cursors.forget(room));
        }
        Heard::Event(Event::Frame(frame))
    }

    fn answer(&self, id: u64, body: Value) {
        let Some(answered) = self.shared.outbox.answered(id) else { return };
        if body["type"] == "error" {
            let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
            let retry_after = body["retryAfterMs"].as_u64().map(Duration::from_millis);
            let error = ClientError::Refused { code: text("code"), message: text("message"), retry_after };
            answered.with(Err(error));
            return;
        }
        let room = &body["room"];
        let told = match (room["id"].as_str(), room["lastSeq"].as_u64()) {
            (Some(room), Some(head)) => Some((room, head)),
            _ => answered.follows.as_deref().zip(body["seq"].as_u64()),
        };
        if let Some((room, head)) = told {
            self.shared.with_cursors(|cursors| cursors.learn(room, head));
        }
        answered.with(Ok(body));
    }
}

enum Heard {
    Event(Event),
    Nothing,
    End(End),
}

/// Writes commands, renewed tokens and signs of life until the connection ends.
async fn write(
    sink: &mut SplitSink<Socket, Message>,
    shared: &Shared,
    mut token: watch::Receiver<Option<Secret>>,
    heartbeat: Duration,
) -> End {
    enum Due {
        Commands,
        Token,
        Ping,
        Goodbye,
    }
    loop {
        let due = tokio::select! {
            () = shared.outbox.has_unsent() => Due::Commands,
            Ok(()) = token.changed() => Due::Token,
            () = sleep(heartbeat) => Due::Ping,
            () = shared.finished() => Due::Goodbye,
        };
        let written = match due {
            Due::Commands => write_commands(sink, shared).await,
            Due::Token => {
                let token = token.borrow_and_update().clone();
                let token = token.as_ref().map(|token| token.expose().to_owned());
                let renewal = json!({ "type": "authenticate", "id": AUTHENTICATE, "token": token });
                sink.send(Message::text(renewal.to_string())).await
            }
            Due::Goodbye => {
                // Best effort: the caller wants to be gone.
                drop(timeout(GOODBYE, sink.close()).await);
                return End::Finished;
            }
            Due::Ping => sink.send(Message::Ping(bytes::Bytes::new())).await,
        };
        if written.is_err() {
            // The reader may still find the close code; it ends as soon as the stream does.
            sleep(GOODBYE).await;
            return End::Lost;
        }
    }
}

/// Everything that is waiting, in one flush.
async fn write_commands(sink: &mut SplitSink<Socket, Message>, shared: &Shared) -> Result<(), Error> {
    while let Some(command) = shared.outbox.next_unsent() {
        sink.feed(Message::text(command)).await?;
    }
    sink.flush().await
}

/// The id of `authenticate`. Commands have numbers.
const AUTHENTICATE: &str = "authenticate";

fn closed(code: Option<u16>) -> End {
    code.map_or(End::Lost, End::Closed)
}

fn refused(body: &Value) -> End {
    match body["code"].as_str() {
        Some("rate_limited" | "unavailable" | "internal") => End::Busy,
        code => End::TokenRefused(code.unwrap_or("invalid_token").to_owned()),
    }
}
