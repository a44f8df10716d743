//! How much is measured. Every count and time of the report stands here.

use std::{path::PathBuf, time::Duration};

use crate::common::service::Failure;

/// What is measured, how often and for how long.
#[derive(Debug)]
pub(crate) struct Options {
    /// As JSON instead of as a table.
    pub(crate) json: bool,
    /// Below which directory stores are made.
    pub(crate) dir: PathBuf,
    /// Rooms over which senders are spread.
    pub(crate) rooms: usize,
    /// Concurrent senders, each with one message in flight.
    pub(crate) senders: [usize; 4],
    /// How long senders run before it counts.
    pub(crate) warm_up: Duration,
    /// How long it counts.
    pub(crate) sending: Duration,
    /// Followers of one room.
    pub(crate) subscribers: usize,
    /// How long they get ten messages a second.
    pub(crate) paced: Duration,
    /// How long they get all they can take.
    pub(crate) saturated: Duration,
    /// Idle connections.
    pub(crate) connections: usize,
    /// Pages asked for.
    pub(crate) pages: usize,
    only: Option<Part>,
}

/// One kind of measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Acked messages a second.
    Senders,
    /// CPU a delivery.
    Deliveries,
    /// Memory an idle connection.
    Memory,
    /// The newest page of history.
    Page,
}

/// Messages of one measurement, at most: it bounds what latencies take in memory and the store on disk.
pub(crate) const MESSAGES_MAX: usize = 500_000;

/// How long anything awaited may take: far longer than it does. Over it the report fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

const USAGE: &str =
    "report [--quick] [--json] [--only senders|deliveries|memory|page] [--rooms N] [--dir PATH]";

impl Options {
    /// Reads the command line; `None` when only help was asked for.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(args: &[String]) -> Result<Option<Self>, Failure> {
        let mut options = Self {
            json: false,
            dir: env!("CARGO_TARGET_TMPDIR").into(),
            rooms: 1,
            senders: [1, 16, 64, 256],
            warm_up: Duration::from_secs(2),
            sending: Duration::from_secs(8),
            subscribers: 1_000,
            paced: Duration::from_secs(10),
            saturated: Duration::from_secs(8),
            connections: 5_000,
            pages: 20_000,
            only: None,
        };
        // cargo says that this is a benchmark; when it only tests that benchmarks run, it does not.
        if !args.iter().any(|arg| arg == "--bench") {
            options.shorten();
        }
        let mut args = args.iter().map(String::as_str);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value; {USAGE}"));
            match arg {
                // The other benchmarks take `--test` to be run once.
                "--bench" | "--test" => {}
                "--quick" => options.shorten(),
                "--json" => options.json = true,
                "--only" => options.only = Some(Part::parse(value()?)?),
                "--rooms" => options.rooms = value()?.parse::<usize>()?.clamp(1, 256),
                "--dir" => options.dir = value()?.into(),
                "--help" | "-h" => {
                    println!("{USAGE}");
                    return Ok(None);
                }
                _ => return Err(format!("unknown argument {arg}; {USAGE}").into()),
            }
        }
        Ok(Some(options))
    }

    /// Enough to see that everything works, too little to quote.
    fn shorten(&mut self) {
        (self.warm_up, self.sending) = (Duration::from_millis(100), Duration::from_millis(500));
        (self.paced, self.saturated) = (Duration::from_secs(1), Duration::from_secs(1));
        (self.subscribers, self.connections, self.pages) = (100, 300, 1_000);
    }

    /// Whether a part is to be measured.
    pub(crate) fn wants(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}

impl Part {
    fn parse(name: &str) -> Result<Self, Failure> {
        match name {
            "senders" => Ok(Self::Senders),
            "deliveries" => Ok(Self::Deliveries),
            "memory" => Ok(Self::Memory),
            "page" => Ok(Self::Page),
            _ => Err(format!("there is no part {name}; {USAGE}").into()),
        }
    }
}
