//! The chat engine as one binary.
//!
//! Starting is a list of steps, [`run`]; each has a file of its own:
//!
//! * [`args`], [`config`]: what the operator wants; [`admin`], where that is not to serve;
//! * [`descriptors`]: how many connections the system permits;
//! * [`data`]: the data folder and the signing key;
//! * [`owners`]: who owns the default rooms;
//! * [`mail`]: who delivers mail;
//! * [`tokens`]: whose tokens are accepted, and [`issuer`]: by which keys;
//! * [`http`]: what is answered;
//! * [`accept`]: connections, and what a stranger may hold;
//! * [`stall`]: connections that take nothing;
//! * [`signals`]: when to stop;
//! * [`limits`]: every bound of the server itself.

mod accept;
mod admin;
mod args;
mod config;
mod data;
mod descriptors;
mod http;
mod issuer;
mod limits;
mod mail;
mod owners;
mod signals;
mod stall;
mod tokens;

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
};

use chat_core::{
    accounts::{AccountError, Accounts, HashingCost, TokenKeys},
    domain::Rate,
    engine::{Engine, RateTable},
    store::Maintenance,
    time::{Clock, SystemClock},
};
use chat_files::{ClamAv, Files};
use chat_store_sled::SledStore;
use chat_transport_ws::{Gate, Origins, WsConfig};
use clap::Parser;
use tokio::sync::watch;

use crate::{
    accept::Front,
    args::{Args, Command},
    config::{Config, ConfigError, Loaded, ScannerAt},
    data::DataDir,
    http::{App, Exports, Inner, RefreshCookie},
    limits::{
        COLLECT_EVERY, DRAIN_GRACE, MONITOR_CONNECTIONS_MAX, ORPHANS_EVERY, PLAIN_CONNECTIONS_PER_IP,
        REQUEST_GRACE, SWEEP_EVERY,
    },
    signals::Stop,
    tokens::Tokens,
};

/// What the process says to its parent when the configuration can't be used.
const EXIT_CONFIG: u8 = 2;

fn main() -> ExitCode {
    // Before anything makes or checks a token. It fails only if it was done before.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let args = Args::parse();
    let Loaded { config, warnings } = match Config::load(&args, std::env::vars_os()) {
        Ok(loaded) => loaded,
        Err(ConfigError(error)) => return fail(EXIT_CONFIG, &error),
    };
    start_log(config.log);
    descriptors::raise_limit();
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &format!("can't start: {error}")),
    };
    let ran = match args.command {
        Some(Command::Admin(command)) => runtime.block_on(admin::run(&config, command)),
        None => runtime.block_on(run(config)),
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &error.to_string()),
    }
}

/// Starts, serves until told to stop, drains.
async fn run(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    // First of all, so that a stop that is asked for while starting is not an abrupt one.
    let mut stop_signal = Stop::listen()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let data = DataDir::open(&config.data_dir)?;
    let keys = TokenKeys::new(data.signing_key()?)?;
    let store = Arc::new(open_store(&config, &data).await?);
    let (mailer, reset_url) = (mail::mailer(&config)?, mail::reset_url(&config));
    let cost = HashingCost::default();
    let accounts = Accounts::with_mailer(store.clone(), keys, cost, Arc::clone(&clock), mailer, &reset_url)?;
    accounts.upgrade().await?;
    let tokens = Tokens::new(accounts.clone(), config.external.as_ref(), &clock).await?;
    let files = open_files(&config, &data, store.clone())?;
    let engine = Engine::builder()
        .shared_store(store.clone())
        .authenticator(tokens.clone())
        .limits(config.limits.clone())
        .files(files.clone())
        .build()
        .await?;
    for room in &config.default_rooms {
        // Tried again whenever somebody registers; rooms that are there already do not wait for it.
        if let Err(error) = http::ensure_default_room(&engine, room).await {
            tracing::warn!(%room, %error, "a default room could not be set up");
        }
    }
    if let Err(error) =
        owners::appoint(&config.room_owners, &config.default_rooms, &data, &accounts, &engine).await
    {
        tracing::warn!(%error, "nobody was made owner of the default rooms");
    }
    let listener = accept::listen(config.listen)
        .map_err(|error| format!("can't listen on {}: {error}", config.listen))?;
    let front = Front::new(
        listener,
        descriptors::connections(),
        tcp_connections(&config),
        config.trusted_proxies.clone(),
    );
    let address = front.address()?;
    let app = App::new(Inner {
        engine: engine.clone(),
        store: store.clone(),
        accounts: accounts.clone(),
        tokens: tokens.clone(),
        registrations: RateTable::new(config.rates.registrations),
        logins: RateTable::new(config.rates.logins),
        recoveries: RateTable::new(config.rates.logins),
        changes: RateTable::new(config.rates.logins),
        refreshes: RateTable::new(config.rates.refreshes),
        cookie: RefreshCookie::at(config.public_url.as_deref()),
        origins: origins(&config)?,
        started: tokio::time::Instant::now(),
        answered: http::Answered::default(),
        is_monitored_apart: config.monitor_listen.is_some(),
        exports: Exports::new(),
        requests: RateTable::new(Rate::per_second(config.limits.commands_per_second)),
        files: files.clone(),
        uploads: RateTable::new(config.rates.uploads),
        file_reads: RateTable::new(config.rates.file_reads),
        gate: Gate::new(0, config.rates.connections_per_ip),
        ws_config: ws_config(&config, tokens)?,
        allowed_origins: config.allowed_origins,
        default_rooms: config.default_rooms,
        trusted_proxies: config.trusted_proxies,
        draining: AtomicBool::new(false),
    });
    let (stop, stopped) = watch::channel(false);
    let router = http::router(app.clone(), config.limits.frame_bytes);
    if let Some(address) = config.monitor_listen {
        let listener =
            accept::listen(address).map_err(|error| format!("can't listen on {address}: {error}"))?;
        let monitor = Front::new(listener, MONITOR_CONNECTIONS_MAX, 0, Vec::new());
        tracing::info!(address = %monitor.address()?, "telling figures");
        tokio::spawn(monitor.serve(http::monitor(app.clone()), stopped.clone()));
    }
    let mut front = tokio::spawn(front.serve(router, stopped));
    let sweeping = tokio::spawn(sweep(store, accounts, app.clone()));
    let collecting = tokio::spawn(collect(files));
    announce(&format!("http://{address}"));

    stop_signal.requested().await;
    tracing::info!("draining");
    stop_signal.exit_at_once_on_another();
    app.drain();
    let _ = stop.send(true);
    sweeping.abort();
    collecting.abort();
    // Running requests come first, since the engine closes the store; but sessions do not wait for a slow one.
    let _ = tokio::time::timeout(REQUEST_GRACE, &mut front).await;
    engine.shutdown(DRAIN_GRACE).await?;
    front.abort();
    tracing::info!("stopped");
    Ok(())
}

async fn open_store(config: &Config, data: &DataDir) -> Result<SledStore, Box<dyn std::error::Error>> {
    let (path, durability) = (data.store(), config.durability);
    let opening = tokio::task::spawn_blocking(move || SledStore::builder().durability(durability).open(path));
    Ok(opening.await?.map_err(|error| format!("the store can't be opened: {error}"))?)
}

fn open_files(
    config: &Config,
    data: &DataDir,
    store: Arc<SledStore>,
) -> Result<Files, Box<dyn std::error::Error>> {
    let mut files = Files::builder(store, data.files())
        .limits(config.files.limits)
        .keep_unscanned(config.files.keeps_unscanned);
    match &config.files.scanner {
        None => {}
        Some(ScannerAt::Tcp(address)) => files = files.scanner(ClamAv::tcp(*address)),
        Some(ScannerAt::Unix(path)) => files = files.scanner(ClamAv::unix(path)),
    }
    #[cfg(feature = "s3")]
    if let Some(s3) = &config.files.s3 {
        files = files.object_store(s3.open()?);
    }
    Ok(files.build().map_err(|error| format!("the folder of files can't be used: {error}"))?)
}

/// TCP connections that one address may have: its WebSockets, and some to spare for plain requests, so that a
/// refusal can be told.
const fn tcp_connections(config: &Config) -> usize {
    match config.rates.connections_per_ip {
        0 => 0,
        most => most + PLAIN_CONNECTIONS_PER_IP,
    }
}

fn ws_config(config: &Config, tokens: Tokens) -> Result<WsConfig, Box<dyn std::error::Error>> {
    Ok(WsConfig::new().origins(origins(config)?).frame_bytes(config.limits.frame_bytes).authenticator(tokens))
}

/// Whose pages may act for their visitors.
fn origins(config: &Config) -> Result<Origins, Box<dyn std::error::Error>> {
    let own = config.public_url.as_deref().and_then(origin_of);
    let origins = config.allowed_origins.iter().map(String::as_str).chain(own);
    Ok(origins.into_iter().try_fold(Origins::same_host(), |all, one| all.allow(one))?)
}

/// The origin of a URL: its scheme and its host.
fn origin_of(url: &str) -> Option<&str> {
    let host = url.find("://")? + 3;
    Some(url[host..].find('/').map_or(url, |path| &url[..host + path]))
}

/// Deletes what is out of date, now and then.
async fn sweep(store: Arc<SledStore>, accounts: Accounts, app: App) {
    let mut often = tokio::time::interval(SWEEP_EVERY);
    loop {
        often.tick().await;
        app.sweep_rates();
        loop {
            match store.sweep(SystemClock.now()).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => break tracing::warn!(%error, "old rows could not be deleted"),
            }
        }
        match accounts.sweep().await {
            Ok(()) | Err(AccountError::Unavailable) => {}
            Err(error) => tracing::warn!(%error, "old logins could not be deleted"),
        }
    }
}

/// Deletes files that are nobody's any more, soon after they are that, and now and then what a crash has left.
async fn collect(files: Files) {
    let (mut often, mut rarely) =
        (tokio::time::interval(COLLECT_EVERY), tokio::time::interval(ORPHANS_EVERY));
    loop {
        tokio::select! {
            _ = often.tick() => loop {
                match files.collect().await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => break tracing::warn!(%error, "files that are nobody's could not be deleted"),
                }
            },
            _ = rarely.tick() => match files.collect_orphans().await {
                Ok(0) => {}
                Ok(files) => tracing::info!(files, "deleted what was not uploaded to its end"),
                Err(error) => tracing::warn!(%error, "files could not be looked through"),
            },
        }
    }
}

/// One line for whoever started the process, and one for the log.
fn announce(url: &str) {
    tracing::info!(%url, "listening");
    let mut out = io::stdout();
    // Nobody may be reading; that is no reason not to serve.
    let _ = writeln!(out, "listening on {url}").and_then(|()| out.flush());
}

fn start_log(level: tracing::Level) {
    let ansi = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_max_level(level).with_writer(io::stderr).with_ansi(ansi).init();
}

fn fail(code: u8, error: &str) -> ExitCode {
    // Nobody may be reading.
    let _ = writeln!(io::stderr(), "chat-server: {error}");
    ExitCode::from(code)
}
