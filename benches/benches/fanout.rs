//! One message to many: from the send to the moment at which the last session has it.
//!
//! Measures an engine in memory and sessions in process (`Engine::connect`), each awaiting its next event in a
//! task of its own: the cost of the engine's fan-out without sockets. Each iteration sends one message, and
//! waits until every session has been told of it, so nothing coalesces: this is the dear end. Under load,
//! sessions take several messages at a wake-up (`chat-load fanout` shows both ends, with sockets).
//!
//! How to read it: `time` is one message to all sessions, `thrpt` deliveries a second. The line `CPU a delivery`
//! after each is measured apart, over the whole process and all cores, storing and encoding the message
//! included: at one session it is the price of a message, at a thousand that of a delivery.
//!
//! ```sh
//! cargo bench -p chat-benches --bench fanout
//! ```
#![allow(clippy::expect_used, reason = "a benchmark whose setting fails ends there")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use chat_core::{
    domain::Draft,
    engine::{Caller, Engine, Event, Session},
};
use common::{process, service};
use criterion::{BenchmarkId, Criterion, Throughput};
use tokio::sync::Notify;

/// How many sessions follow the room.
const SESSIONS: [usize; 3] = [1, 100, 1_000];

/// CPU time used while it is measured: far more than the 10 ms that Linux counts in.
const CPU_MEASURED: Duration = Duration::from_secs(1);

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    for sessions in SESSIONS {
        let crowd = runtime.block_on(Crowd::gather(sessions)).expect("an engine in memory");
        let mut group = criterion.benchmark_group("fanout");
        group.throughput(Throughput::Elements(sessions as u64));
        let mut ran = false;
        group.bench_function(BenchmarkId::from_parameter(sessions), |bencher| {
            ran = true;
            bencher.to_async(&runtime).iter(|| crowd.tell_all());
        });
        group.finish();
        // Not for what a filter leaves out, nor for `--test` and `--list`.
        if ran && std::env::args().any(|arg| arg == "--bench") {
            runtime.block_on(crowd.print_cpu());
        }
        // Ends the sessions' tasks, too.
        let ended = runtime.block_on(crowd.engine.shutdown(Duration::from_secs(10)));
        ended.expect("nothing is left to save");
    }
    criterion.final_summary();
}

/// A room full of sessions.
struct Crowd {
    engine: Engine,
    speaker: Caller,
    sessions: usize,
    tally: Arc<Tally>,
}

#[derive(Default)]
struct Tally {
    delivered: AtomicU64,
    awaited: AtomicU64,
    reached: Notify,
}

impl Crowd {
    async fn gather(sessions: usize) -> Result<Self, service::Failure> {
        let engine = service::builder().build().await?;
        service::fill(&engine, 1, sessions).await?;
        let tally = Arc::new(Tally::default());
        for number in 0..sessions {
            let session = engine.connect(service::identity(number)).await?;
            tokio::spawn(listen(session, tally.clone()));
        }
        let speaker = engine.caller(service::identity(0)).await?;
        Ok(Self { engine, speaker, sessions, tally })
    }

    /// Sends a message and waits until everybody has it.
    async fn tell_all(&self) {
        self.tally.awaited.fetch_add(self.sessions as u64, Ordering::SeqCst);
        let draft = Draft::text("Does everybody hear me?").expect("a text");
        self.speaker.send(&service::room(0), draft).await.expect("nothing speaks against it");
        self.tally.reached.notified().await;
    }

    async fn print_cpu(&self) {
        let used = || process::cpu_time(std::process::id());
        // Elsewhere than on Linux there is nothing to tell.
        let Ok(before) = used() else { return };
        let mut messages = 0;
        let cpu = loop {
            self.tell_all().await;
            messages += 1;
            match used() {
                Ok(now) if now - before < CPU_MEASURED => {}
                Ok(now) => break now - before,
                Err(_) => return,
            }
        };
        let deliveries = (messages * self.sessions) as f64;
        let micros = cpu.as_secs_f64() * 1e6 / deliveries;
        println!("fanout/{}: {micros:.2} us CPU a delivery ({deliveries} deliveries)", self.sessions);
    }
}

async fn listen(mut session: Session, tally: Arc<Tally>) {
    while let Some(event) = session.recv().await {
        if matches!(event, Event::Entry(posted) if posted.entry().message().is_some()) {
            let delivered = tally.delivered.fetch_add(1, Ordering::SeqCst) + 1;
            if delivered == tally.awaited.load(Ordering::SeqCst) {
                tally.reached.notify_one();
            }
        }
    }
}
