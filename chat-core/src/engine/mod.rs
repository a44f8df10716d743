//! The engine: a thin async shell around the pure domain.
//!
//! ```text
//! connection (pump)            writer of a room (only while           connections of its followers
//!                              commands are pending)
//! frame in, decode
//! limits, hooks::before_send
//! queue in the cell  ------->  gather rows, plan (pure)
//!                              Store::commit (compare-and-append)
//!                              apply (pure), encode once, tail ring
//!                              answer the callers
//!                              mark and wake followers  ----------->  pull after the cursor, one write
//!                              Bus::publish, hooks::after_send
//! ```
//!
//! What is not there: no lock is held over an await; nothing is told that is not stored; no queue holds a
//! subscriber's entries, a subscription is a cursor; nobody waits for a slow reader.

mod builder;
mod caller;
mod cell;
mod cluster;
mod deadline;
mod dirty;
mod erasure;
mod error;
mod export;
mod following;
mod ids;
mod operations;
mod operator;
mod outbox;
mod presence;
mod profiles;
mod pump;
mod rate_table;
mod readers;
mod reading;
mod rooms;
#[cfg(feature = "testing")]
mod sabotage;
mod session;
mod shared;
mod signal;
mod subscription;
mod tail;
mod typing;
mod upkeep;
mod users;
mod waking;
mod writer;

/// The atomics and the lock of `dirty.rs`, which a test replaces by ones that explore every interleaving.
mod sync {
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

    pub(crate) use parking_lot::Mutex;
}

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::task::JoinSet;

pub use builder::EngineBuilder;
pub use caller::{Caller, Changed, KnownRoom, LogPage, Messages, NewLink, Offered, OwnRoom, Thread};
pub use erasure::Erased;
pub use error::Error;
pub use export::Export;
pub use ids::RandomBytes;
pub use operator::Activity;
pub use rate_table::RateTable;
#[cfg(feature = "testing")]
pub use sabotage::Sabotage;
pub use session::{Event, Session};
pub use tail::PostedEntry;

use self::{
    outbox::Outbox,
    pump::Pump,
    shared::{Registration, Shared},
};
use crate::{
    auth::{Hello, Identity},
    close::CloseReason,
    id::UserId,
    store::{Store, StoreError},
    transport::{Connection, Transport},
    wire::SubscribeTo,
};

/// A handle on a running engine; cheap to clone. Several engines may live in one process.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    tasks: Arc<Tasks>,
}

impl Engine {
    /// Starts putting one together.
    #[must_use]
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// The hand of an authenticated user on the engine, without a connection: for HTTP handlers and jobs.
    ///
    /// # Errors
    /// When the profile can't be made, or the identity names somebody else's account.
    pub async fn caller(&self, identity: Identity) -> Result<Caller, Error> {
        Caller::enter(self.shared.clone(), identity).await
    }

    /// A session in process, for bots and tests: it follows all the user's rooms.
    ///
    /// # Errors
    /// As [`Engine::caller`], and `rate_limited` over the limit of connections.
    pub async fn connect(&self, identity: Identity) -> Result<Session, Error> {
        self.connect_with(identity, SubscribeTo::All, Vec::new(), None).await
    }

    /// A session in process that goes on where an earlier one stopped.
    ///
    /// From when this returns, [`Engine::disconnect`] and [`Engine::disconnect_login`] find the session. Whoever made
    /// the identity of a proof that can be revoked has to look at that once more then: it may have been revoked while
    /// the session was opened.
    ///
    /// # Errors
    /// As [`Engine::connect`].
    pub async fn connect_with(
        &self,
        identity: Identity,
        subscribe: SubscribeTo,
        resume: Vec<crate::wire::ResumeFrom>,
        epoch: Option<String>,
    ) -> Result<Session, Error> {
        let caller = self.caller(identity).await?;
        let outbox = Arc::new(Outbox::default());
        let registration = Registration::new(&self.shared, &outbox);
        let mut session = Session::open(caller, outbox, subscribe, resume, epoch).await?;
        session.registration = Some(registration);
        Ok(session)
    }

    /// Runs one connection until it is closed. To be spawned as a task; dropping the future cuts the connection.
    pub fn attach<C: Connection>(
        &self,
        connection: C,
        hello: Hello,
    ) -> impl Future<Output = ()> + Send + use<C> {
        Pump::new(self.shared.clone(), connection, hello)
    }

    /// Accepts connections until told otherwise: see [`Serve`].
    pub fn serve<T: Transport>(&self, transport: T) -> Serve<T> {
        Serve { engine: self.clone(), transport, until: Box::pin(std::future::pending()) }
    }

    /// Everything that is a user's, as lines of JSON: see [`Export`].
    ///
    /// # Errors
    /// `not_found` for an unknown user.
    pub async fn export_user(&self, user: &UserId) -> Result<Export, Error> {
        Export::of(self.shared.clone(), user.clone()).await
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    /// Connections that are open, authenticated or not.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.count()
    }

    /// Whether a user has a session on this node.
    #[must_use]
    pub fn has_session(&self, user: &UserId) -> bool {
        self.shared.users.has(user)
    }

    /// Whether the engine takes no new commands any more.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.shared.connections.is_draining()
    }

    /// Ends gracefully: every connection answers what is pending, is told to come back later, and is closed with
    /// 1001; what is not done after `grace` is cut. Then the store is closed.
    ///
    /// # Errors
    /// When the store fails to save what was pending.
    pub async fn shutdown(&self, grace: Duration) -> Result<(), StoreError> {
        self.shared.connections.drain();
        if tokio::time::timeout(grace, self.all_gone()).await.is_err() {
            tracing::warn!(left = self.connections(), "cutting connections that did not drain in time");
            self.shared.connections.close(CloseReason::Draining);
        }
        self.tasks.abort();
        presence::flush(&self.shared).await;
        self.shared.store.close().await
    }

    async fn all_gone(&self) {
        loop {
            // Registered before counting, so that the last one's going is not missed.
            let gone = self.shared.connections.all_gone.notified();
            tokio::pin!(gone);
            gone.as_mut().enable();
            if self.connections() == 0 {
                return;
            }
            gone.await;
        }
    }

    /// Does at once what is done every 30 seconds: cuts rooms, deletes what is out of date.
    #[cfg(feature = "testing")]
    pub async fn keep_up(&self) {
        upkeep::round(&self.shared, None).await;
    }

    /// Ends as a crash would: nothing is drained, nothing is closed.
    #[cfg(feature = "testing")]
    pub fn crash(&self) {
        self.tasks.abort();
        self.shared.connections.close(CloseReason::TimedOut);
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("connections", &self.connections()).finish_non_exhaustive()
    }
}

/// Accepting connections; a future that ends with the transport, or gracefully when it is told to.
pub struct Serve<T> {
    engine: Engine,
    transport: T,
    until: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// How long connections have to drain when [`Serve`] ends.
const SERVE_GRACE: Duration = Duration::from_secs(10);

impl<T: Transport> Serve<T> {
    /// Stops accepting when `signal` is ready, and shuts the engine down gracefully.
    #[must_use]
    pub fn with_graceful_shutdown(self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { until: Box::pin(signal), ..self }
    }

    async fn run(self) -> Result<(), StoreError> {
        let Self { engine, mut transport, mut until } = self;
        loop {
            tokio::select! {
                accepted = transport.accept() => match accepted {
                    Some((connection, hello)) => drop(tokio::spawn(engine.attach(connection, hello))),
                    None => break,
                },
                () = &mut until => break,
            }
        }
        engine.shutdown(SERVE_GRACE).await
    }
}

impl<T: Transport> IntoFuture for Serve<T> {
    type Output = Result<(), StoreError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<T> fmt::Debug for Serve<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// The engine's own tasks, ended with its last handle.
struct Tasks(Mutex<JoinSet<()>>);

impl Tasks {
    fn new(tasks: JoinSet<()>) -> Self {
        Self(Mutex::new(tasks))
    }

    fn abort(&self) {
        self.0.lock().abort_all();
    }
}
