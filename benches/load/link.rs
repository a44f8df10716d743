//! One connection: how it comes about, and what is written to it.

use std::{
    cell::{Cell, RefCell},
    io,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::{self, AbortHandle},
    time::{Instant, sleep},
};

use crate::{
    Failure, frames,
    limits::{HEAD_BYTES_MAX, PATIENCE, PENDING_BYTES_MAX, SOURCE_ADDRESSES},
};

/// Pauses between attempts to connect: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Opens a TCP connection from one of several source addresses, and tries again while the server is too busy.
///
/// # Errors
/// When there is nobody, or nobody has answered after [`PATIENCE`].
pub(crate) async fn dial(address: SocketAddr, number: usize) -> Result<TcpStream, Failure> {
    let (until, mut pause) = (Instant::now() + PATIENCE, BACKOFF.0);
    loop {
        match dial_once(address, number).await {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() < until && passes(&error) => sleep(pause).await,
            Err(error) => return Err(format!("can't connect to {address}: {error}").into()),
        }
        pause = (pause * 2).min(BACKOFF.1);
    }
}

async fn dial_once(address: SocketAddr, number: usize) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if address.ip().is_loopback() {
        let last = (number % SOURCE_ADDRESSES) as u8 + 1;
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)))?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whether it may be better the next time.
fn passes(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrInUse, AddrNotAvailable, ConnectionRefused, ConnectionReset, TimedOut};
    matches!(error.kind(), ConnectionRefused | ConnectionReset | TimedOut | AddrInUse | AddrNotAvailable)
}

/// Upgrades a connection. Returns what came after the head of the answer.
///
/// # Errors
/// When the server refuses.
pub(crate) async fn upgrade(stream: &mut TcpStream, address: SocketAddr) -> Result<Vec<u8>, Failure> {
    stream.write_all(&frames::upgrade_request(address)).await?;
    let mut head = Vec::new();
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err("the server hung up before the upgrade".into());
        }
        if let Some(end) = frames::upgraded(&head)? {
            return Ok(head.split_off(end));
        }
        if head.len() > HEAD_BYTES_MAX {
            return Err("the head of the answer does not end".into());
        }
    }
}

/// What is written to a connection, and the task that reads from it.
#[derive(Debug)]
pub(crate) struct Link {
    writer: OwnedWriteHalf,
    listening: AbortHandle,
    pending: RefCell<Vec<u8>>,
    flushing: Cell<bool>,
}

impl Link {
    /// Lets a task read. It is ended when the link is dropped, which closes the connection.
    pub(crate) fn new<F>(stream: TcpStream, listen: impl FnOnce(OwnedReadHalf) -> F) -> Rc<Self>
    where
        F: Future<Output = ()> + 'static,
    {
        let (reader, writer) = stream.into_split();
        let listening = task::spawn_local(listen(reader)).abort_handle();
        let (pending, flushing) = (RefCell::default(), Cell::new(false));
        Rc::new(Self { writer, listening, pending, flushing })
    }

    /// Writes without waiting: what the connection does not take at once, it takes later.
    ///
    /// # Errors
    /// When the connection is broken, or has not taken anything for too long.
    pub(crate) fn put(self: &Rc<Self>, bytes: &[u8]) -> Result<(), Failure> {
        let mut pending = self.pending.borrow_mut();
        let mut rest = bytes;
        if pending.is_empty() {
            match self.writer.try_write(bytes) {
                Ok(written) => rest = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        if pending.len() + rest.len() > PENDING_BYTES_MAX {
            return Err("the server does not read what is sent to it".into());
        }
        pending.extend_from_slice(rest);
        if !self.flushing.replace(true) {
            task::spawn_local(Rc::clone(self).flush());
        }
        Ok(())
    }

    /// Writes what is pending. A connection that breaks is noticed by whoever reads from it.
    async fn flush(self: Rc<Self>) {
        while self.writer.writable().await.is_ok() {
            let mut pending = self.pending.borrow_mut();
            match self.writer.try_write(&pending) {
                Ok(written) => drop(pending.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
            if pending.is_empty() {
                self.flushing.set(false);
                return;
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
