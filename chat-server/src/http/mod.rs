//! The HTTP side of the server: routes, and what they share.

mod route;

mod accounts;
mod admin;
mod direct;
mod events;
mod export;
mod files;
mod invites;
mod members;
mod messages;
mod passwords;
mod review;
mod rooms;
mod sessions;
mod users;

mod caller;
mod client;
mod cookie;
mod cors;
mod etag;
mod fields;
mod guard;
mod health;
mod metrics;
mod openapi;
mod pages;
mod problem;
mod ws;

use std::{
    fmt,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::DefaultBodyLimit, middleware, routing::get};
use chat_core::{
    accounts::Accounts,
    engine::{Caller, Engine, RateTable},
    id::{RoomId, UserId},
    time::{Clock, SystemClock},
};
use chat_files::Files;
use chat_store_sled::SledStore;
use chat_transport_ws::{Gate, Origins, WsConfig};
use tokio::time::Instant;

pub(crate) use self::accounts::ensure_default_room;
pub(crate) use self::cookie::RefreshCookie;
use self::{client::ClientAddress, problem::Problem, route::Route};
pub(crate) use self::{export::Exports, metrics::Answered};
use crate::{config::Network, limits::BODY_BYTES_MIN, tokens::Tokens};

/// What all requests share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    inner: Arc<Inner>,
}

/// The parts that an [`App`] is made of.
pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<SledStore>,
    pub(crate) accounts: Accounts,
    pub(crate) tokens: Tokens,
    pub(crate) default_rooms: Vec<RoomId>,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) registrations: RateTable<IpAddr>,
    pub(crate) logins: RateTable<IpAddr>,
    /// Passwords that are said to be forgotten, and tokens that are tried.
    pub(crate) recoveries: RateTable<IpAddr>,
    /// Passwords that are changed, or tried by that.
    pub(crate) changes: RateTable<UserId>,
    pub(crate) refreshes: RateTable<IpAddr>,
    pub(crate) cookie: RefreshCookie,
    /// Whose pages may act by the cookie.
    pub(crate) origins: Origins,
    pub(crate) started: Instant,
    pub(crate) answered: Answered,
    /// Whether figures are told at an address of their own.
    pub(crate) is_monitored_apart: bool,
    pub(crate) exports: Exports,
    pub(crate) requests: RateTable<UserId>,
    pub(crate) files: Files,
    pub(crate) uploads: RateTable<UserId>,
    pub(crate) file_reads: RateTable<UserId>,
    /// WebSockets, counted by address.
    pub(crate) gate: Gate,
    pub(crate) ws_config: WsConfig,
    pub(crate) draining: AtomicBool,
}

impl App {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// From now on `/readyz` says no and no more WebSockets are opened.
    pub(crate) fn drain(&self) {
        self.inner.draining.store(true, Ordering::Release);
    }

    /// Forgets rates that are full again.
    pub(crate) fn sweep_rates(&self) {
        let now = SystemClock.now();
        self.inner.registrations.sweep(now);
        self.inner.logins.sweep(now);
        self.inner.recoveries.sweep(now);
        self.inner.changes.sweep(now);
        self.inner.refreshes.sweep(now);
        self.inner.exports.sweep(now);
        self.inner.requests.sweep(now);
        self.inner.uploads.sweep(now);
        self.inner.file_reads.sweep(now);
    }

    fn answered(&self) -> &Answered {
        &self.inner.answered
    }

    fn uptime(&self) -> Duration {
        self.inner.started.elapsed()
    }

    fn is_draining(&self) -> bool {
        self.inner.draining.load(Ordering::Acquire)
    }

    fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    fn store(&self) -> &SledStore {
        &self.inner.store
    }

    fn accounts(&self) -> &Accounts {
        &self.inner.accounts
    }

    fn tokens(&self) -> &Tokens {
        &self.inner.tokens
    }

    fn exports(&self) -> &Exports {
        &self.inner.exports
    }

    fn files(&self) -> &Files {
        &self.inner.files
    }

    fn admit_upload(&self, user: &UserId) -> Result<(), Problem> {
        self.inner.uploads.admit(user, SystemClock.now()).map_err(Problem::rate_limited)
    }

    fn cookie(&self) -> RefreshCookie {
        self.inner.cookie
    }

    fn origins(&self) -> &Origins {
        &self.inner.origins
    }

    fn default_rooms(&self) -> &[RoomId] {
        &self.inner.default_rooms
    }

    fn allowed_origins(&self) -> &[String] {
        &self.inner.allowed_origins
    }

    fn trusted_proxies(&self) -> &[Network] {
        &self.inner.trusted_proxies
    }

    fn gate(&self) -> &Gate {
        &self.inner.gate
    }

    fn ws_config(&self) -> &WsConfig {
        &self.inner.ws_config
    }

    fn admit_registration(&self, client: ClientAddress) -> Result<(), Problem> {
        self.inner.registrations.admit(&client.rate_key(), SystemClock.now()).map_err(Problem::rate_limited)
    }

    /// Requests count as the commands of a connection do: a user has as many of them.
    fn admit_request(&self, caller: &Caller) -> Result<(), Problem> {
        self.inner.requests.admit(caller.user(), SystemClock.now()).map_err(Problem::rate_limited)
    }

    /// A page that shows many pictures asks for all of them at once.
    fn admit_file_read(&self, caller: &Caller) -> Result<(), Problem> {
        self.inner.file_reads.admit(caller.user(), SystemClock.now()).map_err(Problem::rate_limited)
    }

    fn admit_recovery(&self, client: ClientAddress) -> Result<(), Problem> {
        self.inner.recoveries.admit(&client.rate_key(), SystemClock.now()).map_err(Problem::rate_limited)
    }

    fn admit_change(&self, user: &UserId) -> Result<(), Problem> {
        self.inner.changes.admit(user, SystemClock.now()).map_err(Problem::rate_limited)
    }

    fn admit_refresh(&self, client: ClientAddress) -> Result<(), Problem> {
        self.inner.refreshes.admit(&client.rate_key(), SystemClock.now()).map_err(Problem::rate_limited)
    }

    fn admit_login(&self, client: ClientAddress) -> Result<(), Problem> {
        self.inner.logins.admit(&client.rate_key(), SystemClock.now()).map_err(Problem::rate_limited)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("App")
    }
}

/// Does something to its end, also when the request that asked for it is dropped since its client went away.
async fn to_its_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, Problem> {
    // It panicked, and the log has why.
    tokio::spawn(work).await.map_err(|_| Problem::unavailable())
}

/// The operations of the API.
pub(crate) const ROUTES: &[&[Route]] = &[
    accounts::ROUTES,
    sessions::ROUTES,
    passwords::ROUTES,
    users::ROUTES,
    rooms::ROUTES,
    messages::ROUTES,
    events::ROUTES,
    direct::ROUTES,
    members::ROUTES,
    invites::ROUTES,
    review::ROUTES,
    admin::ROUTES,
    admin::USERS,
    admin::ROOMS,
    files::ROUTES,
    openapi::ROUTES,
];

/// Every path that there is.
pub(crate) fn router(app: App, body_bytes: usize) -> Router {
    let (short, long) = route::routers(ROUTES);
    let api = short
        .layer(middleware::from_fn(etag::etag))
        .layer(DefaultBodyLimit::max(body_bytes.max(BODY_BYTES_MIN)));
    let router = Router::new()
        .route("/", get(pages::home))
        .route("/docs/protocol", get(pages::protocol))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .nest("/api", api)
        .layer(middleware::from_fn(guard::deadline))
        // Outside the deadline: a stream or a WebSocket lives as long as it likes.
        .nest("/api", long.layer(DefaultBodyLimit::max(0)))
        .route("/ws", get(ws::upgrade))
        .fallback(guard::not_found)
        .method_not_allowed_fallback(guard::method_not_allowed)
        .layer(middleware::from_fn(guard::last_resort));
    let router = match cors::layer(app.allowed_origins()) {
        Some(cors) => router.layer(cors),
        None => router,
    };
    let router = match app.inner.is_monitored_apart {
        true => router,
        false => router.route("/metrics", get(metrics::metrics)),
    };
    let router = router
        .layer(middleware::from_fn(guard::headers))
        .layer(middleware::from_fn_with_state(app.clone(), metrics::count));
    let router = match app.cookie().is_secure() {
        true => router.layer(middleware::map_response(guard::strict_transport)),
        false => router,
    };
    router.with_state(app)
}

/// What those ask who watch over the server, for an address that only they can reach.
pub(crate) fn monitor(app: App) -> Router {
    Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .fallback(guard::not_found)
        .method_not_allowed_fallback(guard::method_not_allowed)
        .layer(middleware::from_fn(guard::deadline))
        .layer(middleware::from_fn(guard::last_resort))
        .layer(middleware::from_fn(guard::headers))
        .with_state(app)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_was_begun_is_done_also_when_nobody_waits_for_it_any_more() {
        let (go_on, gone_on) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let mut request = Box::pin(to_its_end(async move {
            gone_on.await.unwrap();
            tell.send("committed, and everybody disconnected").unwrap();
        }));
        assert!(request.as_mut().now_or_never().is_none());
        drop(request);
        go_on.send(()).unwrap();
        assert_eq!(told.await, Ok("committed, and everybody disconnected"));
    }
}
