//! A client's connection, one of thousands on one thread.

use std::{
    cell::RefCell,
    io,
    net::{Ipv4Addr, SocketAddr},
};

use tokio::{
    io::AsyncWriteExt,
    net::{
        TcpSocket, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};

use super::options::PATIENCE;
use crate::common::{
    service::Failure,
    wire::{Kind, Scanner, authenticate, put_frame, upgrade_request, upgraded},
};

/// Bytes read at a time: all that a socket holds for a client that was away for a moment.
const READ_BYTES: usize = 256 * 1024;

/// Addresses of this machine that connections come from in turn: the ports of a single one may not suffice, since
/// those of earlier connections are not free at once.
const SOURCES: u8 = 16;

thread_local! {
    /// What is read is looked at before anything is awaited, so that all connections share one buffer.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// Both directions of a connection.
pub(crate) struct Link {
    pub(crate) reader: Reader,
    pub(crate) writer: OwnedWriteHalf,
}

/// What comes from the server.
pub(crate) struct Reader {
    stream: OwnedReadHalf,
    scanner: Scanner,
}

impl Link {
    /// The n-th connection, authenticated. `subscribe` is `all` or `none`.
    ///
    /// # Errors
    /// When the server refuses, hangs up, or takes too long.
    pub(crate) async fn open(
        address: SocketAddr,
        number: usize,
        user: &str,
        subscribe: &str,
    ) -> Result<Self, Failure> {
        timeout(PATIENCE, Self::connect(address, number, user, subscribe)).await?
    }

    async fn connect(
        address: SocketAddr,
        number: usize,
        user: &str,
        subscribe: &str,
    ) -> Result<Self, Failure> {
        let socket = TcpSocket::new_v4()?;
        let source = Ipv4Addr::new(127, 0, 0, 1 + (number % usize::from(SOURCES)) as u8);
        socket.bind((source, 0).into())?;
        let mut stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&upgrade_request(address)).await?;
        let mut scanner = Scanner::default();
        let rest = answer_head(&stream).await?;
        scanner.feed(&rest, |_| {})?;
        let (stream, writer) = stream.into_split();
        let mut link = Self { reader: Reader { stream, scanner }, writer };
        let mut frame = Vec::new();
        put_frame(&mut frame, &authenticate(user, subscribe));
        link.ask(&frame, Kind::Welcome).await?;
        Ok(link)
    }

    /// Sends and waits for a frame of that kind.
    pub(crate) async fn ask(&mut self, frame: &[u8], kind: Kind) -> Result<(), Failure> {
        self.writer.write_all(frame).await?;
        let mut seen = false;
        while !seen {
            self.reader.read(|found| seen |= found == kind).await?;
        }
        Ok(())
    }
}

impl Reader {
    /// Waits until something comes, and tells of each frame that is complete with it.
    ///
    /// # Errors
    /// When the server hangs up or tells of an error.
    pub(crate) async fn read(&mut self, mut each: impl FnMut(Kind)) -> Result<(), Failure> {
        loop {
            self.stream.readable().await?;
            let scanned = BUFFER.with_borrow_mut(|buffer| match self.stream.try_read(buffer) {
                Ok(0) => Err("the server hung up".into()),
                Ok(read) => self.scanner.feed(&buffer[..read], &mut each).map(Some),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
                Err(error) => Err(Failure::from(error)),
            })?;
            if scanned.is_some() {
                return Ok(());
            }
        }
    }
}

/// Reads the answer to the upgrade; gives what came after it.
async fn answer_head(stream: &TcpStream) -> Result<Vec<u8>, Failure> {
    let mut head = Vec::new();
    loop {
        if let Some(length) = upgraded(&head)? {
            return Ok(head.split_off(length));
        }
        stream.readable().await?;
        let read = BUFFER.with_borrow_mut(|buffer| {
            stream.try_read(buffer).inspect(|read| head.extend_from_slice(&buffer[..*read]))
        });
        match read {
            Ok(0) => return Err("the server hung up".into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
    }
}
