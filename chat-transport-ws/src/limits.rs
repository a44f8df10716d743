//! Every bound of this crate, with its reason and what happens at it. Those that an embedder may set are
//! fields of [`WsConfig`](crate::WsConfig); their defaults stand here.

use std::time::Duration;

/// Bytes of a request head. A token of an external issuer takes some kilobytes, cookies of the same host some
/// more. Over it: 431.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How long a handshake may take from the first byte of TCP to the answer. Over it the peer is dropped.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Handshakes in progress at a time. At the bound no more are accepted: they wait in the system's backlog.
pub const HANDSHAKES_MAX: usize = 512;

/// Connections in all. At under 6 KiB each this is 120 MiB. Over it: 503.
pub const CONNECTIONS_MAX: usize = 20_000;

/// Connections of one address (of one /64 network for IPv6, the least that a subscriber is given). Over it:
/// 429.
pub const CONNECTIONS_PER_ADDRESS_MAX: usize = 100;

/// Refusals of one address that are being written at a time. Over it the peer is dropped without an answer, so
/// that one address can't occupy all handshakes.
pub const REFUSALS_PER_ADDRESS_MAX: usize = 16;

/// Connections that wait to be taken by `accept`. At the bound their handshakes wait.
pub const ACCEPTED_MAX: usize = 64;

/// Longest frame of a client in bytes, fragments added up. Over it: close code 1009.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Bytes read in one call to the operating system. They are read on the stack: an idle connection owns no
/// buffer at all, so this costs no memory per connection. Measured over 5,000 idle loopback connections of a
/// release build: 1.1 KiB resident each, 2.6 KiB with an authenticated session of the engine.
pub const READ_BYTES: usize = 4 * 1024;

/// Vectors of one `writev`; Linux takes 1,024 and a pull of the engine has no more frames than this.
pub const WRITE_VECTORS_MAX: usize = 256;

/// Bytes gathered for one write to a stream that takes no vectors, such as TLS: one record.
pub const GATHER_BYTES_MAX: usize = 16 * 1024;

/// How long a closed connection discards what the peer still sends, so that the peer sees the close code
/// instead of a reset (docs/protocol.md, Closing).
pub const LINGER: Duration = Duration::from_secs(2);

/// How long a refused handshake discards what the peer still sends, for the same reason.
pub const REFUSAL_LINGER: Duration = Duration::from_millis(500);

/// Pause after the operating system refused to accept (no file descriptors left, as a rule).
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Commands that a client keeps until they are answered. Over it the caller gets an error.
pub const OUTBOX_COMMANDS_MAX: usize = 1_024;

/// Bytes of commands that a client keeps until they are answered. Over it the caller gets an error.
pub const OUTBOX_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Events that wait in a client to be taken. At the bound it stops reading from the server, which then holds
/// its cursors where they are.
pub const EVENTS_MAX: usize = 256;

/// Rooms of which a client remembers how far it has come. Over it the one that was silent longest is forgotten.
pub const CURSORS_MAX: usize = 2_000;

/// Longest frame that a client takes from a server: a page of history with its framing, with room to spare.
pub const SERVER_FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long a client gives dialling, handshake and authentication together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
