//! [`Transport`](chat_core::transport::Transport) on WebSocket (RFC 6455), and a client that reconnects and
//! resumes.
//!
//! Three ways in, the same [`WsConnection`] behind each:
//!
//! - [`WsTransport`] listens by itself, answers the upgrade, and is handed to `engine.serve`;
//! - [`handshake::answer`] and [`WsConnection::adopt`] take over a request and its upgraded stream from a web
//!   framework, for `engine.attach`;
//! - [`client::WsClient`] is the other end.
//!
//! ```text
//!            handshake.rs                       connection.rs
//! request ── origin, token, caps ── 101 ── read: reader.rs    one frame at a time, no idle buffer
//!                   └─ 403 401 429         write: SendQueue   frames that are framed once for everybody,
//!                                                             one writev, control frames in between
//! ```
//!
//! The crate uses tungstenite for the HTTP side of the handshake and for frame headers, but not its
//! `WebSocket`: that copies every frame once per receiver into a buffer of its own, and it answers a ping while
//! reading, whether or not a frame is just half written. Here frames are written from memory that all receivers
//! share, and an idle connection owns no buffer.
//!
//! A token is never taken from the query string, since addresses end up in logs.

pub mod client;
pub mod config;
pub mod connection;
mod gate;
pub mod handshake;
pub mod limits;
mod listener;
mod origins;
mod reader;

pub use config::WsConfig;
pub use connection::WsConnection;
pub use gate::{Admission, Gate, Refused};
pub use listener::WsTransport;
pub use origins::{InvalidOrigin, Origins};
