//! Putting an engine together: a store and an authenticator, the rest has defaults.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinSet};

use super::{
    Engine, Tasks, cluster,
    error::Error,
    ids::{Ids, RandomBytes},
    presence::{self, Presences},
    profiles::Profiles,
    rate_table::RateTable,
    shared::{Connections, Shared, Timing},
    typing::{self, Typists},
};
use crate::{
    auth::{AuthError, Authenticator, Hello, Identity},
    bus::{Bus, LocalBus},
    domain::{Entry, MembersOnly, Policy},
    files::FileResolver,
    hooks::{Hooks, NoHooks},
    limits::{AFTER_SEND_MAX, Limits},
    store::{MemoryStore, Store},
    time::{Clock, SystemClock},
};

/// How an engine is to be.
pub struct EngineBuilder {
    store: Option<Arc<dyn Store>>,
    bus: Arc<dyn Bus>,
    authenticator: Option<Arc<dyn Authenticator>>,
    policy: Arc<dyn Policy>,
    hooks: Arc<dyn Hooks>,
    files: Option<Arc<dyn FileResolver>>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    timing: Timing,
    ids: Ids,
    #[cfg(feature = "testing")]
    sabotage: super::Sabotage,
}

impl Default for EngineBuilder {
    fn default() -> Self {
        Self {
            store: None,
            bus: Arc::new(LocalBus),
            authenticator: None,
            policy: Arc::new(MembersOnly),
            hooks: Arc::new(NoHooks),
            files: None,
            clock: Arc::new(SystemClock),
            limits: Limits::default(),
            timing: Timing {
                handshake: Duration::from_secs(10),
                heartbeat: Duration::from_secs(25),
                silence: Duration::from_secs(45),
            },
            ids: Ids::from_system(),
            #[cfg(feature = "testing")]
            sabotage: super::Sabotage::None,
        }
    }
}

impl EngineBuilder {
    /// Where everything is remembered. Without one: in memory, for as long as the engine lives.
    #[must_use]
    pub fn store(self, store: impl Store) -> Self {
        self.shared_store(Arc::new(store))
    }

    /// Where everything is remembered, shared with others.
    #[must_use]
    pub fn shared_store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// What carries hints to other nodes on the same store. Without one: this engine is alone on it.
    #[must_use]
    pub fn bus(mut self, bus: impl Bus) -> Self {
        self.bus = Arc::new(bus);
        self
    }

    /// Who is who. Without one nobody gets in but by [`Engine::connect`].
    #[must_use]
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticator = Some(Arc::new(authenticator));
        self
    }

    /// Who may do what. Without one: [`MembersOnly`].
    #[must_use]
    pub fn policy(mut self, policy: impl Policy) -> Self {
        self.policy = Arc::new(policy);
        self
    }

    /// What happens around a send.
    #[must_use]
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.hooks = Arc::new(hooks);
        self
    }

    /// Who knows the files that messages refer to. Without one, attachments are as clients write them.
    #[must_use]
    pub fn files(mut self, files: impl FileResolver) -> Self {
        self.files = Some(Arc::new(files));
        self
    }

    /// What time it is.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Bounds and rates.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long a connection may take to authenticate; 10 s unless told.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.timing.handshake = timeout;
        self
    }

    /// How often a sign of life is asked for, and after how long a silence a connection is closed; 25 s and
    /// 45 s unless told.
    #[must_use]
    pub fn heartbeat(mut self, every: Duration, silence: Duration) -> Self {
        (self.timing.heartbeat, self.timing.silence) = (every, silence);
        self
    }

    /// Where the randomness of new ids comes from; the operating system unless told.
    #[must_use]
    pub fn random_bytes(mut self, random: RandomBytes) -> Self {
        self.ids = Ids::new(random);
        self
    }

    /// Plants a bug, to show that a test catches it.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn sabotage(mut self, sabotage: super::Sabotage) -> Self {
        self.sabotage = sabotage;
        self
    }

    /// Starts the engine. To be called within a tokio runtime, on which it runs.
    ///
    /// # Errors
    /// When the store can't be used.
    pub async fn build(self) -> Result<Engine, Error> {
        let store = self.store.unwrap_or_else(|| Arc::new(MemoryStore::new()));
        let inbox = self.bus.subscribe().await;
        let now = self.clock.now();
        let (sent, hear_sent) = mpsc::channel(AFTER_SEND_MAX);
        let shared = Arc::new(Shared {
            profiles: Profiles::new(store.clone()),
            message_rates: RateTable::new(self.limits.messages()),
            presences: Presences::new(self.bus.has_other_nodes()),
            typists: Typists::new(self.limits.typing()),
            sent: self.hooks.active().then_some(sent),
            store,
            bus: self.bus,
            authenticator: self.authenticator.unwrap_or_else(|| Arc::new(refuse_all)),
            policy: self.policy,
            hooks: self.hooks,
            files: self.files,
            clock: self.clock,
            limits: self.limits,
            timing: self.timing,
            node: self.ids.node(now),
            ids: self.ids,
            rooms: super::rooms::Rooms::default(),
            users: super::users::Users::default(),
            connections: Connections::default(),
            searching: tokio::sync::Mutex::default(),
            #[cfg(feature = "testing")]
            sabotage: self.sabotage,
        });
        let mut tasks = JoinSet::new();
        let listens = shared.bus.has_other_nodes();
        #[cfg(feature = "testing")]
        let listens = listens && !shared.sabotage.ignores_other_nodes();
        if listens {
            tasks.spawn(cluster::listen(Arc::downgrade(&shared), inbox));
            tasks.spawn(cluster::compare(Arc::downgrade(&shared)));
        }
        if shared.sent.is_some() {
            tasks.spawn(pass_on(shared.hooks.clone(), hear_sent));
        }
        let (begun, changed) = typing::to_run(&shared.typists);
        tasks.spawn(typing::run(Arc::downgrade(&shared), begun, changed));
        tasks.spawn(presence::run(Arc::downgrade(&shared)));
        tasks.spawn(super::upkeep::run(Arc::downgrade(&shared)));
        Ok(Engine { shared, tasks: Arc::new(Tasks::new(tasks)) })
    }
}

impl std::fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineBuilder").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Without an authenticator nobody is anybody.
async fn refuse_all(_: Hello) -> Result<Identity, AuthError> {
    Err(AuthError::Invalid)
}

/// Passes stored messages to the embedder, one after the other.
async fn pass_on(hooks: Arc<dyn Hooks>, mut sent: mpsc::Receiver<Entry>) {
    while let Some(entry) = sent.recv().await {
        if super::deadline::within(hooks.after_send(&entry)).await.is_none() {
            tracing::warn!("after_send broke off or missed its deadline");
        }
    }
}
