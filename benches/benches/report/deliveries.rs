//! CPU that one delivery costs the server.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use chat_core::store::Durability;
use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::tcp::OwnedWriteHalf,
    sync::Notify,
    task,
    time::{Instant, interval, sleep, timeout},
};

use super::{
    link::{Link, Reader},
    options::{MESSAGES_MAX, Options, PATIENCE},
    server::Server,
    table::{Row, thousands},
};
use crate::common::{
    process,
    service::{self, Failure},
    wire::{Kind, Messages},
};

/// Between two messages at the slow pace.
const PACE: Duration = Duration::from_millis(100);

/// How many messages the subscribers may be behind on average, when they get all they can take: far below the
/// 256 entries of the tail ring, so that nobody has to read the store.
const BEHIND_MAX: u64 = 64;

/// Pause before CPU time is taken, for what connecting has left to do.
const SETTLING: Duration = Duration::from_secs(1);

/// What all subscribers have got.
#[derive(Default)]
struct Tally {
    delivered: Cell<u64>,
    /// How many deliveries are awaited.
    awaited: Cell<u64>,
    reached: Notify,
    failure: RefCell<Option<Failure>>,
}

/// The one who speaks, and the many who listen.
struct Crowd {
    server: Server,
    subscribers: u64,
    tally: Rc<Tally>,
    speaker: OwnedWriteHalf,
    messages: Messages,
    sent: u64,
}

/// What was used while something went on.
struct Used {
    deliveries: u64,
    time: Duration,
    server: Duration,
    load: Duration,
}

/// Ten messages a second, then as many as the subscribers take.
pub(crate) async fn measure(options: &Options) -> Result<[Row; 2], Failure> {
    let mut crowd = Crowd::gather(options).await?;
    sleep(SETTLING.min(options.paced)).await;
    let paced = crowd.used(async |crowd| crowd.speak_slowly(options.paced).await).await?;
    let saturated = crowd.used(async |crowd| crowd.speak_fast(options.saturated).await).await?;
    crowd.server.stop()?;
    Ok([
        paced.row("CPU a delivery, 10 messages/s", crowd.subscribers),
        saturated.row("CPU a delivery, saturated", crowd.subscribers),
    ])
}

impl Crowd {
    async fn gather(options: &Options) -> Result<Self, Failure> {
        // The last user speaks and follows nothing.
        let last = options.subscribers;
        // The disk is not what is measured, and must not be what is waited for.
        let server = Server::start(&options.dir, Durability::None, 1, last + 1)?;
        let tally = Rc::new(Tally::default());
        for number in 0..last {
            let link = Link::open(server.address(), number, &service::user(number), "all").await?;
            task::spawn_local(listen(link, tally.clone()));
        }
        let speaker = Link::open(server.address(), last, &service::user(last), "none").await?;
        let messages = Messages::new(service::room(0).as_str(), &service::user(last));
        let Link { reader, writer } = speaker;
        task::spawn_local(hear_acks(reader, tally.clone()));
        Ok(Self { server, subscribers: last as u64, tally, speaker: writer, messages, sent: 0 })
    }

    /// What server and load use meanwhile, until everything is delivered.
    async fn used(
        &mut self,
        work: impl AsyncFnOnce(&mut Self) -> Result<(), Failure>,
    ) -> Result<Used, Failure> {
        let load = || process::cpu_time(std::process::id());
        let (begun, delivered) = (Instant::now(), self.tally.delivered.get());
        let (server_before, load_before) = (self.server.cpu_time()?, load()?);
        work(self).await?;
        self.wait_for(self.sent * self.subscribers).await?;
        Ok(Used {
            deliveries: self.tally.delivered.get() - delivered,
            time: begun.elapsed(),
            server: self.server.cpu_time()? - server_before,
            load: load()? - load_before,
        })
    }

    async fn speak_slowly(&mut self, time: Duration) -> Result<(), Failure> {
        let mut pace = interval(PACE);
        for _ in 0..time.as_millis() / PACE.as_millis() {
            pace.tick().await;
            self.speak().await?;
        }
        Ok(())
    }

    async fn speak_fast(&mut self, time: Duration) -> Result<(), Failure> {
        let begun = Instant::now();
        while begun.elapsed() < time && self.sent < MESSAGES_MAX as u64 {
            self.wait_for((self.sent + 1).saturating_sub(BEHIND_MAX) * self.subscribers).await?;
            self.speak().await?;
        }
        Ok(())
    }

    async fn speak(&mut self) -> Result<(), Failure> {
        let mut frame = Vec::new();
        self.messages.put_next(&mut frame);
        self.speaker.write_all(&frame).await?;
        self.sent += 1;
        Ok(())
    }

    /// Waits for so many deliveries in all.
    async fn wait_for(&self, deliveries: u64) -> Result<(), Failure> {
        self.tally.awaited.set(deliveries);
        while self.tally.delivered.get() < deliveries {
            timeout(PATIENCE, self.tally.reached.notified()).await?;
            if let Some(failure) = self.tally.failure.take() {
                return Err(failure);
            }
        }
        Ok(())
    }
}

impl Used {
    fn row(&self, what: &str, subscribers: u64) -> Row {
        let deliveries = self.deliveries as f64;
        let cpu_us = self.server.as_secs_f64() * 1e6 / deliveries;
        let rate = deliveries / self.time.as_secs_f64();
        let load = self.load.as_secs_f64() / self.time.as_secs_f64() * 100.0;
        Row {
            what: format!("{what}, {subscribers} subscribers"),
            target: "-".into(),
            measured: format!("{cpu_us:.2} us, {} deliveries/s (load {load:.0} %)", thousands(rate)),
            figures: json!({
                "subscribers": subscribers, "deliveries": self.deliveries, "serverCpuUs": cpu_us,
                "perSecond": rate, "loadPercent": load,
            }),
        }
    }
}

/// One subscriber: counts what it gets.
async fn listen(link: Link, tally: Rc<Tally>) {
    let Link { mut reader, writer: _open } = link;
    loop {
        let mut messages = 0;
        let read = reader.read(|kind| messages += u64::from(kind == Kind::Message)).await;
        let before = tally.delivered.replace(tally.delivered.get() + messages);
        let awaited = tally.awaited.get();
        if before < awaited && before + messages >= awaited {
            tally.reached.notify_one();
        }
        if let Err(failure) = read {
            return tally.fail(failure);
        }
    }
}

/// The speaker's acks need only be taken away; an error among them ends the measurement.
async fn hear_acks(mut reader: Reader, tally: Rc<Tally>) {
    loop {
        if let Err(failure) = reader.read(|_| {}).await {
            return tally.fail(failure);
        }
    }
}

impl Tally {
    fn fail(&self, failure: Failure) {
        *self.failure.borrow_mut() = Some(failure);
        self.reached.notify_one();
    }
}
