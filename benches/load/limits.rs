//! Every bound of the load tool.

use std::time::Duration;

/// How long anything awaited may take, beyond the time that it is given: far longer than it does. Over it the run
/// fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Connections of one worker unless told otherwise: to a server and to a floor at once they stay below the 20,000
/// descriptors that a process commonly gets.
pub(crate) const CONNECTIONS_PER_WORKER: usize = 9_000;

/// Loopback addresses that connections come from. Each has some 28,000 ports.
pub(crate) const SOURCE_ADDRESSES: usize = 16;

/// Connections that one worker opens at the same time unless a storm is wanted.
pub(crate) const OPENING: usize = 64;

/// Connections that one worker opens at the same time in a storm: about as many as a listener lets wait.
pub(crate) const OPENING_IN_STORM: usize = 1_000;

/// Bytes that wait for one connection to take them. Over it the server does not read, and the run fails.
pub(crate) const PENDING_BYTES_MAX: usize = 16 << 20;

/// What a worker reads at once. All its connections share one buffer.
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// Bytes of the head of an answer to an upgrade. Over it the connection fails.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Commands that one connection sends ahead of their answers while rooms are made.
pub(crate) const AHEAD: usize = 256;

/// Messages that the slowest of a saturated room's members may be behind.
pub(crate) const BEHIND_MAX: u64 = 64;

/// Messages of one worker in one window: it bounds the store on disk.
pub(crate) const MESSAGES_MAX: u64 = 2_000_000;

/// Entries that are noted as missing for one member and room; of more it is not told whether they came late.
pub(crate) const MISSING_MAX: usize = 256;

/// The longest frame that is believed. Over it the stream is broken: no frame of a server comes near.
pub(crate) const FRAME_BYTES_MAX: usize = 4 << 20;

/// Messages of one window whose arrivals are noted one by one. Later ones are counted, but not noted.
pub(crate) const ARRIVALS_MAX: usize = 100_000;

/// Bytes that wait for a thread of the floor. Over it the publisher waits.
pub(crate) const FLOOR_INBOX_BYTES_MAX: usize = 4 << 20;

/// Bytes that a subscriber of the floor may be behind. Over it the connection is cut: somebody who reads is never so slow.
pub(crate) const FLOOR_BEHIND_BYTES_MAX: usize = 64 << 20;

/// Clients of the HTTP API. Each has a thread.
pub(crate) const CLIENTS_MAX: usize = 1_024;

/// Answers of each kind whose times are compared. They are kept one by one.
pub(crate) const SAMPLES_MAX: usize = 100_000;

/// What a client of the HTTP API reads at once.
pub(crate) const ANSWER_READ_BYTES: usize = 64 * 1024;

/// The longest body of an answer that is believed.
pub(crate) const ANSWER_BYTES_MAX: usize = 4 << 20;

/// How long a connection may rest until it is made anew: less than the server lets it.
pub(crate) const REST: Duration = Duration::from_secs(5);
