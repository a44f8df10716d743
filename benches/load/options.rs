//! What the user of the tool wants.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use serde::Serialize;

use crate::{floor::Fault, stamp::TEXT_BYTES_MIN};

/// Loads a chat server with connections and messages, checks that every entry comes once and in order, and tells
/// what that costs the server.
#[derive(Debug, Clone, Parser, Serialize)]
#[command(
    name = "chat-load",
    after_help = "The exit status is 1 when anything was lost, repeated or out of order, when a request failed, or \
                  when what exists can be told from what does not."
)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Options {
    /// What to measure
    pub(crate) mode: Mode,
    /// Users who are connected and follow rooms
    #[arg(long, value_name = "N")]
    pub(crate) connections: Option<usize>,
    /// Rooms
    #[arg(long, value_name = "N")]
    pub(crate) rooms: Option<usize>,
    /// Rooms of each user
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) rooms_per_user: usize,
    /// Messages a second, by all senders together; http: requests, instead of as many as are answered
    #[arg(long, value_name = "R")]
    pub(crate) rate: Option<f64>,
    /// How long each window lasts
    #[arg(long, value_name = "S")]
    pub(crate) seconds: Option<f64>,
    /// Characters of a message's text
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) bytes: usize,
    /// Processes that the connections are spread over, instead of as many as descriptors require
    #[arg(long, value_name = "N")]
    pub(crate) processes: Option<usize>,
    /// What an ack means; a server that runs already has its own way
    #[arg(long, value_enum)]
    pub(crate) durability: Option<Durability>,
    /// fanout: as many messages as all members take, instead of at a rate
    #[arg(long)]
    pub(crate) saturate: bool,
    /// fanout, rtt: how often server and floor take turns
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<usize>,
    /// fanout, rtt: leaves the floor out
    #[arg(long)]
    pub(crate) no_floor: bool,
    /// durable: senders, each with one message in flight; several numbers for several windows
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub(crate) senders: Vec<usize>,
    /// durable: members who are online in the one room, with one sender at `--rate`, instead of many senders
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    pub(crate) audience: Vec<usize>,
    /// durable: measures the bare store beside it
    #[arg(long)]
    pub(crate) store: bool,
    /// slow-readers: how many stop reading
    #[arg(long, value_name = "N")]
    pub(crate) stalled: Option<usize>,
    /// resume: entries that were missed
    #[arg(long, value_name = "N")]
    pub(crate) missed: Option<u64>,
    /// resume: how often
    #[arg(long, value_name = "N")]
    pub(crate) times: Option<usize>,
    /// http: clients, each of a user of its own
    #[arg(long, value_name = "N")]
    pub(crate) clients: Option<usize>,
    /// http: what they ask for, instead of everything
    #[arg(long, value_enum, value_name = "KIND,KIND", value_delimiter = ',')]
    pub(crate) kinds: Vec<Kind>,
    /// timing: answers of each kind, for what exists and for what does not
    #[arg(long, value_name = "N")]
    pub(crate) samples: Option<usize>,
    /// Some seconds only: shows that it works; the figures are worth nothing
    #[arg(long)]
    pub(crate) quick: bool,
    /// One JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Below which directory the store is made; a file system in memory makes fsync free and the figures wrong
    #[arg(long, value_name = "PATH")]
    #[serde(skip)]
    pub(crate) dir: Option<PathBuf>,
    /// The server's program, instead of the chat-server beside this one
    #[arg(long, value_name = "PATH")]
    #[serde(skip)]
    pub(crate) server: Option<PathBuf>,
    /// A server that runs already, like ws://127.0.0.1:8080, with limits that permit the load
    #[arg(long, value_name = "URL", requires_all = ["secret_env", "pid"], conflicts_with = "server")]
    pub(crate) url: Option<String>,
    /// The environment variable with that server's `auth.external.hs256_secret`
    #[arg(long, value_name = "NAME", requires = "url")]
    #[serde(skip)]
    pub(crate) secret_env: Option<String>,
    /// That server's process
    #[arg(long, requires = "url")]
    #[serde(skip)]
    pub(crate) pid: Option<u32>,
    /// What the floor does wrong, to show that it is noticed
    #[arg(long, hide = true)]
    #[serde(skip)]
    pub(crate) floor_fault: Option<Fault>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// Connections that do nothing: memory, and CPU of connecting and of being there
    Idle,
    /// One sender, one room: CPU a delivery, latency, until the last one has it; beside a floor
    Fanout,
    /// One sender, one receiver: the round trip; beside a floor
    Rtt,
    /// Messages over many rooms, by their members in turn
    ManyRooms,
    /// Pairs who write to each other
    Dm,
    /// Senders who wait for their acks
    Durable,
    /// Everybody is cut off and comes back at once, while messages flow
    ReconnectStorm,
    /// Some stop reading: what others and the server notice
    SlowReaders,
    /// From coming back to having caught up with what was missed
    Resume,
    /// Clients of the HTTP API: login, page, message, upload
    Http,
    /// Whether an account or a private room that exists answers otherwise, or after another time, than one that does not
    Timing,
}

/// What a client of the HTTP API asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// To be let in
    Login,
    /// 50 messages
    Page,
    /// To have a message sent
    Send,
    /// To have 1 MiB of text kept
    UploadText,
    /// To have a JPEG of 1 MiB kept
    UploadPhoto,
}

impl Kind {
    /// What it is called in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Page => "page of 50",
            Self::Send => "send",
            Self::UploadText => "upload of 1 MiB, text",
            Self::UploadPhoto => "upload of 1 MiB, photograph",
        }
    }
}

/// When a message is acked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Durability {
    /// When it is on the disk
    Fsync,
    /// When the system has it; on the disk within half a second
    Interval,
    /// At once
    None,
}

impl Durability {
    /// As the server's configuration names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fsync => "fsync",
            Self::Interval => "interval",
            Self::None => "none",
        }
    }
}

impl Options {
    /// One number with `--quick`, another without, unless told.
    pub(crate) fn pick<T>(&self, told: Option<T>, full: T, quick: T) -> T {
        told.unwrap_or(if self.quick { quick } else { full })
    }

    /// A window's length.
    pub(crate) fn seconds(&self, full: f64) -> f64 {
        self.pick(self.seconds, full, 1.0).clamp(0.1, 86_400.0)
    }

    /// What clients of the HTTP API ask for.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        match self.kinds.is_empty() {
            true => Kind::value_variants().to_vec(),
            false => self.kinds.clone(),
        }
    }

    /// Characters of a message's text; there is room for a stamp in it.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.clamp(TEXT_BYTES_MIN, 4_000)
    }
}
