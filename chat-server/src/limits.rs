//! The bounds of the server itself, each with its reason and what happens at it. Those of the engine stand in
//! `chat_core::limits`, those that an operator sets in [`crate::config`].

use std::time::Duration;

/// Connections at once, where the system permits as many file descriptors: one each. At the bound no more are
/// accepted until one ends; the operating system keeps the next ones waiting. At under 6 KiB each this is 384 MiB.
pub(crate) const CONNECTIONS_MAX: usize = 65_536;

/// File descriptors that connections leave to the store, to files of the server, and to the runtime.
pub(crate) const DESCRIPTORS_KEPT: usize = 256;

/// Connections that the operating system keeps waiting until they are accepted, where it permits as many. Over it
/// they are tried again by their client's system a second later: so many may come back at once without that.
pub(crate) const BACKLOG: u32 = 4_096;

/// Connections of one address beyond its WebSockets, so that a refusal over the cap can still be told. Over it
/// the connection is closed unanswered.
pub(crate) const PLAIN_CONNECTIONS_PER_IP: usize = 64;

/// How long a client may take to send the head of a request, or rest between two. Then it is disconnected.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// Headers of one request. More is answered 431.
pub(crate) const HEADERS_MAX: usize = 64;

/// Bytes that a connection buffers while it reads a head. Longer ones are answered 431.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Rooms in the `resume` of one `GET /api/events`. More is 400. One takes up to 63 bytes of the head: `resume=` and `&`,
/// an id as the engine makes them (36), a colon, which may be escaped (3), and a seq (16). All of them leave 3,784 of
/// [`HEAD_BYTES_MAX`] to the token and the other headers.
pub(crate) const RESUMED_BY_QUERY_MAX: usize = 200;

/// Least body of a request that is accepted, whatever the length of frames is. Over it: 413.
pub(crate) const BODY_BYTES_MIN: usize = 64 * 1024;

/// How long a request may take in all, its body included. Then it is answered 503.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections of those who watch over the server, where they have an address of their own. More wait.
pub(crate) const MONITOR_CONNECTIONS_MAX: usize = 16;

/// How long a request may wait for an entry of a log. Proxies tend to give up after a minute.
pub(crate) const LONG_POLL_MAX: Duration = Duration::from_secs(60);

/// How often a stream of events says that it is alive, so that nobody on the way takes it for dead.
pub(crate) const STREAM_COMMENT_EVERY: Duration = Duration::from_secs(15);

/// How long a client may take none of what waits to be written to it, WebSockets excepted, which have a heartbeat. Then
/// it is disconnected.
pub(crate) const WRITE_STALL: Duration = Duration::from_secs(30);

/// Exports of one user. More are answered 429. Each reads all that is the user's and looks at every reaction there is.
pub(crate) const EXPORTS_PER_HOUR: u32 = 3;

/// Exports under way, of all users. At the bound another one is answered 503. Each holds a page of messages, and the
/// former texts of one of them.
pub(crate) const EXPORTS_AT_ONCE: usize = 8;

/// Bytes of an export that are handed on at once.
pub(crate) const EXPORT_PIECE_BYTES: usize = 64 * 1024;

/// How long a client may take for the next piece of an export. Then it breaks off.
pub(crate) const EXPORT_PIECE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an export may take in all. Then it breaks off. Enough for a gigabyte at ten megabits a second.
pub(crate) const EXPORT_TIMEOUT: Duration = Duration::from_secs(900);

/// How long an upload may take in all, its body included. Then it is answered 503. Enough for 5 MiB at 350 kilobits a
/// second.
pub(crate) const UPLOAD_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a client may take for the next piece of an upload. Then it is answered 400.
pub(crate) const UPLOAD_PIECE_TIMEOUT: Duration = Duration::from_secs(15);

/// Bytes of an upload's body besides the file: boundaries and the headers of its parts. More is 413.
pub(crate) const UPLOAD_FRAME_BYTES: u64 = 64 * 1024;

/// Bytes of an upload's body before the file begins, and again after its end, in which neither a header nor a boundary
/// ends: so much is kept, and looked through with each piece that comes. More is 400. The headers of a part have some
/// hundred.
pub(crate) const UPLOAD_HEAD_BYTES: u64 = 16 * 1024;

/// Bytes that are taken and thrown away of an upload that was refused, so that its client sees why. Over it the
/// connection is cut.
pub(crate) const UPLOAD_REST_BYTES: u64 = 64 << 20;

/// How long that may take. Then the connection is cut.
pub(crate) const UPLOAD_REST_TIMEOUT: Duration = Duration::from_secs(10);

/// How often files that are nobody's any more are deleted: so soon after their message are they gone.
pub(crate) const COLLECT_EVERY: Duration = Duration::from_secs(5);

/// How often bytes are looked for of which nothing is remembered, as a crash leaves them. Looks at every file there is.
pub(crate) const ORPHANS_EVERY: Duration = Duration::from_secs(24 * 3_600);

/// How long sessions wait for running requests to end once the server drains.
pub(crate) const REQUEST_GRACE: Duration = Duration::from_secs(2);

/// How long sessions may take to end once the server drains. Then they are cut.
pub(crate) const DRAIN_GRACE: Duration = Duration::from_secs(10);

/// Characters of a `query=` that lists are searched with. More is 400.
pub(crate) const QUERY_CHARS_MAX: usize = 100;

/// How long an issuer may take to tell its keys. Whoever waits for one is told that their token is not valid.
pub(crate) const KEYS_TIMEOUT: Duration = Duration::from_secs(5);

/// How often out-of-date rows are deleted.
pub(crate) const SWEEP_EVERY: Duration = Duration::from_secs(3_600);

/// Pause after the operating system refused to accept a connection, so that a lack of file descriptors does not
/// spin.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
