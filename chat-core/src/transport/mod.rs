//! How bytes travel.
//!
//! A [`Transport`] accepts [`Connection`]s; the engine pumps frames between each and its session. The core
//! knows no WebSocket: a [`Frame`] is one JSON object, and how it is put on a particular wire is an opaque
//! function of the transport, [`Framing`], whose result is shared by all receivers of the frame.

mod frame;
mod memory;

use std::{
    future::Future,
    task::{Context, Poll},
};

pub use frame::{Frame, Framing, SendQueue};
pub use memory::{
    FromPeer, MemoryConnection, MemoryDialer, MemoryPeer, MemoryTransport, ToPeer, memory_link,
};

use crate::{auth::Hello, close::CloseReason};

/// Accepts connections.
pub trait Transport: Send + 'static {
    /// What it accepts.
    type Connection: Connection;

    /// The next connection, its handshake completed, with what it presented. Cancel-safe. `None` when no more
    /// will come. A peer that fails its handshake is the transport's business and never ends accepting.
    fn accept(&mut self) -> impl Future<Output = Option<(Self::Connection, Hello)>> + Send;
}

/// One link to one peer, driven by polling: all its state is in `self`, so every call is cancel-safe.
///
/// # To ensure correctness
///
/// 1. Frames arrive whole, in the order sent, each once, or the connection fails.
/// 2. `poll_send` writes as much as the peer takes, in few calls to the operating system, and leaves in the
///    queue what it did not take; a later call goes on in the middle of a frame.
/// 3. `poll_receive` stays responsive to control frames of the protocol below and never buffers more than one
///    frame of the permitted length.
/// 4. A peer that is gone is an error, not an endless `Pending`, as soon as the operating system knows.
/// 5. After `poll_close` the reason is seen by the peer: what it still sends is discarded until it closes too
///    or 2 seconds have passed.
pub trait Connection: Send + Unpin + 'static {
    /// How frames are put on this wire.
    fn framing(&self) -> Framing;

    /// The next frame from the peer.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received>;

    /// Writes what is queued. Ready once the queue is empty and flushed.
    ///
    /// # Errors
    /// [`Gone`] when the peer is.
    fn poll_send(&mut self, cx: &mut Context<'_>, queue: &mut SendQueue) -> Poll<Result<(), Gone>>;

    /// Asks the peer for a sign of life below the level of frames (a WebSocket ping). Its arrival is reported
    /// as [`Received::Alive`].
    fn ping(&mut self);

    /// Says goodbye with a reason and waits for the peer to close, for at most 2 seconds.
    fn poll_close(&mut self, cx: &mut Context<'_>, reason: CloseReason) -> Poll<()>;
}

/// What came from a peer.
#[derive(Debug)]
pub enum Received {
    /// One frame: a JSON object, it is to be hoped.
    Text(Vec<u8>),
    /// Something that is no text frame; costs `bad_request`.
    NotText,
    /// A sign of life without content.
    Alive,
    /// The peer announced a frame over the limit; close with [`CloseReason::TooLarge`].
    TooLarge,
    /// The peer broke the protocol below; close with [`CloseReason::Abuse`].
    Malformed,
    /// The peer has closed or is gone.
    Closed,
}

/// The peer is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer is gone")]
pub struct Gone;
