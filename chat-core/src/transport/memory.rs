//! A transport within the process: the reference implementation, for tests and for clients in the same program.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::{
    Stream, StreamExt,
    channel::mpsc::{Receiver, Sender, channel},
};
use tokio::time::{Sleep, sleep};

use super::{Connection, Framing, Gone, Received, SendQueue, Transport};
use crate::{auth::Hello, close::CloseReason};

/// Accepts what a [`MemoryDialer`] dials.
#[derive(Debug)]
pub struct MemoryTransport {
    accepted: Receiver<(MemoryConnection, Hello)>,
}

/// Dials a [`MemoryTransport`].
#[derive(Debug, Clone)]
pub struct MemoryDialer {
    accepting: Sender<(MemoryConnection, Hello)>,
}

/// The server's end of a link in memory.
#[derive(Debug)]
pub struct MemoryConnection {
    incoming: Receiver<FromPeer>,
    outgoing: Sender<ToPeer>,
    ping: bool,
    said_goodbye: bool,
    closing: Option<Pin<Box<Sleep>>>,
}

/// The client's end of a link in memory. It reads only when asked to, so that a slow reader is one that is not
/// asked.
#[derive(Debug)]
pub struct MemoryPeer {
    outgoing: Sender<FromPeer>,
    incoming: Receiver<ToPeer>,
}

/// What a client may do to a server.
#[derive(Debug)]
pub enum FromPeer {
    /// Send a frame.
    Text(Vec<u8>),
    /// Send something that is no text.
    NotText,
    /// Answer a ping.
    Pong,
}

/// What a server may do to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToPeer {
    /// Send a frame.
    Text(Bytes),
    /// Ask for a sign of life.
    Ping,
    /// Say goodbye; nothing follows.
    Close(CloseReason),
}

impl MemoryTransport {
    /// A transport and the way to dial it.
    #[must_use]
    pub fn new() -> (Self, MemoryDialer) {
        let (accepting, accepted) = channel(0);
        (Self { accepted }, MemoryDialer { accepting })
    }
}

impl Transport for MemoryTransport {
    type Connection = MemoryConnection;

    async fn accept(&mut self) -> Option<(MemoryConnection, Hello)> {
        self.accepted.next().await
    }
}

impl MemoryDialer {
    /// Connects with room for `window` frames each way; more wait at their sender.
    ///
    /// # Errors
    /// [`Gone`] when nobody accepts any more.
    pub async fn dial(&mut self, hello: Hello, window: usize) -> Result<MemoryPeer, Gone> {
        use futures::SinkExt;
        let (connection, peer) = memory_link(window);
        self.accepting.send((connection, hello)).await.map_err(|_| Gone)?;
        Ok(peer)
    }
}

/// Both ends of a link with room for `window` frames each way.
#[must_use]
pub fn memory_link(window: usize) -> (MemoryConnection, MemoryPeer) {
    let (to_server, from_client) = channel(window);
    let (to_client, from_server) = channel(window);
    let connection = MemoryConnection {
        incoming: from_client,
        outgoing: to_client,
        ping: false,
        said_goodbye: false,
        closing: None,
    };
    (connection, MemoryPeer { outgoing: to_server, incoming: from_server })
}

impl Connection for MemoryConnection {
    fn framing(&self) -> Framing {
        Framing::PLAIN
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        Poll::Ready(match ready!(Pin::new(&mut self.incoming).poll_next(cx)) {
            Some(FromPeer::Text(text)) => Received::Text(text),
            Some(FromPeer::NotText) => Received::NotText,
            Some(FromPeer::Pong) => Received::Alive,
            None => Received::Closed,
        })
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, queue: &mut SendQueue) -> Poll<Result<(), Gone>> {
        if self.ping && ready!(self.outgoing.poll_ready(cx)).is_ok() {
            self.ping = false;
            self.outgoing.start_send(ToPeer::Ping).map_err(|_| Gone)?;
        }
        while !queue.is_empty() {
            ready!(self.outgoing.poll_ready(cx)).map_err(|_| Gone)?;
            if let Some(frame) = queue.pop() {
                self.outgoing.start_send(ToPeer::Text(frame)).map_err(|_| Gone)?;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn ping(&mut self) {
        self.ping = true;
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, reason: CloseReason) -> Poll<()> {
        let deadline = self.closing.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if !self.said_goodbye {
            if ready!(self.outgoing.poll_ready(cx)).is_ok() {
                // The peer may be gone between the two calls; then it does not care about the reason.
                drop(self.outgoing.start_send(ToPeer::Close(reason)));
            }
            self.outgoing.disconnect();
            self.said_goodbye = true;
        }
        while ready!(Pin::new(&mut self.incoming).poll_next(cx)).is_some() {}
        Poll::Ready(())
    }
}

/// How long a closed link waits for the peer to close too.
const LINGER: Duration = Duration::from_secs(2);

impl MemoryPeer {
    /// Sends; waits while the link is full.
    ///
    /// # Errors
    /// [`Gone`] when the server is.
    pub async fn send(&mut self, what: FromPeer) -> Result<(), Gone> {
        use futures::SinkExt;
        self.outgoing.send(what).await.map_err(|_| Gone)
    }

    /// What comes next from the server; `None` once it has closed and all was read.
    pub async fn next(&mut self) -> Option<ToPeer> {
        self.incoming.next().await
    }

    /// What has come from the server already.
    pub fn try_next(&mut self) -> Option<ToPeer> {
        self.incoming.try_recv().ok()
    }
}
