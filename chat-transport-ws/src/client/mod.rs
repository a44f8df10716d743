//! A client that stays connected.
//!
//! It reconnects with jitter, resumes every room from where it stopped, drops repeats, and keeps commands until
//! they are answered: those that may be repeated (a message carries a `clientMessageId`, so it may) are written
//! again in their order after a lost connection.
//!
//! ```no_run
//! # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
//! use chat_transport_ws::client::{Event, WsClient};
//!
//! let (client, mut events) = WsClient::builder("ws://127.0.0.1:8080/ws").token("a.b.c").connect()?;
//! client.join_room("lobby").await?;
//! client.send("lobby", "Hello").await?;
//! while let Some(event) = events.next().await {
//!     if let Event::Frame(frame) = event {
//!         println!("{}: {}", frame.username().unwrap_or("-"), frame.content().unwrap_or_default());
//!     }
//! }
//! # Ok(()) }
//! ```

mod backoff;
mod cursors;
mod dial;
mod error;
mod event;
mod link;
mod outbox;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use chat_core::auth::Secret;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
};

use self::{
    backoff::{Backoff, Random},
    cursors::Cursors,
    link::Link,
    outbox::{Command, Outbox},
};
use crate::limits::EVENTS_MAX;

pub use dial::{BoxStream, Dial, Stream, Tcp};
pub use error::{ClientError, InvalidUrl};
pub use event::{Event, Events, Incoming, Welcome};

/// A connection that is held up; cheap to clone. It is cut when all clones and the [`Events`] are dropped.
#[derive(Debug, Clone)]
pub struct WsClient {
    shared: Arc<Shared>,
    _task: Task,
}

#[derive(Debug)]
struct Shared {
    outbox: Outbox,
    cursors: Mutex<Cursors>,
    random: Mutex<Random>,
    token: watch::Sender<Option<Secret>>,
    finish: watch::Sender<bool>,
}

impl Shared {
    /// Waits until the caller wants an end.
    async fn finished(&self) {
        // The sender is in `self`, so this ends only with the wish.
        drop(self.finish.subscribe().wait_for(|finished| *finished).await);
    }

    /// The cursors, for a look or a note; never over an await.
    fn with_cursors<R>(&self, look: impl FnOnce(&mut Cursors) -> R) -> R {
        look(&mut self.cursors.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Ends the task of a client with its last owner.
#[derive(Debug, Clone)]
struct Task {
    _cut: Arc<Cut>,
}

#[derive(Debug)]
struct Cut(AbortHandle);

impl Drop for Cut {
    fn drop(&mut self) {
        self.0.abort();
    }
}

type TokenSource = Arc<dyn Fn() -> BoxFuture<'static, Option<Secret>> + Send + Sync>;

/// Puts a client together.
pub struct ClientBuilder {
    url: String,
    token: Option<Secret>,
    source: Option<TokenSource>,
    dialer: Arc<dyn Dial>,
    subscribe_none: bool,
    base: Duration,
    cap: Duration,
    seed: Option<u64>,
    cursors: Cursors,
    epoch: Option<String>,
}

impl ClientBuilder {
    /// Sets the token to authenticate with. When it is refused, the client waits for [`WsClient::set_token`].
    #[must_use]
    pub fn token(mut self, token: impl Into<Arc<str>>) -> Self {
        self.token = Some(Secret::new(token));
        self
    }

    /// Sets where tokens come from. It is asked for the first, and once again when the server refuses one; when
    /// that is refused as well, the client waits for [`WsClient::set_token`].
    #[must_use]
    pub fn token_from<F, Answer>(mut self, source: F) -> Self
    where
        F: Fn() -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Option<Secret>> + Send + 'static,
    {
        self.source = Some(Arc::new(move || Box::pin(source())));
        self
    }

    /// Sets how streams are opened. Default: plain TCP.
    #[must_use]
    pub fn dialer(mut self, dialer: impl Dial) -> Self {
        self.dialer = Arc::new(dialer);
        self
    }

    /// Follows only rooms that are asked for with [`WsClient::follow`] or [`ClientBuilder::resume`]. By default
    /// all rooms of the user are followed.
    #[must_use]
    pub fn subscribe_none(mut self) -> Self {
        self.subscribe_none = true;
        self
    }

    /// Goes on after `seq` of a room, as an earlier client came to know it under `epoch`
    /// ([`Welcome::epoch`]).
    #[must_use]
    pub fn resume(mut self, room: &str, seq: u64, epoch: &str) -> Self {
        self.cursors.settle(room, seq);
        self.epoch = Some(epoch.to_owned());
        self
    }

    /// Sets the delays between attempts: the first is drawn from up to `base`, later ones from up to twice as
    /// much each time, never over `cap`. Default: 250 ms and 30 s.
    #[must_use]
    pub fn backoff(mut self, base: Duration, cap: Duration) -> Self {
        (self.base, self.cap) = (base, cap);
        self
    }

    /// Makes delays and message keys repeatable, for tests.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts connecting. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// When the address is not one of a WebSocket. A server that is not there is no error: it is tried again.
    pub fn connect(self) -> Result<(WsClient, Events), InvalidUrl> {
        let address: http::Uri = self.url.parse().map_err(|_| InvalidUrl)?;
        if address.host().is_none() || !matches!(address.scheme_str(), Some("ws" | "wss")) {
            return Err(InvalidUrl);
        }
        let mut random = Random(self.seed.unwrap_or_else(|| getrandom::u64().unwrap_or_default()));
        let backoff = Backoff::new(self.base, self.cap, random.next());
        let shared = Arc::new(Shared {
            outbox: Outbox::new(),
            cursors: Mutex::new(self.cursors),
            random: Mutex::new(random),
            token: watch::Sender::new(self.token),
            finish: watch::Sender::new(false),
        });
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let link = Link {
            shared: Arc::clone(&shared),
            token: shared.token.subscribe(),
            address,
            source: self.source,
            dialer: self.dialer,
            subscribe_none: self.subscribe_none,
            epoch: self.epoch,
            user: String::new(),
            backoff,
            events,
            draining: None,
            refusals: 0,
        };
        let task = Task { _cut: Arc::new(Cut(tokio::spawn(link.run()).abort_handle())) };
        let client = WsClient { shared, _task: task.clone() };
        Ok((client, Events { receiver, _task: task }))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The place of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its name.
    pub message_id: String,
    /// Its place in the room's log.
    pub seq: u64,
    /// Whether it had been sent before under the same key.
    pub duplicate: bool,
}

impl WsClient {
    /// Starts putting a client together, for an address like `ws://127.0.0.1:8080/ws`.
    #[must_use]
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            url: url.into(),
            token: None,
            source: None,
            dialer: Arc::new(Tcp),
            subscribe_none: false,
            base: Duration::from_millis(250),
            cap: Duration::from_secs(30),
            seed: None,
            cursors: Cursors::default(),
            epoch: None,
        }
    }

    /// Queues a command; the answer may be awaited later. `fields` is an object without `type` and `id`.
    ///
    /// # Errors
    /// [`ClientError::Full`], [`ClientError::TooLarge`], [`ClientError::NoObject`] and [`ClientError::Stopped`]
    /// at once.
    pub fn request(&self, kind: &str, fields: Value) -> Result<Answer, ClientError> {
        let room = (kind == "subscribe").then(|| fields["roomId"].as_str().map(str::to_owned)).flatten();
        let repeatable = is_repeatable(kind, &fields);
        let (reply, answer) = oneshot::channel();
        let command = Command { kind: kind.to_owned(), fields, repeatable, follows: room };
        self.shared.outbox.push(command, reply)?;
        Ok(Answer(answer))
    }

    /// Queues a command and waits for its answer, the whole object.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Refused`] is the server's.
    pub async fn command(&self, kind: &str, fields: Value) -> Result<Value, ClientError> {
        self.request(kind, fields)?.await
    }

    /// Sends a message. It is sent once, however often the connection is lost meanwhile.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn send(&self, room: &str, content: &str) -> Result<Sent, ClientError> {
        let key = self.message_key();
        self.send_as(room, content, &key).await
    }

    /// Sends a message under a `clientMessageId` of the caller, who may so repeat it in a later run.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn send_as(&self, room: &str, content: &str, key: &str) -> Result<Sent, ClientError> {
        let fields = json!({ "roomId": room, "content": content, "clientMessageId": key });
        let ack = self.command("send_message", fields).await?;
        let message_id = ack["messageId"].as_str().ok_or(ClientError::Unexpected)?.to_owned();
        let seq = ack["seq"].as_u64().ok_or(ClientError::Unexpected)?;
        Ok(Sent { message_id, seq, duplicate: ack["duplicate"].as_bool().unwrap_or(false) })
    }

    /// A new `clientMessageId`.
    #[must_use]
    pub fn message_key(&self) -> String {
        let mut random = self.shared.random.lock().unwrap_or_else(PoisonError::into_inner);
        format!("{:016x}{:016x}", random.next(), random.next())
    }

    /// Creates a room, and gives it.
    ///
    /// # Errors
    /// [`ClientError`]; [`ClientError::Interrupted`] when the connection was lost before the answer.
    pub async fn create_room(&self, name: &str, private: bool) -> Result<Value, ClientError> {
        let mut ack = self.command("create_room", json!({ "name": name, "private": private })).await?;
        Ok(ack["room"].take())
    }

    /// Joins a room, and gives it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn join_room(&self, room: &str) -> Result<Value, ClientError> {
        let mut ack = self.command("join_room", json!({ "roomId": room })).await?;
        Ok(ack["room"].take())
    }

    /// Leaves a room.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn leave_room(&self, room: &str) -> Result<(), ClientError> {
        self.command("leave_room", json!({ "roomId": room })).await.map(drop)
    }

    /// Follows a room from after an entry that the caller knows, on this connection and those that replace it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn follow(&self, room: &str, after: u64) -> Result<(), ClientError> {
        self.shared.with_cursors(|cursors| cursors.settle(room, after));
        self.command("subscribe", json!({ "roomId": room, "after": after })).await.map(drop)
    }

    /// Stops following a room.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn unfollow(&self, room: &str) -> Result<(), ClientError> {
        self.command("unsubscribe", json!({ "roomId": room })).await?;
        self.shared.with_cursors(|cursors| cursors.forget(room));
        Ok(())
    }

    /// A page of messages: the newest, or those before a seq.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn history(&self, room: &str, before: Option<u64>) -> Result<Value, ClientError> {
        let fields = before
            .map_or_else(|| json!({ "roomId": room }), |before| json!({ "roomId": room, "before": before }));
        self.command("fetch_history", fields).await
    }

    /// How far this client has come in a room.
    #[must_use]
    pub fn position(&self, room: &str) -> Option<u64> {
        self.shared.with_cursors(|cursors| cursors.after(room))
    }

    /// Authenticates with another token from now on: at once where the connection stands, and where the client
    /// waits for a token, it goes on.
    pub fn set_token(&self, token: impl Into<Arc<str>>) {
        self.shared.token.send_replace(Some(Secret::new(token)));
    }

    /// Says goodbye and stops. What is not answered yet ends as [`ClientError::Stopped`].
    pub fn close(&self) {
        self.shared.finish.send_replace(true);
    }
}

/// An answer that is on its way.
#[derive(Debug)]
pub struct Answer(oneshot::Receiver<Result<Value, ClientError>>);

impl Future for Answer {
    type Output = Result<Value, ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|answer| answer.unwrap_or(Err(ClientError::Stopped)))
    }
}

/// Whether a command that was perhaps carried out may be sent again. What asks for what is already so changes
/// nothing (docs/protocol.md, Commands); what makes something new may make it twice.
fn is_repeatable(kind: &str, fields: &Value) -> bool {
    match kind {
        "send_message" | "send_dm" => fields["clientMessageId"].is_string(),
        "create_room" | "create_group" | "create_invite_link" | "invite" | "report_message" => false,
        _ => true,
    }
}
